"""The load dialog's own fields: a context length to pick or to type, and how the KV cache is stored."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from carryon.engine.protocol import KvType
from carryon.gguf.quants import USUAL_KV_TYPES
from carryon.ui import theme
from carryon.ui.loading import texts
from carryon.ui.loading.form import KV_TYPES, parsed_context
from carryon.ui.widgets.spacing import OnTheme, spaced


class ContextField(QComboBox):
    """Round steps to pick, and any number to type."""

    changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setAccessibleName(texts.CONTEXT.replace("&", ""))
        OnTheme(self, lambda: self.setMinimumWidth(theme.px(225)))
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


class KvField(QComboBox):
    """The usual types first, the others after a line."""

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(texts.KV.replace("&", ""))
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        OnTheme(self, lambda: self.setMinimumWidth(theme.px(225)))
        for kv_type in KV_TYPES:
            if kv_type is KV_TYPES[len(USUAL_KV_TYPES)]:
                self.insertSeparator(self.count())
            self.addItem(texts.kv_item(kv_type), kv_type.value)
        self.activated.connect(lambda index: self.chosen.emit(KvType(self.itemData(index))))

    def show_type(self, kv_type: KvType) -> None:
        """Shows this type; nothing is emitted."""
        self.setCurrentIndex(self.findData(kv_type.value))

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


def together(*widgets: QWidget) -> QWidget:
    """Several widgets as one, side by side."""
    made = QWidget()
    row = QHBoxLayout(made)
    spaced(row, gap=12)
    for widget in widgets:
        row.addWidget(widget)
    return made
