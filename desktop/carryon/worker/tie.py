"""The tie to the parent process: a private line out, an end when the parent's pipe ends, and a quiet death."""

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import BinaryIO

_LONGEST_LINE = 1 << 20


def take_stdout() -> BinaryIO:
    """A private handle on stdout; fd 1 itself becomes stderr, because llama.cpp prints there."""
    private = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return private


def first_line() -> bytes:
    """What the parent asks for; ends the process if it has gone already."""
    line = sys.stdin.buffer.readline(_LONGEST_LINE)
    if not line:
        os._exit(0)
    return line


def end_with_parent() -> None:
    """Ends this process the moment stdin ends, whatever it is doing: the C calls give the interpreter lock free.

    Linux's PR_SET_PDEATHSIG is no help here: it fires when the *thread* that started us ends, and windows
    start engines from short-lived threads.
    """
    threading.Thread(target=_wait_for_the_end, name="parent", daemon=True).start()


def _wait_for_the_end() -> None:
    with suppress(OSError, ValueError):
        while os.read(0, 4096):
            pass
    os._exit(0)


def die_quietly() -> None:
    """No core file, first in line when memory runs out (rather this process than the window), and deaf to Ctrl+C.

    A Ctrl+C in a terminal reaches the whole group; the parent decides what it means for us.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123 - absent elsewhere
        score.write("1000")
