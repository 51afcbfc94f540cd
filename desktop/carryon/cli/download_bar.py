"""How far a download is, on one line of a terminal that is drawn over, or as plain lines where nobody watches."""

import shutil
from collections.abc import Callable
from typing import Protocol, TextIO

from carryon.app.download_list import Download, Running, Verifying, WaitingForNetwork
from carryon.base.units import bytes_text, done_text, left_text, rate_text

_NARROWEST_BAR, _WIDEST_BAR = 8, 40
_EVERY_PERCENT = 10


class Shown(Protocol):
    """What tells a person how far it is."""

    def show(self, download: Download) -> None: ...

    def say(self, sentence: str) -> None: ...

    def end(self) -> None: ...


def shown_on(out: TextIO) -> Shown:
    """A bar where somebody can see it move, else a line for every tenth."""
    return Bar(out) if out.isatty() else Lines(out)


class Bar:
    """One line, as wide as the terminal at that moment."""

    def __init__(self, out: TextIO, width: Callable[[], int] = lambda: shutil.get_terminal_size().columns) -> None:
        self._out, self._width = out, width
        self._is_drawn = False

    def show(self, download: Download) -> None:
        """Draws it over."""
        room = max(1, self._width() - 1)  # the last column would begin a new line
        self._out.write(f"\r{bar_line(download, room, is_plain=not _takes_blocks(self._out)).ljust(room)}")
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
        self._told_why = ""

    def show(self, download: Download) -> None:
        """Tells the next tenth, or why nothing comes."""
        state = download.state
        why = state.why.message if isinstance(state, WaitingForNetwork) else ""
        if why and why != self._told_why:
            self.say(f"{why} It goes on by itself.")
        self._told_why = why
        percent = int(download.fraction * 100) // _EVERY_PERCENT * _EVERY_PERCENT
        if self._told_percent is None or percent > self._told_percent:
            self._told_percent = percent
            self._out.write(", ".join([f"{percent} %", *_facts(download)]) + "\n")
            self._out.flush()

    def say(self, sentence: str) -> None:
        """A sentence of its own."""
        self._out.write(f"carryon: {sentence}\n")
        self._out.flush()

    def end(self) -> None:
        """Nothing is left open."""


def bar_line(download: Download, width: int, *, is_plain: bool = False) -> str:
    """'██████░░░░ 43 %  1.2 of 4.9 GB  23 MB/s  2 min left'; what is least needed goes first where it is narrow."""
    facts = [f"{int(download.fraction * 100):3} %", *_facts(download)]
    while len(facts) > 1 and len("  ".join(facts)) > width:
        facts.pop()
    words = "  ".join(facts)[:width]
    room = min(_WIDEST_BAR, width - len(words) - 1)
    if room < _NARROWEST_BAR:
        return words
    n_full = int(min(download.fraction, 1.0) * room)
    full, empty = ("#", "-") if is_plain else ("█", "░")
    return f"{full * n_full}{empty * (room - n_full)} {words}"


def _facts(download: Download) -> list[str]:
    here = done_text(download.done_bytes, download.total_bytes)
    match download.state:
        case Running(speed, left_s) if speed is not None:
            return [here, rate_text(speed), *([left_text(left_s)] if left_s is not None else [])]
        case WaitingForNetwork(why, again_in_s):
            return [here, f"tries again in {again_in_s:.0f} s", why.message]
        case Verifying():
            return [bytes_text(download.total_bytes), "comparing every byte"]
        case _:
            return [here]


def _takes_blocks(out: TextIO) -> bool:
    try:
        "█░".encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
