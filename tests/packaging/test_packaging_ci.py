"""`.ci/run` brings what a bare Debian lacks, runs the README's test command, and hides nothing (with fake programs)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / ".ci" / "run"
COMMAND = "python3 packaging/bootstrap.py --test"

pytestmark = pytest.mark.skipif(not shutil.which("bash") or sys.platform == "win32", reason="a bash script for Debian")
FAKES = {
    "dpkg-query": 'case " $MISSING " in *" $3 "*) exit 1;; *) echo -n installed;; esac',
    "apt-get": 'echo "apt-get $*" >> "$CALLS"; exit ${APT:-0}',
    "python3": 'echo "python3 $*" >> "$CALLS"; [ "$1" = -c ] && exit ${VENV:-0}; echo "= 3 passed ="; exit ${TESTS:-0}',
    "id": "echo ${USER_ID:-0}",
}


@pytest.fixture
def programs(tmp_path) -> Path:
    """A system of fakes, and of the few true programs that the script may use."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in FAKES.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    for name in ("dirname", "env", "bash"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def run(programs: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script's end, and the calls it made."""
    calls = programs.parent / "calls"
    words = {"PATH": str(programs), "CALLS": str(calls), "CI": "true", **environment}
    ended = subprocess.run([RUN], cwd=programs.parent, env=words, capture_output=True, text=True, check=False)
    return ended, calls.read_text().splitlines() if calls.exists() else []


def test_it_runs_the_readmes_test_command_and_nothing_after_it(programs):
    ended, calls = run(programs)
    assert calls[-1] == COMMAND
    assert ended.stdout.splitlines()[-1] == "= 3 passed ="
    assert COMMAND in (ROOT / "README.md").read_text()


def test_what_is_there_is_not_installed_again(programs):
    _, calls = run(programs)
    assert not [one for one in calls if one.startswith("apt-get")]


def test_what_is_missing_is_installed_first(programs):
    ended, calls = run(programs, MISSING="libxcb-cursor0 xvfb")
    apt = [one for one in calls if one.startswith("apt-get")]
    assert apt == ["apt-get update", "apt-get install --yes --no-install-recommends xvfb libxcb-cursor0"]
    assert calls[-1] == COMMAND
    assert "Installing system packages: xvfb libxcb-cursor0" in ended.stdout


def test_a_python_without_venv_gets_it(programs):
    _, calls = run(programs, VENV="1", MISSING="python3-venv")
    assert "apt-get install --yes --no-install-recommends python3-venv" in calls


@pytest.mark.parametrize("code", ["1", "5"])
def test_its_exit_code_is_the_tests_own(programs, code):
    assert run(programs, TESTS=code)[0].returncode == int(code)


def test_a_package_that_cannot_be_installed_fails_the_run(programs):
    ended, calls = run(programs, MISSING="xvfb", APT="100")
    assert ended.returncode == 100
    assert COMMAND not in calls


def test_without_root_and_sudo_it_says_what_to_install(programs):
    ended, calls = run(programs, MISSING="xvfb cmake", USER_ID="1000")
    assert ended.returncode == 1
    assert "apt-get install cmake xvfb" in ended.stderr
    assert COMMAND not in calls


def test_it_can_be_started():
    assert os.access(RUN, os.X_OK)
