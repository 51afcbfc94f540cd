"""A person finds a model, downloads it, loses the app in the middle, goes on the next day, and chats with it."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from fakes.fakehub import FakeHub
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication

from carryon.app.download_file import DownloadFile
from carryon.app.download_list import Finished, Paused
from carryon.app.host import LoadedModel
from carryon.app.models import guide
from carryon.hub.origin import read_origin
from carryon.ui.pages import Page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")]

REPO, WAIT_MS = "acme/Guide-GGUF", 60_000
_QUANTIZE = """
import ctypes, sys, llama_cpp
settings = llama_cpp.llama_model_quantize_default_params()
settings.ftype, settings.allow_requantize = 15, True  # LLAMA_FTYPE_MOSTLY_Q4_K_M
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(settings)))
"""
# What the person of the first day does: searches, opens what was found, downloads what is recommended, pauses it.
_FIRST_DAY = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtTest import QTest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from carryon.ui import application
from carryon.ui.pages import Page

def visible(window, text):
    buttons = window.findChildren(QAbstractButton)
    return next((one for one in buttons if one.text().strip().startswith(text) and one.isVisible()), None)

def steps(window):
    window.show_page(Page.DISCOVER)
    page = window.pages.discover
    QTest.keyClicks(page._list.filters.search, "guide")
    while not (model := page._list.results.model()).rowCount() or "Guide" not in str(model.index(0, 0).data()):
        yield
    QTest.keyClick(page._list.filters.search, Qt.Key.Key_Return)
    page._list.results.setCurrentIndex(model.index(0, 0))
    QTest.keyClick(page._list.results, Qt.Key.Key_Return)
    while not (download := visible(window, "Download ")):
        yield
    download.click()
    while not window._services.downloads.now or window._services.downloads.now[0].fraction < 0.3:
        yield
    window.show_downloads()
    while not (pause := visible(window, "Pause downloads")):
        yield
    pause.click()

def drive(app, services):
    window = opened(app, services)
    todo = steps(window)
    timer = QTimer(window, interval=50)
    timer.timeout.connect(lambda: next(todo, None))
    timer.start()
    return window

opened, application.open_window = application.open_window, drive
sys.exit(application.start())
"""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub with the guide in two quants, on a slow line."""
    original = guide().path
    smaller = tmp_path / "guide-Q4_K_M.gguf"
    subprocess.run([sys.executable, "-c", _QUANTIZE, str(original), str(smaller)], check=True, capture_output=True)
    files = {"guide-Q8_0.gguf": original.read_bytes(), smaller.name: smaller.read_bytes(), "README.md": b"# Guide\n"}
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.add_repo(REPO, files, gguf={"total": 5_500_000, "architecture": "llama", "context_length": 2048})
        hub.fault("slow", path="/cdn/", bps=300_000)
        yield hub


def until(is_so, seconds=60):
    end_s = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end_s, "it did not come to that"
        time.sleep(0.05)


def test_a_download_outlives_the_app_and_its_model_answers(hub, carryon_home, open_window, qtbot):
    app = subprocess.Popen([sys.executable, "-c", _FIRST_DAY])
    kept = DownloadFile(carryon_home.root / "downloads.json")
    try:
        until(lambda: any(isinstance(one.download.state, Paused) for one in kept.read()))
    finally:
        children = psutil.Process(app.pid).children(recursive=True)
        app.kill()
        app.wait()
        psutil.wait_procs(children, timeout=10)
    hub.clear()

    window, services = open_window()
    (download,) = services.downloads.now
    assert isinstance(download.state, Paused)
    assert download.wish.title.endswith("Q8_0"), "what is recommended where everything fits"
    target = download.wish.target(download.wish.files[0])
    assert not target.exists()
    press(window, qtbot, "Ctrl+J", "Resume downloads")
    qtbot.waitUntil(lambda: isinstance(services.downloads.now[0].state, Finished), timeout=WAIT_MS)
    assert target.read_bytes() == guide().path.read_bytes()
    assert read_origin(target).repo_id == REPO
    sent = sum(one["sent"] for one in hub.requests("/cdn/", side="cdn"))
    assert sent < 0.75 * target.stat().st_size, "what was here before the kill is not fetched again"

    press(window, qtbot, None, "Use in chat")
    qtbot.waitUntil(lambda: isinstance(services.host.state, LoadedModel), timeout=WAIT_MS)
    assert window.page is Page.CHAT
    field = window.chat.composer.field
    qtbot.keyClicks(field, "What is Q4_K_M?")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(services.store.conversations()), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not window.chat.presenter.is_answering, timeout=WAIT_MS)
    (chat,) = services.store.conversations()
    assert len(services.store.messages(chat.id)[-1].text) > 40


def press(window, qtbot, keys, text):
    """Presses these keys, then clicks the visible button with this text."""
    if keys:
        window.activateWindow()
        qtbot.waitUntil(lambda: QApplication.activeWindow() is window)  # shortcuts work in no other
        qtbot.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier)

    def found():
        buttons = window.findChildren(QAbstractButton)
        return next((one for one in buttons if one.text().strip() == text and one.isVisible()), None)

    qtbot.waitUntil(lambda: found() is not None, timeout=WAIT_MS)
    found().click()
