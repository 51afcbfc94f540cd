"""The card of a repository as the chat draws its answers: nothing is loaded, links open after a question."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout

from carryon.ui import theme
from carryon.ui.discover import texts
from carryon.ui.discover.form import RepoForm
from carryon.ui.markdown.blocks import Block
from carryon.ui.markdown.links import open_link
from carryon.ui.markdown.text_view import MarkdownText
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import OnTheme, spaced


class CardView(QFrame):
    """As high as its text; the page scrolls."""

    page_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._blocks: tuple[Block, ...] | None = None
        self._state = label(texts.CARD_COMING, "soft", wraps=True)
        self._text: MarkdownText | None = None
        self._rest = button(texts.CARD_CUT, "link", on_click=self.page_wanted.emit)
        self._column = QVBoxLayout(self)
        spaced(self._column, (18, 16, 18, 16), 10)
        self._column.addWidget(label(texts.CARD, "heading"))
        self._column.addWidget(self._state)
        self._column.addWidget(self._rest)
        OnTheme(self, self._draw_again)

    def show_form(self, form: RepoForm) -> None:
        """Draws the card once it is here."""
        self._rest.setVisible(form.is_card_cut)
        if form.card is not None and form.card == self._blocks:
            return
        self._blocks = form.card
        self._state.setText(texts.CARD_COMING if form.card is None else texts.NO_CARD)
        self._state.setVisible(not form.card)
        self._draw_again()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _draw_again(self) -> None:
        """A text keeps the colours and the sizes that it was written with, so each has a widget of its own."""
        if self._text:
            self._text.setParent(None)
            self._text.deleteLater()
            self._text = None
        if not self._blocks:
            return
        self._text = MarkdownText()
        self._text.setAccessibleName(texts.CARD)
        self._text.link_wanted.connect(lambda address: open_link(address, self.window()))
        self._column.insertWidget(2, self._text)
        self._text.replace_from(0, self._blocks)
        self._fit()

    def _fit(self) -> None:
        if self._text:
            margins = self._column.contentsMargins()
            self._text.set_width(max(theme.px(120), self.width() - margins.left() - margins.right()))
            height = self._text.needed_height()
            self._text.setFixedHeight(height)
            self._text.expose(0, height)
