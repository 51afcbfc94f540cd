"""The one place where the app's objects are made and handed to each other."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from carryon.app.fitting import Fitting
from carryon.app.host import ModelHost
from carryon.base.jobs import Post, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.chat.store import Store
from carryon.engine.process import WORKER
from carryon.hardware.machine import Machine

ANSWERS_STOP_S = 1.0


@dataclass(frozen=True)
class Services:
    """What pages and commands are given; `end()` closes all of it, engines included."""

    home: Home
    settings: SettingsFile
    store: Store
    runner: Runner
    host: ModelHost
    fitting: Fitting
    probing: Callable[[], Generator[None, None, Machine]]

    def end(self) -> None:
        """Stops every job and engine, then closes the store. Nothing is left running."""
        self.runner.end(ANSWERS_STOP_S)  # first the jobs: an answer whose engine is taken away would count as failed
        self.host.end()  # frees a job that waits for a silent engine
        self.runner.end()
        self.store.close()
        self.fitting.close()


def probing() -> Generator[None, None, Machine]:
    """The look at this machine; what it needs (psutil, NVML) is imported when it begins, after the first frame."""
    from carryon.hardware.probe import probing as begin

    return (yield from begin())


def build(home: Home, post: Post, engine_command: Sequence[str] = WORKER) -> Services:
    """Makes everything for this home; `post` carries calls to the main thread, `engine_command` starts an engine."""
    settings = SettingsFile(home.settings)
    runner = Runner(post)
    fitting = Fitting(home)
    host = ModelHost(home, settings, runner, engine_command, fitting)
    return Services(home, settings, Store(home.chats), runner, host, fitting, probing)
