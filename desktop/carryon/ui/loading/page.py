"""The load dialog: which model, how long a context, how many layers on the GPU."""

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from carryon.app.models import ModelFile
from carryon.app.services import Services
from carryon.hardware.machine import Machine
from carryon.ui import theme
from carryon.ui.drop import let_models_through, model_in
from carryon.ui.loading import texts
from carryon.ui.loading.model_list import ModelList
from carryon.ui.loading.presenter import Form, LoadPresenter, parsed_context
from carryon.ui.widgets.controls import NumberField, buddy, button, hairline, label
from carryon.ui.widgets.reason_card import Action, ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, sized, spaced


class LoadDialog(QDialog):
    """Draws the form and passes every choice on; the presenter decides."""

    file_wanted = Signal()  # a file dialog, please
    log_wanted = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(texts.TITLE)
        self.setModal(True)
        self.setAcceptDrops(True)
        self._machine: Machine | None = None
        self._is_drawing = False
        self._make_controls()
        self._arrange()
        let_models_through(self)
        sized(self, 640, 650)
        self.presenter = LoadPresenter(services.home, services.settings, services.runner, services.host, self)

    def open_with(self, file: ModelFile | None = None) -> None:
        """Shows the dialog, with this model chosen if one is given."""
        self.presenter.open(file)
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
        self._machine = machine
        self.presenter.set_machine(machine)

    def show_form(self, form: Form) -> None:
        """Draws everything anew; signals of the drawing itself are not choices."""
        self._is_drawing = True
        try:
            self._models.show_entries(form.entries, form.file)
            self._draw_facts(form)
            self._draw_context(form)
            self._draw_layers(form)
            self._draw_error(form)
            self._draw_loading(form)
        finally:
            self._is_drawing = False

    def close_after_load(self) -> None:
        """The model answers: nothing more to do here."""
        self.accept()

    def done(self, result: int) -> None:
        """Closing hides the dialog; a load that runs goes on and shows in the model button."""
        self.presenter.close()
        super().done(result)

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
        self._context = _ContextField()
        self._context.changed.connect(self._typed_context)
        self._context_note = label("", "soft", wraps=True)
        self._slider = _LayerSlider()
        self._slider.setAccessibleName(texts.GPU_LAYERS.replace("&", ""))
        self._layers = NumberField("GPU layers as a number")
        self._slider.valueChanged.connect(self._moved_layers)
        self._layers.valueChanged.connect(self._moved_layers)
        self._layers_text = label("", "heading")
        self._offload_note = label("", "soft", wraps=True)
        self._card: ReasonCard | None = None
        self._progress = QProgressBar()
        self._progress.setAccessibleName("How much of the model is loaded")
        self._progress.setTextVisible(False)
        self._progress_text = label("", wraps=True)
        self._load = button(texts.LOAD, "primary", on_click=lambda: self.presenter.load())
        self._stop = button(texts.STOP, on_click=lambda: self.presenter.stop_loading())
        self._cancel = button(texts.CANCEL, on_click=self.reject)

    def _arrange(self) -> None:
        outer = QVBoxLayout(self)
        spaced(outer)
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
        head = QHBoxLayout()
        head.addWidget(label(texts.TITLE, "title"))
        head.addStretch(1)
        head.addWidget(open_file)
        self._body.addLayout(spaced(head))
        self._body.addWidget(buddy(texts.MODEL, self._models))
        self._body.addWidget(self._models)
        self._card_place = QVBoxLayout()
        self._body.addLayout(spaced(self._card_place))
        self._choices = QFrame()
        self._choices.setObjectName("card")
        column = QVBoxLayout(self._choices)
        spaced(column, (16, 12, 16, 14), 8)
        column.addWidget(self._facts)
        column.addWidget(hairline())
        self._fill_choices(column)
        self._body.addWidget(self._choices)
        self._body.addStretch(1)

    def _fill_choices(self, column: QVBoxLayout) -> None:
        context_label = buddy(texts.CONTEXT, self._context, "heading")
        column.addLayout(_row(context_label, None, self._context))
        column.addWidget(self._context_note)
        column.addWidget(hairline())
        layers_label = buddy(texts.GPU_LAYERS, self._slider, "heading")
        column.addLayout(_row(layers_label, None, self._layers_text, self._layers))
        column.addWidget(self._slider)
        column.addLayout(_row(label(texts.CPU_ONLY, "soft"), None, label(texts.ALL_ON_GPU, "soft")))
        column.addWidget(self._offload_note)

    def _foot(self) -> QFrame:
        foot = QFrame()
        foot.setObjectName("foot")
        words = QVBoxLayout()
        words.addWidget(self._progress_text)
        words.addWidget(self._progress)
        row = QHBoxLayout(foot)
        spaced(row, (24, 12, 24, 16), 8)
        row.addLayout(spaced(words, gap=6), 1)
        row.addWidget(self._cancel)
        row.addWidget(self._stop)
        row.addWidget(self._load)
        return foot

    def _chose(self, file: ModelFile) -> None:
        if not self._is_drawing:
            self.presenter.choose(file)

    def _typed_context(self, text: str) -> None:
        if not self._is_drawing:
            self.presenter.set_context(text)

    def _moved_layers(self, n_gpu_layers: int) -> None:
        if not self._is_drawing:
            self.presenter.set_layers(n_gpu_layers)

    def _draw_facts(self, form: Form) -> None:
        if form.facts:
            self._facts.setText(texts.facts_text(form.facts))
        else:
            self._facts.setText("" if form.error else texts.READING)

    def _draw_context(self, form: Form) -> None:
        trained = form.facts.n_ctx_train if form.facts else 0
        self._context.show_steps(form.contexts, trained, form.n_ctx)
        self._context.setEnabled(form.facts is not None and form.loading is None)
        self._context_note.setText(texts.context_note(form))
        is_warning = form.is_above_trained or (form.facts is not None and form.n_ctx is None)
        _rename(self._context_note, "warn" if is_warning else "soft")

    def _draw_layers(self, form: Form) -> None:
        most = form.facts.n_gpu_layers_max if form.facts else 1
        for control in (self._slider, self._layers):
            control.setRange(0, most)
            control.setValue(form.n_gpu_layers)
            control.setEnabled(form.no_offload is None and form.facts is not None and form.loading is None)
        self._choices.setVisible(form.facts is not None or form.error is None)
        self._slider.setAccessibleDescription(texts.layers_text(form))
        self._layers_text.setText(texts.layers_text(form))
        self._offload_note.setText(texts.offload_note(form, self._machine))

    def _draw_error(self, form: Form) -> None:
        if form.error is None:
            if self._card:
                self._card.hide()
            return
        actions: list[Action] = [(texts.CHOOSE_ANOTHER, self.file_wanted.emit)]
        if form.facts:
            actions = [(texts.SHOW_LOG, self.log_wanted.emit)]
        elif form.file:
            actions.append((texts.TRY_AGAIN, partial(self.presenter.choose, form.file)))
        if self._card is None:
            self._card = ReasonCard(form.error, actions)
            self._card_place.addWidget(self._card)
        else:
            self._card.show_error(form.error, actions)
        if not self._card.isVisible():
            QTimer.singleShot(0, self, self._scroll_to_card)
        self._card.show()

    def _scroll_to_card(self) -> None:
        """With large text a reason could stand below what is seen."""
        if self._card:
            self._scroll.ensureWidgetVisible(self._card)

    def _draw_loading(self, form: Form) -> None:
        is_loading = form.loading is not None
        for widget in (self._progress, self._progress_text, self._stop):
            widget.setVisible(is_loading)
        self._load.setVisible(not is_loading)
        self._load.setEnabled(form.can_load)
        self._models.setEnabled(not is_loading)
        self._cancel.setText(texts.HIDE if is_loading else texts.CANCEL)
        self._cancel.setAccessibleName(self._cancel.text())
        self._progress_text.setText(texts.loading_text(form))
        fraction = form.loading.fraction if form.loading else None
        self._progress.setRange(0, 0 if is_loading and fraction is None else 1000)
        self._progress.setValue(round((fraction or 0) * 1000))


