"""The panel of jobs over the status bar: opened by the ring, closed by Esc, by its button or a click elsewhere."""

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget

from carryon.app.workshop_list import Workbench
from carryon.ui import theme
from carryon.ui.jobs import texts
from carryon.ui.jobs.presenter import Queue
from carryon.ui.jobs.rows import JobRows
from carryon.ui.widgets.controls import icon_button, label
from carryon.ui.widgets.corner_panel import CornerPanel, plain_scroll
from carryon.ui.widgets.spacing import spaced


class JobsPopover(CornerPanel):
    """Stands over `parent`, near the button it is opened by."""

    use_wanted = Signal(object)  # the Path of a model
    notice_wanted = Signal(str, object)
    discover_wanted = Signal()
    log_wanted = Signal(object)  # the Path of a log
    workshop_wanted = Signal()
    page_wanted = Signal()

    def __init__(self, parent: QWidget, queue: Queue, bench: Workbench) -> None:
        super().__init__(parent, texts.TITLE)
        self._over = parent
        self._before: QWidget | None = None  # where the keyboard was
        self._rows = JobRows(queue, bench)
        self._rows.use_wanted.connect(self._use)
        self._rows.notice_wanted.connect(self.notice_wanted)
        self._rows.discover_wanted.connect(self._discover)
        self._rows.log_wanted.connect(self.log_wanted)
        self._rows.workshop_wanted.connect(self._open_workshop)
        self._rows.rows_changed.connect(self._place_anew)
        self._rows.row_asked.connect(self._show_row)
        self._arrange()

    def open(self, over: QWidget) -> None:
        """Shows the panel over this button and takes the keyboard; pressed again, the button closes it."""
        if self.isVisible():
            self.hide()
            return
        self._over, self._before = over, QApplication.focusWidget()
        self.show_over(self._close)

    def place(self) -> None:
        """At the foot of the page over its button, as high as its rows and never larger than the page."""
        if not self.isVisible():
            return
        margin = theme.px(12)
        width = min(theme.px(440), self.page.width() - 2 * margin)
        room = self.page.height() - 2 * margin
        self.setFixedWidth(width)
        top = self._top.sizeHint().height()
        content = self._rows.heightForWidth(width - 2)
        scrolls = top + content + 2 > room
        always = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if scrolls else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self._scroll.setVerticalScrollBarPolicy(always)
        bar = theme.px(12) if scrolls else 0
        self._rows.setFixedSize(width - 2 - bar, self._rows.heightForWidth(width - 2 - bar))
        self.setFixedHeight(min(top + content + 2, room))
        left = self.page.mapFromGlobal(self._over.mapToGlobal(QPoint(0, 0))).x()
        left = max(margin, min(left, self.page.width() - width - margin))
        self.move(left, self.page.height() - self.height() - margin)

    def _place_anew(self) -> None:
        """Now, and when Qt has told the layouts of what was hidden: it does so with the next event."""
        self.place()
        QTimer.singleShot(0, self, self.place)

    def _show_row(self, row: QWidget) -> None:
        """With its foot, where a question has its answers; when it has its new height."""
        QTimer.singleShot(0, row, lambda: self._scroll.ensureWidgetVisible(row, 0, 0))

    def put_away(self) -> None:
        """By the keyboard, which goes back to where it came from."""
        before = self._before or self._over
        self.hide()
        before.setFocus()

    def _use(self, path: object) -> None:
        self.hide()
        self.use_wanted.emit(path)

    def _open_page(self) -> None:
        self.hide()
        self.page_wanted.emit()

    def _discover(self) -> None:
        self.hide()
        self.discover_wanted.emit()

    def _open_workshop(self) -> None:
        self.hide()
        self.workshop_wanted.emit()

    def _arrange(self) -> None:
        self._close = icon_button(texts.CLOSE, "ph.caret-down", self.put_away)
        self._top = QWidget()
        row = QHBoxLayout(self._top)
        spaced(row, (16, 10, 12, 6), 8)
        row.addWidget(label(texts.TITLE, "heading"), 1)
        row.addWidget(icon_button(texts.OPEN_PAGE, "ph.arrows-out-simple", self._open_page))
        row.addWidget(self._close)
        scroll = self._scroll = plain_scroll()
        self._rows.setObjectName("page")
        scroll.setWidget(self._rows)
        outer = QVBoxLayout(self)
        spaced(outer, (1, 1, 1, 1), 0)
        outer.addWidget(self._top)
        outer.addWidget(scroll, 1)
