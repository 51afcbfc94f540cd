"""The third step: which types are made, where the files go, and how."""

from functools import partial
from pathlib import Path

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from carryon.ui import quant_rows, theme
from carryon.ui.widgets.controls import buddy, button, label, plain_tip, rename
from carryon.ui.widgets.elided_label import ElidedLabel
from carryon.ui.widgets.folding_row import FoldingRow
from carryon.ui.widgets.meters import Gauge
from carryon.ui.widgets.quant_table import card_of
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, laid_out_once, spaced
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.workshop import texts
from carryon.ui.workshop.cards import around_of, card_with, column_of
from carryon.ui.workshop.form import Form, Matrix
from carryon.ui.workshop.targets_table import TargetsTable

_NAMED_PX = 132  # the words before the fields, so that the fields stand under each other
_COMBO_PX = 300


class TargetsView(Scroll):
    """Draws the table and the choices; says what is another one now."""

    ticked = Signal(str, bool)
    looked_at = Signal(str)
    all_wanted = Signal(bool)
    changed = Signal(object)  # a dict of `Choices` fields
    folder_dialog_wanted = Signal()
    matrix_dialog_wanted = Signal(object)  # a Matrix
    matrix_removed = Signal()
    text_dialog_wanted = Signal()
    command_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._is_drawing = False
        self._shows_all = False
        self._make_parts()
        self._arrange()
        self._connect()
        self.setFocusProxy(self.table)

    def show_form(self, form: Form) -> None:
        """Draws everything."""
        with laid_out_once(*around_of(self)):
            self._draw(form)

    def _draw(self, form: Form) -> None:
        self._is_drawing = True
        self._error.setVisible(form.order_error is not None)
        if form.order_error is not None:
            self._error.show_error(form.order_error)
        self._draw_table(form)
        self._draw_output(form)
        self._draw_options(form)
        self._draw_disk(form)
        self._is_drawing = False

    def _draw_table(self, form: Form) -> None:
        fit = next((one.fit for one in form.targets if one.fit), None)
        header = quant_rows.memory_header(fit.placement.n_ctx if fit else None)
        has_gpu = bool(fit and fit.need.gpus)
        self.table.show_rows(texts.rows(form), header, form.current, has_gpu=has_gpu)
        locked = [one.quant for one in form.targets if not form.can_make(one)]
        self.table.show_ticks(form.choices.quants, locked)
        self._about_row.show_words(texts.current_text(form))
        self._shows_all = form.shows_all
        self.more.setText(texts.more_text(form))
        self.more.setAccessibleName(texts.more_text(form))
        self.more.setVisible(texts.n_folded(form) > 0)
        self._context.setCurrentIndex(texts.CONTEXTS.index(form.choices.n_ctx))
        self._working.setVisible(form.is_inspecting)

    def _draw_output(self, form: Form) -> None:
        if self.name.text().strip() != form.choices.name.strip():
            self.name.setText(form.choices.name)
        self._folder.show_words(str(form.choices.folder))
        self._folder.setToolTip(plain_tip(str(form.choices.folder)))

    def _draw_options(self, form: Form) -> None:
        choices = form.choices
        self.keep.setText(texts.middle_text(form))
        self.keep.setChecked(choices.keeps_middle)
        self.keep.setVisible(not form.is_from_gguf)
        self.keep.setEnabled(bool(form.middle_bytes))
        self._matrix.setCurrentIndex(list(Matrix).index(choices.matrix))
        _show_path(self._matrix_path, choices.matrix_path)
        self.measure.setChecked(choices.measures)
        self._text.setCurrentIndex(int(choices.text is not None))
        self._text_row.setVisible(choices.measures)
        _show_path(self._text_path, choices.text if choices.measures else None)
        self._again_card.setVisible(form.is_quantized_already)
        self.requantize.setChecked(choices.requantizes)

    def _draw_disk(self, form: Form) -> None:
        self._disk.show_words(texts.disk_text(form))
        self.command.setEnabled(bool(form.chosen))
        is_full = bool(form.missing_bytes)
        rename(self._disk, "bad" if is_full else "soft")
        share = None if not form.free_bytes else form.needed_bytes / form.free_bytes
        self._gauge.show_fraction(share)

    def _make_parts(self) -> None:
        self.table = TargetsTable()
        self._about_row = SteadyLabel("soft")
        self.more = button("", "link")
        self._context = _combo([texts.context_choice(one) for one in texts.CONTEXTS], texts.CONTEXT)
        self._working = label(texts.WORKING_OUT, "soft")
        self.name = QLineEdit()
        self.name.setMaxLength(200)
        self._folder = ElidedLabel("", mode=Qt.TextElideMode.ElideMiddle)
        self.choose_folder = button(texts.CHOOSE_OUTPUT, icon="ph.folder-open")
        self.choose_folder.setAccessibleName(texts.OUTPUT_TITLE)
        self.keep, self.measure = QCheckBox(texts.KEEP_MIDDLE), QCheckBox(texts.MEASURE)
        self._matrix = _combo(list(texts.MATRICES.values()), texts.MATRIX)
        self._matrix_path, self._text_path = _path_label(), _path_label()
        self._text = _combo(list(texts.TEXTS), texts.TEXT_NAME)
        self.requantize = QCheckBox(texts.REQUANTIZE)
        self._gauge, self._disk = Gauge(), SteadyLabel("soft")
        self.command = button(texts.COPY_COMMAND, "link", on_click=self.command_wanted.emit)
        self._error = ReasonCard(texts.NOTHING_WRONG)

    def _arrange(self) -> None:
        column = column_of(self)
        context = QWidget()
        line = QHBoxLayout(context)
        spaced(line, gap=10)
        line.addLayout(FoldingRow(buddy(texts.CONTEXT, self._context), self._context))
        line.addWidget(self._working)
        line.addStretch(1)
        self._again_card = card_with("", label(texts.REQUANTIZE_NOTE, wraps=True), self.requantize)
        rename(self._again_card, "notice")
        for part in (self._error, self._again_card, context, card_of(self.table, self._about_row, self.more)):
            column.addWidget(part)
        column.addWidget(self._output_card())
        column.addWidget(self._options_card())
        column.addStretch(1)

    def _output_card(self) -> QFrame:
        folder = QWidget()
        line = QHBoxLayout(folder)
        spaced(line, gap=10)
        line.addWidget(self._folder, 1)
        line.addWidget(self.choose_folder)
        OnTheme(self._gauge, lambda: self._gauge.setFixedWidth(theme.px(120)))
        disk = QWidget()
        row = QHBoxLayout(disk)
        spaced(row, gap=10)
        row.addWidget(self._gauge)
        row.addWidget(self._disk, 1, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.command)
        return card_with(
            "", _named(buddy(texts.NAME, self.name), self.name), _named(label(texts.FOLDER, "soft"), folder), disk
        )

    def _options_card(self) -> QFrame:
        self._text_row = _named(buddy(texts.TEXT_NAME, self._text), self._text, grows=False)
        return card_with(
            texts.OPTIONS,
            _named(buddy(texts.MATRIX, self._matrix), self._matrix, grows=False),
            self._matrix_path,
            label(texts.MATRIX_NOTE, "soft", wraps=True),
            self.measure,
            label(texts.MEASURE_NOTE, "soft", wraps=True),
            self._text_row,
            self._text_path,
            self.keep,
        )

    def _connect(self) -> None:
        self.table.ticked.connect(self.ticked)
        self.table.chosen.connect(self.looked_at)
        self.table.row_seen.connect(self._show_row)
        self.more.clicked.connect(lambda: self.all_wanted.emit(not self._shows_all))
        self._context.activated.connect(lambda place: self._change(n_ctx=texts.CONTEXTS[place]))
        self.name.textEdited.connect(lambda text: self._change(name=text))
        self.choose_folder.clicked.connect(lambda: self.folder_dialog_wanted.emit())
        self._matrix.activated.connect(self._matrix_chosen)
        self._text.activated.connect(self._text_chosen)
        for box, field in ((self.keep, "keeps_middle"), (self.measure, "measures"), (self.requantize, "requantizes")):
            box.toggled.connect(partial(self._toggled, field))

    def _toggled(self, field: str, is_on: bool) -> None:
        self._change(**{field: is_on})

    def _matrix_chosen(self, place: int) -> None:
        """Files are asked for at once; none takes the old one away."""
        matrix = list(Matrix)[place]
        if matrix is Matrix.NONE:
            self.matrix_removed.emit()
        else:
            self.matrix_dialog_wanted.emit(matrix)

    def _text_chosen(self, place: int) -> None:
        if place:
            self.text_dialog_wanted.emit()
        else:
            self._change(text=None)

    def _change(self, **fields: object) -> None:
        if not self._is_drawing:
            self.changed.emit(fields)

    def _show_row(self, row: QRect) -> None:
        """The arrow keys may lead to a row below what is seen."""
        if content := self.widget():
            centre = self.table.viewport().mapTo(content, row.center())
            self.ensureVisible(0, centre.y(), 0, row.height())


def _named(said: QWidget, field: QWidget, *, grows: bool = True) -> QWidget:
    """A field after its words; fields of one card begin at the same place."""
    OnTheme(said, lambda: said.setMinimumWidth(theme.px(_NAMED_PX)))
    made = QWidget()
    around = QVBoxLayout(made)
    spaced(around)
    row = FoldingRow(said, field, grows=True)
    around.addLayout(row)
    if not grows:
        OnTheme(field, lambda: field.setMaximumWidth(theme.px(_COMBO_PX)))
    return made


def _combo(words: list[str], name: str) -> QComboBox:
    made = QComboBox()
    made.addItems(words)
    made.setAccessibleName(name.replace("&", ""))
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made


def _path_label() -> ElidedLabel:
    made = ElidedLabel("soft", mode=Qt.TextElideMode.ElideMiddle)
    made.hide()
    return made


def _show_path(said: ElidedLabel, path: Path | None) -> None:
    said.setVisible(path is not None)
    if path is not None:
        said.show_words(str(path))
        said.setToolTip(plain_tip(str(path)))
