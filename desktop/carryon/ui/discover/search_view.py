"""The first view of the Discover page: what is looked for, and the list of what was found."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from carryon.base.errors import AppError
from carryon.hub.repo import Format
from carryon.ui import theme
from carryon.ui.discover import texts
from carryon.ui.discover.filters import Filters
from carryon.ui.discover.form import Phase, SearchForm
from carryon.ui.discover.results import ResultsList
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.pair import Pair
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.widgets.spacing import OnTheme, spaced


class SearchView(QWidget):
    """Draws the form whole; says what is wanted."""

    again_wanted = Signal()
    more_wanted = Signal()
    browse_wanted = Signal()
    settings_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.filters = Filters()
        self.results = ResultsList()
        self._shown_error: AppError | None = None
        self._make_parts()
        self._arrange()
        self.setFocusProxy(self.filters)

    def show_form(self, form: SearchForm) -> None:
        """Draws everything."""
        self._heading.setText(texts.heading(form))
        self._browse.setVisible(form.phase is Phase.STARTERS)
        self._error.setVisible(form.error is not None)
        if form.error is not None and form.error is not self._shown_error:
            actions = [(texts.TRY_AGAIN, self.again_wanted.emit), (texts.SETTINGS, self.settings_wanted.emit)]
            self._error.show_error(form.error, actions)
        self._shown_error = form.error
        is_nothing = form.phase is Phase.FOUND and not form.lines
        self._nothing.setVisible(is_nothing)
        self._list_card.setVisible(not is_nothing and bool(form.lines))
        if is_nothing:
            self._nothing_title.setText(texts.nothing_title(form))
            self._nothing_text.setText(texts.nothing_text(form))
            self._reset.setVisible(texts.has_filters(form))
            self._other.setVisible(not form.n_hidden and form.wish.format is Format.GGUF)
        self.results.show_lines(form.lines, has_gpu=form.has_gpu)
        self.results.setEnabled(form.phase is not Phase.SEARCHING or bool(form.lines))
        self._more.setVisible(form.next is not None and form.phase is Phase.FOUND)
        self._more.setEnabled(not form.is_more_coming)
        self._more.setText(texts.MORE_COMING if form.is_more_coming else texts.MORE)

    def _make_parts(self) -> None:
        self._heading = label("", "soft", wraps=True)
        self._browse = button(texts.BROWSE, "link", on_click=self.browse_wanted.emit)
        self._error = ReasonCard(AppError(""))
        self._nothing_title, self._nothing_text = label("", "heading", wraps=True), label("", wraps=True)
        self._reset = button(texts.RESET, on_click=self.filters.reset)
        self._other = button(texts.LOOK_AMONG_SAFETENSORS, on_click=self.filters.show_safetensors)
        self._more = button(texts.MORE, on_click=self.more_wanted.emit)
        self.results.end_reached.connect(self.more_wanted.emit)
        self.results.top_left.connect(self.filters.focus_search)
        self.filters.list_wanted.connect(lambda: self.results.enter() if self.results.lines.lines else None)

    def _arrange(self) -> None:
        around = QHBoxLayout(self)
        spaced(around, (32, 18, 32, 0), 0)
        around.addStretch(1)
        box = QWidget()
        OnTheme(box, lambda: box.setMaximumWidth(theme.px(1160)))
        around.addWidget(box, 1000)  # up to its own maximum
        around.addStretch(1)
        column = QVBoxLayout(box)
        spaced(column, gap=12)
        column.addWidget(label(texts.TITLE, "title"))
        column.addWidget(self.filters)
        column.addWidget(self._error)
        column.addWidget(Pair(self._heading, self._browse, narrow_px=480, gap=12, stretches=(1, 0)))
        self._list_card, self._nothing = self._make_list_card(), self._make_nothing_card()
        column.addWidget(self._list_card)
        column.addWidget(self._nothing)
        column.addStretch(1)

    def _make_list_card(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        card.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)  # what is below stays empty
        column = QVBoxLayout(card)
        spaced(column, (1, 1, 1, 1), 0)
        column.addWidget(self.results)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self._more)
        foot.addStretch(1)
        column.addLayout(spaced(foot, (8, 6, 8, 6), 0))
        return card

    def _make_nothing_card(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        spaced(column, (32, 32, 32, 32), 12)
        column.addWidget(self._nothing_title)
        column.addWidget(self._nothing_text)
        row = FlowLayout()
        row.addWidget(self._reset)
        row.addWidget(self._other)
        column.addLayout(spaced(row))
        column.setAlignment(Qt.AlignmentFlag.AlignTop)
        return card
