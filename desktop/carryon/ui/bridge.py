"""Carries calls from working threads to the main thread, in their order."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal, Slot


class MainThread(QObject):
    """Made on the main thread; `post` may be called from any."""

    _called = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._is_open = True
        self._called.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def post(self, call: Callable[[], None]) -> None:
        """Runs `call` on the main thread, soon; never at once, so that calls keep their order."""
        self._called.emit(call)

    def close(self) -> None:
        """What is still under way is dropped: the objects it would reach are about to go."""
        self._is_open = False

    @Slot(object)
    def _run(self, call: Callable[[], None]) -> None:
        if self._is_open:
            call()
