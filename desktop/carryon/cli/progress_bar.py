"""How far a long work is, on one line of a terminal that is drawn over, or as plain lines where nobody watches."""

import shutil
import sys
import time
from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TextIO, TypeVar

from carryon.base.jobs import Progress, drained
from carryon.base.units import done_text, left_text

T = TypeVar("T")
Amount = Callable[[int, int], str]  # done and total in words: "1.2 of 4.9 GB"
_NARROWEST_BAR, _WIDEST_BAR = 8, 40
_EVERY_PERCENT = 10
_GUESS_AFTER_S = 1.0  # what is left is told when there was something to judge by


class Shown(Protocol):
    """What tells a person how far it is; `fraction` is None where the whole is not known."""

    def draw(self, fraction: float | None, facts: Sequence[str]) -> None: ...

    def say(self, sentence: str) -> None: ...

    def end(self) -> None: ...


def show(work: Generator[Progress | None, None, T], title: str, amount: Amount = done_text) -> T:
    """Runs work to its end, shows on stderr how far it is, and returns its result; a Ctrl+C closes the work.

    `title` says what is done ("Quantizing to Q4_K_M"); `amount` says how the work counts, bytes unless told otherwise.
    """
    shown = shown_on(sys.stderr)
    clock = Clock()
    shown.say(title)
    try:
        return drained(work, lambda news: _draw(shown, clock, news, amount))
    finally:
        shown.end()


def shown_on(out: TextIO) -> Shown:
    """A bar where somebody can see it move, else a line for every tenth."""
    return Bar(out) if out.isatty() else Lines(out)


def counted(unit: str) -> Amount:
    """Amounts in whole things: '120 of 291 tensors'."""
    return lambda done, total: f"{done:,} of {total:,} {unit}"


class Clock:
    """Guesses from what was done since a stretch of work began how long its rest takes; a smaller total, or a step
    back, begins another stretch.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began_s, self._began, self._last = now(), 0, (0, 0)

    def left_s(self, done: int, total: int) -> float | None:
        """Seconds; None while it is too early to say."""
        now_s = self._now()
        if total != self._last[1] or done < self._last[0]:
            self._began_s, self._began = now_s, done
        self._last = (done, total)
        worked_s, worked = now_s - self._began_s, done - self._began
        return (total - done) * worked_s / worked if worked > 0 and worked_s >= _GUESS_AFTER_S else None


class Bar:
    """One line, as wide as the terminal at that moment."""

    def __init__(self, out: TextIO, width: Callable[[], int] = lambda: shutil.get_terminal_size().columns) -> None:
        self._out, self._width = out, width
        self._is_drawn = False

    def draw(self, fraction: float | None, facts: Sequence[str]) -> None:
        """Draws it over."""
        room = max(1, self._width() - 1)  # the last column would begin a new line
        self._out.write(f"\r{bar_line(fraction, facts, room, is_plain=not takes_blocks(self._out)).ljust(room)}")
        self._out.flush()
        self._is_drawn = True

    def say(self, sentence: str) -> None:
        """A sentence that stays, above the bar."""
        self._wipe()
        self._out.write(f"carryon: {sentence}\n")
        self._out.flush()

    def end(self) -> None:
        """Leaves the line as it was before."""
        self._wipe()
        self._out.flush()

    def _wipe(self) -> None:
        if self._is_drawn:
            self._out.write(f"\r{' ' * max(1, self._width() - 1)}\r")
        self._is_drawn = False


class Lines:
    """“40 %, 1.2 of 3.0 GB, 23 MB/s”: a line each ten per cent, and one for each thing that happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told_percent: int | None = None

    def draw(self, fraction: float | None, facts: Sequence[str]) -> None:
        """Tells the next tenth."""
        if fraction is None:
            return
        percent = int(fraction * 100) // _EVERY_PERCENT * _EVERY_PERCENT
        if self._told_percent is None or percent > self._told_percent:
            self._told_percent = percent
            self._out.write(", ".join([f"{percent} %", *facts]) + "\n")
            self._out.flush()

    def say(self, sentence: str) -> None:
        """A sentence of its own."""
        self._out.write(f"carryon: {sentence}\n")
        self._out.flush()

    def end(self) -> None:
        """Nothing is left open."""


def bar_line(fraction: float | None, facts: Sequence[str], width: int, *, is_plain: bool = False) -> str:
    """'██████░░░░ 43 %  1.2 of 4.9 GB  23 MB/s  2 min left'; what is least needed goes first where it is narrow."""
    told = [*([] if fraction is None else [f"{int(fraction * 100):3} %"]), *facts]
    while len(told) > 1 and len("  ".join(told)) > width:
        told.pop()
    words = "  ".join(told)[:width]
    room = min(_WIDEST_BAR, width - len(words) - 1)
    if room < _NARROWEST_BAR or fraction is None:
        return words
    n_full = int(min(fraction, 1.0) * room)
    full, empty = ("#", "-") if is_plain else ("█", "░")
    return f"{full * n_full}{empty * (room - n_full)} {words}"


def takes_blocks(out: TextIO) -> bool:
    """Whether the stream's encoding has the bar's blocks."""
    try:
        "█░".encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _draw(shown: Shown, clock: Clock, news: Progress | None, amount: Amount) -> None:
    if news is None:
        return
    if not news.total:
        shown.draw(None, [news.note] if news.note else [])
        return
    left_s = clock.left_s(news.done, news.total) if news.done < news.total else None
    facts = [amount(news.done, news.total), *([left_text(left_s)] if left_s is not None else [])]
    shown.draw(news.done / news.total, [*facts, *([news.note] if news.note else [])])
