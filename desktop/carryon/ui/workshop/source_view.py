"""The first step: which model. A repository, a folder or a file; what was checked lately; what the library has."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from carryon.app.workshop_list import Source, SourceKind
from carryon.ui import theme
from carryon.ui.widgets.controls import buddy, button, icon_button, label, plain_tip
from carryon.ui.widgets.elided_label import ElidedLabel
from carryon.ui.widgets.folding_row import FoldingRow
from carryon.ui.widgets.pair import Pair, Row
from carryon.ui.widgets.paragraph import Paragraph
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.workshop import texts
from carryon.ui.workshop.cards import card_with, column_of
from carryon.ui.workshop.form import Form

_SHOWN_LINES, _LINE_PX = 6, 38
_NARROW_PX = 760


class SourceView(Scroll):
    """Says which source is wanted."""

    text_wanted = Signal(str)
    source_wanted = Signal(object)  # a Source
    folder_dialog_wanted = Signal()
    file_dialog_wanted = Signal()
    adapter_dialog_wanted = Signal()
    adapter_removed = Signal()
    library_wanted = Signal()
    typed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[object, ...] = ()
        self._make_parts()
        self._arrange()
        self.setFocusProxy(self.field)

    @property
    def text(self) -> str:
        return self.field.text().strip()

    def show_form(self, form: Form) -> None:
        """Draws everything; what is being typed is not touched."""
        self._error.setVisible(form.source_error is not None)
        if form.source_error is not None:
            self._error.show_error(form.source_error)
        self._draw_adapter(form.adapter)
        if (form.recent, form.models) != self._shown:
            self._shown = form.recent, form.models
            _fill(self.recent, [(texts.source_line(one), one) for one in form.recent])
            models = [(texts.model_line(one), Source(SourceKind.GGUF, str(one.path))) for one in form.models]
            _fill(self.models, models)
            self._show_lists(form)

    def show_source(self, source: Source) -> None:
        """Its place in the field: one sees, and can change, what is checked."""
        self.field.setText(source.place)

    def _draw_adapter(self, adapter: Path | None) -> None:
        self._adapter.show_words(str(adapter) if adapter else texts.NO_ADAPTER_CHOSEN)
        self._adapter.setToolTip(plain_tip(str(adapter)) if adapter else "")
        self._remove.setVisible(adapter is not None)

    def _show_lists(self, form: Form) -> None:
        for words, shown in ((self._no_recent, form.recent), (self._no_models, form.models)):
            words.setVisible(not shown)
        self.recent.setVisible(bool(form.recent))
        self.models.setVisible(bool(form.models))

    def _make_parts(self) -> None:
        self.field = QLineEdit()
        self.field.setPlaceholderText(texts.SOURCE_HINT)
        self.field.setClearButtonEnabled(True)
        self.field.setMaxLength(4096)
        self.field.setAcceptDrops(False)  # a dropped folder is for the page
        self.field.returnPressed.connect(lambda: self.text_wanted.emit(self.text))
        self.field.textChanged.connect(lambda _: self.typed.emit())
        self._folder = button(texts.CHOOSE_FOLDER, icon="ph.folder-open", on_click=self.folder_dialog_wanted.emit)
        self._file = button(texts.CHOOSE_FILE, icon="ph.file-plus", on_click=self.file_dialog_wanted.emit)
        self._error = ReasonCard(texts.NOTHING_WRONG)
        self._error.hide()
        self._adapter = ElidedLabel("", mode=Qt.TextElideMode.ElideMiddle)
        self._choose_adapter = button(texts.CHOOSE_ADAPTER, on_click=self.adapter_dialog_wanted.emit)
        self._remove = icon_button(texts.REMOVE_ADAPTER, "ph.x", self.adapter_removed.emit)
        self.recent = SourceList(texts.RECENT, self.source_wanted.emit)
        self.models = SourceList(texts.LIBRARY, self.source_wanted.emit)
        self._no_recent = label(texts.NO_RECENT, "soft", wraps=True)
        self._no_models = label(texts.NO_MODELS, "soft", wraps=True)
        self._library = button(texts.LIBRARY_LINK, "link", on_click=self.library_wanted.emit)

    def _arrange(self) -> None:
        column = column_of(self)
        column.addWidget(self._source_card())
        column.addWidget(self._error)
        recent = card_with(texts.RECENT, self._no_recent, self.recent)
        models = card_with(texts.LIBRARY, self._no_models, self.models, self._library)
        column.addWidget(Pair(recent, models, narrow_px=_NARROW_PX, gap=14))
        column.addWidget(self._adapter_card())
        column.addStretch(1)

    def _source_card(self) -> QFrame:
        row = QWidget()
        around = QVBoxLayout(row)
        spaced(around)
        around.addLayout(FoldingRow(buddy(texts.SOURCE, self.field), self.field, grows=True))
        buttons = Row(self._folder, self._file, gap=8)
        card = card_with(
            texts.INTRO_TITLE, Paragraph(texts.INTRO), row, buttons, label(texts.DROP_NOTE, "soft", wraps=True)
        )
        self.field.setAccessibleDescription(texts.SOURCE_HINT)
        return card

    def _adapter_card(self) -> QFrame:
        line = QWidget()
        row = QVBoxLayout(line)
        spaced(row)
        row.addWidget(self._adapter)
        buttons = Row(self._choose_adapter, self._remove, gap=8)
        return card_with(texts.ADAPTER, label(texts.ADAPTER_NOTE, "soft", wraps=True), line, buttons)


class SourceList(QListWidget):
    """A source a line; a click or Enter opens it. At most six lines are seen, then it scrolls."""

    def __init__(self, name: str, on_open: Callable[[Source], object]) -> None:
        super().__init__()
        self.setObjectName("sources")
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._open = on_open
        self.itemClicked.connect(self._open_item)
        OnTheme(self, self.fit_height)

    def fit_height(self) -> None:
        """As high as its lines."""
        row = self.sizeHintForRow(0) if self.count() else theme.px(_LINE_PX)
        self.setFixedHeight(row * min(max(self.count(), 1), _SHOWN_LINES) + theme.px(4))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item = self.currentItem()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and item is not None:
            self._open_item(item)
        else:
            super().keyPressEvent(event)

    def _open_item(self, item: QListWidgetItem) -> None:
        self._open(item.data(Qt.ItemDataRole.UserRole))


def _fill(lines: SourceList, sources: Sequence[tuple[str, Source]]) -> None:
    lines.clear()
    for words, source in sources:
        item = QListWidgetItem(words)
        item.setData(Qt.ItemDataRole.UserRole, source)
        item.setToolTip(plain_tip(source.place))
        lines.addItem(item)
    lines.fit_height()
