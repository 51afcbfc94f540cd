"""What a journey starts from: a fresh home, the real engine, the real window."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest

from carryon.app.services import build
from carryon.engine.process import WORKER
from carryon.ui.application import make_application
from carryon.ui.bridge import MainThread
from carryon.ui.window import Window


@pytest.fixture(scope="session")
def qapp_cls():
    """pytest-qt asks this for the application's class; ours is made, styled, in one place."""
    return lambda _arguments: make_application()


@pytest.fixture
def open_window(carryon_home, qtbot):
    """Opens the window on this test's home as the app does; whatever is still open at the end is closed."""
    opened = []

    def open_window(engine_command=WORKER):
        bridge = MainThread()
        services = build(carryon_home, bridge.post, engine_command)
        window = Window(services)
        opened.append((window, services, bridge))
        window.show()
        window.begin()
        return window, services

    def close():
        while opened:
            window, services, bridge = opened.pop()
            window.close()
            services.end()
            bridge.close()
            window.deleteLater()

    open_window.close = close
    yield open_window
    close()
