"""The one place where the app's objects are made and handed to each other."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carryon.app.host import ModelHost
from carryon.base.jobs import Post, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.chat.store import Store
from carryon.engine.process import WORKER
from carryon.hardware.machine import Machine

if TYPE_CHECKING:
    from carryon.app.fitting import Fitting

ANSWERS_STOP_S = 1.0


class LateFitting:
    """The fit of this home, imported and made when it is first wanted: the first frame does not wait for it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._made: Fitting | None = None

    def __call__(self) -> "Fitting":
        if self._made is None:
            from carryon.app.fitting import Fitting

            self._made = Fitting(self._home)
        return self._made

    def close(self) -> None:
        """Closes what was opened."""
        if self._made:
            self._made.close()


@dataclass(frozen=True)
class Services:
    """What pages and commands are given; `end()` closes all of it, engines included."""

    home: Home
    settings: SettingsFile
    store: Store
    runner: Runner
    host: ModelHost
    late_fitting: LateFitting
    probing: Callable[[], Generator[None, None, Machine]]

    @property
    def fitting(self) -> "Fitting":
        """Plans, and what was learnt from what happened."""
        return self.late_fitting()

    def end(self) -> None:
        """Stops every job and engine, then closes the store. Nothing is left running."""
        self.runner.end(ANSWERS_STOP_S)  # first the jobs: an answer whose engine is taken away would count as failed
        self.host.end()  # frees a job that waits for a silent engine
        self.runner.end()
        self.store.close()
        self.late_fitting.close()


def probing() -> Generator[None, None, Machine]:
    """The look at this machine; what it needs (psutil, NVML) is imported when it begins, after the first frame."""
    from carryon.hardware.probe import probing as begin

    found = yield from begin()
    import carryon.app.fitting  # noqa: F401  what plans for this machine is then there without a wait

    return found


def probing_for_plan() -> Generator[None, None, Machine]:
    """The same for a plan of this moment: a quarter of a second less where there can be no GPU."""
    from carryon.hardware.probe import probing as begin

    return (yield from begin(only_for_gpus=True))


def build(home: Home, post: Post, engine_command: Sequence[str] = WORKER) -> Services:
    """Makes everything for this home; `post` carries calls to the main thread, `engine_command` starts an engine."""
    settings = SettingsFile(home.settings)
    runner = Runner(post)
    fitting = LateFitting(home)
    host = ModelHost(home, settings, runner, engine_command, fitting)
    return Services(home, settings, Store(home.chats), runner, host, fitting, probing)
