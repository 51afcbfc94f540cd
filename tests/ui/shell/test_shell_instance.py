"""One window a home: the second start hands over, a dead window's lock is taken."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from carryon.base.errors import BadFile
from carryon.base.paths import Home
from carryon.ui.instance import Instance, SilentInstance, hand_over, server_name

HOLD = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from carryon.base.paths import Home
from carryon.ui.instance import Instance
app = QCoreApplication([])
instance = Instance(Home(Path(sys.argv[1])))
instance.opened.connect(lambda file: (print(file, flush=True), app.quit()))
print(instance.claim(), flush=True)
if sys.argv[2] == "answers":
    app.exec()
else:
    sys.stdin.read()
"""


@pytest.fixture
def start_other(carryon_home):
    """Another process that has this home; 'deaf' never answers."""
    others = []

    def start(manner="answers"):
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(carryon_home.root), manner],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        others.append(other)
        assert other.stdout.readline() == "True\n"
        return other

    yield start
    for other in others:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()


@pytest.fixture
def instance(carryon_home, qapp):
    made = Instance(carryon_home)
    yield made
    made.release()


def test_the_first_start_gets_the_home(instance, carryon_home):
    assert instance.claim()
    assert (carryon_home.root / "window.lock").exists()


def test_the_second_start_hands_its_file_to_the_first(start_other, instance, carryon_home, tmp_path):
    other = start_other()
    assert not instance.claim()
    hand_over(carryon_home, tmp_path / "model.gguf")
    assert other.stdout.readline() == f"{tmp_path / 'model.gguf'}\n"


def test_a_start_without_a_file_only_asks_to_come_forward(start_other, instance, carryon_home):
    other = start_other()
    hand_over(carryon_home, None)
    assert other.stdout.readline() == "None\n"


def test_a_window_that_was_killed_leaves_no_locked_home(start_other, instance, qtbot, carryon_home):
    other = start_other()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert instance.claim()
    assert instance._server.isListening()


def test_a_released_home_can_be_taken(instance, carryon_home):
    assert instance.claim()
    instance.release()
    second = Instance(carryon_home)
    assert second.claim()
    second.release()


def test_a_window_that_hangs_is_said_and_not_waited_for(start_other, carryon_home, monkeypatch):
    monkeypatch.setattr("carryon.ui.instance.ANSWER_WITHIN_MS", 200)
    start_other("deaf")
    with pytest.raises(SilentInstance) as caught:
        hand_over(carryon_home, None)
    assert caught.value.hint


def test_what_is_not_understood_only_brings_the_window_forward(instance, qtbot):
    from PySide6.QtNetwork import QLocalSocket

    instance.claim()
    socket = QLocalSocket()
    with qtbot.waitSignal(instance.opened) as heard:
        socket.connectToServer(instance._server.serverName())
        socket.write(b"garbage\n")
    assert heard.args == [None]


def test_a_home_that_cannot_be_written_is_said(tmp_path, qapp):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadFile):
        Instance(Home(tmp_path / "file" / "home")).claim()


def test_a_deep_home_still_gets_a_name_that_fits():
    deep = Home(Path("/" + "very/" * 40))
    assert len(server_name(deep)) < 100
    assert server_name(deep) != server_name(Home(Path("/" + "very/" * 41)))
