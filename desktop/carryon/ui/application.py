"""Starts the window: one instance a home, the theme, the services, and a clean end."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from carryon.app.services import Services, build
from carryon.base.errors import AppError
from carryon.base.log import start_log
from carryon.base.paths import Home, home
from carryon.base.settings import Theme
from carryon.engine.process import WORKER
from carryon.ui import texts, theme
from carryon.ui.bridge import MainThread
from carryon.ui.chat.style import chat_style
from carryon.ui.instance import Instance, hand_over
from carryon.ui.widgets.icons import app_icon
from carryon.ui.window import Window

log = logging.getLogger(__name__)


def start(arguments: Sequence[str] = (), engine_command: Sequence[str] = WORKER) -> int:
    """Opens the window and returns its exit code; `arguments` may name a GGUF file to open.

    Where a window has this home already, it comes forward instead and this call returns 0.
    """
    app = make_application()
    place = home()
    file = Path(arguments[0]).expanduser().absolute() if arguments else None
    instance = Instance(place)
    try:
        if not instance.claim():
            hand_over(place, file)
            return 0
        with_log(place)
        return _run(app, instance, place, file, engine_command)
    except AppError as error:
        return _say_and_end(error)
    finally:
        instance.release()


def make_application() -> QApplication:
    """The Qt application in our style; there is one a process."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    app = QApplication(["carryon"])
    app.setStyle("Fusion")
    app.setApplicationName("carryon")
    app.setApplicationDisplayName(texts.APP)
    QGuiApplication.setDesktopFileName("carryon")
    app.setWindowIcon(app_icon())
    return app


def with_log(place: Home) -> None:
    """Whatever nobody caught goes to the log: a window has no terminal to print to."""
    start_log(place.logs)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("nobody caught this", exc_info=(kind, error, trace))
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, Window) and widget.isVisible():
            widget.say(texts.BUG)


def _run(app: QApplication, instance: Instance, place: Home, file: Path | None, engine_command: Sequence[str]) -> int:
    bridge = MainThread()
    services = build(place, bridge.post, engine_command)
    try:
        window = open_window(app, services)
        instance.opened.connect(window.open_path)
        if file:
            QTimer.singleShot(0, lambda: window.open_path(file))
        return app.exec()
    finally:
        bridge.close()  # first: what the jobs still tell would reach pages whose services are gone
        services.end()


def open_window(app: QApplication, services: Services) -> Window:
    """The dressed window on the screen; what it begins, begins after its first frame."""
    wear = Wardrobe(app, services)
    wear.put_on()
    window = Window(services)
    window.appearance_wanted.connect(wear.put_on)
    window.show()
    QTimer.singleShot(0, window.begin)
    return window


class Wardrobe:
    """Keeps the look in step with the settings and, where they say so, with the system."""

    def __init__(self, app: QApplication, services: Services) -> None:
        self._app, self._services = app, services
        self._is_changing = False
        theme.extend(chat_style)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_changed)

    def put_on(self) -> None:
        """Wears what the settings say."""
        if self._is_changing:  # Qt tells of the change that we are just making
            return
        self._is_changing = True
        try:
            now = self._services.settings.now
            theme.apply(self._app, now.theme, now.text_size_percent)
        finally:
            self._is_changing = False

    def _system_changed(self) -> None:
        if self._services.settings.now.theme is Theme.SYSTEM:
            self.put_on()


def _say_and_end(error: AppError) -> int:
    """Before there is a window, an error gets a window of its own."""
    from carryon.ui.failed_start import show_failed_start

    print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
    show_failed_start(error)
    return 1
