"""A row of the list of jobs: what it is, how far, why it stopped, and what can be done with it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from carryon.ui import theme
from carryon.ui.jobs import texts
from carryon.ui.jobs.form import Action, Answer, Question, Row
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
    Action.STOP: "ph.stop-fill",
    Action.CANCEL: "ph.x",
    Action.FORGET: "ph.x",
    Action.SHOW: "ph.folder-open",
}


class JobRow(QFrame):
    """Keeps its widgets while its words change, and with them the keyboard's place."""

    act_wanted = Signal(object, object)  # a Row, an Action
    answered = Signal(object, object)  # a Row, an Answer
    file_wanted = Signal(object)  # the Path that was chosen among several
    asked = Signal()  # its question wants to be seen
    asked_or_answered = Signal()  # its height is another one

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.setObjectName("job")
        self._row, self._is_drawn = row, False
        self._asked: Action | None = None
        self._sign = QLabel()
        self._title = ElidedLabel("strong", mode=Qt.TextElideMode.ElideMiddle)  # the quant stands at the end
        self._words = SteadyLabel("soft")  # five new texts a second
        self._reason = label("", "bad", wraps=True, selectable=True)
        self._detail = label("", "small", wraps=True, selectable=True)
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._toggle = _Slot(self, Action.PAUSE, Action.RESUME, Action.STOP)
        self._show = _Slot(self, Action.SHOW)
        self._leave = _Slot(self, Action.CANCEL, Action.FORGET)
        self._use = button(texts.USE, icon="ph.chat-circle", on_click=self._use_pressed)
        self._retry = button(texts.RETRY, icon="ph.arrow-clockwise", on_click=lambda: self._act(Action.RETRY))
        log = button(texts.LOG, "link", "ph.article", lambda: self._act(Action.LOG))
        in_workshop = button(texts.OPEN, "link", "ph.wrench", lambda: self._act(Action.OPEN))
        self._words_buttons = {
            Action.USE: self._use, Action.RETRY: self._retry, Action.LOG: log, Action.OPEN: in_workshop,
        }  # fmt: skip
        self._shown_for: dict[Action, QWidget] = {
            **self._words_buttons, Action.LOG: _as_high(log, self._use), Action.OPEN: _as_high(in_workshop, self._use),
        }  # fmt: skip
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
        self.setAccessibleName(row.spoken)
        if before is None or _still(row) != _still(before):
            self._show_still(row)
            return True
        return self._words.heightForWidth(self._words.width()) != height

    def _show_still(self, row: Row) -> None:
        """What does not change while it goes on."""
        self._title.show_words(row.title)
        self._title.setToolTip(plain_tip(row.title))
        self._bar.setAccessibleName(row.title)  # the value is told beside it
        for said, words in ((self._reason, row.reason), (self._detail, row.detail)):
            said.setText(words)
            said.setVisible(bool(words))
        self._bar.setVisible(row.fraction is not None)
        for slot in (self._toggle, self._show, self._leave):
            slot.show_action(row)
        for action, one in self._words_buttons.items():
            self._shown_for[action].setVisible(action in row.actions)
            one.setAccessibleName(texts.action_name(action.value, row.title))
        if self._asked not in row.actions:
            self._question.hide()
        self._buttons.setVisible(bool(self._words_buttons.keys() & set(row.actions)))
        self._paint_sign()

    def ask(self, action: Action, question: Question) -> None:
        """Asks inside the row, so that what it is about stays in sight."""
        self._asked = action
        self._question.ask(question)
        self.asked_or_answered.emit()
        self.asked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc takes back the question first; only without one it closes what is around."""
        if event.key() == Qt.Key.Key_Escape and self._question.isVisible():
            self._answer(None)
        else:
            super().keyPressEvent(event)

    def _answer(self, answer: Answer | None) -> None:
        """None: nothing is lost."""
        self._question.hide()
        (self._toggle if self._asked is Action.STOP else self._leave).setFocus()
        self._asked = None
        self.asked_or_answered.emit()
        if answer is not None:
            self.answered.emit(self._row, answer)

    def _act(self, action: Action) -> None:
        self.act_wanted.emit(self._row, action)

    def _use_pressed(self) -> None:
        """Of several files the person chooses one."""
        if len(self._row.files) < 2:
            self._act(Action.USE)
            return
        menu = menu_of(self, self._row.files, self.file_wanted.emit)
        menu.popup(self._use.mapToGlobal(QPoint(0, self._use.height())))

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
        for one in self._shown_for.values():
            flow.addWidget(one)
        line = QHBoxLayout(self._buttons)
        spaced(line, (0, 4, 0, 0), 0)
        line.addLayout(spaced(flow, gap=16))
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
    return row.title, row.reason, row.detail, row.sign, row.actions, row.files, row.fraction is None


def _as_high(link: QPushButton, other: QPushButton) -> QWidget:
    """Around a link that stands beside a button: its words shall be on one line with the button's."""
    around = QWidget()
    line = QHBoxLayout(around)
    spaced(line)
    line.addWidget(link)

    def size() -> None:
        other.ensurePolished()
        around.setMinimumHeight(other.sizeHint().height())

    OnTheme(around, size)
    return around


def menu_of(parent: QWidget, files: tuple[Path, ...], take: Callable[[Path], object]) -> QMenu:
    """The files by their names; their folder is the same."""
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    for file in files:
        menu.addAction(file.name.replace("&", "&&"), partial(take, file))
    return menu


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
        self._button.setAccessibleName(texts.action_name(action.value, row.title))
        self._button.setToolTip(action.value)


class _Question(QWidget):
    """What is asked before something is lost."""

    def __init__(self, answer: Callable[[Answer | None], None]) -> None:
        super().__init__()
        self._answer = answer
        self._title, self._words = label("", "strong"), label("", wraps=True)
        self._flow = FlowLayout()
        self._buttons: list[QPushButton] = []
        column = QVBoxLayout(self)
        spaced(column, (0, 6, 0, 0), 8)
        column.addWidget(self._title)
        column.addWidget(self._words)
        column.addLayout(spaced(self._flow))
        self.hide()

    def ask(self, question: Question) -> None:
        """Shows itself and takes the keyboard to the first answer that loses nothing."""
        self._title.setText(question.title)
        self._words.setText(question.words)
        self.setAccessibleName(f"{question.title} {question.words}")
        self._flow.clear()
        self._buttons = [self._button(one) for one in question.answers]
        self._buttons.append(button(texts.BACK, "quiet", on_click=lambda: self._answer(None)))
        for one in self._buttons:
            self._flow.addWidget(one)
            one.show()
        self.show()
        safe = next(one for one in self._buttons if one.objectName() != "danger")
        safe.setFocus()

    def _button(self, answer: Answer) -> QPushButton:
        style = "danger" if answer.loses else ""
        return button(answer.value, style, on_click=lambda: self._answer(answer))
