"""The one style sheet, made from a palette. Widgets choose their look by object name, never by a style of their own.

QLabel      #title #heading #strong #soft #small #good #warn #bad
QPushButton #primary #link #quiet #danger          QToolButton #icon
QFrame      #card #rail #side #composer #line #notice
"""

from collections.abc import Callable
from dataclasses import asdict
from string import Template
from typing import Any


def sheet(rules: str, palette: Any, px: Callable[[float], int], images: Callable[[str], str]) -> str:
    """The QSS text of `rules`; `px` scales lengths with the text, `images` finds a picture for this palette."""
    sizes = {f"s{length}": f"{px(length)}px" for length in range(1, 33)}
    pictures = {"down": images("caret-down"), "up": images("caret-up"), "check": images("check"), "dot": images("dot")}
    return Template(rules).substitute(asdict(palette), **sizes, **pictures, **_circles(px))


def _circles(px: Callable[[float], int]) -> dict[str, str]:
    """Sides of what must be round. Qt draws a square where a radius is more than half of a side, border included."""
    groove, knob = 2 * round(px(4) / 2), 2 * round(px(14) / 2)
    lengths = {"groove": groove, "knob": knob, "knob_round": knob // 2 + 2, "over": (knob + 4 - groove) // 2}
    return {name: f"{length}px" for name, length in lengths.items()} | {"radio": f"{(px(16) + 2) // 2}px"}
