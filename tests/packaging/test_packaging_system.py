"""What is missing is said with the names of this system's packages."""

import re
import sys
from pathlib import Path

import pytest

from narration import SetupFailed
from system_packages import (
    CMAKE,
    COMPILER,
    NAMES,
    VENV,
    Packager,
    has_compiler,
    how_to_install,
    missing_libraries,
    packager,
    require_compiler,
    require_for_peers,
)

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the words of Linux package managers")
LDD = """\tlinux-vdso.so.1 (0x00007f03fd2b3000)
\tlibxcb-cursor.so.0 => not found
\tlibX11.so.6 => /lib/x86_64-linux-gnu/libX11.so.6 (0x00007f03fbcbe000)
\tlibxcb-icccm.so.4 => not found
"""


def system_with(*programs: str):
    """A `which` of a system that has only these programs."""
    return lambda name: f"/usr/bin/{name}" if name in programs else None


@pytest.mark.parametrize(("program", "manager"), [
    ("apt-get", Packager.APT), ("dnf", Packager.DNF), ("pacman", Packager.PACMAN), ("zypper", Packager.ZYPPER),
    ("brew", Packager.BREW), ("emerge", None)])
def test_the_package_manager_is_recognized(program, manager):
    assert packager(system_with(program)) is manager


@linux_only
@pytest.mark.parametrize(("manager", "words"), [
    (Packager.APT, "sudo apt install libxcb-cursor0 libxcb-icccm4"),
    (Packager.DNF, "sudo dnf install xcb-util-cursor xcb-util-wm"),
    (Packager.PACMAN, "sudo pacman -S xcb-util-cursor xcb-util-wm"),
    (Packager.ZYPPER, "sudo zypper install libxcb-cursor0 libxcb-icccm4"),
])
def test_missing_libraries_are_said_as_packages(manager, words, tmp_path):
    library = tmp_path / "libqxcb.so"
    library.touch()
    missing = missing_libraries([library, tmp_path / "absent.so"], ldd=lambda _: LDD)
    assert missing == ["libxcb-cursor.so.0", "libxcb-icccm.so.4"]
    assert how_to_install(missing, manager).endswith(words)


@linux_only
def test_an_unknown_library_is_said_by_its_own_name():
    assert "libnew.so.9" in how_to_install(["libnew.so.9"], Packager.APT)


@linux_only
def test_an_unknown_system_is_told_what_is_missing():
    assert how_to_install([COMPILER], None) == "Install a C++ compiler with this system's package manager."


@linux_only
def test_a_library_is_asked_of_the_true_loader(tmp_path):
    assert missing_libraries([Path(sys.executable).resolve()]) == []


@linux_only
@pytest.mark.parametrize(("program", "words"), [
    ("apt-get", "sudo apt install build-essential cmake"), ("dnf", "sudo dnf install cmake gcc-c++"),
    ("pacman", "sudo pacman -S base-devel cmake"), ("zypper", "sudo zypper install cmake gcc-c++")])
def test_a_missing_compiler_is_said_before_anything_is_built(program, words):
    with pytest.raises(SetupFailed) as caught:
        require_compiler({}, system_with(program))
    assert words in caught.value.text


@linux_only
@pytest.mark.parametrize("compiler", ["c++", "g++", "clang++"])
def test_any_compiler_will_do(compiler):
    require_compiler({}, system_with(compiler))


@linux_only
def test_a_compiler_of_ones_own_is_taken():
    assert has_compiler({"CXX": "/opt/bin/clang++-18 -stdlib=libc++"}, system_with("/opt/bin/clang++-18"))
    assert not has_compiler({"CXX": "/opt/bin/absent"}, system_with("c++"))


@linux_only
def test_llamas_tools_need_cmake_too():
    with pytest.raises(SetupFailed) as caught:
        require_for_peers({}, system_with("c++", "apt-get"))
    assert "needs cmake" in caught.value.text
    assert "sudo apt install cmake" in caught.value.text


def test_every_thing_has_a_name_in_every_package_manager():
    assert {COMPILER, CMAKE, VENV} < set(NAMES)
    assert all(re.fullmatch(r"[A-Za-z0-9.+_-]+", name) for row in NAMES.values() for name in row)
