"""A row of the list of downloads: what it is, how far, why it stopped, and what can be done with it."""

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QFrame, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.jobs import texts
from carryon.ui.jobs.presenter import Action, Row
from carryon.ui.jobs.ring import ICONS
from carryon.ui.widgets.controls import button, hairline, icon_button, label, plain_tip
from carryon.ui.widgets.elided_label import ElidedLabel
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.steady_label import SteadyLabel

_STEPS = 1000
_ACTION_ICONS = {
    Action.PAUSE: "ph.pause",
    Action.RESUME: "ph.play",
    Action.CANCEL: "ph.x",
    Action.FORGET: "ph.x",
    Action.SHOW: "ph.folder-open",
}


class JobRow(QFrame):
    """Keeps its widgets while its words change, and with them the keyboard's place."""

    act_wanted = Signal(object, object)  # a Download, an Action
    cancel_wanted = Signal(object, bool)  # a Download; whether what is here stays
    asked_or_answered = Signal()  # its height is another one

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.setObjectName("job")
        self._row, self._is_drawn = row, False
        self._sign = QLabel()
        self._title = ElidedLabel("strong", mode=Qt.TextElideMode.ElideMiddle)  # the quant stands at the end
        self._words = SteadyLabel("soft")  # five new texts a second
        self._reason = label("", "bad", wraps=True, selectable=True)
        self._detail = label("", "small", wraps=True, selectable=True)
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._toggle = _Slot(self, Action.PAUSE, Action.RESUME)
        self._show = _Slot(self, Action.SHOW)
        self._leave = _Slot(self, Action.CANCEL, Action.FORGET)
        self._use = button(texts.USE, icon="ph.chat-circle", on_click=lambda: self._act(Action.USE))
        self._retry = button(texts.RETRY, icon="ph.arrow-clockwise", on_click=lambda: self._act(Action.RETRY))
        self._question = _Question(self._answer)
        self._arrange()
        self.show_row(row)
        OnTheme(self, self._paint_sign)

    def show_row(self, row: Row) -> bool:
        """Draws what changed: five times a second that is a number or two. True where its height may be another now."""
        before, self._row, self._is_drawn = self._row if self._is_drawn else None, row, True
        if row == before:
            return False
        height = self._words.heightForWidth(self._words.width())
        self._words.show_words(row.words)
        self._bar.setValue(int((row.fraction or 0.0) * _STEPS))
        self.setAccessibleName(texts.row_name(row.download))
        if before is None or _still(row) != _still(before):
            self._show_still(row)
            return True
        return self._words.heightForWidth(self._words.width()) != height

    def _show_still(self, row: Row) -> None:
        """What does not change while bytes come."""
        self._title.show_words(row.title)
        self._title.setToolTip(plain_tip(row.title))
        self._bar.setAccessibleName(row.title)  # the value is told beside it
        for said, words in ((self._reason, row.reason), (self._detail, row.detail)):
            said.setText(words)
            said.setVisible(bool(words))
        self._bar.setVisible(row.fraction is not None)
        for slot in (self._toggle, self._show, self._leave):
            slot.show_action(row)
        for action, one in ((Action.USE, self._use), (Action.RETRY, self._retry)):
            one.setVisible(action in row.actions)
            one.setAccessibleName(texts.action_name(action.value, row.download))
        if Action.CANCEL not in row.actions:
            self._question.hide()
        self._buttons.setVisible(bool({Action.USE, Action.RETRY} & set(row.actions)))
        self._paint_sign()

    def ask_cancel(self) -> None:
        """Asks inside the row, so that what it is about stays in sight."""
        self._question.ask(texts.cancel_question(self._row.download))
        self.asked_or_answered.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc takes back the question first; only without one it closes what is around."""
        if event.key() == Qt.Key.Key_Escape and self._question.isVisible():
            self._answer(None)
        else:
            super().keyPressEvent(event)

    def _answer(self, keeps_part: bool | None) -> None:
        """None: nothing is cancelled."""
        self._question.hide()
        self._leave.setFocus()
        self.asked_or_answered.emit()
        if keeps_part is not None:
            self.cancel_wanted.emit(self._row.download, keeps_part)

    def _act(self, action: Action) -> None:
        self.act_wanted.emit(self._row.download, action)

    def _paint_sign(self) -> None:
        side = theme.px(18)
        self._sign.setPixmap(theme.icon(*ICONS[self._row.sign]).pixmap(side, side))

    def _arrange(self) -> None:
        top = QHBoxLayout()
        spaced(top, gap=8)
        top.addWidget(self._sign)
        top.addWidget(self._title, 1)
        for slot in (self._toggle, self._show, self._leave):
            top.addWidget(slot)
        self._buttons = QWidget()
        flow = FlowLayout()
        flow.addWidget(self._use)
        flow.addWidget(self._retry)
        line = QHBoxLayout(self._buttons)
        spaced(line, (0, 4, 0, 0), 0)
        line.addLayout(spaced(flow))
        column = QVBoxLayout()
        spaced(column, (16, 8, 12, 12), 4)
        column.addLayout(top)
        for widget in (self._bar, self._words, self._reason, self._detail, self._buttons, self._question):
            column.addWidget(widget)
        outer = QVBoxLayout(self)
        spaced(outer, gap=0)
        outer.addWidget(hairline())
        outer.addLayout(column)


def _still(row: Row) -> tuple[object, ...]:
    return row.title, row.reason, row.detail, row.sign, row.actions, row.fraction is None


class _Slot(QWidget):
    """One icon button for actions that exclude each other: it keeps the keyboard when one becomes the other."""

    def __init__(self, row: JobRow, *actions: Action) -> None:
        super().__init__()
        self._actions, self._action = actions, actions[0]
        self._button = icon_button("", _ACTION_ICONS[actions[0]], lambda: row._act(self._action))
        line = QHBoxLayout(self)
        spaced(line)
        line.addWidget(self._button)
        self.setFocusProxy(self._button)

    def show_action(self, row: Row) -> None:
        """The one of its actions that the row has; none hides it."""
        action = next((one for one in self._actions if one in row.actions), None)
        self.setVisible(action is not None)
        if action is None:
            return
        if action is not self._action:
            self._action = action
            theme.dress(self._button, _ACTION_ICONS[action])
        self._button.setAccessibleName(texts.action_name(action.value, row.download))
        self._button.setToolTip(action.value)


class _Question(QWidget):
    """What becomes of the part of a download that is cancelled."""

    def __init__(self, answer: Callable[[bool | None], None]) -> None:
        super().__init__()
        self._words = label("", wraps=True)
        keep = self._first = button(texts.KEEP_PART, on_click=lambda: answer(True))
        delete = button(texts.DELETE_PART, "danger", on_click=lambda: answer(False))
        back = button(texts.BACK, "quiet", on_click=lambda: answer(None))
        flow = FlowLayout()
        buttons: tuple[QAbstractButton, ...] = (keep, delete, back)
        for one in buttons:
            flow.addWidget(one)
        column = QVBoxLayout(self)
        spaced(column, (0, 6, 0, 0), 8)
        column.addWidget(label(texts.CANCEL_TITLE, "strong"))
        column.addWidget(self._words)
        column.addLayout(spaced(flow))
        self.hide()

    def ask(self, words: str) -> None:
        """Shows itself and takes the keyboard to the answer that loses nothing."""
        self._words.setText(words)
        self.setAccessibleName(f"{texts.CANCEL_TITLE} {words}")
        self.show()
        self._first.setFocus()
