"""The chat page: conversations, the model's line, the transcript, and where the next message is written."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeyEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from carryon.app.host import ModelState
from carryon.app.services import Services
from carryon.base.errors import AppError, EngineError
from carryon.chat.message import Message, State
from carryon.hardware.machine import Machine
from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.chat.composer import Composer
from carryon.ui.chat.context_use import ContextUse
from carryon.ui.chat.conversations import Conversations
from carryon.ui.chat.greeting import Greeting
from carryon.ui.chat.presenter import ChatPresenter
from carryon.ui.chat.style import chat_style
from carryon.ui.chat.topbar import TopBar
from carryon.ui.chat.transcript import Transcript
from carryon.ui.chat.view import ChatList, Hint, Problem, Step
from carryon.ui.markdown.links import open_link
from carryon.ui.widgets.controls import hairline
from carryon.ui.widgets.reason_card import ReasonCard

theme.extend(chat_style)

_STEPS = {
    Step.LOAD_AGAIN: texts.LOAD_AGAIN,
    Step.LOAD_GUIDE: texts.LOAD_GUIDE,
    Step.CHOOSE_MODEL: texts.CHOOSE_MODEL,
    Step.LOAD_LONGER: texts.LOAD_LONGER,
    Step.NEW_CHAT: texts.NEW_CHAT,
    Step.EDIT_QUESTION: texts.EDIT_QUESTION,
    Step.TRY_AGAIN: texts.TRY_AGAIN,
}


class ChatPage(QWidget):
    """The view of a ChatPresenter."""

    load_dialog_wanted = Signal()
    machine_wanted = Signal()
    notice_wanted = Signal(str, object)
    log_wanted = Signal()
    answered = Signal(object)  # a Message with its figures

    def __init__(self, services: Services, presenter: ChatPresenter | None = None) -> None:
        super().__init__()
        self.setObjectName("page")
        self.presenter = presenter or ChatPresenter(services)
        self.conversations = Conversations()
        self.top = TopBar()
        self.transcript = Transcript()
        self.greeting = Greeting()
        self.composer = Composer()
        self.card = ReasonCard(AppError(""))
        self._problem: Problem | None = None
        self._arrange()
        self._connect()
        self.presenter.attach(self)

    # what the window calls

    def list_again(self) -> None:
        """Lists the conversations anew, as they are searched now."""
        self.presenter.search(self.conversations.search.text())

    def new_chat(self) -> None:
        """Shows an empty conversation and puts the cursor where its question is written."""
        self.presenter.new_chat()
        self.composer.focus()

    def focus_search(self) -> None:
        """The cursor goes to the search of chats."""
        self.conversations.show()
        self.conversations.focus_search()

    def regenerate(self) -> None:
        """Answers the last question again."""
        self.presenter.regenerate()

    def stop(self) -> None:
        """Stops the answer; else takes back a message that waits for a model, or the text of a search."""
        if self.conversations.search.hasFocus() and self.conversations.search.text():
            self.conversations.search.clear()
        elif self.presenter.is_answering:
            self.presenter.stop()
        else:
            self.presenter.keep()

    def toggle_side(self) -> None:
        """Shows or hides the list of chats."""
        self.conversations.setVisible(self.conversations.isHidden())

    def refresh_theme(self) -> None:
        """Draws the transcript anew; everything else follows the theme by itself."""
        self.transcript.restyle()

    def set_machine(self, machine: Machine) -> None:
        """The machine in one line on the empty page."""
        self.greeting.set_machine(machine)

    # what the presenter tells

    def show_list(self, chats: ChatList) -> None:
        self.conversations.show_list(chats)

    def show_messages(self, messages: tuple[Message, ...]) -> None:
        self.transcript.set_messages(messages)
        self._middle.setCurrentWidget(self.transcript if messages else self.greeting)
        if not messages:
            self._show_line(False)

    def add_words(self, message_id: int, words: str) -> None:
        self.transcript.add_words(message_id, words)

    def change_message(self, message: Message) -> None:
        self.transcript.change_message(message)
        if message.figures:
            self.answered.emit(message)

    def show_reading(self, done: int, total: int) -> None:
        self.transcript.show_reading(done, total)

    def show_answering(self, is_answering: bool) -> None:
        self.composer.show_answering(is_answering)

    def show_draft(self, text: str) -> None:
        self.composer.set_text(text)

    def show_hint(self, hint: Hint) -> None:
        self.composer.show_hint(hint)

    def show_problem(self, problem: Problem | None) -> None:
        if problem and problem != self._problem:  # the same card again would take the focus from its buttons
            steps = [(_STEPS[step], self._taker(step)) for step in problem.steps]
            if isinstance(problem.error, EngineError):
                steps.append((texts.SHOW_LOG, self.log_wanted.emit))
            self.card.show_error(problem.error, [*steps, (texts.CLOSE, self.presenter.close_problem)])
        self._problem = problem
        self.card.setVisible(problem is not None)

    def show_model(self, state: ModelState) -> None:
        self.top.show_model(state)
        self.greeting.show_model(state)

    def show_context_use(self, use: ContextUse) -> None:
        self.composer.show_use(use)

    def load_dialog(self) -> None:
        self.load_dialog_wanted.emit()

    def notice(self, text: str, undo: Callable[[], None] | None) -> None:
        self.notice_wanted.emit(text, undo)

    def announce(self, state: State) -> None:
        event = QAccessibleAnnouncementEvent(self, texts.announced(state))
        QAccessible.updateAccessibility(event)

    # events

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.conversations.fit(self.width())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.stop()
            return
        super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            QTimer.singleShot(0, self, self._align)
        return super().eventFilter(watched, event)

    # making

    def _arrange(self) -> None:
        self._middle = QStackedWidget()
        self._line = hairline()
        self._middle.addWidget(self.greeting)
        self._middle.addWidget(self.transcript)
        self._middle.installEventFilter(self)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.top)
        right.addWidget(self._line)
        right.addWidget(self._middle, 1)
        self._under = QVBoxLayout()
        self._under.addWidget(self.card)
        self._under.addWidget(self.composer)
        right.addLayout(self._under)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.conversations)
        row.addLayout(right, 1)
        self.card.hide()
        self.setFocusProxy(self.composer.field)
        theme.theme_changed.connect(self._align)

    def _align(self) -> None:
        """The composer stands under the text column."""
        bar = self.transcript.verticalScrollBar().sizeHint().width()
        width = self._middle.width()
        column = min(self.transcript.widest_column(), width - theme.px(32))
        left = max(theme.px(16), (width - bar - column) // 2)
        self._under.setContentsMargins(left, theme.px(6), max(theme.px(16), width - left - column), theme.px(16))
        self._under.setSpacing(theme.px(10))

    def _connect(self) -> None:
        page, presenter = self, self.presenter
        self.conversations.new_wanted.connect(page.new_chat)
        self.conversations.search_wanted.connect(presenter.search)
        self.conversations.list.chosen.connect(presenter.open)
        self.conversations.list.delete_wanted.connect(presenter.move_to_trash)
        self.conversations.model.renamed.connect(presenter.rename)
        self.top.load_dialog_wanted.connect(self.load_dialog_wanted)
        self.top.cancel_wanted.connect(presenter.cancel_loading)
        self.transcript.link_wanted.connect(lambda address: open_link(address, self))
        self.transcript.regenerate_wanted.connect(presenter.regenerate)
        self.transcript.edit_wanted.connect(self._edit)
        self.transcript.scrolled.connect(self._show_line)
        self.greeting.guide_wanted.connect(lambda: presenter.take(Step.LOAD_GUIDE))
        self.greeting.model_wanted.connect(self.load_dialog_wanted)
        self.greeting.machine_wanted.connect(self.machine_wanted)
        self.greeting.question_wanted.connect(presenter.ask_guide)
        self._connect_composer()
        for keys, act in (("F2", self.conversations.list.rename_current), ("Ctrl+B", self.toggle_side)):
            shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _connect_composer(self) -> None:
        composer, presenter = self.composer, self.presenter
        composer.send_wanted.connect(self._send)
        composer.stop_wanted.connect(presenter.stop)
        composer.text_changed.connect(presenter.set_draft)
        composer.count_wanted.connect(presenter.count)
        composer.guide_wanted.connect(lambda: presenter.take(Step.LOAD_GUIDE))
        composer.model_wanted.connect(self.load_dialog_wanted)
        composer.keep_wanted.connect(presenter.keep)

    def _show_line(self, is_shown: bool) -> None:
        """The line under the top bar says that something is hidden above; its room stays, so nothing moves."""
        if self._line.property("hidden") is not (not is_shown):
            self._line.setProperty("hidden", not is_shown)
            self._line.style().polish(self._line)

    def _send(self, text: str) -> None:
        self.presenter.send(text)
        self.transcript.jump_to_latest()

    def _edit(self) -> None:
        self.presenter.edit()
        self.composer.focus()

    def _taker(self, step: Step) -> Callable[[], None]:
        def take() -> None:
            self.presenter.take(step)
            if step in (Step.NEW_CHAT, Step.EDIT_QUESTION):
                self.composer.focus()

        return take
