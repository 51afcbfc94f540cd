"""One file on its way: lanes fetch pieces of it, one thread sums them, one keeps the record of what is here."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from carryon.base.errors import AppError, Offline
from carryon.hub.fetching.bandwidth import Bandwidth
from carryon.hub.fetching.part import Part
from carryon.hub.fetching.pieces import MIB, Pieces, Span
from carryon.hub.fetching.retrying import MOST_BAD_ANSWERS, Patience
from carryon.hub.fetching.sidecar import Record, keep
from carryon.hub.fetching.source import Source
from carryon.hub.fetching.summing import Block, RunningSum
from carryon.hub.fetching.ways import Fetching, Ways

BLOCK_BYTES = MIB
_LOOK_S = 0.25  # how often a free lane looks whether somebody is too slow


class Stopped(Exception):
    """Nobody wants the bytes any more."""


class Transfer:
    """What the threads of one download share. Made, `start`ed, watched, and `end`ed by one thread."""

    def __init__(
        self,
        target: Path,
        source: Source,
        part: Part,
        record: Record,
        bandwidth: Bandwidth,
        patience: Patience,
    ) -> None:
        size_bytes = source.identity.size_bytes
        self._target, self._part = target, part
        self.source, self.bandwidth, self.patience = source, bandwidth, patience
        self.pieces = Pieces(size_bytes, record.done)
        self.sum = RunningSum(source.identity.sum, size_bytes, record.marks)
        self.error: BaseException | None = None
        self.over = threading.Event()  # all is here and summed, or it failed, or it is not wanted any more
        self._lock = threading.Lock()
        self._lane_turn, self._sum_turn = threading.Condition(self._lock), threading.Condition(self._lock)
        self._keeping = threading.Lock()
        self._free: list[memoryview] = []
        self._ways = Ways()
        self._resting: dict[Fetching, tuple[Offline, float]] = {}
        self._n_lanes = self._n_bad_answers = 0
        self._gives_all_only = False
        self._kept: Record | None = None
        self._threads: list[threading.Thread] = []

    # ---- for the one who watches

    def start(self, lanes: list[Callable[[], None]]) -> None:
        """Starts the threads, one for each lane."""
        self._n_lanes = len(lanes)
        runs = [("download-lane", lane) for lane in lanes]
        for name, run in [*runs, ("download-sum", self._sum), ("download-record", self._keep_often)]:
            thread = threading.Thread(target=self._guarded, args=(run,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self, abort: Callable[[], bool]) -> None:
        """Ends the threads and keeps the record. `abort` wakes lanes, and says whether some can only be left alone."""
        self.stop()
        deadline_s = time.monotonic() + 10.0  # of a disk that hangs
        while any(one.is_alive() for one in self._threads) and time.monotonic() < deadline_s:
            some_connect = abort()
            alive = [one for one in self._threads if one.is_alive()]
            if some_connect and all(one.name == "download-lane" for one in alive):
                break  # they see that it is over before they touch anything
            for one in alive:
                one.join(0.02)
        with suppress(AppError):
            self.keep()

    def waiting(self) -> tuple[Offline, float] | None:
        """Why nothing comes at all at the moment, and until when on the monotonic clock."""
        with self._lock:
            if len(self._ways) or not self._resting:
                return None
            return min(self._resting.values(), key=lambda one: one[1])

    @property
    def is_checking(self) -> bool:
        """Whether everything is here, and some of it is still to be summed."""
        return self.pieces.is_complete and not self.sum.is_at_end

    def stop(self) -> None:
        self.over.set()
        with self._lock:
            self._lane_turn.notify_all()
            self._sum_turn.notify_all()

    def fail(self, error: BaseException) -> None:
        """The first error counts."""
        if not self.over.is_set():
            self.error = error
        self.stop()

    # ---- for lanes

    def next_span(self, lane: Fetching) -> Span | None:
        """What this lane fetches next; waits for it. None when there is nothing more to do."""
        with self._lock:
            while not self.over.is_set():
                now_s = time.monotonic()
                quiet_s = self.source.quiet_until_s - now_s
                span = self._taken() if quiet_s <= 0 else None
                if span:
                    self._ways.begin(lane, span, now_s)
                    return span
                if quiet_s <= 0:
                    self._ways.call_off_slowest(lane, now_s, self.patience.slow_s)
                self._lane_turn.wait(min(max(quiet_s, 0.0) or _LOOK_S, 1.0))
        return None

    def give_back(self, lane: Fetching, span: Span, is_whole: bool) -> bool:
        """A lane is done with it, whether or not it brought everything; whether it was called off."""
        with self._lock:
            was_called_off = self._ways.end(lane, time.monotonic())
            self.pieces.give_back(span)
            if is_whole:
                self._n_bad_answers = 0
            self._lane_turn.notify_all()
            return was_called_off

    def block(self) -> memoryview:
        """Memory for bytes that come."""
        with self._lock:
            return self._free.pop() if self._free else memoryview(bytearray(BLOCK_BYTES))

    def land(self, lane: Fetching, at: int, block: Block) -> None:
        """Puts bytes of one piece in their place. The memory is no longer the lane's. Raises NoRoom and Stopped."""
        left_bytes = self.pieces.size_bytes - self.pieces.done_bytes
        self._part.write(at, block.buffer[: block.n_bytes], left_bytes)
        with self._lock:
            self.pieces.landed(at, block.n_bytes)
            self._ways.reach(lane, at + block.n_bytes)
            if self.sum.wants(at):
                self.sum.offer(at, block)
            else:
                self._free.append(block.buffer)
            self._sum_turn.notify()
        if self.over.is_set():  # what has come is kept all the same
            raise Stopped

    def here_until(self, at: int) -> int:
        with self._lock:
            return self.pieces.here_until(at)

    def rest(self, lane: Fetching, error: Offline, wait_s: float) -> None:
        """A lane waits before it tries again; it ends early when everything does."""
        with self._lock:
            self._resting[lane] = (error, time.monotonic() + wait_s)
        self.over.wait(wait_s)
        with self._lock:
            self._resting.pop(lane, None)

    def may_leave(self) -> bool:
        """Whether other lanes are left when this one goes; then it is counted as gone."""
        with self._lock:
            if self._n_lanes <= 1:
                return False
            self._n_lanes -= 1
            return True

    def count_bad_answer(self) -> bool:
        """Whether there were so many in a row that it makes no sense to go on."""
        with self._lock:
            self._n_bad_answers += 1
            return self._n_bad_answers > MOST_BAD_ANSWERS

    def take_all_only(self) -> None:
        """The source gives no parts: from now on one lane takes everything."""
        with self._lock:
            self._gives_all_only = True

    def _taken(self) -> Span | None:
        if self.pieces.is_complete:
            return None
        return self.pieces.take_all() if self._gives_all_only else self.pieces.take(self.sum.fetched_before)

    # ---- the sum

    def _sum(self) -> None:
        while (found := self._next_bytes()) is not None:
            block, span = found
            if block is None:
                data: memoryview | bytes = self._part.read(span.start, span.end - span.start)
            else:
                data = block.buffer[: block.n_bytes]
            self.sum.add(data)
            self._summed(block, len(data))
        if not self.over.is_set():
            self.stop()

    def _next_bytes(self) -> tuple[Block | None, Span] | None:
        """The bytes at the front, from memory or from the disk; waits for them. None at the end."""
        with self._lock:
            while not self.over.is_set() and not self.sum.is_at_end:
                block = self.sum.in_memory()
                if block is not None:
                    return block, Span(self.sum.front, self.sum.front + block.n_bytes)
                was_catching_up = self.sum.reads_disk
                span = self.sum.on_disk(self.pieces)
                if self.sum.reads_disk and not was_catching_up:
                    self._lane_turn.notify_all()
                if span is not None:
                    return None, span
                self._sum_turn.wait()
        return None

    def _summed(self, block: Block | None, n_bytes: int) -> None:
        with self._lock:
            before = self.sum.fetched_before
            lost = self.sum.advance(n_bytes)
            if block is not None:
                self._free.append(block.buffer)
            if lost is not None:
                self.pieces.lose(lost.start, lost.end)
            if lost is not None or before // MIB != self.sum.fetched_before // MIB:
                self._lane_turn.notify_all()

    # ---- the record

    def keep(self) -> None:
        """Keeps on the disk which bytes are here. Raises NoRoom and BadFile."""
        with self._keeping:
            record = self._record()
            if record == self._kept:
                return
            self._part.sync()  # first the bytes, then the word that they are there
            keep(self._target, record, self.source.located.url)
            self._kept = record

    def _record(self) -> Record:
        with self._lock:
            return Record(self.source.identity, self.pieces.done(), self.sum.mark_bytes, self.sum.marks)

    def _keep_often(self) -> None:
        while not self.over.wait(self.patience.save_s):
            self.keep()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Stopped:
            pass
        except BaseException as error:  # a thread has nobody above it: the watcher raises it
            self.fail(error)
