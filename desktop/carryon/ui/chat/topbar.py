"""Which model answers, what of it is where, and the way to another one."""

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, ModelState, NoModel
from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.widgets.controls import button
from carryon.ui.widgets.elided_label import ElidedLabel
from carryon.ui.widgets.spacing import spaced

# the shape says the same as the colour
_SIGNS = {
    NoModel: ("ph.circle", "soft"),
    LoadingModel: ("ph.circle-half-fill", "warn"),
    LoadedModel: ("ph.circle-fill", "good"),
    FailedModel: ("ph.warning-circle-fill", "bad"),
}


class TopBar(QWidget):
    """The model button and its line."""

    load_dialog_wanted = Signal()
    cancel_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model = button("", "model", "ph.circle", self.load_dialog_wanted.emit)
        self.model.setToolTip(texts.MODEL_BUTTON_TIP)
        self.where = ElidedLabel()
        self.cancel = button(texts.CANCEL_LOADING, "link", on_click=self.cancel_wanted.emit)
        row = QHBoxLayout(self)
        spaced(row, (24, 12, 24, 8), 12)
        row.addWidget(self.model)
        row.addWidget(self.cancel)
        row.addWidget(self.where, 1)
        self._shown: tuple[str, str] | None = None
        self.show_model(NoModel())

    def show_model(self, state: ModelState) -> None:
        """Takes the state in."""
        word = texts.model_word(state)
        self.model.setText(f"  {self._short(word)}   ▾")
        self.model.setAccessibleName(f"Model: {word}")
        sign = _SIGNS[type(state)]
        if sign != self._shown:  # a new icon for every percent of loading would be waste
            self._shown = sign
            theme.dress(self.model, *sign, size=14)
        where = texts.whereabouts(state)
        lines = texts.memory_lines(state.engine.ready) if isinstance(state, LoadedModel) else ""
        self.where.show_words(where)
        self.where.setToolTip(f"{where}\n{lines}".strip())
        self.cancel.setVisible(isinstance(state, LoadingModel))

    def sizeHint(self) -> QSize:
        return QSize(theme.px(320), super().sizeHint().height())

    def _short(self, word: str) -> str:
        """A long file name is cut in its middle: its end says which quant it is."""
        return word if len(word) <= 44 else f"{word[:24]}…{word[-18:]}"