class _LayerSlider(QSlider):
    """Arrow keys move by one layer, page keys by a quarter; the wheel only scrolls the page."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def setRange(self, low: int, high: int) -> None:
        super().setRange(low, high)
        self.setPageStep(max(1, high // 4))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class _ContextField(QComboBox):
    """Round steps to pick, and any number to type."""

    changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setAccessibleName(texts.CONTEXT.replace("&", ""))
        OnTheme(self, lambda: self.setMinimumWidth(theme.px(216)))
        self._steps: tuple[int, ...] = ()
        line = self.lineEdit()
        assert line
        line.textEdited.connect(self.changed)
        self.activated.connect(lambda index: self.changed.emit(str(self._steps[index])))

    def show_steps(self, steps: tuple[int, ...], n_ctx_train: int, n_ctx: int | None) -> None:
        """Offers `steps`; what is being typed is left alone."""
        if steps != self._steps:
            self._steps = steps
            self.clear()
            self.addItems([texts.context_item(step, n_ctx_train) for step in steps])
        typed = self.currentText().removesuffix(texts.TRAINED_MARK)
        if n_ctx is None or parsed_context(typed) == n_ctx:
            return
        self.setEditText(texts.context_item(n_ctx, n_ctx_train))
        line = self.lineEdit()
        assert line
        line.setCursorPosition(0)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


def _row(*widgets: QWidget | None) -> QHBoxLayout:
    """Side by side; None is the space that stretches."""
    row = QHBoxLayout()
    spaced(row, gap=12)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget)
    return row


def _rename(widget: QLabel | QPushButton, name: str) -> None:
    """Another object name, and the look that goes with it."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
