"""An engine is fetched or built, tried in a child that may die, and only then trusted."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from quick_env import QuickEnv
from wheel_yard import CPU, GPU, dead_address, engine_files, prebuilt, silent_server, wheel

from build_cache import BuildCache
from engine_choice import BASE_FLAGS, Accelerator, Facts, Nvidia, Prebuilt, Source, choices
from engine_install import PROBE, Workshop, build_failure, in_order, recipe
from narration import Ended, SetupFailed
from virtual_env import VirtualEnv
from wheel_index import WheelIndex

VERSION = "0.3.36"
CPU_WHEEL = Prebuilt("cpu", Accelerator.NONE)
CUDA_WHEEL = Prebuilt("cu124", Accelerator.CUDA)
BUILT = Source(BASE_FLAGS, Accelerator.NONE)
PLAIN = Facts("linux")
CUDA = Facts("linux", Nvidia((12, 4), ((8, 6),)))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the quick environment is a shell script")


@pytest.fixture
def shop(bare_user, index, tmp_path, monkeypatch) -> Workshop:
    """Everything that installing needs; the wheel index is alive and empty, and a compiler is there."""
    monkeypatch.setenv("CXX", sys.executable)
    return Workshop(QuickEnv(tmp_path / "env"), BuildCache(tmp_path / "engines"), WheelIndex(f"{index.url}/whl"), PLAIN,
                    VERSION, tmp_path / "constraints.txt")


def builds(shop: Workshop) -> list[str]:
    assert isinstance(shop.env, QuickEnv)
    return shop.env.built_with


def test_a_machine_without_a_gpu_gets_the_prebuilt_cpu_wheel(shop, index):
    prebuilt(index.variant("cpu"))
    engine = shop.install(choices(PLAIN))
    assert (engine.is_from_source, engine.devices, builds(shop)) == (False, ("CPU",), [])


def test_the_driver_gets_the_newest_cuda_wheel_that_is_there(shop, index):
    for variant in ("cu122", "cu121", "cpu"):
        prebuilt(index.variant(variant), devices=[GPU, CPU])
    engine = replace(shop, facts=CUDA).install(choices(CUDA))
    assert engine.key.startswith(f"{VERSION}-prebuilt-cu122-")
    assert engine.devices == ("CUDA0", "CPU")


def test_a_dead_index_is_asked_once_and_the_engine_is_built(shop, capsys):
    engine = replace(shop, index=WheelIndex(dead_address())).install(choices(CUDA))
    assert (engine.is_from_source, engine.has_rpc) == (True, True)
    assert builds(shop) == [" ".join(BASE_FLAGS)]
    said = capsys.readouterr().out
    assert said.count("cannot be reached") == 1
    assert "Next: a build from source for this CPU." in said


def test_a_silent_index_is_given_up_and_the_engine_is_built(shop):
    with silent_server() as address:
        engine = replace(shop, index=WheelIndex(address, deadline_s=0.2)).install(choices(PLAIN))
    assert engine.is_from_source


def test_a_second_checkout_takes_the_build_from_the_cache_and_asks_no_index(shop, tmp_path):
    first = shop.install([BUILT])
    second_env = QuickEnv(tmp_path / "second")
    second = replace(shop, env=second_env, index=WheelIndex("asked in vain")).install(choices(PLAIN))
    assert second == first
    assert second_env.built_with == []


def test_other_flags_are_another_build(shop):
    shop.install([BUILT])
    shop.install([replace(BUILT, flags=(*BUILT.flags, "-DGGML_LLAMAFILE=OFF"))])
    assert builds(shop)[1:] == [" ".join((*BASE_FLAGS, "-DGGML_LLAMAFILE=OFF"))]


def test_a_build_is_of_one_cpu_and_a_prebuilt_wheel_of_all(monkeypatch):
    here = recipe(BUILT, VERSION, PLAIN).key, recipe(CPU_WHEEL, VERSION, PLAIN).key
    monkeypatch.setattr("engine_install.cpu_identity", lambda: "Another CPU: avx512f")
    assert recipe(BUILT, VERSION, PLAIN).key != here[0]
    assert recipe(CPU_WHEEL, VERSION, PLAIN).key == here[1]


def test_another_gpu_is_another_cuda_build():
    cuda = choices(replace(CUDA, has_nvcc=True), from_source=True)[0]
    other = replace(CUDA, nvidia=Nvidia((12, 4), ((9, 0),)))
    assert recipe(cuda, VERSION, CUDA).key != recipe(cuda, VERSION, other).key


@pytest.mark.parametrize(("life", "words"), [
    ("os.abort()", r"it crashed \(SIGABRT\)"),
    ("import signal; os.kill(os.getpid(), signal.SIGILL)", r"instructions that this CPU lacks \(SIGILL\)"),
    ("raise OSError('libcudart.so.12: cannot open shared object file')", r"libcudart\.so\.12: cannot open"),
])
def test_a_wheel_that_dies_is_not_trusted_and_the_next_choice_is(shop, index, capsys, life, words):
    prebuilt(index.variant("cpu"), life=life)
    assert shop.install([CPU_WHEEL, BUILT]).is_from_source
    assert not shop.is_cached(CPU_WHEEL)
    assert re.search(rf"The engine \(the prebuilt cpu wheel\) does not work here: .*{words}", capsys.readouterr().out)


def test_when_nothing_works_the_last_reason_is_said(shop, index):
    prebuilt(index.variant("cpu"), life="os.abort()")
    with pytest.raises(SetupFailed, match="does not work here: it crashed"):
        shop.install([CPU_WHEEL])


def test_a_cached_wheel_that_no_longer_works_is_fetched_anew(shop, index, capsys):
    with shop.cache.filling(shop.recipe(CPU_WHEEL)) as folder:
        prebuilt(folder, life="os.abort()")
    prebuilt(index.variant("cpu"))
    assert shop.install([CPU_WHEEL]).devices == ("CPU",)
    assert "It came from the cache, so it is fetched or built anew." in capsys.readouterr().out


def test_a_cuda_wheel_that_sees_no_gpu_gives_way_and_is_kept(shop, index, capsys):
    prebuilt(index.variant("cu124"))
    prebuilt(index.variant("cpu"))
    assert shop.install([CUDA_WHEEL, CPU_WHEEL]).accelerator is Accelerator.NONE
    assert shop.is_cached(CUDA_WHEEL)
    assert "sees no GPU" in capsys.readouterr().out


def test_a_failed_build_leaves_nothing_and_says_the_compilers_reason(shop):
    shop.env.build_output = ("[3/9] Building", "/tmp/ggml.c:12:3: error: unknown type 'bf16'", "ERROR: Failed building")
    with pytest.raises(SetupFailed, match=r"Building the engine failed: .*ggml\.c:12:3: error: unknown type 'bf16'"):
        shop.install([BUILT])
    assert not shop.is_cached(BUILT)


class ThisPython(VirtualEnv):
    """The environment that runs the tests, for its true pip; nothing is installed into it."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


