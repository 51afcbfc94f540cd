"""The load dialog: which model, how long a context, which layers where, and what that comes to on this machine."""

from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QBoxLayout,
    QButtonGroup,
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from carryon.app.host import LoadWish
from carryon.app.models import ModelFile
from carryon.app.services import Services
from carryon.hardware.machine import Machine
from carryon.ui import theme
from carryon.ui.drop import let_models_through, model_in
from carryon.ui.loading import texts
from carryon.ui.loading.fields import ContextField, KvField, together
from carryon.ui.loading.fit_card import FitCard
from carryon.ui.loading.form import Check, Form, NoOffload
from carryon.ui.loading.model_list import ModelList
from carryon.ui.loading.presenter import LoadPresenter
from carryon.ui.metering import Metering, metering
from carryon.ui.widgets.controls import buddy, button, hairline, label, rename
from carryon.ui.widgets.folding_row import FoldingRow
from carryon.ui.widgets.layers_slider import LayersField
from carryon.ui.widgets.reason_card import Action, ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import laid_out_once, sized, spaced
from carryon.ui.widgets.steady_label import SteadyLabel

_SIDE_BY_SIDE_PX = 820  # from this width on, choices and their consequences stand beside each other
_CONFIRM_AFTER_MS = 700  # of rest, before the engine is asked to plan what is shown


