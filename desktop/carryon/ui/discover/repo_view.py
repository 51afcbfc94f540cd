"""The page of one repository: what it is, how its quants fit, and its card."""

from datetime import date

from PySide6.QtCore import QEvent, QRect, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from carryon.base.errors import AppError
from carryon.ui import quant_rows, theme
from carryon.ui.discover import texts
from carryon.ui.discover.answer import AnswerCard
from carryon.ui.discover.card_view import CardView
from carryon.ui.discover.form import RepoForm
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.quant_table import QuantTable, card_of
from carryon.ui.widgets.reason_card import Action, ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, laid_out_once, spaced


class RepoView(Scroll):
    """Draws the form whole; says what is wanted."""

    back_wanted = Signal()
    again_wanted = Signal()
    web_page_wanted = Signal()
    settings_wanted = Signal()
    gguf_wanted = Signal()
    convert_wanted = Signal()
    quant_chosen = Signal(str)
    all_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.answer = AnswerCard()
        self._shows_all = False
        self._shown_error: tuple[AppError | None, bool] = (None, False)
        self._make_parts()
        self._arrange()

    def show_form(self, form: RepoForm) -> None:
        """Draws everything."""
        with laid_out_once(self._page, self._box, self.answer):
            self._draw(form)

    def begin(self) -> None:
        """Another repository is shown from its top."""
        self.verticalScrollBar().setValue(0)
        self._back.setFocus(Qt.FocusReason.OtherFocusReason)

    def event(self, event: QEvent) -> bool:
        """Escape leads back from here; elsewhere in the window it means something else."""
        if event.type() == QEvent.Type.ShortcutOverride and _is_escape(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.back_wanted.emit()
        else:
            super().keyPressEvent(event)

    def _draw(self, form: RepoForm) -> None:
        look = form.look
        self._draw_head(form)
        self._draw_error(form)
        has_files = look is not None and bool(look.files.quants)
        self._convert.setVisible(look is not None and look.must_be_converted)
        if look is not None and look.must_be_converted:
            self._convert_words.setText(texts.convert_line(look))
        self.answer.setVisible(form.plan is not None or has_files)
        self._table_card.setVisible(form.plan is not None or has_files)
        if form.plan is not None or has_files:
            self.answer.show_form(form)
            self._draw_table(form)
        is_nothing = look is not None and not look.is_reading and not has_files and form.plan is None
        self._nothing.setVisible(is_nothing and look is not None and not look.must_be_converted)
        self._card.setVisible(look is not None)
        self._card.show_form(form)

    def _draw_head(self, form: RepoForm) -> None:
        owner, _, name = form.reference.repo_id.partition("/")
        look = form.look
        self._title.setText(name)
        self._owner.setText(f"by {owner}")
        self._facts.setText(texts.repo_facts(look.repo.found, date.today()) if look else "")
        self._facts.setVisible(bool(self._facts.text()))
        said = (
            [texts.licence_line(look.repo.found), texts.made_of(look.repo.found), texts.gate_line(form)] if look else []
        )
        self._licence.setText(" · ".join(one.rstrip(".") for one in said if one))
        self._licence.setVisible(bool(said))
        self._state.setVisible(look is None and form.error is None)
        self._web.setVisible(look is not None)

    def _draw_error(self, form: RepoForm) -> None:
        """Why it cannot be opened, why its files may not come, or why its fit is not known: in this order."""
        look, actions = form.look, list[Action]()
        error: AppError | None = form.error or texts.gate_error(form)
        if error is None and look is not None and look.error is not None and look.files.quants:
            error = look.error
        if form.error is not None:
            actions = [(texts.TRY_AGAIN, self.again_wanted.emit), (texts.SETTINGS, self.settings_wanted.emit)]
        elif form.is_gated:
            actions = [(texts.OPEN_PAGE, self.web_page_wanted.emit), (texts.SETTINGS, self.settings_wanted.emit)]
        elif error is not None:
            actions = [(texts.TRY_AGAIN, self.again_wanted.emit)]
        self._error.setVisible(error is not None)
        if error is not None and (error, form.is_gated) != self._shown_error:
            self._error.show_error(error, actions)
        self._shown_error = (error, form.is_gated)

    def _draw_table(self, form: RepoForm) -> None:
        rows = texts.rows(form)
        n_ctx = form.fit.placement.n_ctx if form.fit else None
        has_gpu = bool(form.plan and form.plan.rooms.gpus)
        self._table.show_rows(rows, quant_rows.memory_header(n_ctx), form.chosen, has_gpu=has_gpu)
        self._shows_all = form.shows_all
        n_hidden = texts.n_hidden(form)
        self._more.setVisible(n_hidden > 0)
        self._more.setText(quant_rows.more_text(n_hidden, shows_all=form.shows_all))
        self._more.setAccessibleName(self._more.text())
        said = [texts.best_text(form), texts.sure_line(form), texts.left_out(form.look) if form.look else ""]
        self._why.setText(" ".join(one for one in said if one))

    def _make_parts(self) -> None:
        self._back = button(texts.BACK, "link", "ph.arrow-left", self.back_wanted.emit)
        self._back.setToolTip(f"{texts.BACK} (Esc, Alt+Left)")
        self._title = label("", "title", wraps=True, selectable=True)
        self._owner = label("", "soft", selectable=True)
        self._facts = label("", "soft", wraps=True, selectable=True)
        self._licence = label("", "soft", wraps=True, selectable=True)
        self._web = button(texts.OPEN_PAGE, icon="ph.arrow-square-out", on_click=self.web_page_wanted.emit)
        self._state = label(texts.OPENING, "soft")
        self._error = ReasonCard(AppError(""))
        self._nothing = label(texts.NOTHING_TO_RUN, "heading", wraps=True)
        self._table = QuantTable()
        self._table.chosen.connect(self.quant_chosen.emit)
        self._table.row_seen.connect(self._show_row)
        self._why = label("", "soft", wraps=True)
        self._more = button("", "link", on_click=lambda: self.all_wanted.emit(not self._shows_all))
        self._card = CardView()
        self._card.page_wanted.connect(self.web_page_wanted.emit)

    def _arrange(self) -> None:
        self._page = QWidget()
        around = QHBoxLayout(self._page)
        spaced(around, (32, 18, 32, 24), 0)
        around.addStretch(1)
        self._box = QWidget()
        OnTheme(self._box, lambda: self._box.setMaximumWidth(theme.px(1160)))
        around.addWidget(self._box, 1000)  # up to its own maximum
        around.addStretch(1)
        column = QVBoxLayout(self._box)
        spaced(column, gap=14)
        column.addLayout(self._head())
        self._table_card = card_of(self._table, self._why, self._more)
        self._convert = self._convert_card()
        for part in (self._state, self._error, self._convert, self._nothing, self.answer, self._table_card, self._card):
            column.addWidget(part)
        column.addStretch(1)
        self.hold(self._page)
        self.setFocusProxy(self._table)

    def _head(self) -> QVBoxLayout:
        head = QVBoxLayout()
        spaced(head, gap=4)
        back = QHBoxLayout()
        back.addWidget(self._back)
        back.addStretch(1)
        back.addWidget(self._web)
        head.addLayout(back)
        for part in (self._title, self._owner, self._facts, self._licence):
            head.addWidget(part)
        return head

    def _convert_card(self) -> QFrame:
        card = QFrame()
        card.setObjectName("notice")
        column = QVBoxLayout(card)
        spaced(column, (16, 12, 16, 12), 8)
        self._convert_words = label("", wraps=True)
        column.addWidget(self._convert_words)
        actions = FlowLayout()
        actions.addWidget(button(texts.CONVERT, "primary", "ph.wrench", self.convert_wanted.emit))
        actions.addWidget(button(texts.FIND_GGUF, "", "ph.magnifying-glass", self.gguf_wanted.emit))
        column.addLayout(spaced(actions))
        return card

    def _show_row(self, row: QRect) -> None:
        """The arrow keys may choose a row that stands below what is seen."""
        centre = self._table.viewport().mapTo(self._page, row.center())
        self.ensureVisible(0, centre.y(), 0, row.height())


def _is_escape(event: QEvent) -> bool:
    return isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
