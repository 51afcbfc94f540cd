"""How far a download is, on one line of a terminal that is drawn over, or as plain lines where nobody watches."""

from typing import Protocol, TextIO

from carryon.app.download_list import Download, Running, Verifying, WaitingForNetwork
from carryon.base.units import bytes_text, done_text, left_text, rate_text
from carryon.cli import progress_bar


class Shown(Protocol):
    """What tells a person how far it is."""

    def show(self, download: Download) -> None: ...

    def say(self, sentence: str) -> None: ...

    def end(self) -> None: ...


def shown_on(out: TextIO) -> Shown:
    """A bar where somebody can see it move, else a line for every tenth."""
    return Bar(out) if out.isatty() else Lines(out)


class Bar(progress_bar.Bar):
    """One line, as wide as the terminal at that moment."""

    def show(self, download: Download) -> None:
        """Draws it over."""
        self.draw(download.fraction, _facts(download))


class Lines(progress_bar.Lines):
    """“40 %, 1.2 of 3.0 GB, 23 MB/s”: a line each ten per cent, and one for each thing that happens."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._told_why = ""

    def show(self, download: Download) -> None:
        """Tells the next tenth, or why nothing comes."""
        state = download.state
        why = state.why.message if isinstance(state, WaitingForNetwork) else ""
        if why and why != self._told_why:
            self.say(f"{why} It goes on by itself.")
        self._told_why = why
        self.draw(download.fraction, _facts(download))


def bar_line(download: Download, width: int, *, is_plain: bool = False) -> str:
    """'██████░░░░ 43 %  1.2 of 4.9 GB  23 MB/s  2 min left'; what is least needed goes first where it is narrow."""
    return progress_bar.bar_line(download.fraction, _facts(download), width, is_plain=is_plain)


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
