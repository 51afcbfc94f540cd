"""The card of choices: which model, how long a context, where its layers go, how the cache is kept."""

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, QSize, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from carryon.fit.plan import Fit
from carryon.gguf.quants import USUAL_KV_TYPES, KvType
from carryon.ui import theme
from carryon.ui.fit import texts
from carryon.ui.fit.form import Form, Source
from carryon.ui.fit.presenter import LARGEST_CONTEXT, MOST_SLOTS, SMALLEST_CONTEXT
from carryon.ui.widgets.controls import NumberField, buddy, button, label, plain_tip
from carryon.ui.widgets.layers_slider import LayersField
from carryon.ui.widgets.pair import Pair, Row
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.steps_slider import TokensField, context_steps

_NARROW_PX = 680  # below it the sliders stand under each other
_KV_TYPES = (None, *USUAL_KV_TYPES, *(one for one in KvType if one not in USUAL_KV_TYPES))


class ChoicesCard(QFrame):
    """Says what was chosen; the presenter decides."""

    source_chosen = Signal(object)
    file_wanted = Signal()
    hub_wanted = Signal()
    sizes_wanted = Signal()
    context_chosen = Signal(object)  # tokens, or None for the plan's choice
    layers_chosen = Signal(object)  # the same
    experts_chosen = Signal(object)
    kv_chosen = Signal(object)
    slots_chosen = Signal(int)
    reset_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName("What is asked")
        self._sources: tuple[Source, ...] = ()
        self._is_drawing = False
        self._context_asked: object = None
        self._refused = ""  # what is said of a context that cannot be, until another one is chosen
        self._make_controls()
        self._arrange()
        self.setFocusProxy(self._models)

    def show_form(self, form: Form) -> None:
        """Draws the choices; signals of the drawing itself are not choices."""
        self._is_drawing = True
        self._draw_model(form)
        self._asked.setVisible(form.fit is not None)
        if form.fit:
            self._draw_context(form, form.fit)
            self._draw_layers(form, form.fit)
            self._draw_cache(form, form.fit)
        self._facts_row.setVisible(form.source is not None)
        self._reset.setVisible(not form.is_automatic)
        self._is_drawing = False

    @property
    def containers(self) -> tuple[QWidget, ...]:
        """The widgets whose layout waits until everything is drawn."""
        return self, self._asked

    def _draw_model(self, form: Form) -> None:
        if form.sources != self._sources:
            self._sources = form.sources
            with QSignalBlocker(self._models):
                self._models.clear()
                self._models.addItems([texts.source_text(one) for one in form.sources])
                self._models.setCurrentIndex(-1)
        chosen = form.sources.index(form.source) if form.source in form.sources else -1
        if chosen != self._models.currentIndex():
            self._models.setCurrentIndex(chosen)
        self._models.setToolTip(plain_tip(self._models.currentText()))
        self._facts.setText(texts.facts_text(form))
        self._facts.setVisible(bool(self._facts.text()))

    def _draw_context(self, form: Form, fit: Fit) -> None:
        self._context.show_value(context_steps(form.n_ctx_train), fit.placement.n_ctx)
        if (form.wishes.n_ctx, form.source) != self._context_asked:
            self._context_asked, self._refused = (form.wishes.n_ctx, form.source), ""
        note = self._refused or texts.context_note(form)
        self._context_note.setText(note)
        self._context_note.setVisible(bool(note))

    def _draw_layers(self, form: Form, fit: Fit) -> None:
        shape, placed, can_offload = fit.candidate.shape, fit.placement, texts.has_gpu(form)
        words, tick = texts.layers_text(form), form.most_layers if can_offload else None
        self._layers.show_value(placed.n_gpu_layers, shape.n_gpu_layers_max, words, tick, texts.tick_text(form))
        self._layers.setEnabled(can_offload)
        self._experts.setVisible(shape.is_moe and can_offload)
        if shape.is_moe:
            self._experts.show_value(placed.n_cpu_experts, shape.n_layers, texts.experts_text(fit))
        self._automatic.setChecked(form.wishes.n_gpu_layers is None and form.wishes.n_cpu_experts is None)
        self._automatic.setVisible(can_offload)

    def _draw_cache(self, form: Form, fit: Fit) -> None:
        chosen = fit.placement.kv_type if form.wishes.kv_type is None else None
        if self._kv.itemText(0) != texts.kv_text(None, chosen):
            self._kv.setItemText(0, texts.kv_text(None, chosen))
        self._kv.setCurrentIndex(_KV_TYPES.index(form.wishes.kv_type))
        self._slots.setValue(form.wishes.n_parallel)

    def _make_controls(self) -> None:
        self._models = _Combo(texts.MODEL, 12)
        self._models.setPlaceholderText(texts.NO_MODEL)
        self._models.activated.connect(lambda index: self.source_chosen.emit(self._sources[index]))
        self._facts = label("", "soft", wraps=True, selectable=True)
        self._context = TokensField(texts.CONTEXT, (SMALLEST_CONTEXT, LARGEST_CONTEXT))
        self._context.moved.connect(self.context_chosen.emit)
        self._context.refused.connect(self._refuse_context)
        self._context_note = label("", "warn", wraps=True)
        self._layers = LayersField(texts.GPU_LAYERS, texts.CPU_ONLY, texts.ALL_ON_GPU)
        self._layers.moved.connect(self.layers_chosen.emit)
        self._experts = LayersField(texts.EXPERTS, texts.ALL_ON_GPU, texts.ALL_IN_RAM)
        self._experts.moved.connect(self.experts_chosen.emit)
        self._automatic = QCheckBox(texts.LAYERS_AUTOMATIC)
        self._automatic.setAccessibleName(texts.LAYERS_AUTOMATIC.replace("&", ""))
        self._automatic.toggled.connect(self._automatic_turned)
        self._kv = _Combo(texts.KV_CACHE, 14)
        self._kv.addItems([texts.kv_text(one, None) for one in _KV_TYPES])
        self._kv.activated.connect(lambda index: self.kv_chosen.emit(_KV_TYPES[index]))
        self._slots = NumberField("Parallel slots")
        self._slots.setRange(1, MOST_SLOTS)
        self._slots.valueChanged.connect(self._unless_drawing(self.slots_chosen.emit))
        self._reset = button(texts.RESET, "link", on_click=self.reset_wanted.emit)
        keeps = self._reset.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)  # else the slider moves away from under the mouse that has just moved it
        self._reset.setSizePolicy(keeps)

    def _arrange(self) -> None:
        self._asked = QWidget()
        column = QVBoxLayout(self._asked)
        spaced(column, gap=10)
        column.addWidget(Pair(self._context, self._layers, narrow_px=_NARROW_PX, gap=40))
        column.addWidget(self._context_note)
        column.addWidget(self._experts)
        column.addWidget(self._last_row())
        self._facts_row = self._make_facts_row()
        outer = QVBoxLayout(self)
        spaced(outer, (18, 16, 18, 16), 10)
        outer.addWidget(self._model_row())
        outer.addWidget(self._facts_row)
        outer.addWidget(self._asked)

    def _model_row(self) -> QWidget:
        model = _side_by_side(buddy(texts.MODEL, self._models, "heading"), self._models)
        buttons = Row(
            button(texts.OPEN_FILE, icon="ph.folder-open", on_click=self.file_wanted.emit),
            button(texts.ASK_HUB, icon="ph.compass", on_click=self.hub_wanted.emit),
            button(texts.TYPE_SIZES, icon="ph.ruler", on_click=self.sizes_wanted.emit),
            gap=10,
        )
        self._models.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return Pair(model, buttons, narrow_px=640, gap=10, stretches=(1, 0))

    def _make_facts_row(self) -> QWidget:
        line = QWidget()
        row = QHBoxLayout(line)
        spaced(row, gap=16)
        row.addWidget(self._facts, 1)
        row.addWidget(self._reset)
        return line

    def _last_row(self) -> QWidget:
        cache = _side_by_side(buddy(texts.KV_CACHE, self._kv, ""), self._kv)
        slots = _side_by_side(buddy(texts.SLOTS, self._slots, ""), self._slots)
        return Row(cache, slots, _side_by_side(self._automatic), gap=24)

    def _refuse_context(self, typed: str) -> None:
        self._refused = texts.no_context(typed, SMALLEST_CONTEXT, LARGEST_CONTEXT)
        self._context_note.setText(self._refused)
        self._context_note.setVisible(True)

    def _automatic_turned(self, is_on: bool) -> None:
        if not self._is_drawing:
            self.layers_chosen.emit(None if is_on else self._layers.number.value())

    def _unless_drawing(self, act: Callable[[int], None]) -> Callable[[int], None]:
        return lambda value: None if self._is_drawing else act(value)


class _Combo(QComboBox):
    """A list of choices that gives way where there is little room, and that scrolling past does not change."""

    def __init__(self, text: str, n_letters: int) -> None:
        super().__init__()
        self.setAccessibleName(text.replace("&", ""))
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(n_letters)

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(110), super().minimumSizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


def _side_by_side(*widgets: QWidget) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    spaced(row, gap=10)
    for widget in widgets:
        row.addWidget(widget)
    OnTheme(line, lambda: line.setMinimumHeight(theme.px(32)))
    return line
