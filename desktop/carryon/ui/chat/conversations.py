"""The list of conversations: new, search, rename in place, delete with a way back."""

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QStackedWidget,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from carryon.chat.message import Conversation
from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.chat.dates import grouped
from carryon.ui.chat.view import ChatList
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import OnTheme, spaced

SEARCH_AFTER_MS = 150
WIDTH, NARROWEST = 248, 132
_Index = QModelIndex | QPersistentModelIndex
_ROLE = Qt.ItemDataRole


class ConversationModel(QAbstractListModel):
    """Headings of periods (str) and conversations, in one list."""

    renamed = Signal(int, str)

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        super().__init__()
        self._now = now
        self._rows: list[str | Conversation] = []
        self._answering: frozenset[int] = frozenset()

    def show(self, chats: ChatList) -> bool:
        """Takes the list in; False if it shows exactly this already."""
        rows: list[str | Conversation] = []
        for period, conversations in grouped(chats.conversations, self._now()):
            rows += [texts.period(period), *conversations]
        if (rows, chats.answering) == (self._rows, self._answering):
            return False
        self.beginResetModel()
        self._rows, self._answering = rows, chats.answering
        self.endResetModel()
        return True

    def row_of(self, conversation_id: int | None) -> QModelIndex:
        """Where a conversation stands."""
        for row, one in enumerate(self._rows):
            if isinstance(one, Conversation) and one.id == conversation_id:
                return self.index(row)
        return QModelIndex()

    def conversation(self, index: _Index) -> Conversation | None:
        """The conversation of a row; None for a heading."""
        one = self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None
        return one if isinstance(one, Conversation) else None

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = _ROLE.DisplayRole) -> object:
        one = self._rows[index.row()]
        if isinstance(one, str):
            return self._heading(one, role)
        match role:
            case _ROLE.DisplayRole | _ROLE.EditRole:
                return one.title
            case _ROLE.DecorationRole if one.id in self._answering:
                return theme.icon("ph.pencil-line", "accent")
            case _ROLE.ToolTipRole | _ROLE.AccessibleTextRole:
                return texts.listed(one.title, is_answering=one.id in self._answering)
        return None

    def _heading(self, words: str, role: int) -> object:
        match role:
            case _ROLE.DisplayRole | _ROLE.AccessibleTextRole:
                return words
            case _ROLE.FontRole:
                font = QFont()
                font.setPixelSize(theme.px(12))
                return font
            case _ROLE.ForegroundRole:
                return QColor(theme.current().soft)
        return None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        if self.conversation(index) is None:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable

    def setData(self, index: _Index, value: object, role: int = _ROLE.EditRole) -> bool:
        conversation = self.conversation(index)
        title = str(value).strip()
        if conversation is None or not title or title == conversation.title:
            return False
        self.renamed.emit(conversation.id, title)
        return True


