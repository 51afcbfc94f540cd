"""What stands over the page until it is dealt with: an engine that failed, and what a load did differently."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from carryon.app.host import FailedModel, LoadedModel, LoadWish, ModelState
from carryon.base.errors import AppError
from carryon.ui import texts
from carryon.ui.widgets.notice_card import NoticeCard
from carryon.ui.widgets.reason_card import Action, ReasonCard
from carryon.ui.widgets.spacing import spaced


class Banners(QWidget):
    """Follows the state of the model; takes no room while there is nothing to say."""

    load_wanted = Signal(object)  # a LoadWish, again
    change_wanted = Signal(object)  # a LoadWish, with other settings
    log_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        spaced(self._column, (24, 12, 24, 0), 8)
        self._reason: ReasonCard | None = None
        self._state: ModelState | None = None
        self._notice = NoticeCard(texts.NOTICE_TITLE, texts.CLOSE, self.close_notice)
        self._column.addWidget(self._notice)
        self._notice.hide()
        self.hide()

    def show_state(self, state: ModelState, *, tells_failure: bool = True) -> None:
        """A failure shows its reason, a new load its notices; anything else clears both."""
        self.show_error(None)
        is_new = state is not self._state
        self._state = state
        match state:
            case FailedModel(wish, error) if tells_failure:
                self.show_error(error, self._actions(wish))
            case LoadedModel(_, engine) if is_new and engine.ready.notices:
                self._notice.say(engine.ready.notices)
                self._notice.show()
        if not isinstance(state, LoadedModel):
            self._notice.hide()
        self._fit()

    def show_error(self, error: AppError | None, actions: Sequence[Action] = ()) -> None:
        """Any error that concerns the whole window."""
        if self._reason:
            self._reason.setParent(None)
            self._reason.deleteLater()
            self._reason = None
        if error:
            self._reason = ReasonCard(error, actions)
            self._column.insertWidget(0, self._reason)
        self._fit()

    def close_notice(self) -> None:
        """The person has read it."""
        self._notice.hide()
        self._fit()

    def _actions(self, wish: LoadWish) -> list[Action]:
        return [
            (texts.LOAD_AGAIN, lambda: self.load_wanted.emit(wish)),
            (texts.CHANGE_SETTINGS, lambda: self.change_wanted.emit(wish)),
            (texts.SHOW_LOG, self.log_wanted.emit),
        ]

    def _fit(self) -> None:
        self.setVisible(self._reason is not None or not self._notice.isHidden())
