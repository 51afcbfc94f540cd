"""How far a choice can go before it stops fitting. No Qt."""

from collections.abc import Callable, Hashable
from dataclasses import replace

from carryon.fit.memory import Placement, need
from carryon.fit.plan import Candidate, Site
from carryon.fit.verdict import verdict_of

_STEP = 1024  # tokens: nobody chooses finer
_UNKNOWN_TRAINING = 131072


def largest_context(candidate: Candidate, placed: Placement, site: Site) -> int:
    """The longest context that fits with these layers, at most the trained one; 0 where not even the shortest does."""
    trained = candidate.shape.n_ctx_train or _UNKNOWN_TRAINING

    def fits(n_ctx: int) -> bool:
        longer = replace(placed, n_ctx=n_ctx)
        needed = need(candidate.shape, longer, site.rooms)
        return verdict_of(candidate.shape, longer, needed, site.rooms)[0].fits

    if fits(trained):
        return trained
    low, high = 0, -(-trained // _STEP)  # the need grows with the context, so bisection finds the border
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * _STEP) else (low, middle)
    return low * _STEP


class Remembered:
    """The latest answer of a question that is asked again and again."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._answer = 0

    def get(self, key: Hashable, ask: Callable[[], int]) -> int:
        """The answer for this key; `ask` is called when the key is another one."""
        if key != self._key:
            self._key, self._answer = key, ask()
        return self._answer

    def clear(self) -> None:
        """Forgets, because what the answer rests on has changed."""
        self._key = None
