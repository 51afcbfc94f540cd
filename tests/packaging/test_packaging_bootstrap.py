"""The README's command on a fresh clone: true pip, true builds, an index of our own, nobody else's network."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_checkout import bootstrap, checkout
from wheel_yard import dead_address, prebuilt, source

import bootstrap as entry
from engine_choice import BASE_FLAGS
from setup_steps import ROOT, Stamp, engine_version, files_sum, wanted_engine, wish_of, write_stamp
from virtual_env import VirtualEnv

NATIVE_BUILD = " ".join(BASE_FLAGS)

slow = pytest.mark.slow
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for POSIX paths and signals")


@pytest.fixture
def builds(bare_user, tmp_path, monkeypatch) -> Path:
    """The file that has a line for every build from source."""
    monkeypatch.setenv("YARD_BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv("CXX", sys.executable)
    return tmp_path / "builds"


@slow
def test_a_fresh_clone_opens_and_the_second_time_does_nothing_before(index, builds, tmp_path):
    source(index.project("llama-cpp-python"))
    clone = checkout(tmp_path / "clone")

    first = bootstrap(clone, CARRYON_WHEEL_INDEX=dead_address())
    assert first.returncode == 0, first.stdout + first.stderr
    assert "cannot be reached" in first.stdout
    assert first.stdout.endswith(f"window open, engine flags '{NATIVE_BUILD}'\n")

    again = bootstrap(clone, PIP_INDEX_URL=dead_address())
    assert again.stdout == f"window open, engine flags '{NATIVE_BUILD}'\n"
    assert len(builds.read_text().splitlines()) == 1


@slow
def test_a_prebuilt_wheel_is_fetched_and_from_source_replaces_it(index, builds, tmp_path):
    prebuilt(index.variant("cpu"))
    source(index.project("llama-cpp-python"))
    clone = checkout(tmp_path / "clone")
    wheels = f"{index.url}/whl"

    first = bootstrap(clone, "--wheel-index", wheels)
    assert first.stdout.endswith("window open, engine flags ''\n"), first.stdout + first.stderr
    assert not builds.exists()

    built = bootstrap(clone, "--from-source", CMAKE_ARGS="-DGGML_LLAMAFILE=OFF")
    assert built.stdout.endswith(f"window open, engine flags '{NATIVE_BUILD} -DGGML_LLAMAFILE=OFF'\n")

    (clone / "packaging" / "constraints.txt").write_text("llama-cpp-python==0.3.36\n")
    changed = bootstrap(clone)
    assert "Installing Carryon" in changed.stdout
    assert "Installing the engine" not in changed.stdout


SLOW_COMPILER = """case "$*" in *wheel*) touch "$STARTED"; sleep 60;; esac"""


def test_a_setup_that_is_stopped_says_how_to_go_on_and_keeps_nothing_half(builds, tmp_path):
    clone, started = checkout(tmp_path / "clone"), tmp_path / "started"
    fake_setup(clone, SLOW_COMPILER)
    command = [sys.executable, "packaging/bootstrap.py", "--from-source", "--no-open"]
    environment = {**os.environ, "STARTED": str(started), "CARRYON_ENGINE_CACHE": str(tmp_path / "cache")}
    running = subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)
    while not started.exists():
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert "Run the same command again" in running.communicate(timeout=20)[1]
    assert running.returncode == 130
    assert [one.suffix for one in (tmp_path / "cache" / "engines").iterdir()] == [".lock"]


def test_a_machine_without_a_display_is_told_the_other_way_in(builds, tmp_path):
    clone = checkout(tmp_path / "clone")
    fake_setup(clone)
    ended = bootstrap(clone, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("\nCarryon is set up, but there is no display here")
    assert f"{clone}/.venv/bin/carryon run guide" in ended.stderr


def test_a_window_that_fails_gives_its_exit_code(builds, tmp_path):
    clone = checkout(tmp_path / "clone")
    fake_setup(clone, "exit 3")
    assert bootstrap(clone).returncode == 3


def test_a_copied_or_moved_environment_is_made_anew(tmp_path):
    env = VirtualEnv(tmp_path / ".venv")
    env.python.parent.mkdir(parents=True)
    env.python.symlink_to(sys.executable)
    here = Stamp(str(tmp_path), str(env.python.resolve()), "", "", "0.3.36-x", "cpu", True, True)
    assert here.is_of(tmp_path, env)
    assert not replace(here, root="/elsewhere").is_of(tmp_path, env)
    assert not replace(here, python="/usr/bin/python3.10").is_of(tmp_path, env)      # a system upgrade came by
    env.python.unlink()
    assert not here.is_of(tmp_path, env)


def fake_setup(clone: Path, window: str = "true") -> None:
    """A stamp and a Python as a setup leaves them, without the seconds that it takes."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{window}\n")
    python.chmod(0o755)
    accelerator = wanted_engine(clone, wish_of([])).accelerator.value
    env = VirtualEnv(clone / ".venv")
    write_stamp(env, Stamp(str(clone), str(python), files_sum(clone), "dev", "0.3.36-x", accelerator, True, True))


CHECKS = """case "$*" in
  *ruff*) echo "ruff says E501"; exit {ruff};;
  *mypy*) exit 0;;
  *pytest*) echo "pytest $* on $QT_QPA_PLATFORM"; exit {pytest};;
esac
"""


@pytest.mark.parametrize(("ruff", "tests", "code"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 5, 5)])
def test_the_exit_code_is_honest_and_pytest_has_the_last_word(builds, tmp_path, monkeypatch, ruff, tests, code):
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    clone = checkout(tmp_path / "clone")
    fake_setup(clone, CHECKS.format(ruff=ruff, pytest=tests))
    shutil.copy(clone / ".venv" / "bin" / "python", clone / ".venv" / "bin" / "lint-imports")
    ended = bootstrap(clone, "--test", "--", "-k", "fit")
    assert ended.returncode == code
    assert ended.stdout.endswith("pytest -m pytest -k fit on offscreen\n")
    assert ("ruff says E501" in ended.stdout) is bool(ruff)
    assert ("Style (ruff) failed, see above: this run fails whatever the tests say." in ended.stdout) is bool(ruff)


def test_help_teaches(builds, tmp_path):
    told = bootstrap(checkout(tmp_path / "clone"), "--help").stdout
    for word in ("--test", "--from-source", "--no-open", "CARRYON_ENGINE_CACHE", "CARRYON_WHEEL_INDEX", "second"):
        assert word in told


def test_words_for_pytest_without_test_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        wish_of(["--", "-k", "fit"])
    assert ended.value.code == 2
    assert "means nothing without --test" in capsys.readouterr().err


def test_the_version_is_the_one_that_the_project_pins():
    assert engine_version(ROOT) == "0.3.36"


def test_an_old_python_is_told_which_one_to_use(monkeypatch, tmp_path):
    (tmp_path / "python3.12").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert entry.newer_python() == "python3.12"
    assert entry.too_old("python3.12").endswith("A newer one is here: python3.12 packaging/bootstrap.py")


def test_an_old_python_alone_is_told_where_to_find_a_new_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(entry, "NEEDED", (9, 9))
    assert entry.main() == 1
    assert "Install one (https://www.python.org/downloads)" in capsys.readouterr().err


def test_the_first_file_is_one_that_old_pythons_can_read():
    old = [name for name in ("python3.6", "python3.8", "python3.10") if shutil.which(name)]
    working = [one for one in old if subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0]
    if not working:
        pytest.skip("no old Python on this machine")
    command = [working[0], ROOT / "packaging" / "bootstrap.py"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Carryon needs Python 3.11 or newer, and this one is 3.")


