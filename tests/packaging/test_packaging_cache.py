"""The cache of builds: what names an entry, and that nobody ever sees half of one."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from build_cache import BuildCache, Recipe, cache_root, cpu_identity, cpu_of, system_identity

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
RECIPE = Recipe("0.3.36", "cpu", ("-DGGML_RPC=ON",), "Some CPU: avx2", "linux-x86_64-glibc 2.36")


@pytest.mark.parametrize("change", [{"version": "0.3.37"}, {"flags": ("-DGGML_RPC=OFF",)}, {"flags": ()},
                                    {"cpu": "Some CPU: avx2 avx512f"}, {"system": "linux-x86_64-glibc 2.28"}])
def test_another_version_flag_cpu_or_system_is_another_entry(change):
    assert replace(RECIPE, **change).key != RECIPE.key


def test_the_key_starts_with_what_a_person_looks_for():
    assert RECIPE.key.startswith("0.3.36-cpu-")


def test_the_key_is_the_same_in_every_python_and_every_run():
    code = f"from build_cache import Recipe; print({RECIPE!r}.key)"
    told = subprocess.run([sys.executable, "-c", code], cwd=PACKAGING, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == RECIPE.key


def test_what_was_filled_is_found(tmp_path):
    cache = BuildCache(tmp_path)
    with cache.filling(RECIPE) as folder:
        (folder / "engine.whl").write_text("wheel")
    assert (cache.find(RECIPE) / "engine.whl").read_text() == "wheel"
    assert cache.find(replace(RECIPE, cpu="another")) is None


def test_a_build_that_fails_leaves_nothing(tmp_path):
    cache = BuildCache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        interrupted_build(cache)
    assert cache.find(RECIPE) is None
    assert list(tmp_path.iterdir()) == []


def interrupted_build(cache: BuildCache) -> None:
    with cache.filling(RECIPE) as folder:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt


def test_a_build_that_was_killed_is_neither_found_nor_in_the_way(tmp_path):
    kill = (f"import os; from build_cache import *\nfrom pathlib import Path\n"
            f"with BuildCache(Path({str(tmp_path)!r})).filling({RECIPE!r}) as folder:\n"
            "    (folder / 'half').write_text('half'); os._exit(9)")
    subprocess.run([sys.executable, "-c", kill], cwd=PACKAGING, check=False)
    cache = BuildCache(tmp_path)
    assert cache.find(RECIPE) is None
    with cache.filling(RECIPE) as folder:
        assert list(folder.iterdir()) == []
    assert cache.find(RECIPE) is not None


def test_a_forgotten_entry_is_gone(tmp_path):
    cache = BuildCache(tmp_path)
    with cache.filling(RECIPE):
        pass
    cache.forget(RECIPE)
    assert cache.find(RECIPE) is None


HOLDER = """
import sys, time; from pathlib import Path; from build_cache import *
with BuildCache(Path({folder!r})).alone({recipe!r}):
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_two_builds_at_once_wait_for_each_other_and_a_dead_one_lets_go(tmp_path):
    waited: list[bool] = []
    code = HOLDER.format(folder=str(tmp_path), recipe=RECIPE)
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              cwd=PACKAGING)
    assert holder.stdout.readline() == b"in\n"

    def waiting() -> None:
        waited.append(holder.poll() is None)
        holder.kill()                                        # as a crash would

    with BuildCache(tmp_path).alone(RECIPE, waiting):
        assert waited == [True]
        assert holder.wait(timeout=5) != 0
    holder.stdin.close()
    holder.stdout.close()


def test_entries_of_different_recipes_do_not_wait_for_each_other(tmp_path):
    cache = BuildCache(tmp_path)
    with cache.alone(RECIPE), cache.alone(replace(RECIPE, label="cuda"), waiting=lambda: pytest.fail("it waited")):
        pass


@pytest.mark.parametrize(("environment", "system", "folder"), [
    ({}, "linux", "~/.cache/carryon"),
    ({"XDG_CACHE_HOME": "/big"}, "linux", "/big/carryon"),
    ({}, "darwin", "~/Library/Caches/carryon"),
    ({"LOCALAPPDATA": "/app"}, "win32", "/app/carryon/cache"),
    ({"CARRYON_ENGINE_CACHE": "/own", "XDG_CACHE_HOME": "/big"}, "linux", "/own"),
])
def test_the_cache_lies_where_the_system_keeps_caches(environment, system, folder):
    assert cache_root(environment, system) == Path(folder).expanduser()


CPUINFO = """processor\t: 0
model name\t: Some CPU
flags\t\t: fpu avx2 {more}

processor\t: 1
model name\t: Some CPU
flags\t\t: other
"""


def test_instruction_sets_tell_cpus_of_one_name_apart():
    assert cpu_of(CPUINFO.format(more="avx512f")) != cpu_of(CPUINFO.format(more=""))


def test_a_kernel_update_is_no_other_cpu():
    assert cpu_of(CPUINFO.format(more="ibpb stibp vmscape")) == cpu_of(CPUINFO.format(more=""))


def test_an_arm_cpu_is_known_by_its_features():
    arm = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU part\t: 0xd40\n"
    assert cpu_of(arm) == "0xd40: asimd fp sve"


def test_this_machine_has_an_identity():
    assert cpu_identity()
    assert system_identity().startswith(f"{sys.platform}-")
