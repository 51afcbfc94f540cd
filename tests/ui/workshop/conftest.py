"""The Workshop page on true services, over a workbench that does what the test says."""

import pytest
from fakes import workbench
from fakes.workbench import FakeWorkbench

from carryon.ui.workshop.page import WorkshopPage

MOVED = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "OLLAMA_MODELS")


@pytest.fixture(autouse=True)
def person(tmp_path, monkeypatch):
    """Nobody's models are found but those of the test."""
    home = tmp_path / "person"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in MOVED:
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def bench():
    return FakeWorkbench()


@pytest.fixture
def make_page(make_services, bench, qapp, qtbot):
    """The page alone, shown and opened; `said` and `used` keep what it tells the window."""

    def make(size=(1096, 720), points=()):
        page = WorkshopPage(make_services(), bench, lambda run: workbench.charting(points))
        page.said, page.used = [], []
        page.notice_wanted.connect(lambda words, undo: page.said.append(words))
        page.use_wanted.connect(page.used.append)
        qtbot.addWidget(page)
        page.resize(*size)
        page.show()
        page.activateWindow()
        qtbot.waitUntil(lambda: qapp.activeWindow() is page)
        page.refresh()
        return page

    return make


@pytest.fixture
def until(qtbot):
    """Waits until something is so."""
    return lambda is_so: qtbot.waitUntil(lambda: bool(is_so()), timeout=10_000)
