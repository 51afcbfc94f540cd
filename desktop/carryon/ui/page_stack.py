"""The pages of the window: each is made when it is first wanted, and joined to the window in one place.

What the first frame does not show is imported here, late: a third of a cold start.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QStackedWidget, QWidget

from carryon.app.download_list import DownloadWish
from carryon.app.host import LoadWish
from carryon.app.services import Services
from carryon.app.workshop_list import Source
from carryon.hardware.machine import MemoryUse
from carryon.ui.chat.page import ChatPage
from carryon.ui.drop import let_models_through
from carryon.ui.machine_watch import MachineWatch
from carryon.ui.pages import Page

if TYPE_CHECKING:
    from carryon.ui.discover.page import DiscoverPage
    from carryon.ui.fit.page import FitPage
    from carryon.ui.jobs.page import JobsList
    from carryon.ui.library.page import LibraryPage
    from carryon.ui.settings.page import SettingsPage
    from carryon.ui.welcome import WelcomePage
    from carryon.ui.workshop.page import WorkshopPage


class Shell(Protocol):
    """What the window around the pages does for them."""

    machine: MachineWatch
    appearance_wanted: SignalInstance

    def show_page(self, page: Page) -> None: ...

    def say(self, text: str, undo: Callable[[], object] | None = None) -> None: ...

    def show_load_dialog(self, wish: LoadWish | None = None) -> None: ...

    def choose_file(self) -> None: ...

    def chat_with_guide(self) -> None: ...

    def use(self, path: Path) -> None: ...

    def show_fit(self, path: Path) -> None: ...

    def download(self, wish: DownloadWish) -> None: ...

    def show_downloads(self) -> None: ...

    def show_log(self, file: Path | None = None) -> None: ...

    def show_runs(self) -> None: ...

    def open_in_workshop(self, source: Source, measures: bool = False) -> None: ...

    def show_machine(self) -> None: ...

    def look_again(self) -> None: ...

    def skip_welcome(self) -> None: ...

    def begin_with_discover(self) -> None: ...


class PageStack(QStackedWidget):
    """Pages say what they want, and the window around them does it."""

    def __init__(self, window: Shell, services: Services) -> None:
        super().__init__()
        self._window, self._services = window, services
        self.chat = ChatPage(services)
        self.addWidget(self.chat)
        let_models_through(self.chat)

    def open(self, page: Page, use: MemoryUse | None) -> QWidget:
        """Brings a page to the front, with what is so now."""
        match page:
            case Page.FIT:
                self.fit.set_use(use)
                self.fit.refresh()
            case Page.DISCOVER:
                self.discover.set_use(use)
                self.discover.refresh()
            case Page.LIBRARY:
                self.library.set_use(use)
                self.library.refresh()
            case Page.WORKSHOP:
                self.workshop.refresh()
            case Page.SETTINGS:
                self.settings.refresh()
        widget = self.widget_of(page)
        self.setCurrentWidget(widget)
        return widget

    def set_use(self, page: Page, use: MemoryUse | None) -> None:
        """How full the memories are now; only the page that is open listens."""
        match page:
            case Page.FIT:
                self.fit.set_use(use)
            case Page.DISCOVER:
                self.discover.set_use(use)
            case Page.LIBRARY:
                self.library.set_use(use)

    def show_runs(self) -> None:
        """The last step of the Workshop, where there is a run."""
        from carryon.ui.workshop.form import Step

        self.workshop.presenter.go(Step.RUN)

    def widget_of(self, page: Page) -> QWidget:
        """The page itself; makes it if it was never open."""
        match page:
            case Page.CHAT:
                return self.chat
            case Page.DISCOVER:
                return self.discover
            case Page.LIBRARY:
                return self.library
            case Page.WORKSHOP:
                return self.workshop
            case Page.FIT:
                return self.fit
            case Page.SETTINGS:
                return self.settings
            case Page.DOWNLOADS:
                return self.jobs
            case Page.WELCOME:
                return self.welcome

    @cached_property
    def fit(self) -> "FitPage":
        from carryon.ui.fit.page import FitPage

        page = FitPage(self._services)
        page.load_wanted.connect(self._window.show_load_dialog)
        page.notice_wanted.connect(self._window.say)
        let_models_through(page)
        self._window.machine.listen(page.set_machine)
        self.addWidget(page)
        return page

    @cached_property
    def discover(self) -> "DiscoverPage":
        from carryon.ui.discover.page import DiscoverPage

        page = DiscoverPage(self._services)
        page.download_wanted.connect(self._window.download)
        page.downloads_wanted.connect(self._window.show_downloads)
        page.settings_wanted.connect(lambda: self._window.show_page(Page.SETTINGS))
        page.use_wanted.connect(self._window.use)
        page.fit_wanted.connect(self._window.show_fit)
        page.workshop_wanted.connect(self._window.open_in_workshop)
        page.notice_wanted.connect(self._window.say)
        self._window.machine.listen(page.set_machine)
        self._services.downloads.listen(page.show_downloads)
        self.addWidget(page)
        return page

    @cached_property
    def library(self) -> "LibraryPage":
        from carryon.ui.library.page import LibraryPage

        page = LibraryPage(self._services)
        page.use_wanted.connect(self._window.use)
        page.fit_wanted.connect(self._window.show_fit)
        page.discover_wanted.connect(lambda: self._window.show_page(Page.DISCOVER))
        page.workshop_wanted.connect(self._window.open_in_workshop)
        page.notice_wanted.connect(self._window.say)
        self._window.machine.listen(page.set_machine)
        self.addWidget(page)
        return page

    @cached_property
    def workshop(self) -> "WorkshopPage":
        from carryon.ui.workshop.page import WorkshopPage

        page = WorkshopPage(self._services, self._services.workshop)
        page.use_wanted.connect(self._window.use)
        page.library_wanted.connect(lambda: self._window.show_page(Page.LIBRARY))
        page.notice_wanted.connect(self._window.say)
        self.addWidget(page)
        return page

    @cached_property
    def jobs(self) -> "JobsList":
        from carryon.ui.jobs.page import JobsList

        page = JobsList(self._services.downloads, self._services.workshop)
        page.use_wanted.connect(self._window.use)
        page.log_wanted.connect(self._window.show_log)
        page.workshop_wanted.connect(self._window.show_runs)
        page.discover_wanted.connect(lambda: self._window.show_page(Page.DISCOVER))
        page.notice_wanted.connect(self._window.say)
        self.addWidget(page)
        return page

    @cached_property
    def settings(self) -> "SettingsPage":
        from carryon.ui.settings.page import SettingsPage

        page = SettingsPage(self._services)
        page.appearance_wanted.connect(self._window.appearance_wanted)
        page.machine_look_wanted.connect(self._window.look_again)
        page.notice_wanted.connect(self._window.say)
        page.chats_restored.connect(self.chat.list_again)
        self._window.machine.listen(page.set_machine)
        self.addWidget(page)
        return page

    @cached_property
    def welcome(self) -> "WelcomePage":
        from carryon.ui.welcome import WelcomePage

        page = WelcomePage()
        page.guide_wanted.connect(self._window.chat_with_guide)
        page.file_wanted.connect(self._window.choose_file)
        page.discover_wanted.connect(self._window.begin_with_discover)
        page.machine_wanted.connect(self._window.show_machine)
        page.skipped.connect(self._window.skip_welcome)
        self._window.machine.listen(page.show_machine)
        self.addWidget(page)
        return page
