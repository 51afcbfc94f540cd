"""What is looked for: the search field and the filters under it."""

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from carryon.hub.repo import Format
from carryon.hub.search import SearchWish
from carryon.ui import theme
from carryon.ui.discover import texts
from carryon.ui.widgets.controls import buddy
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.pair import Pair
from carryon.ui.widgets.spacing import OnTheme, spaced

RESTS_MS = 300  # so long after the last letter the Hub is asked
_NARROW_PX = 560  # below it the owner stands under the search field
_PASTED_LETTERS = 4  # more at once are no typing


class Filters(QWidget):
    """Says what is wished, and when it is final: Enter, or a paste."""

    wished = Signal(object, bool)  # a SearchWish, whether it is final
    only_fitting_wanted = Signal(bool)
    list_wanted = Signal()  # down into the list

    def __init__(self) -> None:
        super().__init__()
        self._is_drawing = False
        self.search = SearchField()
        self._rest = QTimer(self, singleShot=True, interval=RESTS_MS)
        self._rest.timeout.connect(lambda: self._emit(is_final=False))
        self.search.textEdited.connect(lambda _: self._rest.start())
        self.search.textChanged.connect(lambda text: text or self._rest.start())
        self.search.pasted.connect(lambda: self._emit(is_final=True))
        self.search.returnPressed.connect(lambda: self._emit(is_final=True))
        self.search.down_pressed.connect(self.list_wanted.emit)
        self.owner = QLineEdit()
        self.owner.setPlaceholderText(texts.ANYBODY)
        self.owner.setClearButtonEnabled(True)
        self.owner.setMaxLength(96)
        self.owner.textEdited.connect(lambda _: self._rest.start())
        self.owner.textChanged.connect(lambda text: text or self._rest.start())
        self.owner.returnPressed.connect(lambda: self._emit(is_final=True))
        OnTheme(self.owner, lambda: self.owner.setFixedWidth(theme.px(160)))
        self._formats = self._combo(list(texts.FORMATS.values()))
        self._formats.setToolTip(texts.FORMATS_TIP)
        self._sorts = self._combo(list(texts.SORT_WORDS.values()))
        self._sizes = self._combo([name for name, _, _ in texts.SIZES])
        self._tasks = self._combo(list(texts.TASK_WORDS.values()))
        self._licences = self._combo(list(texts.LICENCE_WORDS.values()))
        self.only_fitting = QCheckBox(texts.ONLY_FITTING)
        self.only_fitting.setAccessibleName(texts.ONLY_FITTING.replace("&", ""))
        self.only_fitting.toggled.connect(self.only_fitting_wanted.emit)
        self._arrange()
        self.setFocusProxy(self.search)

    @property
    def wish(self) -> SearchWish:
        """As the controls have it."""
        _, least, most = texts.SIZES[self._sizes.currentIndex()]
        return SearchWish(
            text=self.search.text().strip(),
            author=self.owner.text().strip(),
            task=list(texts.TASK_WORDS)[self._tasks.currentIndex()],
            licence=list(texts.LICENCE_WORDS)[self._licences.currentIndex()],
            format=list(texts.FORMATS)[self._formats.currentIndex()],
            min_params=None if least is None else int(least * 1e9),
            max_params=None if most is None else int(most * 1e9),
            sort=list(texts.SORT_WORDS)[self._sorts.currentIndex()],
        )

    def show_wish(self, wish: SearchWish) -> None:
        """Sets the field and the filters; nothing is asked for it."""
        self._is_drawing = True
        if self.search.text().strip() != wish.text:
            self.search.setText(wish.text)
        if self.owner.text().strip() != wish.author:
            self.owner.setText(wish.author)
        self._formats.setCurrentIndex(list(texts.FORMATS).index(wish.format))
        self._sorts.setCurrentIndex(list(texts.SORT_WORDS).index(wish.sort))
        self._tasks.setCurrentIndex(list(texts.TASK_WORDS).index(wish.task))
        self._licences.setCurrentIndex(list(texts.LICENCE_WORDS).index(wish.licence))
        sizes = [(least and int(least * 1e9), most and int(most * 1e9)) for _, least, most in texts.SIZES]
        self._sizes.setCurrentIndex(sizes.index((wish.min_params, wish.max_params)))
        self._rest.stop()
        self._is_drawing = False

    def reset(self) -> None:
        """Takes off all filters; the words stay."""
        self.show_wish(SearchWish(self.search.text().strip()))
        self.only_fitting.setChecked(False)
        self._emit(is_final=False)

    def show_safetensors(self) -> None:
        """The same words among models that must be converted."""
        self._formats.setCurrentIndex(list(texts.FORMATS).index(Format.SAFETENSORS))

    def focus_search(self) -> None:
        """The cursor goes to the search field, its text selected."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _combo(self, names: list[str]) -> "_Combo":
        made = _Combo(names)
        made.currentIndexChanged.connect(lambda _: self._emit(is_final=False))
        return made

    def _emit(self, *, is_final: bool) -> None:
        if not self._is_drawing:
            self._rest.stop()
            self.wished.emit(self.wish, is_final)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, gap=10)
        owner = _side_by_side(buddy(texts.OWNER, self.owner), self.owner)
        column.addWidget(Pair(self.search, owner, narrow_px=_NARROW_PX, gap=16, stretches=(1, 0)))
        row = FlowLayout()
        row.addWidget(_side_by_side(self.only_fitting))
        for name, field in (
            (texts.FORMAT, self._formats), (texts.SORT, self._sorts), (texts.SIZE, self._sizes),
            (texts.TASK, self._tasks), (texts.LICENCE, self._licences),
        ):  # fmt: skip
            row.addWidget(_side_by_side(buddy(name, field), field))
        column.addLayout(spaced(row, gap=16))


class SearchField(QLineEdit):
    """With a sign that grows with the text; tells a paste from typing."""

    pasted = Signal()
    down_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText(texts.SEARCH_HINT)
        self.setAccessibleName(texts.SEARCH)
        self.setClearButtonEnabled(True)
        self.setMaxLength(500)
        self._before = ""
        self._sign = QLabel(self)
        self.textChanged.connect(self._changed)
        OnTheme(self, self._size)

    def event(self, event: QEvent) -> bool:
        """Escape empties the field, as long as there is something in it."""
        is_escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if is_escape and event.type() == QEvent.Type.ShortcutOverride and self.text():
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Down:
            self.down_pressed.emit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._size()

    def _changed(self, text: str) -> None:
        """So many letters at once were not typed one by one."""
        is_paste = self.isModified() and len(text) - len(self._before) >= _PASTED_LETTERS
        self._before = text
        if is_paste:
            self.pasted.emit()

    def _size(self) -> None:
        side = theme.px(16)
        self._sign.setPixmap(theme.icon("ph.magnifying-glass").pixmap(side, side))
        self._sign.setGeometry(theme.px(10), (self.height() - side) // 2, side, side)
        self.setTextMargins(side + theme.px(6), 0, 0, 0)


class _Combo(QComboBox):
    """A list of choices that scrolling past does not change."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.addItems(names)

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(80), super().minimumSizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


def _side_by_side(*widgets: QWidget) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    spaced(row, gap=8)
    for widget in widgets:
        row.addWidget(widget)
    OnTheme(line, lambda: line.setMinimumHeight(theme.px(32)))
    return line
