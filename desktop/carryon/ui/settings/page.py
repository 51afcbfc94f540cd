"""The settings page: appearance, engine, this machine, folders, trash, about."""

from functools import partial

from PySide6.QtCore import Qt, QUrl, Signal, qVersion
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from carryon.app.services import Services
from carryon.base.errors import AppError
from carryon.base.settings import Settings, Theme
from carryon.chat.message import Conversation
from carryon.hardware.machine import Machine
from carryon.ui import theme
from carryon.ui.settings import texts
from carryon.ui.settings.network import NetworkCard
from carryon.ui.settings.presenter import MOST_THREADS, TEXT_SIZE_STEP, TEXT_SIZES, Folder, SettingsPresenter, about
from carryon.ui.settings.trash_list import TrashList
from carryon.ui.widgets.controls import NumberField, buddy, icon_button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.machine_card import MachineCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, spaced


class SettingsPage(Scroll):
    """Every control acts at once; there is no Apply and nothing to lose by leaving."""

    appearance_wanted = Signal()  # the theme or the text size is another one now
    chats_restored = Signal()
    machine_look_wanted = Signal()
    notice_wanted = Signal(str, object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._is_drawing = False
        self.presenter = SettingsPresenter(services.home, services.settings, services.store, self)
        self._network = NetworkCard(services.settings, services.access, services.runner)
        self._network.notice_wanted.connect(self.notice_wanted)
        self._make_controls()
        page = QWidget()
        around = QHBoxLayout(page)
        spaced(around, (32, 20, 32, 24), 0)
        around.addStretch(1)
        around.addWidget(self._column(), 1000)  # up to its own maximum
        around.addStretch(1)
        self.hold(page)
        self.presenter.refresh()

    def refresh(self) -> None:
        """Reads everything again; the window asks when the page is opened."""
        self.presenter.refresh()
        self._network.refresh()

    def set_machine(self, machine: Machine | None) -> None:
        """What was found out about this machine; None while it is being looked at."""
        self.machine.show_machine(machine)
        self._threads_note.setText(texts.threads_note(machine.cpu.physical_cores if machine else None))
        for value, (_, words) in zip(self._about, about(machine, f"Qt {qVersion()}"), strict=True):
            value.setText(words)

    def show_machine_card(self) -> None:
        """Scrolls to the machine."""
        self.ensureWidgetVisible(self.machine, 0, self.viewport().height())

    def show_settings(self, settings: Settings) -> None:
        self._is_drawing = True
        self._themes.button(list(Theme).index(settings.theme)).setChecked(True)
        self._text_size.setValue(settings.text_size_percent)
        self._threads.setValue(settings.n_threads or 0)
        self._is_drawing = False

    def show_trash(self, trash: tuple[Conversation, ...]) -> None:
        self._trash.show_trash(trash)

    def show_error(self, error: AppError) -> None:
        self.notice_wanted.emit(f"{error.message} {error.hint}".strip(), None)

    def appearance_changed(self) -> None:
        self.appearance_wanted.emit()

    def chats_changed(self) -> None:
        self.chats_restored.emit()

    def _make_controls(self) -> None:
        self._themes = QButtonGroup(self)
        self._themes.idClicked.connect(lambda index: self.presenter.set_theme(list(Theme)[index]))
        self._text_size = _number("Text size in per cent", TEXT_SIZES, TEXT_SIZE_STEP, " %")
        self._text_size.valueChanged.connect(self._sized)
        self._threads = _number("Threads of the engine, 0 is automatic", (0, MOST_THREADS), 1)
        self._threads.setSpecialValueText("Automatic")
        self._threads.valueChanged.connect(self._threaded)
        self._threads_note = label(texts.threads_note(None), "soft", wraps=True)
        self.machine = MachineCard()
        self.machine.look_wanted.connect(self.machine_look_wanted)
        self.machine.copied.connect(lambda: self.notice_wanted.emit("The report is copied.", None))
        self._trash = TrashList()
        self._trash.restore_wanted.connect(self._restore)
        self._about = [label("", wraps=True, selectable=True) for _ in about(None, "")]

    def _column(self) -> QWidget:
        column = QWidget()
        OnTheme(column, lambda: column.setMaximumWidth(theme.px(760)))
        cards = QVBoxLayout(column)
        spaced(cards, gap=14)
        cards.addWidget(label(texts.TITLE, "title"))
        cards.addWidget(_card(texts.APPEARANCE, self._theme_row(), *self._size_rows()))
        cards.addWidget(_card(texts.ENGINE, _field(texts.THREADS, self._threads), self._threads_note))
        cards.addWidget(self._network)
        cards.addWidget(self.machine)
        cards.addWidget(_card(texts.FOLDERS, self._folder_rows(), self._folders_note()))
        cards.addWidget(_card(texts.TRASH, label(texts.TRASH_NOTE, "soft", wraps=True), self._trash))
        cards.addWidget(_card(texts.ABOUT, self._about_rows(), label(texts.ABOUT_NOTE, "soft", wraps=True)))
        cards.addStretch(1)
        return column

    def _theme_row(self) -> QWidget:
        row = QWidget()
        row.setAccessibleName(texts.THEME)
        flow = FlowLayout()
        for index, one in enumerate(Theme):
            choice = QRadioButton(texts.THEME_WORDS[one])
            choice.setAccessibleName(f"{texts.THEME}: {texts.THEME_WORDS[one]}")
            self._themes.addButton(choice, index)
            flow.addWidget(choice)
        line = QHBoxLayout(row)
        spaced(line, gap=12)
        line.addWidget(_first_column(label(texts.THEME)), 0, Qt.AlignmentFlag.AlignTop)
        line.addLayout(spaced(flow, gap=20), 1)
        return row

    def _size_rows(self) -> tuple[QWidget, QWidget]:
        return _field(texts.TEXT_SIZE, self._text_size), label(texts.TEXT_SIZE_NOTE, "soft", wraps=True)

    def _folder_rows(self) -> QWidget:
        rows = QWidget()
        grid = QGridLayout(rows)
        spaced(grid, gap=8)
        grid.setColumnStretch(1, 1)
        for row, folder in enumerate(self.presenter.folders):
            path = QLineEdit(str(folder.path))
            path.setReadOnly(True)
            path.setCursorPosition(0)
            path.setAccessibleName(f"{folder.what} folder")
            opens, copies = texts.open_folder(folder.what), texts.copy_path(folder.what)
            grid.addWidget(label(folder.what), row, 0)
            grid.addWidget(path, row, 1)
            grid.addWidget(icon_button(opens, "ph.folder-open", partial(self._open_folder, folder)), row, 2)
            grid.addWidget(icon_button(copies, "ph.copy", partial(self._copy_path, folder)), row, 3)
        return rows

    def _folders_note(self) -> QLabel:
        return label(texts.folders_note(is_moved=self.presenter.is_home_moved), "soft", wraps=True)

    def _about_rows(self) -> QWidget:
        rows = QWidget()
        grid = QGridLayout(rows)
        spaced(grid, gap=6)
        OnTheme(grid, lambda: grid.setColumnMinimumWidth(0, theme.px(96)))
        grid.setColumnStretch(1, 1)
        for row, ((name, words), value) in enumerate(zip(about(None, f"Qt {qVersion()}"), self._about, strict=True)):
            value.setText(words)
            value.setAccessibleName(name)
            grid.addWidget(label(name, "faint"), row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
        return rows

    def _sized(self, percent: int) -> None:
        if not self._is_drawing:
            self.presenter.set_text_size(percent)

    def _threaded(self, n_threads: int) -> None:
        if not self._is_drawing:
            self.presenter.set_threads(n_threads)

    def _restore(self, conversation: Conversation) -> None:
        self.presenter.restore(conversation)
        self.notice_wanted.emit(texts.restored(conversation), None)

    def _open_folder(self, folder: Folder) -> None:
        path = self.presenter.ready_folder(folder)
        if path and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path))):
            QGuiApplication.clipboard().setText(str(path))
            self.notice_wanted.emit(texts.OPENED_NOT, None)

    def _copy_path(self, folder: Folder) -> None:
        QGuiApplication.clipboard().setText(str(folder.path))
        self.notice_wanted.emit(texts.PATH_COPIED, None)


def _card(title: str, *widgets: QWidget) -> QFrame:
    card = QFrame()
    card.setObjectName("card")
    column = QVBoxLayout(card)
    spaced(column, (20, 16, 20, 16), 10)
    column.addWidget(label(title, "heading"))
    for widget in widgets:
        column.addWidget(widget)
    return card


def _field(text: str, field: QWidget) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    spaced(line, gap=12)
    line.addWidget(_first_column(buddy(text, field, "")))
    line.addWidget(field)
    line.addStretch(1)
    return row


def _first_column(name: QLabel) -> QLabel:
    """Names of one width, so that what they name stands in one line."""
    OnTheme(name, lambda: name.setMinimumWidth(theme.px(96)))
    return name


def _number(name: str, bounds: tuple[int, int], step: int, suffix: str = "") -> NumberField:
    field = NumberField(name)
    field.setRange(*bounds)
    field.setSingleStep(step)
    field.setSuffix(suffix)
    field.setKeyboardTracking(False)  # "150" must not first be "1" and then "15"
    return field
