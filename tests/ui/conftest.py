"""What every test of the window starts from: no display, services on a fake engine, and nothing left behind."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from fakes import fake_engine, machines
from PySide6.QtCore import QCoreApplication, QEvent

from carryon.app.services import Services, build
from carryon.base.settings import Theme
from carryon.hardware.machine import GpuUse, MemoryUse
from carryon.ui import theme
from carryon.ui.application import make_application
from carryon.ui.bridge import MainThread

LEFTOVERS_END_WITHIN_S = 5.0
RAM_BYTES_PER_S = 40e9


@pytest.fixture(scope="session")
def qapp_cls():
    """pytest-qt asks this for the application's class; ours is made, styled, in one place."""
    return lambda _arguments: make_application()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Whatever thread or child a test starts must be gone when it ends."""
    threads = set(threading.enumerate())
    children = set(psutil.Process().children(recursive=True))
    yield
    until_s = time.monotonic() + LEFTOVERS_END_WITHIN_S
    while left := [*_threads(threads), *_children(children)]:
        assert time.monotonic() < until_s, f"left behind: {left}"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def worn(qapp):
    """The light theme at normal size, whatever the test before wore; its widgets are gone by now."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if theme.is_dark() or theme.px(100) != 100 or not qapp.styleSheet():
        theme.apply(qapp, Theme.LIGHT, 100)
    return qapp


@pytest.fixture
def make_services(carryon_home, qapp) -> Iterator:
    """Services with a fake engine (options as in fakes/fake_engine.py) and a machine that needs no probing."""
    made: list[tuple[Services, MainThread]] = []

    def end() -> None:
        for services, bridge in made:
            bridge.close()
            services.end()
        made.clear()

    def make(machine=machines.CPU_ONLY, **engine_options) -> Services:
        bridge = MainThread()
        services = build(carryon_home, bridge.post, fake_engine.command(**engine_options))
        services = replace(services, probing=machines.probing(machine))
        if machine:  # else every test would measure its RAM
            services.fitting.measurements.keep_ram_bytes_per_s(machine.cpu.name, RAM_BYTES_PER_S)
        services.settings.change(lambda now: replace(now, was_welcomed=True))
        made.append((services, bridge))
        return services

    make.end = end  # as the application does after its last event
    yield make
    end()


@pytest.fixture
def services(make_services) -> Services:
    """The usual ones: no GPU, an engine that echoes."""
    return make_services()


def metering():
    """A meter that always tells the same."""
    yield None
    gpu = GpuUse("NVIDIA GeForce RTX 4060", 6_900_000_000, 8_188_000_000)
    return MemoryUse(machines.CPU_ONLY.ram, (gpu,))


@pytest.fixture
def make_window(make_services, qapp, qtbot):
    """The whole window on fake services, shown; keyword options as in make_services."""
    from carryon.ui.window import Window

    def make(services=None, **options):
        window = Window(services or make_services(**options), metering)
        qtbot.addWidget(window)
        window.show()
        window.activateWindow()
        qtbot.waitUntil(lambda: qapp.activeWindow() is window)  # shortcuts work in no other
        return window

    return make


def _threads(before):
    return [one.name for one in threading.enumerate() if one not in before and one.is_alive()]


def _children(before):
    return [one for one in psutil.Process().children(recursive=True) if one not in before and _lives(one)]


def _lives(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