class LoadDialog(QDialog):
    """Draws the form and passes every choice on; the presenter decides."""

    file_wanted = Signal()  # a file dialog, please
    log_wanted = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None, meter: Metering = metering) -> None:
        super().__init__(parent)
        self.setWindowTitle(texts.TITLE)
        self.setModal(True)
        self.setAcceptDrops(True)
        self._is_drawing = False
        self._rest = QTimer(self, singleShot=True, interval=_CONFIRM_AFTER_MS)
        self._make_controls()
        self._arrange()
        let_models_through(self)
        sized(self, 980, 740)
        self.presenter = LoadPresenter(services, self, meter)
        self._rest.timeout.connect(lambda: self.presenter.confirm())

    def open_with(self, file: ModelFile | None = None, wish: LoadWish | None = None) -> None:
        """Shows the dialog, with this model chosen if one is given, or as a wish has it."""
        self.presenter.open(file, wish)
        self.open()
        self._models.setFocus()

    def open_path(self, path: Path) -> None:
        """Shows the dialog with a file from the disk."""
        if not self.isVisible():
            self.open_with()
        self.presenter.choose_path(path)
        self.raise_()
        self._load.setFocus()

    def set_machine(self, machine: Machine | None) -> None:
        """What the engine can use of this machine."""
        self.presenter.set_machine(machine)

    def show_form(self, form: Form) -> None:
        """Draws everything anew; signals of the drawing itself are not choices."""
        self._is_drawing = True
        try:
            with laid_out_once(self._fit, self._choices_card):
                self._draw(form)
        finally:
            self._is_drawing = False
        self._rest.start()

    def _draw(self, form: Form) -> None:
        self._models.show_entries(form.entries, form.file)
        self._draw_facts(form)
        self._draw_context(form)
        self._draw_layers(form)
        self._fit.show_form(form)
        self._draw_error(form)
        self._draw_foot(form)

    def close_after_load(self) -> None:
        """The model answers: nothing more to do here."""
        self.accept()

    def done(self, result: int) -> None:
        """Closing hides the dialog; a load that runs goes on and shows in the model button."""
        self._rest.stop()
        self.presenter.close()
        super().done(result)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_wide = self.width() >= theme.px(_SIDE_BY_SIDE_PX)
        direction = QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom
        if self._columns.direction() != direction:
            self._columns.setDirection(direction)
            self._draw_foot(self.presenter.form)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if model_in(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = model_in(event.mimeData())
        if path:
            event.acceptProposedAction()
            self.open_path(path)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter presses the button that has the focus, and loads from anywhere else; Ctrl+O opens a file."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            focused = self.focusWidget()
            (focused if isinstance(focused, QAbstractButton) else self._load).click()
        elif event.key() == Qt.Key.Key_O and event.modifiers() == Qt.KeyboardModifier.ControlModifier:
            self.file_wanted.emit()
        else:
            super().keyPressEvent(event)

    def _make_controls(self) -> None:
        self._models = ModelList()
        self._models.chosen.connect(self._chose)
        self._models.activated_model.connect(lambda: self.presenter.load())
        self._facts = label("", "soft", wraps=True, selectable=True)
        self._context = ContextField()
        self._context.changed.connect(self._typed_context)
        self._context_note = SteadyLabel("soft")
        self._kv = KvField()
        self._kv.chosen.connect(lambda kv_type: self.presenter.set_kv(kv_type))
        self._automatic, self._manual = QRadioButton(texts.AUTOMATIC), QRadioButton(texts.MANUAL)
        self._modes = QButtonGroup(self)
        for one in (self._automatic, self._manual):
            self._modes.addButton(one)
        self._manual.toggled.connect(self._changed_mode)
        self._mode_note = label("", "soft", wraps=True)
        self._layers = LayersField(texts.GPU_LAYERS, texts.CPU_ONLY, texts.ALL_ON_GPU)
        self._layers.moved.connect(lambda layers: self.presenter.set_layers(layers))
        self._experts = LayersField(texts.EXPERTS, texts.ALL_ON_GPU_TOO, texts.NONE_ON_GPU)
        self._experts.moved.connect(lambda layers: self.presenter.set_experts(layers))
        self._offload_note = label("", "soft", wraps=True)
        self._fit_title = label(texts.FIT_TITLE, "soft")
        self._fit = FitCard()
        self._fit.repair_wanted.connect(lambda repair: self.presenter.apply(repair))
        self._card: ReasonCard | None = None
        self._make_foot_controls()

    def _make_foot_controls(self) -> None:
        self._progress = QProgressBar()
        self._progress.setAccessibleName("How much of the model is loaded")
        self._progress.setTextVisible(False)
        self._foot_text = SteadyLabel()
        self._kept = QCheckBox(texts.REMEMBER)
        self._kept.toggled.connect(self._changed_kept)
        self._copy = button(texts.COPY_COMMAND, "quiet", icon="ph.terminal-window", on_click=self._copy_command)
        self._load = button(texts.LOAD, "primary", on_click=lambda: self.presenter.load())
        self._stop = button(texts.STOP, on_click=lambda: self.presenter.stop_loading())
        self._cancel = button(texts.CANCEL, on_click=self.reject)

    def _arrange(self) -> None:
        outer = QVBoxLayout(self)
        spaced(outer, gap=0)
        scroll = self._scroll = Scroll()
        page = QWidget()
        self._body = QVBoxLayout(page)
        spaced(self._body, (24, 20, 24, 16), 8)
        self._fill_body()
        scroll.hold(page)
        outer.addWidget(scroll, 1)
        outer.addWidget(hairline())
        outer.addWidget(self._foot())

    def _fill_body(self) -> None:
        open_file = button(texts.OPEN_FILE, icon="ph.folder-open", on_click=self.file_wanted.emit)
        self._body.addLayout(FoldingRow(label(texts.TITLE, "title"), open_file))
        self._card_place = QVBoxLayout()
        self._body.addLayout(spaced(self._card_place))
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        left = QVBoxLayout()
        spaced(left, gap=8)
        left.addWidget(buddy(texts.MODEL, self._models))
        left.addWidget(self._models)
        left.addWidget(self._choices())
        left.addStretch(1)
        right = QVBoxLayout()
        right.addWidget(self._fit_title)
        right.addWidget(self._fit)
        right.addStretch(1)
        self._columns.addLayout(left, 1)
        self._columns.addLayout(spaced(right, gap=8), 1)
        self._body.addLayout(spaced(self._columns, gap=16))
        self._body.addStretch(1)

    def _choices(self) -> QFrame:
        self._choices_card = QFrame()
        self._choices_card.setObjectName("card")
        column = QVBoxLayout(self._choices_card)
        spaced(column, (16, 12, 16, 14), 8)
        column.addWidget(self._facts)
        column.addWidget(hairline())
        column.addLayout(FoldingRow(buddy(texts.CONTEXT, self._context, "heading"), self._context))
        column.addWidget(self._context_note)
        column.addLayout(FoldingRow(buddy(texts.KV, self._kv, "heading"), self._kv))
        column.addWidget(hairline())
        self._mode = QWidget()
        self._mode.setLayout(FoldingRow(label(texts.MODE, "heading"), together(self._automatic, self._manual)))
        column.addWidget(self._mode)
        column.addWidget(self._mode_note)
        column.addWidget(self._layers)
        column.addWidget(self._experts)
        column.addWidget(self._offload_note)
        column.addWidget(hairline())
        column.addLayout(FoldingRow(self._kept, self._copy))
        return self._choices_card

    def _foot(self) -> QFrame:
        foot = QFrame()
        foot.setObjectName("foot")
        words = QVBoxLayout()
        words.addStretch(1)
        words.addWidget(self._foot_text)
        words.addWidget(self._progress)
        words.addStretch(1)
        row = QHBoxLayout(foot)
        spaced(row, (24, 12, 24, 14), 8)
        row.addLayout(spaced(words, gap=6), 1)
        for one in (self._cancel, self._stop, self._load):
            row.addWidget(one)
        return foot

    def _chose(self, file: ModelFile) -> None:
        if not self._is_drawing:
            self.presenter.choose(file)

    def _typed_context(self, text: str) -> None:
        if not self._is_drawing:
            self.presenter.set_context(text)

    def _changed_mode(self, is_manual: bool) -> None:
        if not self._is_drawing:
            self.presenter.set_manual(is_manual)

    def _changed_kept(self, is_kept: bool) -> None:
        if not self._is_drawing:
            self.presenter.set_kept(is_kept)

    def _copy_command(self) -> None:
        QGuiApplication.clipboard().setText(self.presenter.command())
        self._copy.setText(f"  {texts.COPIED}")
        QTimer.singleShot(2000, self._copy, lambda: self._copy.setText(f"  {texts.COPY_COMMAND}"))

    def _draw_facts(self, form: Form) -> None:
        if form.facts:
            self._facts.setText(texts.facts_text(form.facts))
        else:
            self._facts.setText("" if form.error else texts.READING)
        is_readable = form.facts is not None or form.error is None
        self._choices_card.setVisible(is_readable)
        self._fit.setVisible(is_readable)
        self._fit_title.setVisible(is_readable)

    def _draw_context(self, form: Form) -> None:
        trained = form.facts.n_ctx_train if form.facts else 0
        self._context.show_steps(form.contexts, trained, form.n_ctx)
        self._context.setEnabled(form.can_choose)
        self._context_note.show_words(texts.context_note(form))
        is_warning = form.is_above_trained or (form.facts is not None and form.n_ctx is None)
        rename(self._context_note, "warn" if is_warning else "soft")
        self._kv.show_type(form.kv_type)
        self._kv.setEnabled(form.can_choose)

    def _draw_layers(self, form: Form) -> None:
        can_offload = form.no_offload is None and form.can_choose
        self._mode.setVisible(form.no_offload in (None, NoOffload.LOOKING))
        (self._manual if form.is_manual else self._automatic).setChecked(True)
        for control in (self._automatic, self._manual, self._layers, self._experts):
            control.setEnabled(can_offload)
        most = form.facts.n_gpu_layers_max if form.facts else 1
        tick = form.most_layers if form.facts else None
        self._layers.show_value(form.n_gpu_layers, most, texts.layers_text(form), tick, texts.tick_text(form))
        has_experts = form.has_experts and form.no_offload is None
        self._experts.setVisible(has_experts)
        if has_experts:
            tick, tick_words = form.fewest_experts, texts.fewest_text(form)
            self._experts.show_value(form.n_cpu_experts, most - 1, texts.experts_text(form), tick, tick_words)
        note = texts.mode_note(form)
        self._mode_note.setText(note)
        self._mode_note.setVisible(bool(note))
        self._offload_note.setText(texts.offload_note(form))

    def _draw_error(self, form: Form) -> None:
        if form.error is None:
            if self._card:
                self._card.hide()
            return
        actions = self._actions(form)
        if self._card is None:
            self._card = ReasonCard(form.error, actions)
            self._card_place.addWidget(self._card)
        else:
            self._card.show_error(form.error, actions)
        if self._card.isHidden() or not self._card.isVisible():
            QTimer.singleShot(0, self, self._scroll_to_card)
        self._card.show()

    def _actions(self, form: Form) -> list[Action]:
        if form.facts is None:
            again = form.file
            read_again: list[Action] = [(texts.TRY_AGAIN, lambda: self.presenter.choose(again))] if again else []
            return [(texts.CHOOSE_ANOTHER, self.file_wanted.emit), *read_again]
        log: Action = (texts.SHOW_LOG, self.log_wanted.emit)
        if form.rung and form.plan:
            return [(texts.rung_text(form.rung, form.plan), lambda: self.presenter.load_rung()), log]
        return [log]

    def _scroll_to_card(self) -> None:
        """With large text a reason could stand below what is seen."""
        if self._card:
            self._scroll.ensureWidgetVisible(self._card)

    def _draw_foot(self, form: Form) -> None:
        is_loading = form.loading is not None
        self._progress.setVisible(is_loading)
        self._stop.setVisible(is_loading)
        self._load.setVisible(not is_loading)
        self._kept.setEnabled(not is_loading)
        self._load.setEnabled(form.can_load)
        self._load.setText(texts.load_text(form))
        self._load.setAccessibleName(self._load.text())
        rename(self._load, "danger" if form.check is Check.SURE else "primary")
        self._models.setEnabled(not is_loading)
        self._kept.setChecked(form.is_kept)
        self._copy.setEnabled(form.facts is not None and form.n_ctx is not None)
        self._cancel.setText(texts.HIDE if is_loading else texts.CANCEL)
        self._cancel.setAccessibleName(self._cancel.text())
        self._draw_progress(form)

    def _draw_progress(self, form: Form) -> None:
        is_wide = self._columns.direction() == QBoxLayout.Direction.LeftToRight
        words = texts.foot_text(form) or ("" if is_wide else texts.short_text(form))
        self._foot_text.show_words(words)
        self._foot_text.setVisible(bool(words))
        is_warning = form.check in (Check.CHANGED, Check.SURE)
        rename(self._foot_text, "warn" if is_warning else "")
        fraction = form.loading.fraction if form.loading else None
        self._progress.setRange(0, 0 if form.loading and fraction is None else 1000)
        self._progress.setValue(round((fraction or 0) * 1000))
