"""Where a message is written: grows with its text, Enter sends, and nothing typed is ever lost."""

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QResizeEvent, QTextCursor, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.chat.context_use import ContextUse
from carryon.ui.chat.view import Hint
from carryon.ui.markdown.cleaning import has_long_word
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import OnTheme, spaced

MOST_LINES = 8
COUNT_AFTER_MS = 300
_SENDS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_HINTS = {
    Hint.NEEDS_MODEL: texts.NEEDS_MODEL,
    Hint.WAITS_FOR_MODEL: texts.WAITS_FOR_MODEL,
    Hint.EDITING: texts.EDITING,
}


class MessageField(QPlainTextEdit):
    """Plain text only; as high as its lines, up to eight."""

    sent = Signal()
    focus_changed = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("write")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setPlaceholderText(texts.WRITE)
        self.setAccessibleName(texts.MESSAGE)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self.fit)

    def fit(self) -> None:
        """Takes the height of its lines."""
        lines = min(MOST_LINES, max(1, round(self.document().size().height())))
        margin = 2 * round(self.document().documentMargin())
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + margin + 2)
        needs_bar = self.document().size().height() > MOST_LINES
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if needs_bar else policy.ScrollBarAlwaysOff)

    def sizeHint(self) -> QSize:
        return QSize(theme.px(200), super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _SENDS and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
            return
        super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """What is pasted comes in as plain text."""
        if has_long_word(source.text()):
            self.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self.insertPlainText(source.text())

    def put(self, text: str) -> None:
        """Replaces the text; a word of 500,000 letters takes a minute to wrap at its end, and a second anywhere."""
        mode = QTextOption.WrapMode
        self.setWordWrapMode(mode.WrapAnywhere if has_long_word(text) else mode.WrapAtWordBoundaryOrAnywhere)
        self.setPlainText(text)
        self.moveCursor(QTextCursor.MoveOperation.End)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.focus_changed.emit(True)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.focus_changed.emit(False)


class Composer(QFrame):
    """The field, the hint above it, and Send, which is Stop while an answer is written."""

    send_wanted = Signal(str)
    stop_wanted = Signal()
    text_changed = Signal(str)
    count_wanted = Signal(str)
    guide_wanted = Signal()
    model_wanted = Signal()
    keep_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("composer")
        self._is_answering = False
        self._sign = ("", "")
        self.field = MessageField()
        self.send = button(texts.SEND, "primary", "ph.arrow-up-bold", self._pressed)
        self.use = label("", "soft", wraps=True)
        self._hint = label("", "small", wraps=True)
        self.guide = button(texts.LOAD_GUIDE, "", on_click=self.guide_wanted.emit)
        self.choose = button(texts.CHOOSE_MODEL, "", on_click=self.model_wanted.emit)
        self.keep = button(texts.DO_NOT_SEND, "quiet", on_click=self.keep_wanted.emit)
        self._counting = QTimer(self, singleShot=True, interval=COUNT_AFTER_MS)
        self._counting.timeout.connect(lambda: self.count_wanted.emit(self.text))
        self._arrange()
        self.field.sent.connect(self._entered)
        self.field.textChanged.connect(self._changed)
        self.field.focus_changed.connect(self._show_focus)
        self.show_hint(Hint.NONE)
        self.show_answering(False)
        OnTheme(self, self.field.fit)

    @property
    def text(self) -> str:
        return self.field.toPlainText()

    def set_text(self, text: str) -> None:
        """Replaces the draft; the cursor goes to its end."""
        if text != self.text:
            self.field.put(text)

    def show_answering(self, is_answering: bool) -> None:
        """Send becomes Stop and back."""
        self._is_answering = is_answering
        word, tip = (texts.STOP, texts.STOP_TIP) if is_answering else (texts.SEND, texts.SEND_TIP)
        self.send.setText(f"  {word}")
        self.send.setAccessibleName(word)
        self.send.setToolTip(tip)
        self._show_enabled()

    def show_hint(self, hint: Hint) -> None:
        """What happens to the text, and what can be done about it."""
        self._hint.setText(_HINTS.get(hint, ""))
        self.keep.setText(texts.CANCEL_EDIT if hint is Hint.EDITING else texts.DO_NOT_SEND)
        self.keep.setAccessibleName(self.keep.text())
        for made in (self.guide, self.choose):
            made.setVisible(hint is Hint.NEEDS_MODEL)
        self._above.setVisible(hint is not Hint.NONE)

    def show_use(self, use: ContextUse) -> None:
        """How much of the context is taken."""
        self.use.setText(texts.context_use(use))

    def focus(self) -> None:
        """The cursor goes to the field."""
        self.field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (14, 10, 10, 8), 6)
        self._above = QWidget()
        above = QVBoxLayout(self._above)
        spaced(above, gap=6)
        above.addWidget(self._hint)
        buttons = FlowLayout()
        for one in (self.guide, self.choose, self.keep):
            buttons.addWidget(one)
        above.addLayout(spaced(buttons))
        column.addWidget(self._above)
        column.addWidget(self.field)
        below = QHBoxLayout()
        spaced(below)
        below.addWidget(self.use, 1, Qt.AlignmentFlag.AlignVCenter)
        below.addWidget(self.send)
        column.addLayout(below)

    def _pressed(self) -> None:
        if self._is_answering:
            self.stop_wanted.emit()
        else:
            self._entered()

    def _entered(self) -> None:
        if not self._is_answering and self.text.strip():
            self.send_wanted.emit(self.text)

    def _changed(self) -> None:
        self._show_enabled()
        self.text_changed.emit(self.text)
        self._counting.start()

    def _show_enabled(self) -> None:
        is_enabled = self._is_answering or bool(self.text.strip())
        self.send.setEnabled(is_enabled)
        sign = ("ph.stop-fill" if self._is_answering else "ph.arrow-up-bold", "on" if is_enabled else "soft")
        if sign != self._sign:  # not with every letter that is typed
            self._sign = sign
            theme.dress(self.send, *sign)

    def _show_focus(self, has_focus: bool) -> None:
        """The frame around the field is its focus ring."""
        self.setProperty("active", has_focus)
        self.style().unpolish(self)
        self.style().polish(self)
