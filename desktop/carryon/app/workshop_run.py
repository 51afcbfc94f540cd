"""One run of the workshop: its stages one after the other, each whole or not there; a kill costs the stage it hits.

The window and the commands do the same work: the store says what is whole, a lock says who works on it.
"""

import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from carryon.app.workshop_list import FailedRun, FinishedRun, Interrupted, Order, Stage, Working
from carryon.app.workshop_places import Places, check_targets, stages_of
from carryon.app.workshop_stages import Job, Terms, doing, units_of
from carryon.app.workshop_store import WorkshopStore
from carryon.base.errors import AppError, BadFile, BadInput
from carryon.base.files import disk_errors, sync_folder
from carryon.base.jobs import Progress
from carryon.base.paths import Home
from carryon.hub.fetching.file_lock import FileLock
from carryon.hub.names import repo_id_of
from carryon.hub.origin import Origin, read_origin, write_origin

_EVERY_S = 0.2  # five a second are as many as a person can follow (DESIGN.md)
_GUESS_AFTER_S, _GUESS_AFTER_SHARE = 1.5, 0.01


@dataclass(frozen=True)
class Whole:
    """A stage is done and stays done."""

    stage: Stage


@dataclass(frozen=True)
class Noticed:
    """Something that should be known of the result."""

    words: str


News = Working | Whole | Noticed


@dataclass(frozen=True)
class Bench:
    """What all runs of a home need."""

    home: Home
    terms: Terms
    store: WorkshopStore

    def log_path(self, id: str) -> Path:
        """Where a run tells what it did."""
        return self.home.logs / f"workshop-{id}.log"


def working(id: str, order: Order, bench: Bench) -> Generator[News | None, None, tuple[Path, ...]]:
    """Does what is left of a run that the store knows, keeps how it ended, and returns the targets.

    Closing it keeps the whole stages. Raises the AppErrors of its stages, BadInput where another Carryon works on it,
    and BadFile where a target would be overwritten.
    """
    store = bench.store
    try:
        files = yield from _locked(id, order, bench)
    except AppError as error:
        store.set_state(id, FailedRun(error))
        raise
    except GeneratorExit:
        store.set_state(id, Interrupted())
        raise
    store.set_state(id, FinishedRun(files))
    return files


def tidying(id: str, order: Order) -> Generator[None, None, None]:
    """Removes what a dead process left half; a run that lives elsewhere is left alone."""
    yield None
    places = Places(order, id)
    if not places.work.is_dir():
        return
    lock = FileLock(places.lock)
    with suppress(AppError):
        if lock.take():
            places.clear_parts()
            lock.release()
            _leave_if_empty(places)


def clearing(id: str, order: Order) -> Generator[None, None, None]:
    """Removes all that a run made and that is no target."""
    yield None
    places = Places(order, id)
    if not places.work.is_dir():
        return
    lock = FileLock(places.lock)
    with suppress(AppError):
        if lock.take():
            lock.release()
            places.clear()


def _locked(id: str, order: Order, bench: Bench) -> Generator[News | None, None, tuple[Path, ...]]:
    places = Places(order, id)
    with disk_errors(places.lock):
        places.work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(places.lock)
    if not lock.take():
        raise BadInput("Another Carryon works on this already.", "Wait for it, or cancel it there.")
    try:
        places.clear_parts()
        yield from _stages(places, bench)
        places.clear()
        return tuple(map(order.target, order.quants))
    finally:
        places.clear_parts()
        lock.release()
        _leave_if_empty(places)


def _stages(places: Places, bench: Bench) -> Generator[News | None, None, None]:
    order, store = places.order, bench.store
    whole = store.whole(places.id)
    made = {one.quant for one in stages_of(order) if (one.kind, one.quant) in whole}
    check_targets(order, frozenset(made) | {one for one in order.quants if _is_placed(places, one, store)})
    for stage in stages_of(order):
        if (stage.kind, stage.quant) in whole:
            continue
        yield Working(stage)
        if stage.quant:
            yield from _target(stage, places, bench)
        else:
            yield from _timed(stage, places, bench)
        store.finish(places.id, stage)
        yield Whole(stage)
    if order.keeps_middle and places.middle.is_file():
        _keep_middle(places)


def _target(stage: Stage, places: Places, bench: Bench) -> Generator[News | None, None, None]:
    """Makes one target, unless a killed process came as far as that, and gives it its name."""
    made, target = places.made(stage.quant), places.order.target(stage.quant)
    if not _is_placed(places, stage.quant, bench.store):
        if not made.is_file():
            yield from _timed(stage, places, bench)
        with disk_errors(target):
            found = made.stat()
            bench.store.placing(places.id, stage.quant, found.st_size, found.st_mtime_ns)
            check_targets(places.order, frozenset(places.order.quants) - {stage.quant})
            made.rename(target)
            sync_folder(target.parent)
    _note_origin(target, places, bench)


