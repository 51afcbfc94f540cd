"""The window: rail, pages, banners, status bar, and the ways between them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from carryon.app.host import LoadedModel, LoadWish, ModelState
from carryon.app.models import guide
from carryon.app.services import Services
from carryon.base.errors import AppError
from carryon.base.settings import Settings
from carryon.hardware.machine import Machine
from carryon.ui import texts
from carryon.ui.banners import Banners
from carryon.ui.chat.page import ChatPage
from carryon.ui.drop import DropSign, let_models_through, model_in
from carryon.ui.loading.page import LoadDialog
from carryon.ui.log_dialog import LogDialog
from carryon.ui.machine_watch import MachineWatch
from carryon.ui.memory_panel import MemoryPanel
from carryon.ui.metering import Metering, metering
from carryon.ui.settings.page import SettingsPage
from carryon.ui.shortcuts import ShortcutsDialog, bind
from carryon.ui.status_bar import StatusBar
from carryon.ui.welcome import WelcomePage
from carryon.ui.widgets.icons import app_icon
from carryon.ui.widgets.rail import Rail, RailItem
from carryon.ui.widgets.spacing import spaced
from carryon.ui.widgets.toast import Toast

RAIL = (RailItem(texts.CHAT, "ph.chat-circle-text", "Ctrl+1"), RailItem(texts.SETTINGS, "ph.gear", "Ctrl+6"))
CHAT, SETTINGS, WELCOME = range(3)
FIRST_SIZE = (1180, 780)


class Window(QMainWindow):
    """Holds no model: an engine that dies takes nothing of it along."""

    appearance_wanted = Signal()  # the person chose another theme or text size

    def __init__(self, services: Services, meter: Metering = metering) -> None:
        super().__init__()
        self._services = services
        self._dialog: LoadDialog | None = None
        self.machine = MachineWatch(services.runner, services.probing)
        self.chat = ChatPage(services)
        self.settings = SettingsPage(services)
        self.welcome = WelcomePage()
        self.status = StatusBar(services.runner, meter)
        self.banners = Banners()
        self._make_pages()
        self._arrange()
        self._connect()
        self._restore_place()
        services.host.listen(self._model_turned)

    def begin(self) -> None:
        """What must not delay the first painted frame: meters and the look at the machine."""
        self.status.begin()
        self.machine.listen(self._machine_found)
        self.machine.look()

    def open_path(self, path: Path | None) -> None:
        """Comes to the front, with the load dialog for this file if there is one."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()
        if path:
            self.load_dialog().open_path(path)

    def show_page(self, page: int) -> None:
        """Opens a page of the rail."""
        self._pages.setCurrentIndex(page)
        self.rail.show_current(SETTINGS if page == SETTINGS else CHAT)
        if page == SETTINGS:
            self.settings.refresh()
        self.memory.hide()
        self._show_banners()
        (self.chat, self.settings, self.welcome)[page].setFocus()

    def say(self, text: str, undo: Callable[[], object] | None = None) -> None:
        """A short message that goes by itself."""
        self._toast.say(text, undo)

    def load_dialog(self) -> LoadDialog:
        """Made when it is first wanted: it costs time that the first frame does not have."""
        if self._dialog is None:
            self._dialog = LoadDialog(self._services, self)
            self._dialog.file_wanted.connect(self.choose_file)
            self._dialog.log_wanted.connect(self.show_log)
            self.machine.listen(self._dialog.set_machine)
        return self._dialog

    def show_load_dialog(self, wish: LoadWish | None = None) -> None:
        """The load dialog, with the model of a wish or with the current one."""
        self.memory.hide()
        self.load_dialog().open_with(wish.file if wish else None)

    def choose_file(self) -> None:
        """The system's file dialog; its answer goes to the load dialog."""
        start = str(self._services.home.models) if self._services.home.models.is_dir() else str(Path.home())
        parent = self._dialog if self._dialog and self._dialog.isVisible() else self
        dialog = QFileDialog(parent, texts.OPEN_FILE_TITLE, start, texts.OPEN_FILE_FILTER)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._file_chosen)
        dialog.open()

    def show_log(self) -> None:
        """The log of the engine that ran last."""
        dialog = LogDialog(self._services.home.logs, self._dialog if self._dialog else self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_shortcuts(self) -> None:
        """The list of keys."""
        dialog = ShortcutsDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def show_machine(self) -> None:
        """The machine card, in the settings."""
        self.show_page(SETTINGS)
        self.settings.show_machine_card()

    def chat_with_guide(self) -> None:
        """Loads the built-in model and opens the chat."""
        self._welcomed()
        self.show_page(CHAT)
        try:
            self._services.host.load(self._services.host.wish_for(guide()))
        except AppError as error:
            self.banners.show_error(error, [(texts.CLOSE, lambda: self.banners.show_error(None))])

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
            self._drop_sign.cover()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._drop_sign.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_sign.hide()
        path = model_in(event.mimeData())
        if path:
            event.acceptProposedAction()
            self.open_path(path)

    def _make_pages(self) -> None:
        self.rail = Rail(RAIL)
        self._pages = QStackedWidget()
        for page in (self.chat, self.settings, self.welcome):
            self._pages.addWidget(page)
        self._content = QWidget()
        self._content.setObjectName("page")
        column = QVBoxLayout(self._content)
        spaced(column, gap=0)
        column.addWidget(self.banners)
        column.addWidget(self._pages, 1)

    def _arrange(self) -> None:
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
        let_models_through(self.chat)
        self.show_page(CHAT if self._services.settings.now.was_welcomed else WELCOME)

    def _connect(self) -> None:
        self.rail.page_wanted.connect(self.show_page)
        self.chat.load_dialog_wanted.connect(self.show_load_dialog)
        self.chat.machine_wanted.connect(self.show_machine)
        self.chat.notice_wanted.connect(self.say)
        self.chat.log_wanted.connect(self.show_log)
        self.chat.answered.connect(lambda message: self.status.show_speed(message.figures.tokens_per_s))
        self.settings.appearance_wanted.connect(self.appearance_wanted)
        self.settings.machine_look_wanted.connect(self.machine.look)
        self.settings.notice_wanted.connect(self.say)
        self.settings.chats_restored.connect(self._list_chats_again)
        self.welcome.guide_wanted.connect(self.chat_with_guide)
        self.welcome.file_wanted.connect(self.choose_file)
        self.welcome.machine_wanted.connect(self.show_machine)
        self.welcome.skipped.connect(self._skip_welcome)
        self.banners.load_wanted.connect(self._services.host.load)
        self.banners.change_wanted.connect(self.show_load_dialog)
        self.banners.log_wanted.connect(self.show_log)
        self.status.model_wanted.connect(self._model_pressed)
        self.status.measured.connect(lambda _: self._draw_memory())
        self.memory.unload_wanted.connect(self._unload)
        self.memory.settings_wanted.connect(self.show_load_dialog)
        bind(self, self._keys())

    def _keys(self) -> dict[str, Callable[[], object]]:
        return {
            "Ctrl+1": lambda: self.show_page(CHAT),
            "Ctrl+6": lambda: self.show_page(SETTINGS),
            "Ctrl+,": lambda: self.show_page(SETTINGS),
            "Ctrl+N": lambda: self._in_chat(self.chat.new_chat),
            "Ctrl+K": lambda: self._in_chat(self.chat.focus_search),
            "Ctrl+L": self.show_load_dialog,
            "Ctrl+O": self.choose_file,
            "Ctrl+Shift+U": self._unload,
            "Ctrl+R": lambda: self._in_chat(self.chat.regenerate),
            "Esc": self._escape,
            "Ctrl+/": self.show_shortcuts,
        }

    def _in_chat(self, act: Callable[[], object]) -> None:
        if self._pages.currentIndex() != CHAT:
            self.show_page(CHAT)
        act()

    def _escape(self) -> None:
        if self.memory.isVisible():
            self.memory.hide()
        else:
            self.chat.stop()

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
        self.banners.show_state(self._services.host.state, tells_failure=self._pages.currentIndex() != CHAT)

    def _machine_found(self, machine: Machine | None) -> None:
        self.welcome.show_machine(machine)
        self.settings.set_machine(machine)
        if machine:
            self.chat.set_machine(machine)

    def _model_pressed(self) -> None:
        if not isinstance(self._services.host.state, LoadedModel):
            self.show_load_dialog()
        elif self.memory.isVisible():
            self.memory.hide()
        else:
            self._draw_memory(even_if_hidden=True)
            self.memory.open()

    def _draw_memory(self, *, even_if_hidden: bool = False) -> None:
        state = self._services.host.state
        if isinstance(state, LoadedModel) and (even_if_hidden or self.memory.isVisible()):
            self.memory.show_model(state, self.machine.machine, self.status.use)

    def _list_chats_again(self) -> None:
        self.chat.presenter.search(self.chat.conversations.search.text())

    def _unload(self) -> None:
        self.memory.hide()
        self._services.host.unload()

    def _file_chosen(self, file: str) -> None:
        self._welcomed()
        self.open_path(Path(file))

    def _skip_welcome(self) -> None:
        self._welcomed()
        self.show_page(CHAT)

    def _welcomed(self) -> None:
        """The first-run card was of use once; it does not come back."""
        if not self._services.settings.now.was_welcomed:
            self._change_settings(lambda now: replace(now, was_welcomed=True))
        if self._pages.currentIndex() == WELCOME:
            self.show_page(CHAT)

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
