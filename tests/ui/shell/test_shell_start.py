"""The start of the window as a process: one a home, a clean end, and a sentence where it cannot start."""

import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from fakes import fake_engine, tiny_gguf

from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.application import Wardrobe
from carryon.ui.failed_start import failed_start
from carryon.ui.instance import SilentInstance

RUN = """
import json, sys
from PySide6.QtCore import QTimer
from carryon.ui import application

options = json.loads(sys.argv[1])
app = application.make_application()

def fail():
    raise ValueError("a mistake nobody foresaw")

def close():
    print(sorted(type(one).__name__ for one in app.topLevelWidgets() if one.isVisible()), flush=True)
    app.closeAllWindows()
    QTimer.singleShot(100, close)  # a dialog may have kept the window open

if options.get("fail"):
    QTimer.singleShot(300, fail)
QTimer.singleShot(options["close_ms"], close)
sys.exit(application.start(options.get("arguments", []), options["engine"]))
"""


@pytest.fixture
def run(carryon_home):
    """Starts the window in a process of its own that closes it by itself."""
    import json

    started = []

    def start(close_ms=400, **options):
        options = {"close_ms": close_ms, "engine": list(fake_engine.command()), **options}
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", RUN, json.dumps(options)], env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def ended(process, within_s=30):
    out, err = process.communicate(timeout=within_s)
    return process.returncode, out, err


@pytest.mark.slow
def test_the_window_opens_closes_and_leaves_nothing(run, carryon_home):
    process = run()
    code, out, _ = ended(process)
    assert code == 0
    assert "Window" in out
    assert not (carryon_home.root / "window.lock").exists()
    assert (carryon_home.root / "chats.sqlite").exists()


@pytest.mark.slow
def test_a_second_start_hands_its_file_over_and_ends(run, carryon_home, tmp_path):
    first = run(close_ms=6000)
    wait_for(carryon_home.root / "chats.sqlite")
    path = tiny_gguf.random_model(tmp_path / "model.gguf")
    code, out, _ = ended(run(close_ms=6000, arguments=[str(path)]), within_s=6)
    assert (code, out) == (0, "")
    code, out, _ = ended(first)
    assert code == 0
    assert "LoadDialog" in out


@pytest.mark.slow
def test_a_file_named_at_the_start_is_opened(run, tmp_path):
    path = tiny_gguf.random_model(tmp_path / "model.gguf")
    _, out, _ = ended(run(close_ms=1000, arguments=[str(path)]))
    assert "LoadDialog" in out


@pytest.mark.slow
def test_a_mistake_of_ours_is_logged_and_the_window_lives_on(run, carryon_home):
    code, out, _ = ended(run(close_ms=1000, fail=True))
    assert code == 0
    assert "Window" in out
    assert "a mistake nobody foresaw" in (carryon_home.logs / "carryon.log").read_text()


@pytest.mark.slow
def test_chats_of_a_newer_carryon_are_left_alone_and_said(run, carryon_home):
    carryon_home.root.mkdir(parents=True)
    database = sqlite3.connect(carryon_home.chats)
    database.execute("PRAGMA user_version = 999")
    database.close()
    code, out, err = ended(run())
    assert code == 1
    assert "newer Carryon" in err
    assert "QDialog" in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_killed_window_takes_its_engine_along_and_frees_the_home(run, carryon_home, tmp_path):
    first = run(close_ms=60000)
    wait_for(carryon_home.root / "chats.sqlite")
    first.kill()
    children = psutil.Process(first.pid).children(recursive=True) if psutil.pid_exists(first.pid) else []
    first.wait()
    psutil.wait_procs(children, timeout=2)
    assert not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert ended(run())[0] == 0


def wait_for(path, within_s=20):
    until_s = time.monotonic() + within_s
    while not path.exists():
        assert time.monotonic() < until_s, f"{path} never came"
        time.sleep(0.02)


def test_the_look_follows_the_system_while_the_settings_say_so(qapp, services, monkeypatch):
    wardrobe = Wardrobe(qapp, services)
    services.settings.change(lambda now: replace(now, theme=Theme.SYSTEM))
    wardrobe.put_on()
    was_dark = theme.is_dark()
    monkeypatch.setattr(theme, "_wants_dark", lambda wanted: wanted is Theme.SYSTEM and not was_dark)
    qapp.styleHints().colorSchemeChanged.emit(qapp.styleHints().colorScheme())
    assert theme.is_dark() is not was_dark


def test_a_chosen_look_does_not_follow_the_system(qapp, services, monkeypatch):
    wardrobe = Wardrobe(qapp, services)
    services.settings.change(lambda now: replace(now, theme=Theme.LIGHT))
    wardrobe.put_on()
    monkeypatch.setattr(theme, "_wants_dark", lambda _: True)
    qapp.styleHints().colorSchemeChanged.emit(qapp.styleHints().colorScheme())
    assert not theme.is_dark()


def test_a_start_that_fails_says_why_in_a_window(qtbot):
    dialog = failed_start(SilentInstance("Carryon is open already.", "End it first."))
    qtbot.addWidget(dialog)
    dialog.show()
    from carryon.ui.widgets.reason_card import ReasonCard

    assert dialog.findChild(ReasonCard).accessibleName() == "Carryon is open already. End it first."
