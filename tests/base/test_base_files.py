"""Whole or not at all, kill -9 included."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from carryon.base.errors import BadFile, NoRoom
from carryon.base.files import disk_errors, whole_file, write_whole


def test_the_new_file_appears_whole(tmp_path):
    write_whole(tmp_path / "deep" / "file", b"new")
    assert (tmp_path / "deep" / "file").read_bytes() == b"new"
    assert [one.name for one in (tmp_path / "deep").iterdir()] == ["file"]


def write_half(target):
    with whole_file(target) as out:
        out.write(b"half")
        raise ValueError("enough")


def test_an_error_leaves_the_old_file_and_no_rest(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(ValueError, match="enough"):
        write_half(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_says_so(tmp_path):
    with pytest.raises(NoRoom, match="full"), disk_errors(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_cannot_be_written_says_which(tmp_path):
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where a folder should be")
    with pytest.raises(BadFile, match="blocker"):
        write_whole(blocker / "file", b"x")


_WRITER = """
import sys
from pathlib import Path
from carryon.base.files import write_whole
target = Path(sys.argv[1])
print("go", flush=True)
for round in range(10_000):
    write_whole(target, bytes([round % 256]) * 200_000)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_9_leaves_the_old_file_or_the_new_one(tmp_path):
    target = tmp_path / "file"
    for pause_s in (0.01, 0.02, 0.035, 0.05):
        child = subprocess.Popen([sys.executable, "-c", _WRITER, str(target)], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(pause_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if target.exists():
            content = target.read_bytes()
            assert len(content) == 200_000
            assert content == content[:1] * 200_000


def test_a_file_that_is_gone_is_told_in_words(tmp_path):
    with pytest.raises(BadFile, match=r"gone\.gguf is not there\.$") as caught, disk_errors(tmp_path / "gone.gguf"):
        (tmp_path / "gone.gguf").read_bytes()
    assert "moved, renamed or deleted" in caught.value.hint
