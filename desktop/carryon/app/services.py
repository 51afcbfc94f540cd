"""The one place where the app's objects are made and handed to each other."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from carryon.app.host import LoadedModel, ModelHost, ModelState
from carryon.base.jobs import Post, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.chat.store import Store
from carryon.engine.process import WORKER
from carryon.hardware.machine import Machine

if TYPE_CHECKING:
    from carryon.app.discovery import Discovery
    from carryon.app.downloads import Downloads
    from carryon.app.fitting import Fitting
    from carryon.app.hub_access import HubAccess
    from carryon.app.library import Library
    from carryon.app.workshop import Workshop
    from carryon.fit.answers import Site

ANSWERS_STOP_S = 1.0
Made = TypeVar("Made")


class Late(Generic[Made]):
    """Something that is imported and made when it is first wanted: the first frame does not wait for it."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self.if_made: Made | None = None

    def __call__(self) -> Made:
        if self.if_made is None:
            self.if_made = self._make()
        return self.if_made


@dataclass(frozen=True)
class Services:
    """What pages and commands are given; `end()` closes all of it, engines included."""

    home: Home
    settings: SettingsFile
    store: Store
    runner: Runner
    host: ModelHost
    late_fitting: "Late[Fitting]"
    late_access: "Late[HubAccess]"
    late_downloads: "Late[Downloads]"
    late_library: "Late[Library]"
    late_discovery: "Late[Discovery]"
    late_workshop: "Late[Workshop]"
    probing: Callable[[], Generator[None, None, Machine]]

    @property
    def fitting(self) -> "Fitting":
        """Plans, and what was learnt from what happened."""
        return self.late_fitting()

    @property
    def access(self) -> "HubAccess":
        """How the Hub is reached."""
        return self.late_access()

    @property
    def downloads(self) -> "Downloads":
        """The queue of downloads."""
        return self.late_downloads()

    @property
    def library(self) -> "Library":
        """The models that are on this disk."""
        return self.late_library()

    @property
    def discovery(self) -> "Discovery":
        """The models that are on the Hub."""
        return self.late_discovery()

    @property
    def workshop(self) -> "Workshop":
        """The runs that make and measure models."""
        return self.late_workshop()

    def end(self) -> None:
        """Stops every job and engine, then closes the stores. Nothing is left running."""
        self.runner.end(ANSWERS_STOP_S)  # first the jobs: an answer whose engine is taken away would count as failed
        self.host.end()  # frees a job that waits for a silent engine
        self.runner.end()
        self.store.close()
        if downloads := self.late_downloads.if_made:
            downloads.end()
        if workshop := self.late_workshop.if_made:
            workshop.end()
        if library := self.late_library.if_made:
            library.close()
        if fitting := self.late_fitting.if_made:
            fitting.close()


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


def importing_workshop() -> Generator[None, None, None]:
    """The workshop's modules, hundreds of them, on a thread that nobody waits for: to make it is quick then."""
    yield None
    import carryon.app.preflight
    import carryon.app.workshop_store

    yield None
    import carryon.app.workshop  # noqa: F401


def build(home: Home, post: Post, engine_command: Sequence[str] = WORKER) -> Services:
    """Makes everything for this home; `post` carries calls to the main thread, `engine_command` starts an engine."""
    settings = SettingsFile(home.settings)
    runner = Runner(post)

    def make_fitting() -> "Fitting":
        from carryon.app.fitting import Fitting

        return Fitting(home)

    def make_access() -> "HubAccess":
        from carryon.app.hub_access import HubAccess

        return HubAccess(home, settings)

    def make_downloads() -> "Downloads":
        from carryon.app.downloads import Downloads

        return Downloads(home, settings, runner, access())

    def make_library() -> "Library":
        from carryon.app.library import Library

        return Library(home, settings, runner)

    def make_discovery() -> "Discovery":
        from carryon.app.discovery import Discovery

        return Discovery(home, lambda: access().site())

    def locating() -> "Generator[None, None, Site | None]":
        machine = yield from probing_for_plan()
        return fitting().site(machine)

    def make_workshop() -> "Workshop":
        from carryon.app.preflight import Inspector
        from carryon.app.workshop import Workshop
        from carryon.app.workshop_pace import Paces
        from carryon.app.workshop_store import WorkshopStore

        store = WorkshopStore(home.library)
        inspector = Inspector(home, access, locating, Paces(store.units_per_s))
        return Workshop(home, settings, runner, access(), inspector, lambda _: library().refresh(), store)

    fitting, access, library = Late(make_fitting), Late(make_access), Late(make_library)
    host = ModelHost(home, settings, runner, engine_command, fitting)

    def model_turned(state: ModelState) -> None:
        if isinstance(state, LoadedModel) and not state.wish.file.is_guide:
            library().used(state.wish.file.path)

    host.listen(model_turned)
    return Services(
        home, settings, Store(home.chats), runner, host, fitting, access, Late(make_downloads), library,
        Late(make_discovery), Late(make_workshop), probing,
    )  # fmt: skip
