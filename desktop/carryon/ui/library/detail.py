"""The pane beside the table: what a model is, how it would run here, where it came from, what can be done with it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from carryon.app.fits_here import FitHere
from carryon.base.errors import AppError
from carryon.hub.library.entry import Entry, Kind
from carryon.hub.library.words import KINDS
from carryon.ui import theme
from carryon.ui.library import texts
from carryon.ui.library.form import Form
from carryon.ui.widgets.controls import button, icon_button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.verdict import VerdictLabel

_BREAK = "\N{ZERO WIDTH SPACE}"
_SPACE, _SIGNS = " ", "/\\-_."
_LONG_WORD, _HASH_WORD = 20, 8  # letters after which a line may end


class Detail(Scroll):
    """Says what is wanted; it does not do it."""

    use_wanted = Signal()
    fit_wanted = Signal()
    quantize_wanted = Signal()
    measure_wanted = Signal()
    rename_wanted = Signal()
    folder_wanted = Signal()
    copy_wanted = Signal()
    metadata_wanted = Signal()
    trash_wanted = Signal()
    words_copied = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[tuple[str, str], ...] = ()
        self._make_parts()
        self._arrange()
        self.show_form(Form())

    def show_form(self, form: Form) -> None:
        """Draws what is chosen, or a word that nothing is."""
        entry = form.entry
        self._nothing.setVisible(entry is None)
        self._card.setVisible(entry is not None)
        if entry is None:
            return
        self._name.setText(breakable(entry.name))
        self._name.setAccessibleName(entry.name)
        self._draw_verdict(entry, form)
        self._draw_actions(entry)
        facts = texts.facts(entry, form.stories.get(entry.path))
        if facts != self._shown:
            self._draw_facts(facts)
        kept = texts.kept_text(entry)
        self._kept.setText(kept)
        self._kept.setVisible(bool(kept))

    def _make_parts(self) -> None:
        self._nothing = label(texts.NOTHING_CHOSEN, "soft", wraps=True)
        self._card = QWidget()
        self._name = label("", "heading", wraps=True)
        self._verdict = VerdictLabel()
        self._pace = label("", "soft", wraps=True)
        self._trouble = ReasonCard(AppError(""))
        self._use = button(texts.USE, "primary", "ph.chat-circle-text", self.use_wanted.emit)
        self._fit = button(texts.FIT, icon="ph.gauge", on_click=self.fit_wanted.emit)
        self._quantize = button(texts.QUANTIZE, icon="ph.wrench", on_click=self.quantize_wanted.emit)
        self._quantize.setToolTip(texts.QUANTIZE_TIP)
        self._measure = button(texts.MEASURE, icon="ph.ruler", on_click=self.measure_wanted.emit)
        self._measure.setToolTip(texts.MEASURE_TIP)
        self._rename = button(texts.RENAME, on_click=self.rename_wanted.emit)
        self._rename.setToolTip(f"{texts.RENAME} (F2)")
        self._folder = button(texts.SHOW_FOLDER, on_click=self.folder_wanted.emit)
        self._copy = button(texts.COPY_PATH, on_click=self.copy_wanted.emit)
        self._metadata = button(texts.METADATA, on_click=self.metadata_wanted.emit)
        self._trash = button(texts.TO_TRASH, "danger", "ph.trash", self.trash_wanted.emit)
        self._trash.setToolTip(f"{texts.TO_TRASH} (Del)")
        self._kept = label("", "soft", wraps=True)
        self._grid = QGridLayout()

    def _arrange(self) -> None:
        page = QWidget()
        around = QVBoxLayout(page)
        spaced(around, (16, 16, 16, 16), 0)
        around.addWidget(self._nothing)
        around.addWidget(self._card)
        around.addStretch(1)
        column = QVBoxLayout(self._card)
        spaced(column, gap=12)
        for part in (self._name, self._verdict, self._pace, self._trouble):
            column.addWidget(part)
        first, others = FlowLayout(), FlowLayout()
        for act in (self._use, self._fit, self._quantize, self._measure):
            first.addWidget(act)
        for act in (self._rename, self._folder, self._copy, self._metadata, self._trash):
            others.addWidget(act)
        column.addLayout(spaced(first))
        column.addLayout(self._grid)
        column.addLayout(spaced(others))
        column.addWidget(self._kept)
        spaced(self._grid, gap=6)
        OnTheme(self._grid, lambda: self._grid.setHorizontalSpacing(theme.px(16)))
        self._grid.setColumnStretch(1, 1)
        self.hold(page)

    def _draw_verdict(self, entry: Entry, form: Form) -> None:
        judged = form.judged.get(entry.path)
        error = entry.known.trouble.error if entry.known.trouble else judged if isinstance(judged, AppError) else None
        self._trouble.setVisible(error is not None)
        if error:
            self._trouble.show_error(error)
        self._verdict.setVisible(isinstance(judged, FitHere) and error is None)
        if isinstance(judged, FitHere):
            self._verdict.show_verdict(judged.verdict, judged.sentence, has_gpu=form.has_gpu)
        self._pace.setText(_pace_text(entry, form))
        self._pace.setVisible(bool(self._pace.text()) and error is None)

    def _draw_actions(self, entry: Entry) -> None:
        is_model = entry.known.kind is Kind.MODEL
        for one in (self._use, self._fit, self._quantize, self._measure):
            one.setVisible(is_model and not entry.is_broken)
        self._metadata.setVisible(not entry.is_broken)
        self._trash.setVisible(entry.is_own)

    def _draw_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        self._shown = facts
        while (item := self._grid.takeAt(0)) is not None:
            if widget := item.widget():
                widget.setParent(None)
                widget.deleteLater()
        for row, (name, value) in enumerate(facts):
            self._put(label(name, "soft"), row, 0)
            is_copied = name in texts.COPIED_FACTS
            self._put(_value(name, value, is_copied=is_copied), row, 1, 1 if is_copied else 2)
            if is_copied:
                self._put(self._copy_button(name, value), row, 2)

    def _put(self, widget: QWidget, row: int, column: int, width: int = 1) -> None:
        """Into the grid, and shown at once: a layout would do that only in a moment."""
        self._grid.addWidget(widget, row, column, 1, width, Qt.AlignmentFlag.AlignTop)
        widget.show()

    def _copy_button(self, name: str, value: str) -> QToolButton:
        made = icon_button(f"Copy {name}", "ph.copy", lambda: self.words_copied.emit(value))
        made.setObjectName("copy")
        return made


def _value(name: str, value: str, *, is_copied: bool) -> QLabel:
    """A value; a long word may break in its middle, and then there is a button to copy it or nothing to copy."""
    shown = breakable(value, _HASH_WORD if is_copied and "/" not in value and "\\" not in value else _LONG_WORD)
    made = label(shown, wraps=True, selectable=not is_copied and shown == value)
    made.setAccessibleName(f"{name}: {value}")
    return made


def breakable(value: str, most: int = _LONG_WORD) -> str:
    """A text that a label may break within its long words, too: after a sign, or after so many letters."""
    return _SPACE.join(_in_pieces(word, most) for word in value.split(_SPACE))


def _in_pieces(word: str, most: int) -> str:
    if len(word) <= most:
        return word
    pieces, piece = list[str](), ""
    for one in word:
        piece += one
        if one in _SIGNS or len(piece) >= most:
            pieces.append(piece)
            piece = ""
    return _BREAK.join([*pieces, piece]).removesuffix(_BREAK)


def _pace_text(entry: Entry, form: Form) -> str:
    judged = form.judged.get(entry.path)
    if isinstance(judged, FitHere):
        return f"{judged.pace} expected." if judged.pace else ""
    if entry.known.kind is not Kind.MODEL:
        return f"This is a {KINDS[entry.known.kind]}: it is loaded with the model that it belongs to."
    return texts.JUDGING.capitalize() if form.is_judging and judged is None and entry.is_usable else ""
