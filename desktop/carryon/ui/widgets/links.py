"""A row of links after a word or two; a link longer than the row goes on in the next line instead of being cut."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from PySide6.QtCore import QSize
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import OnTheme, spaced


class Links(QWidget):
    """Tells which link was pressed, counted from 0; the buttons are kept while their words change."""

    def __init__(self, text: str, on_press: Callable[[int], None]) -> None:
        super().__init__()
        self._on_press = on_press
        self._words: tuple[str, ...] = ()
        self._links: list[QPushButton] = []
        self._flow = FlowLayout()
        if text:
            self._flow.addWidget(_as_high_as_a_link(label(text, "faint")))
        column = QVBoxLayout(self)
        spaced(column)
        column.addLayout(spaced(self._flow, gap=16))
        OnTheme(self, self._break)
        self.hide()

    def show_links(self, words: Sequence[str], only_words: Collection[int] = ()) -> None:
        """Replaces the links; none hides the row. Those of `only_words` cannot be pressed."""
        self._words = tuple(words)
        for index in range(len(self._links), len(words)):
            self._links.append(button("", "link", on_click=partial(self._on_press, index)))
            self._flow.addWidget(self._links[index])
        for index, link in enumerate(self._links):
            link.setEnabled(index not in only_words)
            link.setVisible(index < len(words))
        self._break()
        self.setVisible(bool(words))

    def minimumSizeHint(self) -> QSize:
        """As narrow as a word or two: the links break their lines."""
        return QSize(theme.px(120), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._break()

    def _break(self) -> None:
        for link, words in zip(self._links, self._words, strict=False):
            text = broken(words, QFontMetrics(link.font()), self.width() - theme.px(8))
            if text != link.text():
                link.setText(text)
                link.setAccessibleName(words)


def broken(words: str, metrics: QFontMetrics, width: int) -> str:
    """The words with line breaks where they would become wider than `width` pixels."""
    lines: list[str] = []
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and metrics.horizontalAdvance(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _as_high_as_a_link(said: QLabel) -> QLabel:
    """So that its words stand in one line with those of the links."""
    link = button(said.text(), "link")
    OnTheme(said, lambda: said.setMinimumHeight(link.sizeHint().height()))
    return said