def test_a_package_index_out_of_reach_is_said_in_one_sentence(shop, monkeypatch, tmp_path):
    (tmp_path / "true").mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", dead_address())
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(SetupFailed) as caught:
        replace(shop, env=ThisPython(tmp_path / "true")).install([BUILT])
    assert caught.value.text.startswith("The package index cannot be reached.\nCheck the network, or name an index")


@pytest.mark.parametrize(("line", "words"), [
    ("WARNING: Retrying after connection broken by 'NewConnectionError(...)'", "The package index cannot be reached."),
    ("ERROR: No matching distribution found for llama-cpp-python==0.3.36", "has no llama-cpp-python==0.3.36"),
    ("OSError: [Errno 28] No space left on device", "The disk is full."),
    ("CMake Error at CMakeLists.txt:3 (project): No CMAKE_CXX_COMPILER could be found.", "No CMAKE_CXX_COMPILER"),
])
def test_a_build_that_fails_for_another_reason_says_that_one(line, words, tmp_path):
    failure = build_failure(Ended(1, ("Collecting llama-cpp-python", line)), tmp_path / "log")
    assert words in failure.message
    assert str(tmp_path / "log") in failure.hint or "gigabytes" in failure.hint


def test_no_compiler_is_said_before_anything_is_fetched(shop, monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(SetupFailed, match=r"needs a C\+\+ compiler"):
        shop.install([BUILT])
    assert builds(shop) == []


@pytest.mark.skipif(not shutil.which("cc"), reason="makes true libraries for the loader to look at")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the loader of Linux")
def test_a_cuda_wheel_gets_nvidias_runtime_where_the_system_has_none(shop, index, tmp_path):
    runtime, cuda = compiled(tmp_path, "libcudart.so.12"), compiled(tmp_path, "libggml-cuda.so", "libcudart.so.12")
    load = "import ctypes, pathlib; ctypes.CDLL(str(pathlib.Path(__file__).parent / 'lib' / 'libggml-cuda.so'))"
    files = {**engine_files([GPU, CPU], life=load), "llama_cpp/lib/libggml-cuda.so": cuda.read_bytes()}
    made = wheel(index.variant("cu124"), "llama-cpp-python", VERSION, files)
    made.rename(made.with_name(made.name.replace("-any", "-manylinux_2_17_x86_64.manylinux_2_17_aarch64")))
    bring(shop.env.packages_folder() / "nvidia" / "cuda_runtime" / "lib", runtime)     # as NVIDIA's own wheel does
    assert shop.install([CUDA_WHEEL]).devices == ("CUDA0", "CPU")


def compiled(folder: Path, name: str, needs: str = "") -> Path:
    """A true shared library that looks for what it needs in its own folder, as the engine's do."""
    library = folder / name
    links = ["-Wl,--no-as-needed", "-L", str(folder), f"-l:{needs}"] if needs else []
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-x", "none", f"-Wl,-soname,{name}", "-Wl,-rpath,$ORIGIN"]
    subprocess.run([*command, *links, "-o", library], input="int nothing;", text=True, check=True)
    return library


def bring(folder: Path, file: Path) -> None:
    folder.mkdir(parents=True)
    file.rename(folder / file.name)


def test_what_is_cached_is_tried_first_and_what_was_built_here_before_that():
    other = Prebuilt("other", Accelerator.NONE)
    assert in_order([CUDA_WHEEL, CPU_WHEEL, BUILT], {BUILT}.__contains__) == [CUDA_WHEEL, BUILT, CPU_WHEEL]
    assert in_order([CPU_WHEEL, other, BUILT], {other, BUILT}.__contains__) == [BUILT, other, CPU_WHEEL]
    assert in_order([CUDA_WHEEL, CPU_WHEEL, BUILT], lambda _: False) == [CUDA_WHEEL, CPU_WHEEL, BUILT]


def test_the_probe_lists_the_true_engines_devices_and_computes_with_a_model(tiny_model):
    asked = subprocess.run([sys.executable, PROBE, tiny_model], capture_output=True, text=True, check=True)
    told = json.loads(asked.stdout.splitlines()[-1])
    assert told["decoded"] is True
    assert "CPU" in [one["type"] for one in told["devices"]]


def test_a_model_that_does_not_open_is_not_the_engines_fault(tmp_path):
    (tmp_path / "broken.gguf").write_text("broken")
    command = [sys.executable, PROBE, tmp_path / "broken.gguf"]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(asked.stdout.splitlines()[-1])["decoded"] is None
