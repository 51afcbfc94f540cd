"""The inside of a process that does one long work (carryon.engine.task tells what it speaks)."""

import json
import logging
import sys
import time
from collections.abc import Callable, Generator
from typing import Any, BinaryIO

from carryon.base.errors import AppError
from carryon.base.jobs import Progress, drained
from carryon.worker import tie

log = logging.getLogger(__name__)
_NEWS_EVERY_S = 0.1
_BUG = "Something went wrong inside Carryon: {}"


def serve(work: Callable[[dict[str, Any]], Generator[Progress | None, None, dict[str, Any]]]) -> None:
    """Does the work that the first line of stdin asks for and tells of it; ends with the parent, whatever it does."""
    out = tie.take_stdout()
    tie.die_quietly()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    request = json.loads(tie.first_line())
    tie.end_with_parent()
    try:
        _tell(out, {"result": drained(work(request), _Teller(out))})
    except AppError as error:
        _tell(out, {"error": [type(error).__name__, error.message, error.hint]})
    except Exception as error:  # the parent shows it as our fault, the log keeps it whole
        log.exception("a task failed in a way nobody foresaw")
        _tell(out, {"error": ["EngineError", _BUG.format(error), "The log has the details."]})


class _Teller:
    """Passes on the last news of every tenth of a second, and every change of the note."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._told_s, self._note = out, 0.0, ""

    def __call__(self, news: Progress | None) -> None:
        if news is None or (news.note == self._note and time.monotonic() - self._told_s < _NEWS_EVERY_S):
            return
        self._told_s, self._note = time.monotonic(), news.note
        _tell(self._out, {"progress": [news.done, news.total, news.note]})


def _tell(out: BinaryIO, news: dict[str, Any]) -> None:
    out.write(json.dumps(news).encode() + b"\n")
