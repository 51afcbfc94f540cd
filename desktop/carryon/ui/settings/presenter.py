"""What the settings page can change and what it lists. Every change counts at once and is kept. No Qt."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from carryon import __version__
from carryon.base.errors import AppError
from carryon.base.paths import Home
from carryon.base.settings import Settings, SettingsFile, Theme
from carryon.chat.message import Conversation
from carryon.chat.store import Store
from carryon.hardware.machine import Machine

TEXT_SIZES = (80, 200)  # per cent, as base/settings.py keeps them
TEXT_SIZE_STEP = 10
MOST_THREADS = 512


@dataclass(frozen=True)
class Folder:
    """A place where something is kept."""

    what: str
    path: Path


class View(Protocol):
    """What the presenter needs of a page."""

    def show_settings(self, settings: Settings) -> None: ...

    def show_trash(self, trash: tuple[Conversation, ...]) -> None: ...

    def show_error(self, error: AppError) -> None: ...

    def appearance_changed(self) -> None: ...

    def chats_changed(self) -> None: ...


class SettingsPresenter:
    """Lives on the main thread; settings and trash are read in milliseconds."""

    def __init__(
        self, home: Home, settings: SettingsFile, store: Store, view: View, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._settings, self._store, self._view = settings, store, view
        self.folders = (Folder("Data", home.root), Folder("Models", home.models), Folder("Logs", home.logs))
        self.is_home_moved = bool(environment.get("CARRYON_HOME"))

    def refresh(self) -> None:
        """Shows what is so now; asked whenever the page is opened."""
        self._view.show_settings(self._settings.now)
        self._guarded(lambda: self._view.show_trash(self._store.trash()))

    def set_theme(self, theme: Theme) -> None:
        """Worn at once."""
        self._change(lambda now: replace(now, theme=theme))
        self._view.appearance_changed()

    def set_text_size(self, percent: int) -> None:
        """Of the system's own text size; out of bounds is brought back into them."""
        low, high = TEXT_SIZES
        self._change(lambda now: replace(now, text_size_percent=min(high, max(low, percent))))
        self._view.appearance_changed()

    def set_threads(self, n_threads: int) -> None:
        """0 is automatic: one a physical core. It counts from the next load on."""
        self._change(lambda now: replace(now, n_threads=min(n_threads, MOST_THREADS) if n_threads > 0 else None))

    def restore(self, conversation: Conversation) -> None:
        """Takes a conversation out of the trash."""
        self._guarded(lambda: self._store.restore(conversation.id))
        self._view.chats_changed()
        self.refresh()

    def ready_folder(self, folder: Folder) -> Path | None:
        """The folder, made if it was not there yet; None when it cannot be made."""
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._view.show_error(AppError(f"{folder.path} cannot be opened: {error.strerror or error}."))
            return None
        return folder.path

    def _change(self, change: Callable[[Settings], Settings]) -> None:
        self._guarded(lambda: self._settings.change(change))
        self._view.show_settings(self._settings.now)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except AppError as error:
            self._view.show_error(error)


def about(machine: Machine | None, toolkit: str) -> tuple[tuple[str, str], ...]:
    """What a bug report asks for: versions of the app, the engine, Python and the toolkit, and the licence."""
    engine = machine.engine.engine if machine and machine.engine else "not known yet"
    return (
        ("Version", __version__),
        ("Engine", engine),
        ("Runs on", f"Python {platform.python_version()}, {toolkit}"),
        ("Licence", "MIT: free to use, change and pass on"),
    )