def _is_placed(places: Places, quant: str, store: WorkshopStore) -> bool:
    """Whether the file under the final name is the one that this run put there."""
    try:
        found = places.order.target(quant).stat()
    except OSError:
        return False
    return store.placed(places.id, quant) == (found.st_size, found.st_mtime_ns)


def _timed(stage: Stage, places: Places, bench: Bench) -> Generator[News | None, None, None]:
    """Does the stage, tells of it, and keeps how long it took and what should be known."""
    begun_s = time.monotonic()
    told = _Teller(stage)
    log = _StageLog(bench.log_path(places.id), stage)
    work = doing(stage, Job(places, bench.home, bench.terms, bench.store, log.stage_path))
    try:
        while True:
            news = next(work)
            log.follow()
            yield told.news(news)
    except StopIteration as end:
        notices: tuple[str, ...] = end.value
    finally:
        work.close()
        log.end()
    for words in notices:
        bench.store.note(places.id, words)
        yield Noticed(words)
    bench.store.keep_pace(stage, units_of(stage, places), time.monotonic() - begun_s)


def _keep_middle(places: Places) -> None:
    """Under the name of its type, unless there is such a file: then both are what a person wanted."""
    from carryon.gguf.header import read_header
    from carryon.gguf.quants import file_type_name

    kind = file_type_name(int(read_header(places.middle).fields.get("general.file_type", -1))) or "middle"
    target = places.order.folder / f"{places.order.name}-{kind}.gguf"
    if target.exists():
        raise BadFile(
            f"{target.name} is in {target.parent} already, and is not overwritten.",
            "Move that file away and resume, or forget this run: the other files are in their places.",
        )
    with disk_errors(target):
        places.middle.rename(target)
        sync_folder(target.parent)


def _note_origin(target: Path, places: Places, bench: Bench) -> None:
    """Where it came from, for the library: what the download noted beside config.json."""
    noted = read_origin(places.source / "config.json") if places.source.is_dir() else None
    if noted is None:
        return
    told = Origin(repo_id_of(noted.repo_id), target.name, noted.commit, None, target.stat().st_size, noted.licence)
    write_origin(target, told)


def _leave_if_empty(places: Places) -> None:
    for folder in (places.work, places.work.parent):
        with suppress(OSError):
            folder.rmdir()


class _Teller:
    """Makes a state of progress, five times a second, with the time that is left as far as it can be told."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._begun_s, self._told_s = stage, time.monotonic(), 0.0

    def news(self, news: Progress | Working | None) -> Working | None:
        """None where the last news are too fresh."""
        now_s = time.monotonic()
        if news is None or now_s - self._told_s < _EVERY_S:
            return None
        self._told_s = now_s
        if isinstance(news, Working):
            return news
        return Working(self._stage, news.done, news.total, news.note, self._left_s(news, now_s - self._begun_s))

    def _left_s(self, news: Progress, length_s: float) -> float | None:
        if not news.total or length_s < _GUESS_AFTER_S or news.done < _GUESS_AFTER_SHARE * news.total:
            return None
        return length_s * (news.total - news.done) / news.done


class _StageLog:
    """A run has one log; each process of it begins a file of its own, which is added as it grows."""

    def __init__(self, run_path: Path, stage: Stage) -> None:
        self._run_path, self.stage_path = run_path, run_path.with_suffix(".stage.log")
        self._at, self._followed_s = 0, 0.0
        with disk_errors(run_path):
            run_path.parent.mkdir(parents=True, exist_ok=True)
            self.stage_path.unlink(missing_ok=True)
            self._add(f"== {time.strftime('%H:%M:%S')} {stage.kind.value} {stage.quant}".rstrip().encode() + b"\n")

    def follow(self) -> None:
        """Adds what is new, once a second."""
        if time.monotonic() - self._followed_s > 1.0:
            self._followed_s = time.monotonic()
            self._take()

    def end(self) -> None:
        """Adds the rest."""
        self._take()
        with suppress(OSError):
            self.stage_path.unlink(missing_ok=True)

    def _take(self) -> None:
        with suppress(OSError), self.stage_path.open("rb") as source:
            source.seek(self._at)
            new = source.read()
            self._at += len(new)
            self._add(new)

    def _add(self, content: bytes) -> None:
        if content:
            with self._run_path.open("ab") as out:
                out.write(content)
