"""One window a home: a second start hands its file to the first and ends, so two windows never write one store."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from carryon.base.errors import AppError
from carryon.base.files import disk_errors
from carryon.base.paths import Home

ANSWER_WITHIN_MS = 3000
_LONGEST_SOCKET_PATH = 100  # sun_path holds 104 bytes on macOS and 108 on Linux
_ACKNOWLEDGED = b"ok\n"


class SilentInstance(AppError):
    """Another window has this home and does not answer."""


class Instance(QObject):
    """The right to this home, and the ear for later starts. `opened` brings their file, or None to come forward."""

    opened = Signal(object)

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self._lock: QLockFile | None = None
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._answer)

    def claim(self) -> bool:
        """True if this home is now ours; False if a window has it. A lock that a dead process left is taken over.

        Raises BadFile or NoRoom when the home cannot be written.
        """
        with disk_errors(self._home.root):
            self._home.root.mkdir(parents=True, exist_ok=True)
        lock = QLockFile(str(self._home.root / "window.lock"))
        lock.setStaleLockTime(0)  # age proves nothing; Qt still takes over the lock of a dead process
        if not lock.tryLock(0):
            return False
        self._lock = lock
        self._listen()
        return True

    def release(self) -> None:
        """Gives the home free for the next start."""
        self._server.close()
        if self._lock:
            self._lock.unlock()
            self._lock = None

    def _listen(self) -> None:
        name = server_name(self._home)
        QLocalServer.removeServer(name)  # what a killed window left; the lock says that nobody listens
        self._server.listen(name)

    def _answer(self) -> None:
        while socket := self._server.nextPendingConnection():
            socket.readyRead.connect(_reading(socket, self.opened.emit))
            socket.disconnected.connect(socket.deleteLater)


def _reading(socket: QLocalSocket, opened: Callable[[object], object]) -> Callable[[], None]:
    def read() -> None:
        if not socket.canReadLine():
            return
        wanted = _file_in(bytes(socket.readLine().data()))
        socket.write(_ACKNOWLEDGED)
        socket.flush()
        opened(wanted)

    return read


def _file_in(line: bytes) -> Path | None:
    try:
        named = json.loads(line)["open"]
        return Path(named) if named else None
    except (ValueError, KeyError, TypeError):
        return None


def hand_over(home: Home, file: Path | None) -> None:
    """Asks the window that has this home to come forward, with a file or without. Raises SilentInstance."""
    socket = QLocalSocket()
    socket.connectToServer(server_name(home))
    line = json.dumps({"open": str(file) if file else None}).encode() + b"\n"
    is_heard = (
        socket.waitForConnected(ANSWER_WITHIN_MS)
        and socket.write(line) == len(line)
        and socket.waitForReadyRead(ANSWER_WITHIN_MS)
    )
    socket.disconnectFromServer()
    if not is_heard:
        raise SilentInstance(
            "Carryon is open already, and its window does not answer.",
            "End it in the system's task list, then start again.",
        )


def server_name(home: Home) -> str:
    """A socket in the home itself where its path is short enough, else one named after it."""
    inside = str(home.root / "window.socket")
    if sys.platform != "win32" and len(inside.encode()) <= _LONGEST_SOCKET_PATH:
        return inside
    return f"carryon-{hashlib.sha256(str(home.root).encode()).hexdigest()[:24]}"
