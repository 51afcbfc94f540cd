"""A model that does not exist yet: its sizes are typed, and it is planned for like any other."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from carryon.base.errors import AppError
from carryon.gguf.sketch import Parameters
from carryon.ui.fit import texts
from carryon.ui.widgets.controls import NumberField, buddy, button, hairline, label, rename
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import sized, spaced

MOST = 1 << 30
# The sizes of Llama-3.1-8B: a model that people know, to change from.
_FIELDS = (
    ("n_layers", "&Layers", 32), ("n_embd", "&Embedding length", 4096), ("n_heads", "&Heads", 32),
    ("n_kv_heads", "&KV heads", 8), ("head_length", "Head &size, 0 = embedding / heads", 128),
    ("n_ff", "&Feed-forward length", 14336), ("n_vocab", "&Vocabulary", 128256),
    ("n_ctx_train", "&Trained context", 131072),
)  # fmt: skip
_EXPERT_FIELDS = (
    ("n_experts", "E&xperts, 0 = none", 0), ("n_experts_used", "Experts a t&oken", 0),
    ("n_ff_expert", "Feed-forward of an ex&pert", 0), ("window", "Sliding &window, 0 = none", 0),
    ("full_every", "Ever&y so many layers see all", 0),
)  # fmt: skip


class SizesDialog(QDialog):
    """Says what was typed once it makes a model."""

    typed = Signal(object)  # Parameters

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(texts.SIZES_TITLE)
        self.setModal(True)
        self._fields: dict[str, NumberField] = {}
        self._name = QLineEdit("My model")
        self._name.textChanged.connect(self._changed)
        self._tied = QCheckBox("Output shares the embedding's weights")
        self._tied.toggled.connect(self._changed)
        self._said = label("", "soft", wraps=True, selectable=True)
        self._plan = button(texts.PLAN_FOR_IT, "primary", on_click=self._take)
        self._arrange()
        sized(self, 560, 640)
        self._changed()
        self._plan.setDefault(True)

    @property
    def parameters(self) -> Parameters:
        """What is typed. Raises BadInput where the sizes do not go together."""
        sizes = {name: field.value() for name, field in self._fields.items()}
        return Parameters(**sizes, is_tied=self._tied.isChecked(), name=self._name.text().strip() or "My model")

    def _changed(self, *_: object) -> None:
        try:
            words, mood = texts.sketch_text(self.parameters), "soft"
        except AppError as error:
            words, mood = f"{error.message} {error.hint}".strip(), "bad"
        self._said.setText(words)
        rename(self._said, mood)
        self._plan.setEnabled(mood == "soft")

    def _take(self) -> None:
        self.typed.emit(self.parameters)
        self.accept()

    def _arrange(self) -> None:
        page = QWidget()
        grid = QGridLayout(page)
        spaced(grid, (24, 20, 24, 16), 10)
        grid.setColumnStretch(0, 1)
        grid.addWidget(label(texts.SIZES_TITLE, "title"), 0, 0, 1, 2)
        grid.addWidget(label(texts.SIZES_NOTE, "soft", wraps=True), 1, 0, 1, 2)
        grid.addWidget(buddy("&Name", self._name, ""), 2, 0)
        grid.addWidget(self._name, 2, 1)
        for row, (name, text, value) in enumerate((*_FIELDS, *_EXPERT_FIELDS), 3):
            self._fields[name] = self._number(text, value)
            grid.addWidget(buddy(text, self._fields[name], ""), row, 0)
            grid.addWidget(self._fields[name], row, 1)
        grid.addWidget(self._tied, grid.rowCount(), 0, 1, 2)
        scroll = Scroll()
        scroll.hold(page)
        column = QVBoxLayout(self)
        spaced(column)
        column.addWidget(scroll, 1)
        column.addWidget(hairline())
        column.addLayout(self._foot())

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        foot.addWidget(self._said, 1)
        foot.addWidget(button(texts.CANCEL, on_click=self.reject))
        foot.addWidget(self._plan)
        spaced(foot, (24, 12, 24, 16), 8)
        return foot

    def _number(self, text: str, value: int) -> NumberField:
        field = NumberField(text.replace("&", ""))
        field.setRange(0, MOST)
        field.setValue(value)
        field.valueChanged.connect(self._changed)
        return field
