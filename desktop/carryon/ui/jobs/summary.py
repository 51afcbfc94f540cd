"""All jobs together: the ring, the buttons for all of them, and what is said when some came to an end. No Qt."""

from collections.abc import Sequence

from carryon.app.download_list import Download, FailedDownload, Finished, Paused, Running, WaitingForNetwork
from carryon.app.workshop_list import FailedRun, FinishedRun, Run
from carryon.ui import run_words
from carryon.ui.jobs import download_rows, run_rows, texts
from carryon.ui.jobs.form import Bulk, Ring, Sign


def bulk_of(downloads: Sequence[Download], runs: Sequence[Run] = ()) -> Bulk:
    """What can be done with all of them; runs are not stopped by the dozen, for each would lose its stage."""
    ended = [*(one.state for one in downloads), *(one.state for one in runs)]
    return Bulk(
        any(one.is_active for one in downloads),
        any(isinstance(one.state, Paused) for one in downloads),
        any(isinstance(one, Finished | FinishedRun) for one in ended),
    )


def ring_of(downloads: Sequence[Download], runs: Sequence[Run] = ()) -> Ring | None:
    """All of them together; None where there are none. It fills with each job for as much as with the others."""
    if not downloads and not runs:
        return None
    loading, making = [one for one in downloads if one.is_active], [one for one in runs if one.is_active]
    if not loading and not making:
        return Ring(_calm_sign(downloads, runs), None, 0, texts.calm_words(downloads, runs))
    sign = Sign.WAITING if _waits_for_network(loading) and not making else Sign.RUNNING
    shares = [_share(loading)] * len(loading) + [run_words.whole_fraction(one) for one in making]
    words = [_loading_words(loading)] if loading else []
    words += [texts.making_words(making)] if making else []
    return Ring(sign, sum(shares) / len(shares), len(shares), ". ".join(words))


def ended_words(before: Sequence[Download], now: Sequence[Download]) -> tuple[str, ...]:
    """What to say of downloads that came to an end between two lists: a person may look elsewhere."""
    went_on = {one.id for one in before if one.is_active}
    ended = [one for one in now if one.id in went_on]
    finished = [texts.finished_words(one) for one in ended if isinstance(one.state, Finished)]
    return (*finished, *(texts.failed_words(one) for one in ended if isinstance(one.state, FailedDownload)))


def ended_runs_words(before: Sequence[Run], now: Sequence[Run]) -> tuple[str, ...]:
    """The same of runs; one that a person stopped needs no words."""
    went_on = {one.id for one in before if one.is_active}
    ended = [one for one in now if one.id in went_on]
    finished = [run_words.ready_text(one) for one in ended if isinstance(one.state, FinishedRun)]
    return (*finished, *(run_words.failed_text(one) for one in ended if isinstance(one.state, FailedRun)))


def _loading_words(loading: Sequence[Download]) -> str:
    if _waits_for_network(loading):
        return texts.waiting_words(loading)
    speed = _speed(loading)
    left_bytes = sum(one.total_bytes - one.done_bytes for one in loading)
    return texts.ring_words(loading, _share(loading), speed, left_bytes / speed if speed else None)


def _waits_for_network(loading: Sequence[Download]) -> bool:
    return all(isinstance(one.state, WaitingForNetwork) for one in loading)


def _share(loading: Sequence[Download]) -> float:
    """Of all bytes that are on their way."""
    total_bytes = sum(one.total_bytes for one in loading)
    return sum(one.done_bytes for one in loading) / total_bytes if total_bytes else 0.0


def _speed(loading: Sequence[Download]) -> float | None:
    speeds = [one.state.bytes_per_s for one in loading if isinstance(one.state, Running)]
    known = [one for one in speeds if one is not None]
    return sum(known) if known else None


def _calm_sign(downloads: Sequence[Download], runs: Sequence[Run]) -> Sign:
    signs = [*map(download_rows.sign_of, downloads), *map(run_rows.sign_of, runs)]
    return next((one for one in (Sign.FAILED, Sign.PAUSED) if one in signs), Sign.FINISHED)
