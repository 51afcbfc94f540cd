"""What a person reads about the machine, the chosen engine and Qt."""

import sys

import pytest

import setup_steps
from engine_choice import Accelerator, Facts, Nvidia
from engine_install import Engine
from setup_steps import engine_text, machine_text, qt_hint
from virtual_env import VirtualEnv


@pytest.mark.parametrize(("facts", "words"), [
    (Facts("linux", Nvidia((12, 4), ())), "an NVIDIA driver that runs CUDA 12.4"),
    (Facts("linux", is_driver_silent=True), "does not answer (nvidia-smi may say why); the engine will use the CPU"),
    (Facts("darwin"), "the engine uses Metal"),
    (Facts("linux"), "no NVIDIA driver; the engine uses the CPU"),
])
def test_the_machine_is_said(facts, words):
    assert words in machine_text(facts)


def engine(accelerator: Accelerator) -> Engine:
    return Engine("0.3.36-x", accelerator, True, True, ("CPU",))


def test_the_engine_is_said_with_its_devices():
    assert engine_text(engine(Accelerator.NONE), Accelerator.NONE) == "Engine: built from source, sees CPU."


def test_a_gpu_left_unused_is_said_with_the_next_step():
    text = engine_text(engine(Accelerator.NONE), Accelerator.CUDA)
    assert "The GPU is not used: install NVIDIA's CUDA toolkit (nvcc)" in text
    assert "The GPU" not in engine_text(engine(Accelerator.CUDA), Accelerator.CUDA)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Qt's libraries come from the system on Linux alone")
def test_qts_missing_libraries_are_said_and_only_then(tmp_path, monkeypatch):
    platforms = tmp_path / "lib" / "python3.11" / "site-packages" / "PySide6" / "Qt" / "plugins" / "platforms"
    platforms.mkdir(parents=True)
    (platforms / "libqxcb.so").touch()
    asked = []
    monkeypatch.setattr(setup_steps, "missing_libraries", lambda files: asked.extend(files) or ["libxcb-cursor.so.0"])
    assert qt_hint(VirtualEnv(tmp_path)).startswith("Qt lacks libxcb-cursor.so.0 for its window. Install")
    assert [one.name for one in asked] == ["libqxcb.so"]
    monkeypatch.setattr(setup_steps, "missing_libraries", lambda files: [])
    assert qt_hint(VirtualEnv(tmp_path)) == ""
