"""The one place where the app's objects are made and handed to each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carryon.app.host import ModelHost
from carryon.base.jobs import Post, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.chat.store import Store
from carryon.engine.process import WORKER
from carryon.hardware.machine import Machine
from carryon.hardware.probe import probe


@dataclass(frozen=True)
class Services:
    """What pages and commands are given; `end()` closes all of it, engines included."""

    home: Home
    settings: SettingsFile
    store: Store
    runner: Runner
    host: ModelHost
    probe: Callable[..., Machine]

    def end(self) -> None:
        """Stops every job and engine, then closes the store. Nothing is left running."""
        self.host.unload()
        self.runner.end()
        self.store.close()


def build(home: Home, post: Post, engine_command: Sequence[str] = WORKER) -> Services:
    """Makes everything for this home; `post` carries calls to the main thread, `engine_command` starts an engine."""
    settings = SettingsFile(home.settings)
    runner = Runner(post)
    host = ModelHost(home, settings, runner, engine_command)
    return Services(home, settings, Store(home.chats), runner, host, probe)
