"""A main thread for tests without Qt: calls that were posted run when the test asks for it."""

import queue
import time


class MainThread:
    """`post` from anywhere, `run_until` on the test's thread."""

    def __init__(self):
        self._calls = queue.SimpleQueue()

    def post(self, call):
        self._calls.put(call)

    def run_until(self, is_so, wait_s=10):
        """Runs posted calls until `is_so()`; fails after `wait_s`."""
        until_s = time.monotonic() + wait_s
        while not is_so():
            assert time.monotonic() < until_s, "it did not happen in time"
            try:
                self._calls.get(timeout=0.05)()
            except queue.Empty:
                continue

    def run_for(self, length_s):
        """Runs what is posted within this time."""
        until_s = time.monotonic() + length_s
        while time.monotonic() < until_s:
            try:
                self._calls.get(timeout=0.02)()
            except queue.Empty:
                continue
