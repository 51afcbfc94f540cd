"""How long a download waits: for a byte, and before it tries again."""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeVar

from carryon.base.errors import AppError, Offline
from carryon.base.jobs import aside
from carryon.hub.connection import CONNECT_S, SILENCE_S, Connection
from carryon.hub.fetching.news import Retrying
from carryon.hub.site import Site
from carryon.hub.wire import BadAnswer, Refused

T = TypeVar("T")
MOST_BAD_ANSWERS = 8  # in a row; who lies so often will not stop


@dataclass(frozen=True)
class Patience:
    """The times of a download, in one place so that tests can be quick."""

    connect_s: float = CONNECT_S
    silence_s: float = SILENCE_S
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    slow_s: float = 2.0  # what a slow connection may cost before a faster one takes over
    save_s: float = 0.5  # how often it is kept on the disk which bytes are here

    def wait_s(self, error: AppError, n_in_vain: int) -> float:
        """The wait after so many tries that brought nothing: what the Hub told, else twice as long each time, never
        the same for two clients.
        """
        told_s = error.__cause__.wait_s if isinstance(error.__cause__, Refused) else None
        if told_s is not None:
            return told_s + random.uniform(0, 0.5)
        return random.uniform(0.5, 1.0) * min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(n_in_vain, 16))


PATIENT = Patience()


def patiently(call: Callable[[Connection], T], site: Site, patience: Patience) -> Generator[Retrying | None, None, T]:
    """Work around a call that asks the Hub: again and again while nobody answers, without end while nobody can.

    Raises what the call raises and waiting cannot cure.
    """
    for n_in_vain in count():
        connection = Connection(site, patience.connect_s, patience.silence_s)
        try:
            return (yield from aside(partial(_closing, call, connection)))
        except Offline as error:
            if isinstance(error, BadAnswer) and n_in_vain >= MOST_BAD_ANSWERS:
                raise
            yield from _resting(error, patience.wait_s(error, n_in_vain))
        finally:
            connection.abort()  # when nobody wants the answer any more; its thread closes it
    raise AssertionError("a count has no end")


def _closing(call: Callable[[Connection], T], connection: Connection) -> T:
    try:
        return call(connection)
    finally:
        connection.close()


def _resting(error: Offline, wait_s: float) -> Generator[Retrying | None, None, None]:
    yield Retrying(error, wait_s)
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.1))
        yield None
