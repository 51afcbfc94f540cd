"""A kept plan is found again for the same header, parameters, devices and engine, and for nothing else."""

import os
import shutil
from dataclasses import fields, replace

import pytest
from fakes import tiny_gguf

from carryon.engine.plans import MOST_FILES, Plans
from carryon.engine.protocol import DeviceKind, DeviceMemory, KvType, LoadRequest, Planned
from carryon.hardware.machine import EngineDevice, EngineDevices

CPU, GPU = ("CPU", "a processor", DeviceKind.CPU), ("CUDA0", "a card", DeviceKind.GPU)


def seen(*devices, engine="llama.cpp 1"):
    return EngineDevices(engine, False, tuple(EngineDevice(*device, 1, 2) for device in devices or (CPU,)))


def plan(*devices, engine="llama.cpp 1"):
    return Planned(engine, 512, tuple(DeviceMemory(*device, 1000, 200, 30, 4) for device in devices or (CPU,)))


@pytest.fixture
def plans(tmp_path):
    return Plans(tmp_path / "cache")


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy that a test may change."""
    return shutil.copy(tiny_model, tmp_path / "model.gguf")


@pytest.fixture
def asked(model):
    return LoadRequest(str(model), n_ctx=512)


def test_nothing_is_kept_at_first(plans, asked):
    assert plans.kept(asked, seen()) is None


def test_what_was_kept_is_found(plans, asked):
    plans.keep(asked, plan())
    assert plans.kept(asked, seen()) == plan()
    assert Plans(plans.folder).kept(asked, seen()) == plan()


OTHERWISE = {
    "n_ctx": 1024, "n_gpu_layers": 1, "n_cpu_experts": 1, "gpus": ("CPU",), "split": (1.0,), "n_ubatch": 256,
    "n_parallel": 2, "kv_type": KvType.Q8_0,
}  # fmt: skip
SAME = {"n_threads": 7, "use_mmap": False, "host": "::1", "port": 8080, "api_key": "x", "model_name": "x"}


@pytest.mark.parametrize(("name", "value"), OTHERWISE.items())
def test_another_parameter_is_another_plan(plans, asked, name, value):
    plans.keep(asked, plan())
    assert plans.kept(replace(asked, **{name: value}), seen()) is None


@pytest.mark.parametrize(("name", "value"), SAME.items())
def test_what_moves_no_byte_is_the_same_plan(plans, asked, name, value):
    plans.keep(asked, plan())
    assert plans.kept(replace(asked, **{name: value}), seen()) == plan()


def test_every_field_of_a_request_is_thought_of():
    assert {one.name for one in fields(LoadRequest)} == {*OTHERWISE, *SAME, "model_path", "rpc_endpoints"}


def test_another_engine_or_another_device_is_another_plan(plans, asked):
    plans.keep(asked, plan())
    assert plans.kept(asked, seen(engine="llama.cpp 2")) is None
    assert plans.kept(asked, seen(CPU, GPU)) is None
    assert plans.kept(asked, seen(("CPU", "another processor", DeviceKind.CPU))) is None


def test_a_library_that_is_no_device_of_its_own_changes_nothing(plans, asked):
    plans.keep(asked, plan())
    assert plans.kept(asked, seen(CPU, ("BLAS", "a library", DeviceKind.OTHER))) == plan()


def test_a_split_by_free_memory_cannot_be_repeated(plans, asked):
    two = (CPU, GPU, ("CUDA1", "a card", DeviceKind.GPU))
    open_split = replace(asked, n_gpu_layers=3)
    for request in (open_split, replace(open_split, split=(1.0, 2.0)), replace(open_split, gpus=("CUDA0",))):
        plans.keep(request, plan(*two))
    assert plans.kept(open_split, seen(*two)) is None
    assert plans.kept(replace(open_split, split=(1.0, 2.0)), seen(*two)) == plan(*two)
    assert plans.kept(replace(open_split, gpus=("CUDA0",)), seen(*two)) == plan(*two)


def test_other_machines_may_change(plans, asked):
    far = replace(asked, rpc_endpoints=("10.0.0.5:1",))
    plans.keep(far, plan())
    assert plans.kept(far, seen()) is None


def test_a_copy_of_the_file_has_the_same_plan(plans, asked, model, tmp_path):
    plans.keep(asked, plan())
    copy = shutil.copy(model, tmp_path / "copy.gguf")
    assert plans.kept(replace(asked, model_path=str(copy)), seen()) == plan()


def test_another_model_in_the_same_place_has_another_plan(plans, asked, model):
    plans.keep(asked, plan())
    tiny_gguf.speaking_model(model, shape=tiny_gguf.Shape(layers=3))
    assert plans.kept(asked, seen()) is None


def test_a_model_in_parts_is_all_of_them(plans, tiny_model, tmp_path):
    parts = [shutil.copy(tiny_model, tmp_path / f"big-0000{number}-of-00002.gguf") for number in (1, 2)]
    asked = LoadRequest(str(parts[0]), n_ctx=512)
    plans.keep(asked, plan())
    assert plans.kept(replace(asked, model_path=str(parts[1])), seen()) == plan()
    tiny_gguf.speaking_model(parts[1], shape=tiny_gguf.Shape(layers=3))
    assert plans.kept(asked, seen()) is None


@pytest.mark.parametrize("content", [b"", b"hello", b"[]", b"{}", b"\xff" * 100, b'{"event": "refused"}', b"{" * 70000])
def test_damaged_files_are_as_good_as_none(plans, asked, content):
    plans.keep(asked, plan())
    for file in plans.folder.iterdir():
        file.write_bytes(content)
    assert plans.kept(asked, seen()) is None
    plans.keep(asked, plan())
    assert plans.kept(asked, seen()) == plan()


def test_a_damaged_note_mixes_no_two_models_up(plans, asked, tmp_path):
    larger = tiny_gguf.speaking_model(tmp_path / "larger.gguf", shape=tiny_gguf.Shape(layers=3))
    other = LoadRequest(str(larger), n_ctx=512)
    for request in (asked, other):
        plans.keep(request, plan())
    for note in plans.folder.glob("*.header"):
        note.write_bytes(b"")
    for file in plans.folder.glob("*.plan.json"):
        file.unlink()
    plans.keep(asked, plan())
    assert plans.kept(other, seen()) is None


@pytest.mark.parametrize("content", [None, b"", b"hello", b"GGUF\x03\x00\x00\x00"])
def test_a_file_without_a_header_has_no_plan(plans, tmp_path, content):
    path = tmp_path / "none.gguf"
    if content is not None:
        path.write_bytes(content)
    asked = LoadRequest(str(path))
    plans.keep(asked, plan())
    assert plans.kept(asked, seen()) is None


def test_the_oldest_go_when_there_are_too_many(plans, asked):
    plans.folder.mkdir()
    for number in range(MOST_FILES):
        old = plans.folder / f"{number}.plan.json"
        old.touch()
        os.utime(old, (number, number))
    foreign = plans.folder / "notes.txt"
    foreign.touch()
    os.utime(foreign, (0, 0))
    plans.keep(asked, plan())
    assert plans.kept(asked, seen()) == plan()
    assert len(list(plans.folder.iterdir())) <= MOST_FILES
    assert foreign.exists()
    assert not (plans.folder / "0.plan.json").exists()
