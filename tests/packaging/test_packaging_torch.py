"""The tests' torch is the CPU build, or none: true pip, an index of our own."""

import sys
from pathlib import Path

import pytest
from wheel_yard import dead_address, wheel

import torch_cpu
from narration import SetupFailed
from virtual_env import VirtualEnv

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere plain torch is the CPU build")
pytestmark = [pytest.mark.slow, linux_only]
FILES = {"torch/__init__.py": ""}


@pytest.fixture(scope="module")
def module_env(tmp_path_factory: pytest.TempPathFactory) -> VirtualEnv:
    made = VirtualEnv(tmp_path_factory.mktemp("checkout") / ".venv")
    made.create()
    return made


@pytest.fixture
def env(module_env: VirtualEnv, bare_user: Path) -> VirtualEnv:
    """An environment without torch; making one takes seconds, so the module shares it."""
    module_env.try_pip("Removing torch", "uninstall", "--yes", "torch")
    return module_env


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    (tmp_path / "constraints.txt").write_text("# pins\nnumpy==2.4.6\ntorch==2.13.0\n")
    return tmp_path / "constraints.txt"


def installed(env: VirtualEnv) -> list[str]:
    return sorted(one.name for one in env.packages_folder().glob("torch-*"))


def cuda_build(index) -> None:
    """torch as Linux gets it from the package index."""
    wheel(index.project("torch"), "torch", "2.13.0", FILES, requires=["nvidia-cublas"])
    wheel(index.project("nvidia-cublas"), "nvidia-cublas", "13.0", {})


def test_the_cpu_build_comes_from_its_own_index(env, index, constraints):
    cuda_build(index)
    wheel(index.folder / "torch-cpu" / "torch", "torch", "2.13.0+cpu", FILES)
    torch_cpu.install(env, constraints)
    assert installed(env) == ["torch-2.13.0+cpu.dist-info"]


def test_the_cuda_build_alone_is_refused_and_not_installed(env, index, constraints, monkeypatch):
    cuda_build(index)
    monkeypatch.setenv("CARRYON_TORCH_INDEX", dead_address())
    with pytest.raises(SetupFailed, match="Only torch's CUDA build can be had here") as caught:
        torch_cpu.install(env, constraints)
    assert "CARRYON_TORCH_INDEX" in caught.value.hint
    assert installed(env) == []


def test_a_plain_build_without_cuda_is_welcome(env, index, constraints, monkeypatch):
    wheel(index.project("torch"), "torch", "2.13.0", FILES)
    monkeypatch.setenv("CARRYON_TORCH_INDEX", dead_address())
    torch_cpu.install(env, constraints)
    assert installed(env) == ["torch-2.13.0.dist-info"]


@pytest.mark.parametrize(("names", "light"), [(["torch", "sympy"], True), (["torch", "nvidia-cublas"], False),
                                              (["cuda-toolkit"], False), (["triton", "torch"], False)])
def test_cuda_is_known_by_its_packages(names, light):
    assert torch_cpu.is_light(names) is light
