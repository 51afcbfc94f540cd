"""The Library page: joins search, table, detail and dialogs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication, QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QMessageBox,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from carryon.app.services import Services
from carryon.app.workshop_list import Source, SourceKind
from carryon.hardware.machine import Machine, MemoryUse
from carryon.hub.library.entry import Entry
from carryon.ui import theme
from carryon.ui.library import texts
from carryon.ui.library.detail import Detail
from carryon.ui.library.form import Column, Form, Place
from carryon.ui.library.presenter import LibraryPresenter
from carryon.ui.library.table import EntryTable
from carryon.ui.widgets.controls import button, icon_button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.pair import Pair, Row
from carryon.ui.widgets.paragraph import Paragraph
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, sized, spaced

if TYPE_CHECKING:
    from carryon.ui.library.duplicates_dialog import DuplicatesDialog

WATCH_MS = 3000  # what other programs do is seen within this time
SEARCH_AFTER_MS = 120
DRAWN_AGAIN_MS = 40  # answers that come one after the other are drawn together
_NARROW_HEAD_PX = 560
_NARROW_PX = 860  # below, the detail stands under the table
_SHARES = (6000, 3200)  # of table and detail; more than there ever is, so the splitter shares out what there is
_TABLE, _NO_MATCH, _EMPTY = range(3)


class LibraryPage(QWidget):
    """Draws the form whole; only what is another one now changes."""

    use_wanted = Signal(object)  # a Path
    fit_wanted = Signal(object)  # a Path
    workshop_wanted = Signal(object, bool)  # a Source; whether it is to be measured
    discover_wanted = Signal()
    notice_wanted = Signal(str, object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.setObjectName("page")
        self._places: tuple[Place, ...] = ()
        self._form = Form()
        self._make_parts()
        self._arrange()
        self._watch = QTimer(self, interval=WATCH_MS)
        self._soon = QTimer(self, singleShot=True, interval=DRAWN_AGAIN_MS)
        self._soon.timeout.connect(self._draw)
        self._searching = QTimer(self, singleShot=True, interval=SEARCH_AFTER_MS)
        self.presenter = LibraryPresenter(services.library, services.runner, services.host, services.fitting, self)
        self._connect()

    def refresh(self) -> None:
        """Looks at the disk; the window asks when the page is opened."""
        self.presenter.open()

    def set_machine(self, machine: Machine | None) -> None:
        """What was found out about this machine; None while it is being looked at."""
        self.presenter.set_machine(machine)

    def set_use(self, use: MemoryUse | None) -> None:
        """How full this machine's memories are now."""
        if use:
            self.presenter.set_use(use)

    def show_form(self, form: Form) -> None:
        """Takes in what is to be shown; it is drawn in a moment, together with what follows at once."""
        self._form = form
        if not self._soon.isActive():
            self._soon.start()

    def say(self, words: str, undo: Callable[[], object] | None = None) -> None:
        """A short message, with a way back where there is one."""
        self.notice_wanted.emit(words, undo)

    def focus_search(self) -> None:
        """The cursor goes to the search field, its text selected."""
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._search.selectAll()

    def choose_folder(self) -> None:
        """Another folder to look into."""
        dialog = QFileDialog(self, texts.FOLDER_TITLE, str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda folder: self.presenter.add_folder(Path(folder)))
        sized(dialog, 720, 480)  # only Qt's own dialog listens; the system's has a size of its own
        dialog.open()

    def find_duplicates(self) -> None:
        """Compares the files, in a dialog that shows how far it is."""
        from carryon.ui.library.duplicates_dialog import DuplicatesDialog

        dialog = DuplicatesDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.stop_wanted.connect(self.presenter.stop_comparing)
        dialog.trash_wanted.connect(lambda path: self._copy_to_trash(path, dialog))
        dialog.open()
        self.presenter.find_copies(dialog.show_progress, dialog.show_end)

    def show_metadata(self) -> None:
        """All fields of the chosen file."""
        from carryon.ui.library.metadata_dialog import MetadataDialog

        if entry := self._entry:
            dialog = MetadataDialog(entry.name, self)
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.open()
            self.presenter.read_fields(entry.path, dialog.show_end)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._watch.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._watch.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._turn()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self._search.hasFocus() and self._search.text():
            self._search.clear()
        elif event.key() == Qt.Key.Key_Down and self._search.hasFocus():
            self._table.setFocus(Qt.FocusReason.TabFocusReason)
        else:
            super().keyPressEvent(event)

    @property
    def _entry(self) -> Entry | None:
        return self.presenter.form.entry

    def _make_parts(self) -> None:
        self._total = label("", "soft")
        self._search = QLineEdit()
        self._search.setPlaceholderText(texts.SEARCH_HINT)
        self._search.setAccessibleName(texts.SEARCH)
        self._search.setClearButtonEnabled(True)
        self._filter = QComboBox()
        self._filter.setAccessibleName(texts.PLACES)
        self._filter.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._table = EntryTable()
        self._detail = Detail()
        self._progress, self._troubles = label("", "soft"), label("", "soft", wraps=True)
        self._trash, self._empty_trash = label("", "soft"), button(texts.EMPTY_TRASH, "link")
        self._stop_looking = button(texts.STOP_LOOKING, "link")
        self._nothing_found, self._looked = label("", "heading", wraps=True), Paragraph(name="soft")
        self._again = icon_button(texts.LOOK_AGAIN, "ph.arrows-clockwise")
        self._duplicates = button(texts.FIND_DUPLICATES)
        self._add_folder = button(texts.ADD_FOLDER, icon="ph.folder-plus", on_click=self.choose_folder)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (32, 18, 32, 12), 12)
        column.addLayout(self._head())
        self._pages = QStackedWidget()
        for page in (self._models(), self._nothing(), self._empty()):
            self._pages.addWidget(page)
        column.addWidget(self._pages, 1)
        column.addWidget(self._troubles)
        column.addLayout(self._foot())
        self.setFocusProxy(self._table)

    def _head(self) -> QVBoxLayout:
        head = QVBoxLayout()
        title = QWidget()
        first, second = QHBoxLayout(title), QHBoxLayout()
        first.addWidget(label(texts.TITLE, "title"))
        first.addWidget(self._total, 1)
        buttons = Row(self._duplicates, self._add_folder, self._again, gap=12)
        second.addWidget(self._search, 1)
        second.addWidget(self._filter)
        second.addWidget(self._stop_looking)
        head.addWidget(Pair(title, buttons, narrow_px=_NARROW_HEAD_PX, gap=12, stretches=(1, 0)))
        head.addLayout(spaced(second, gap=12))
        spaced(first, gap=12)
        spaced(head, gap=12)
        return head

    def _models(self) -> QWidget:
        self._splitter = QSplitter()
        self._splitter.setChildrenCollapsible(False)
        OnTheme(self._splitter, lambda: self._splitter.setHandleWidth(theme.px(12)))
        for widget in (self._table, self._detail):
            self._splitter.addWidget(_card(widget))
        for place, share in enumerate(_SHARES):
            self._splitter.setStretchFactor(place, share)
        return self._splitter

    def _nothing(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        spaced(column, (0, 24, 0, 0), 12)
        column.addWidget(self._nothing_found)
        column.addWidget(button(texts.CLEAR_SEARCH, on_click=self._clear), 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        return page

    def _empty(self) -> Scroll:
        page = QWidget()
        around = QVBoxLayout(page)
        spaced(around)
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        spaced(column, (32, 32, 32, 32), 12)
        column.addWidget(label(texts.EMPTY_TITLE, "heading", wraps=True))
        column.addWidget(Paragraph(texts.EMPTY_TEXT))
        actions = FlowLayout()
        actions.addWidget(button(texts.DISCOVER, "primary", "ph.compass", self.discover_wanted.emit))
        actions.addWidget(button(texts.ADD_FOLDER, on_click=self.choose_folder))
        actions.addWidget(button(texts.LOOK_AGAIN, on_click=lambda: self.presenter.look_again()))
        column.addLayout(spaced(actions))
        column.addWidget(self._looked)
        around.addWidget(card)
        around.addStretch(1)
        scroll = Scroll()
        scroll.hold(page)
        return scroll

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        foot.addWidget(self._progress, 1)
        foot.addWidget(self._trash)
        foot.addWidget(self._empty_trash)
        spaced(foot, gap=12)
        return foot

    def _connect(self) -> None:
        table, detail, presenter = self._table, self._detail, self.presenter
        self._watch.timeout.connect(presenter.watch)
        self._searching.timeout.connect(lambda: presenter.search(self._search.text()))
        self._search.textChanged.connect(lambda _: self._searching.start())
        self._filter.activated.connect(lambda place: presenter.show_place(self._places[place]))
        self._again.clicked.connect(lambda: presenter.look_again())
        self._duplicates.clicked.connect(lambda: self.find_duplicates())
        self._empty_trash.clicked.connect(lambda: self._ask_to_empty())
        self._stop_looking.clicked.connect(lambda: self._look_no_more())
        table.chosen.connect(presenter.select)
        table.used.connect(self._use)
        table.delete_wanted.connect(self._to_trash)
        table.sort_wanted.connect(
            lambda column, is_descending: presenter.sort(Column(column), is_descending=is_descending)
        )
        table.rows_seen.connect(presenter.seen)
        table.menu_wanted.connect(self._menu)
        table.entries.renamed.connect(lambda path, name: presenter.rename(path, name))
        detail.use_wanted.connect(self._use)
        detail.fit_wanted.connect(self._fit)
        detail.quantize_wanted.connect(self._quantize)
        detail.measure_wanted.connect(self._measure)
        detail.rename_wanted.connect(table.rename_current)
        detail.folder_wanted.connect(self._show_folder)
        detail.copy_wanted.connect(self._copy_path)
        detail.metadata_wanted.connect(self.show_metadata)
        detail.trash_wanted.connect(self._to_trash)
        detail.words_copied.connect(self._copy)

    def _draw(self) -> None:
        form = self._form
        rows = form.rows
        self._table.show_order(form.column, is_descending=form.is_descending)
        self._table.show_rows([texts.row(one, form) for one in rows], form.selected, has_gpu=form.has_gpu)
        self._detail.show_form(form)
        self._pages.setCurrentIndex(_EMPTY if form.is_empty else _TABLE if rows or not form.state.scan else _NO_MATCH)
        self._nothing_found.setText(texts.nothing_found_text(form))
        self._looked.setText(texts.looked_text(form))
        self._draw_head(form)
        self._draw_foot(form)

    def _draw_head(self, form: Form) -> None:
        self._total.setText(texts.total_text(form))
        for widget in (self._search, self._duplicates, self._add_folder, self._again):
            widget.setVisible(not form.is_empty)
        self._filter.setVisible(len(form.places) > 1)
        self._stop_looking.setVisible(isinstance(form.place, Path))
        if form.places != self._places:
            self._places = form.places
            self._filter.clear()
            self._filter.addItems([texts.place_text(one) for one in form.places])
        self._filter.setCurrentIndex(self._places.index(form.place) if form.place in self._places else 0)
        if form.search != self._search.text() and not self._searching.isActive():
            self._search.setText(form.search)

    def _draw_foot(self, form: Form) -> None:
        self._progress.setText(texts.progress_text(form))
        self._trash.setText(texts.trash_text(form))
        self._empty_trash.setVisible(bool(form.state.trashed))
        said = "\n".join(texts.troubles(form))
        self._troubles.setText(said)
        self._troubles.setVisible(bool(said))

    def _turn(self) -> None:
        """On a narrow page the detail stands under the table."""
        is_narrow = self.width() < theme.px(_NARROW_PX)
        way = Qt.Orientation.Vertical if is_narrow else Qt.Orientation.Horizontal
        if way != self._splitter.orientation() or not self._splitter.property("placed"):
            self._splitter.setOrientation(way)
            self._splitter.setProperty("placed", True)
            self._splitter.setSizes(list(_SHARES))

    def _menu(self, where: QPoint) -> None:
        entry = self._entry
        if entry is None:
            return
        menu = QMenu(self)
        if entry.is_usable:
            menu.addAction(texts.USE, self._use).setShortcut("Return")
            menu.addAction(texts.FIT, self._fit)
            menu.addAction(texts.QUANTIZE, self._quantize)
            menu.addAction(texts.MEASURE, self._measure)
            menu.addSeparator()
        menu.addAction(texts.RENAME, self._table.rename_current).setShortcut("F2")
        menu.addAction(texts.SHOW_FOLDER, self._show_folder)
        menu.addAction(texts.COPY_PATH, self._copy_path)
        if not entry.is_broken:
            menu.addAction(texts.METADATA, self.show_metadata)
        if entry.is_own:
            menu.addSeparator()
            menu.addAction(texts.TO_TRASH, self._to_trash).setShortcut("Del")
        menu.addSeparator()
        self._add_orders(menu.addMenu(texts.SORT_BY))
        menu.exec(where)
        menu.deleteLater()

    def _add_orders(self, menu: QMenu) -> None:
        """What a click on a title does, for the keyboard."""
        form = self.presenter.form
        for column, title in zip(Column, texts.COLUMNS, strict=True):
            action = menu.addAction(title)
            action.setCheckable(True)
            action.setChecked(column is form.column)
            is_descending = column is form.column and not form.is_descending
            action.triggered.connect(
                lambda _, column=column, is_descending=is_descending: self.presenter.sort(
                    column, is_descending=is_descending
                )
            )

    def _use(self) -> None:
        if self._entry and self._entry.is_usable:
            self.use_wanted.emit(self._entry.path)

    def _fit(self) -> None:
        if self._entry:
            self.fit_wanted.emit(self._entry.path)

    def _quantize(self) -> None:
        self._open_in_workshop(measures=False)

    def _measure(self) -> None:
        self._open_in_workshop(measures=True)

    def _open_in_workshop(self, *, measures: bool) -> None:
        if self._entry and self._entry.is_usable:
            self.workshop_wanted.emit(Source(SourceKind.GGUF, str(self._entry.path)), measures)

    def _to_trash(self) -> None:
        if self._entry:
            self.presenter.move_to_trash(self._entry.path)

    def _copy_to_trash(self, path: Path, dialog: "DuplicatesDialog") -> None:
        if self.presenter.move_to_trash(path):
            dialog.show_gone(path)

    def _copy_path(self) -> None:
        if self._entry:
            self._copy(str(self._entry.path))

    def _copy(self, words: str) -> None:
        QGuiApplication.clipboard().setText(words)
        self.say(texts.COPIED)

    def _show_folder(self) -> None:
        if self._entry and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._entry.path.parent))):
            QGuiApplication.clipboard().setText(str(self._entry.path))
            self.say(texts.NO_FILE_MANAGER)

    def _clear(self) -> None:
        self._search.clear()
        self.presenter.show_all()

    def _look_no_more(self) -> None:
        if isinstance(self.presenter.form.place, Path):
            self.presenter.remove_folder(self.presenter.form.place)

    def _ask_to_empty(self) -> None:
        """The one deed here that nothing takes back."""
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(texts.EMPTY_TRASH_TITLE)
        box.setText(texts.empty_trash_text(self.presenter.form))
        delete = box.addButton(texts.DELETE_FOR_GOOD, QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(texts.CANCEL, QMessageBox.ButtonRole.RejectRole))
        delete.clicked.connect(self.presenter.empty_trash)
        box.open()


def _card(widget: QWidget) -> QFrame:
    """A surface around a part of the page."""
    card = QFrame()
    card.setObjectName("card")
    column = QVBoxLayout(card)
    spaced(column, (1, 5, 1, 5), 0)
    column.addWidget(widget)
    return card
