"""Long work: a generator that yields progress and returns its result, and the runner that owns the threads.

To cancel is to stop asking: the runner looks at its flag between two yields and closes the generator,
whose `finally` blocks tidy up. Work therefore never blocks over 0.2 s between two yields;
while it waits it yields None as a heartbeat.
"""

import logging
import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn, TypeVar

from carryon.base.errors import AppError

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """How far a job is, in true units (bytes, layers, tokens); total is None while it is unknown."""

    done: int
    total: int | None
    note: str = ""


@dataclass(frozen=True)
class Done:
    """The job came to its end with this result."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The job ended with an error a person can read."""

    error: AppError


@dataclass(frozen=True)
class Cancelled:
    """Somebody stopped the job."""


Outcome = Done | Failed | Cancelled
Work = Generator[Any, None, Any]
Post = Callable[[Callable[[], None]], None]


class Lane(Enum):
    """Jobs in one lane wait for each other; the value is how many run at once."""

    NETWORK = ("network", 2)  # answers of an engine
    HUB = ("hub", 4)  # questions to the Hub
    DOWNLOAD = ("download", 8)  # files from it; app/downloads.py lets fewer run
    DISK = ("disk", 1)
    MODEL = ("model", 1)
    WORKSHOP = ("workshop", 1)  # hours of converting and quantizing, that no model waits for
    QUICK = ("quick", 4)


class BugFound(AppError):
    """An exception nobody expected: logged whole, shown as our fault and not as the person's."""


def drive(work: Work, on_news: Callable[[Any], None], is_cancelled: Callable[[], bool]) -> Outcome:
    """Runs `work` to its end, its error or its cancellation; the only place that makes an Outcome."""
    try:
        while not is_cancelled():
            news = next(work)
            if news is not None:
                on_news(news)
        work.close()
        return Cancelled()
    except StopIteration as end:
        return Done(end.value)
    except AppError as error:
        return Failed(error)
    except Exception as error:
        log.exception("a job failed in a way nobody foresaw")
        return Failed(BugFound(f"Something went wrong inside Carryon: {error}", "The log in Settings has the details."))


def drained(work: Generator[Any, None, T], on_news: Callable[[Any], object] = lambda _: None) -> T:
    """Runs work to its end here and now, returns its result, lets its errors through, and closes it."""
    try:
        while True:
            on_news(next(work))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        work.close()


def aside(call: Callable[[], T], heartbeat_s: float = 0.1) -> Generator[None, None, T]:
    """Work around a call that blocks longer than work may: it runs in a thread of its own, which is left to itself
    when the work is closed. Returns what the call returns and raises what it raises.
    """
    answer: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:
            caught = error  # the name of an except clause is gone after it
            answer.put(lambda: _raised(caught))
        else:
            answer.put(lambda: result)

    threading.Thread(target=run, name="aside", daemon=True).start()
    while True:
        try:
            return answer.get(timeout=heartbeat_s)()
        except queue.Empty:
            yield None


def _raised(error: BaseException) -> NoReturn:
    raise error


@dataclass(frozen=True)
class Job:
    """A handle on running work: `cancel()` asks it to stop, `wait()` blocks until its outcome was posted."""

    _stop: threading.Event
    _ended: threading.Event

    def cancel(self) -> None:
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        return self._ended.wait(timeout_s)

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()


@dataclass(frozen=True)
class _Ticket:
    work: Work
    on_news: Callable[[Any], None]
    on_end: Callable[[Outcome], None]
    job: Job


class Runner:
    """Owns every working thread. News and outcomes reach the caller through `post` (the main thread in the window)."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._queues: dict[Lane, queue.SimpleQueue[_Ticket | None]] = {}
        self._threads: list[threading.Thread] = []
        self._jobs: list[Job] = []
        self._lock = threading.Lock()
        self._closed = False

    def start(
        self,
        work: Work,
        on_news: Callable[[Any], None] = lambda _: None,
        on_end: Callable[[Outcome], None] = lambda _: None,
        lane: Lane = Lane.QUICK,
    ) -> Job:
        """Puts work in a lane and returns at once. After the end nothing starts any more and nothing is told."""
        job = Job(threading.Event(), threading.Event())
        with self._lock:
            if self._closed:
                work.close()
                job._ended.set()
                return job
            self._jobs = [one for one in self._jobs if one.is_running] + [job]
            if lane not in self._queues:
                self._queues[lane] = queue.SimpleQueue()
                self._open(lane)
            self._queues[lane].put(_Ticket(work, on_news, on_end, job))
        return job

    @property
    def is_open(self) -> bool:
        """Whether work can still be started."""
        return not self._closed

    def end(self, timeout_s: float = 5.0) -> bool:
        """Cancels everything and joins the threads; True if none is left."""
        with self._lock:
            self._closed = True
            for job in self._jobs:
                job.cancel()
            for lane, lane_queue in self._queues.items():
                for _ in range(lane.value[1]):
                    lane_queue.put(None)
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _open(self, lane: Lane) -> None:
        name, width = lane.value
        for index in range(width):
            thread = threading.Thread(
                target=self._serve, args=(self._queues[lane],), name=f"{name}-{index}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, tickets: "queue.SimpleQueue[_Ticket | None]") -> None:
        while (ticket := tickets.get()) is not None:
            self._run(ticket)

    def _run(self, ticket: _Ticket) -> None:
        def tell(news: Any) -> None:
            self._post(lambda: ticket.on_news(news))

        outcome = drive(ticket.work, tell, ticket.job._stop.is_set)
        self._post(lambda: ticket.on_end(outcome))
        ticket.job._ended.set()
