"""Brings a file to the disk while it is still being written, in a thread of its own.

One sync of a whole model at the end could take minutes in which nobody could cancel.
"""

import os
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import BinaryIO

SYNC_EVERY_BYTES = 64_000_000
MOST_UNSYNCED_BYTES = 256_000_000  # what a slow disk still has to do when the work is cancelled
HEARTBEAT_S = 0.1


class Syncing:
    """Syncs `out` whenever enough has been written since; its owner closes it before the file."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._thread = ThreadPoolExecutor(1, "sync")
        self._running: Future[None] | None = None
        self._unsynced_bytes = 0

    def wrote(self, n_bytes: int) -> Generator[None, None, None]:
        """Work to be done after each write: it waits while the disk is too far behind. Raises OSError."""
        self._unsynced_bytes += n_bytes
        while self._running and self._unsynced_bytes > MOST_UNSYNCED_BYTES and not self._running.done():
            wait([self._running], HEARTBEAT_S)
            yield None
        if self._unsynced_bytes >= SYNC_EVERY_BYTES and (self._running is None or self._running.done()):
            self._start()

    def close(self) -> None:
        """Waits for the sync that is running."""
        self._thread.shutdown()

    def _start(self) -> None:
        if self._running:
            self._running.result()  # a disk that failed says so here
        self._out.flush()
        self._unsynced_bytes = 0
        self._running = self._thread.submit(os.fsync, self._out.fileno())
