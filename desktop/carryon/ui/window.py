"""The window: rail, pages, banners, status bar, and the ways between them. Pages are made in page_stack.py."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from carryon.app.download_list import DownloadWish
from carryon.app.host import LoadedModel, LoadWish, ModelState
from carryon.app.models import ModelFile, guide
from carryon.app.services import Services, importing_workshop
from carryon.app.workshop_list import Source
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Outcome
from carryon.base.settings import Settings
from carryon.chat.message import Figures
from carryon.hardware.machine import Machine
from carryon.ui import texts
from carryon.ui.banners import Banners
from carryon.ui.chat.page import ChatPage
from carryon.ui.drop import DropSign, model_in
from carryon.ui.machine_watch import MachineWatch
from carryon.ui.memory_panel import MemoryPanel
from carryon.ui.metering import Metering, metering
from carryon.ui.page_stack import PageStack
from carryon.ui.pages import PLACES, RAIL, RAIL_PAGES
from carryon.ui.pages import Page as Page
from carryon.ui.shortcuts import ShortcutsDialog, bind
from carryon.ui.status_bar import StatusBar
from carryon.ui.widgets.icons import app_icon
from carryon.ui.widgets.rail import Rail
from carryon.ui.widgets.spacing import sized, spaced
from carryon.ui.widgets.toast import Toast

if TYPE_CHECKING:
    from carryon.ui.fit.page import FitPage
    from carryon.ui.jobs.popover import JobsPopover
    from carryon.ui.loading.page import LoadDialog
    from carryon.ui.settings.page import SettingsPage
    from carryon.ui.welcome import WelcomePage

FIRST_SIZE = (1180, 780)


class Window(QMainWindow):
    """Holds no model: an engine that dies takes nothing of it along."""

    appearance_wanted = Signal()  # the person chose another theme or text size

    def __init__(self, services: Services, meter: Metering = metering) -> None:
        super().__init__()
        self._services, self._meter = services, meter
        self.page = Page.CHAT
        self._is_look_asked = False
        self.machine = MachineWatch(services.runner, services.probing)
        self.status = StatusBar(services.runner, meter)
        self.banners = Banners()
        self.pages = PageStack(self, services)
        self.rail = Rail(RAIL)
        self._arrange()
        self._connect()
        self._restore_place()
        services.host.listen(self._model_turned)

    def begin(self) -> None:
        """What must not delay the first painted frame: meters, jobs, the look at the machine."""
        self.status.begin()
        self._begin_jobs()
        self.machine.listen(self._services.host.set_machine)
        self.machine.listen(self._machine_found)
        self.machine.look()

    def open_path(self, path: Path | None) -> None:
        """Comes to the front, with the load dialog for this file if there is one."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()
        if path:
            self.load_dialog.open_path(path)

    def show_page(self, page: Page) -> None:
        """Opens a page of the rail."""
        self.page = page
        self.rail.show_current(PLACES.get(page))
        widget = self.pages.open(page, self.status.use)
        self._close_panels()
        self._show_banners()
        widget.setFocus()

    def say(self, text: str, undo: Callable[[], object] | None = None) -> None:
        """A short message that goes by itself."""
        self._toast.say(text, undo)

    @cached_property
    def load_dialog(self) -> "LoadDialog":
        from carryon.ui.loading.page import LoadDialog

        dialog = LoadDialog(self._services, self, self._meter)
        dialog.file_wanted.connect(self.choose_file)
        dialog.log_wanted.connect(self.show_log)
        self.machine.listen(dialog.set_machine)
        return dialog

    @property
    def chat(self) -> ChatPage:
        return self.pages.chat

    @property
    def fit(self) -> "FitPage":
        return self.pages.fit

    @property
    def settings(self) -> "SettingsPage":
        return self.pages.settings

    @property
    def welcome(self) -> "WelcomePage":
        return self.pages.welcome

    def show_load_dialog(self, wish: LoadWish | None = None) -> None:
        """The load dialog, with the model of a wish or with the current one."""
        self.memory.hide()
        self.load_dialog.open_with(wish=wish)

    def choose_file(self) -> None:
        """The system's file dialog; its answer goes to the load dialog."""
        start = str(self._services.home.models) if self._services.home.models.is_dir() else str(Path.home())
        dialog = QFileDialog(self._topmost(), texts.OPEN_FILE_TITLE, start, texts.OPEN_FILE_FILTER)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._file_chosen)
        sized(dialog, 720, 480)  # only Qt's own dialog listens; the system's has a size of its own
        dialog.open()

    def show_log(self, file: Path | None = None) -> None:
        """A log; without a file that of the engine that ran last."""
        from carryon.ui.log_dialog import LogDialog

        dialog = LogDialog(self._services.home.logs, self._topmost(), file)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_shortcuts(self) -> None:
        """The list of keys."""
        dialog = ShortcutsDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def look_again(self) -> None:
        """Looks at the machine once more, and says when it is done."""
        self._is_look_asked = True
        self.machine.look()

    def skip_welcome(self) -> None:
        """Straight to the chat."""
        self._welcomed()
        self.show_page(Page.CHAT)

    def begin_with_discover(self) -> None:
        """From the first run to the models that one can begin with."""
        self._welcomed()
        self.show_page(Page.DISCOVER)

    def show_machine(self) -> None:
        """The machine card, in the settings."""
        self.show_page(Page.SETTINGS)
        self.settings.show_machine_card()

    def chat_with_guide(self) -> None:
        """Loads the built-in model and opens the chat."""
        self._chat_with(guide())

    def use(self, path: Path) -> None:
        """Loads a model that is here as the plan says, and opens the chat."""
        self._chat_with(ModelFile(path, path.stem, str(path)))

    def show_fit(self, path: Path) -> None:
        """The Fit page for this file."""
        self.show_page(Page.FIT)
        self.fit.presenter.choose_path(path)

    def download(self, wish: DownloadWish) -> None:
        """Puts it into the queue; the ring in the status bar tells how far it is."""
        self._services.downloads.add(wish)

    def open_in_workshop(self, source: Source, measures: bool = False) -> None:
        """The Workshop finds out what can be made of a source; `measures` ticks the measurement."""
        self.show_page(Page.WORKSHOP)
        self.pages.workshop.open_source(source, measures=measures)

    def show_runs(self) -> None:
        """The Workshop's runs."""
        self.show_page(Page.WORKSHOP)
        self.pages.show_runs()

    @cached_property
    def jobs_panel(self) -> "JobsPopover":
        from carryon.ui.jobs.popover import JobsPopover

        panel = JobsPopover(self._content, self._services.downloads, self._services.workshop)
        panel.use_wanted.connect(self.use)
        panel.notice_wanted.connect(self.say)
        panel.discover_wanted.connect(lambda: self.show_page(Page.DISCOVER))
        panel.log_wanted.connect(self.show_log)
        panel.workshop_wanted.connect(self.show_runs)
        panel.page_wanted.connect(lambda: self.show_page(Page.DOWNLOADS))
        return panel

    def show_downloads(self) -> None:
        """The panel of jobs, downloads among them, over their ring; pressed again it goes."""
        self.memory.hide()
        self.jobs_panel.open(self.status.jobs_button or self.status)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keeps the window's place; jobs and engines are ended by whoever started the application."""
        geometry = self.saveGeometry().toBase64().toStdString()
        self._change_settings(lambda now: replace(now, window_geometry=geometry))
        self.status.end()
        super().closeEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._drop_sign.isVisible():
            self._drop_sign.cover()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if model_in(event.mimeData()):
            event.acceptProposedAction()
            self._drop_sign.cover(texts.DROP_TO_FIT if self.page == Page.FIT else texts.DROP_HERE)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._drop_sign.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_sign.hide()
        path = model_in(event.mimeData())
        if path:
            event.acceptProposedAction()
            if self.page == Page.FIT:
                self.fit.presenter.choose_path(path)
            else:
                self.open_path(path)

    def _make_content(self) -> QWidget:
        content = QWidget()
        content.setObjectName("page")
        column = QVBoxLayout(content)
        spaced(column, gap=0)
        column.addWidget(self.banners)
        column.addWidget(self.pages, 1)
        return content

    def _arrange(self) -> None:
        self._content = self._make_content()
        root = QWidget()
        root.setObjectName("root")
        row = QHBoxLayout()
        spaced(row, gap=0)
        row.addWidget(self.rail)
        row.addWidget(self._content, 1)
        column = QVBoxLayout(root)
        spaced(column, gap=0)
        column.addLayout(row, 1)
        column.addWidget(self.status)
        self.setCentralWidget(root)
        self.setWindowTitle(texts.APP)
        self.setWindowIcon(app_icon())
        self.setMinimumSize(640, 480)
        self.setAcceptDrops(True)
        self.memory = MemoryPanel(self._content)
        self._toast = Toast(self._content, texts.UNDO)
        self._drop_sign = DropSign(self)
        self.show_page(Page.CHAT if self._services.settings.now.was_welcomed else Page.WELCOME)

    def _connect(self) -> None:
        self.rail.page_wanted.connect(lambda place: self.show_page(RAIL_PAGES[place]))
        self.chat.load_dialog_wanted.connect(self.show_load_dialog)
        self.chat.machine_wanted.connect(self.show_machine)
        self.chat.notice_wanted.connect(self.say)
        self.chat.log_wanted.connect(self.show_log)
        self.chat.answered.connect(lambda message: self._answered(message.figures))
        self.banners.load_wanted.connect(self._services.host.load)
        self.banners.change_wanted.connect(self.show_load_dialog)
        self.banners.log_wanted.connect(self.show_log)
        self.status.model_wanted.connect(self._model_pressed)
        self.status.measured.connect(lambda _: self._memory_measured())
        self.memory.unload_wanted.connect(self._unload)
        self.memory.settings_wanted.connect(self.show_load_dialog)
        bind(self, self._keys())

    def _keys(self) -> dict[str, Callable[[], object]]:
        return {
            "Ctrl+1": lambda: self.show_page(Page.CHAT),
            "Ctrl+2": lambda: self.show_page(Page.DISCOVER),
            "Ctrl+3": lambda: self.show_page(Page.LIBRARY),
            "Ctrl+4": lambda: self.show_page(Page.WORKSHOP),
            "Ctrl+5": lambda: self.show_page(Page.FIT),
            "Ctrl+6": lambda: self.show_page(Page.SETTINGS),
            "Ctrl+,": lambda: self.show_page(Page.SETTINGS),
            "Ctrl+N": lambda: self._in_chat(self.chat.new_chat),
            "Ctrl+K": lambda: self._in_chat(self.chat.focus_search),
            "Ctrl+J": self.show_downloads,
            "Ctrl+L": self.show_load_dialog,
            "Ctrl+O": self.choose_file,
            "Ctrl+Shift+U": self._unload,
            "Ctrl+R": lambda: self._in_chat(self.chat.regenerate),
            "Esc": self._escape,
            "Ctrl+/": self.show_shortcuts,
        }

    def _topmost(self) -> QWidget:
        """What a further dialog stands over."""
        is_loading_open = "load_dialog" in vars(self) and self.load_dialog.isVisible()
        return self.load_dialog if is_loading_open else self

    def _in_chat(self, act: Callable[[], object]) -> None:
        if self.page != Page.CHAT:
            self.show_page(Page.CHAT)
        act()

    def _close_panels(self) -> None:
        self.memory.hide()
        if "jobs_panel" in vars(self):
            self.jobs_panel.hide()

    def _escape(self) -> None:
        if self.memory.isVisible():
            self.memory.hide()
        else:
            self.chat.stop()

    def _begin_jobs(self) -> None:
        """The downloads at once; the workshop when its modules are there, which takes a second on another thread."""
        downloads = self._services.downloads
        ring = self.status.show_jobs(downloads)
        ring.clicked.connect(self.show_downloads)
        ring.notice_wanted.connect(self.say)
        downloads.begin()

        def imported(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                ring.join(self._services.workshop)
                self._services.workshop.begin()

        self._services.runner.start(importing_workshop(), on_end=imported)

    def _chat_with(self, file: ModelFile) -> None:
        self._welcomed()
        self.show_page(Page.CHAT)
        try:
            self._services.host.load(self._services.host.wish_for(file))
        except AppError as error:
            self.banners.show_error(error, [(texts.CLOSE, lambda: self.banners.show_error(None))])

    def _answered(self, figures: Figures) -> None:
        self.status.show_speed(figures.tokens_per_s)
        self._services.host.answered(figures)

    def _model_turned(self, state: ModelState) -> None:
        self.status.show_state(state)
        self._show_banners()
        if isinstance(state, LoadedModel):
            self._welcomed()
            self._draw_memory()
        else:
            self.memory.hide()

    def _show_banners(self) -> None:
        """The chat page tells an engine's failure in its own place; every other page has the banner."""
        self.banners.show_state(self._services.host.state, tells_failure=self.page != Page.CHAT)

    def _machine_found(self, machine: Machine | None) -> None:
        if machine:
            self.chat.set_machine(machine)
            if self._is_look_asked:
                self._is_look_asked = False
                self.say(texts.LOOKED_AGAIN)

    def _model_pressed(self) -> None:
        if not isinstance(self._services.host.state, LoadedModel):
            self.show_load_dialog()
        elif self.memory.isVisible():
            self.memory.hide()
        else:
            self._draw_memory(even_if_hidden=True)
            self.memory.open()

    def _memory_measured(self) -> None:
        self._draw_memory()
        self.pages.set_use(self.page, self.status.use)

    def _draw_memory(self, *, even_if_hidden: bool = False) -> None:
        state = self._services.host.state
        if isinstance(state, LoadedModel) and (even_if_hidden or self.memory.isVisible()):
            self.memory.show_model(state, self.machine.machine, self.status.use)

    def _unload(self) -> None:
        self.memory.hide()
        self._services.host.unload()

    def _file_chosen(self, file: str) -> None:
        self._welcomed()
        self.open_path(Path(file))

    def _welcomed(self) -> None:
        """The first-run card was of use once; it does not come back."""
        if not self._services.settings.now.was_welcomed:
            self._change_settings(lambda now: replace(now, was_welcomed=True))
        if self.page == Page.WELCOME:
            self.show_page(Page.CHAT)

    def _change_settings(self, change: Callable[[Settings], Settings]) -> None:
        try:
            self._services.settings.change(change)
        except AppError as error:
            self.say(f"{error.message} {error.hint}".strip())

    def _restore_place(self) -> None:
        self.resize(*FIRST_SIZE)
        kept = self._services.settings.now.window_geometry
        if kept:
            self.restoreGeometry(QByteArray.fromBase64(kept.encode()))