class _Delegate(QStyledItemDelegate):
    """Headings are lower than conversations, and the field for a new title fills its row."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        is_heading = not index.flags() & Qt.ItemFlag.ItemIsEnabled
        return QSize(theme.px(80), theme.px(34 if is_heading else 36))

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Index) -> QWidget:
        field = QLineEdit(parent)
        field.setAccessibleName(texts.RENAME)
        field.setMaxLength(60)
        return field


class ConversationList(QListView):
    """F2 renames, Delete moves to the trash, Enter opens."""

    delete_wanted = Signal(int)
    chosen = Signal(int)

    def __init__(self, model: ConversationModel) -> None:
        super().__init__()
        self._is_showing = False
        self.setObjectName("conversations")
        self.setAccessibleName(texts.CHATS)
        self.setModel(model)
        self.setItemDelegate(_Delegate(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)  # the page has F2
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)

    def conversation_at(self, index: _Index) -> Conversation | None:
        model = self.model()
        assert isinstance(model, ConversationModel)
        return model.conversation(index)

    def show_current(self, index: QModelIndex) -> None:
        """Marks the conversation that is shown, without opening it again."""
        self._is_showing = True
        if index.isValid():
            self.setCurrentIndex(index)
        else:
            self.clearSelection()
            self.setCurrentIndex(QModelIndex())
        self._is_showing = False

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        super().currentChanged(current, previous)
        if not self._is_showing and (conversation := self.conversation_at(current)):
            self.chosen.emit(conversation.id)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        conversation = self.conversation_at(self.currentIndex())
        if event.matches(QKeySequence.StandardKey.Delete) and conversation:
            self.delete_wanted.emit(conversation.id)
            return
        super().keyPressEvent(event)

    def rename_current(self) -> None:
        """Opens the field for a new title."""
        if self.currentIndex().isValid():
            self.edit(self.currentIndex())

    def _menu(self, where: QPoint) -> None:
        index = self.indexAt(where)
        conversation = self.conversation_at(index)
        if conversation is None:
            return
        menu = QMenu(self)
        menu.addAction(texts.RENAME, lambda: self.edit(index)).setShortcut("F2")
        menu.addAction(texts.TO_TRASH, lambda: self.delete_wanted.emit(conversation.id)).setShortcut("Del")
        menu.exec(self.viewport().mapToGlobal(where))
        menu.deleteLater()


class SearchField(QLineEdit):
    """With a sign that grows with the text; the icons that a QLineEdit takes keep their size."""

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText(texts.SEARCH_HINT)
        self.setAccessibleName(texts.SEARCH)
        self.setClearButtonEnabled(True)
        self._sign = QLabel(self)
        OnTheme(self, self._size)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._size()

    def _size(self) -> None:
        side = theme.px(16)
        self._sign.setPixmap(theme.icon("ph.magnifying-glass").pixmap(side, side))
        self._sign.setGeometry(theme.px(8), (self.height() - side) // 2, side, side)
        self.setTextMargins(side + theme.px(4), 0, 0, 0)


class Conversations(QFrame):
    """The side of the chat page."""

    new_wanted = Signal()
    search_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self._page_width = 3 * theme.px(WIDTH)
        self.model = ConversationModel()
        self.list = ConversationList(self.model)
        self._waiting: ChatList | None = None
        self.list.itemDelegate().closeEditor.connect(lambda: QTimer.singleShot(0, self, self._show_waiting))
        self.new = button(texts.NEW_CHAT, "", "ph.plus", self.new_wanted.emit)
        self.new.setToolTip(f"{texts.NEW_CHAT} (Ctrl+N)")
        self.search = SearchField()
        self._delay = QTimer(self, singleShot=True, interval=SEARCH_AFTER_MS)
        self._delay.timeout.connect(lambda: self.search_wanted.emit(self.search.text()))
        self.search.textEdited.connect(lambda _: self._delay.start())
        self.search.textChanged.connect(lambda text: text or self._delay.start())
        self.empty_title, self.empty_text = label("", "heading", wraps=True), label("", "soft", wraps=True)
        self._pages = QStackedWidget()
        self._arrange()
        OnTheme(self, self._size)

    def show_list(self, chats: ChatList) -> None:
        """The conversations found, or why there are none."""
        if self.list.state() == QAbstractItemView.State.EditingState:
            self._waiting = chats  # a list that moves would take the field away in mid-word
            return
        self._waiting = None
        self.model.show(chats)
        self.list.show_current(self.model.row_of(chats.current_id))
        self._pages.setCurrentIndex(0 if chats.conversations else 1)
        if chats.search:
            self.empty_title.setText(texts.NOTHING_FOUND_TITLE)
            self.empty_text.setText(texts.nothing_found(chats.search))
        else:
            self.empty_title.setText(texts.NO_CHATS_TITLE)
            self.empty_text.setText(texts.NO_CHATS)

    def _show_waiting(self) -> None:
        if self._waiting:
            self.show_list(self._waiting)

    def focus_search(self) -> None:
        """The cursor goes to the search field, its text selected."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.search.hasFocus() and self.search.text():
            self.search.clear()
            return
        if event.key() == Qt.Key.Key_Down and self.search.hasFocus():
            self.list.setFocus(Qt.FocusReason.TabFocusReason)
            return
        super().keyPressEvent(event)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (12, 14, 12, 8), 10)
        column.addWidget(self.new)
        column.addWidget(self.search)
        nothing = QWidget()
        inner = QVBoxLayout(nothing)
        spaced(inner, (8, 16, 8, 8), 4)
        inner.addWidget(self.empty_title)
        inner.addWidget(self.empty_text)
        inner.addStretch(1)
        self._pages.addWidget(self.list)
        self._pages.addWidget(nothing)
        column.addWidget(self._pages, 1)

    def fit(self, page_width: int) -> None:
        """Leaves two thirds of a narrow page (a small screen, large text) to the talk."""
        self._page_width = page_width
        self.setFixedWidth(min(theme.px(WIDTH), max(page_width // 3, theme.px(NARROWEST))))

    def _size(self) -> None:
        self.fit(self._page_width)
        self.list.setIconSize(QSize(theme.px(14), theme.px(14)))
        self.list.scheduleDelayedItemsLayout()
