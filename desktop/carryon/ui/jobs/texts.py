"""The words of the jobs: the ring's, the list's, the questions before something is lost. No Qt."""

from collections.abc import Sequence

from carryon.app.download_list import (
    Download,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
    Verifying,
    WaitingForNetwork,
)
from carryon.app.workshop_list import FailedRun, FinishedRun, Interrupted, Run, Working
from carryon.base.units import bytes_text, done_text, left_text, rate_text
from carryon.ui import run_words

TITLE = "Jobs"
NONE_YET = "Nothing is going on"
NONE_YET_NOTE = (
    "Models that you download and what the Workshop makes appear here. They outlast a break, a lost network and a "
    "restart."
)
DISCOVER = "Find a model"
PAUSE_ALL, RESUME_ALL, CLEAR = "Pause downloads", "Resume downloads", "Clear finished"
PAUSE, RESUME, RETRY, CANCEL, USE, SHOW, FORGET = (
    "Pause", "Resume", "Try again", "Cancel", "Use in chat", "Show in folder", "Remove from the list",
)  # fmt: skip
STOP, LOG, OPEN = "Stop", "Show log", "Open in the Workshop"
CLOSE, OPEN_PAGE = "Close", "Show as a page"
CANCEL_TITLE = "Cancel this download?"
KEEP_PART, DELETE_PART, BACK = "Keep what is here", "Delete what is here", "Back"
STOP_TITLE, REMOVE_TITLE = "Stop this run?", "Remove this run?"
STOP_RUN, REMOVE_RUN = "Stop it", "Remove it"
SHOWN_NOT = "The folder could not be shown. Its path is copied instead."


def state_words(download: Download) -> str:
    """'1.2 of 4.9 GB · 23 MB/s · 2 min left', or what it waits for."""
    here = done_text(download.done_bytes, download.total_bytes)
    match download.state:
        case Queued():
            return f"Waits for its turn · {here if download.done_bytes else bytes_text(download.total_bytes)}"
        case Running(None, _):
            return f"{here} · starting"
        case Running(speed, None):
            return f"{here} · {rate_text(speed)}"
        case Running(speed, left_s):
            return f"{here} · {rate_text(speed)} · {left_text(left_s)}"
        case Paused():
            return f"Paused at {percent(download)} · {here}"
        case WaitingForNetwork(_, again_in_s):
            return f"{here} · {again_words(again_in_s)}"
        case Verifying():
            return f"Comparing every byte with the Hub’s checksum · {bytes_text(download.total_bytes)}"
        case Finished():
            return f"Downloaded · {bytes_text(download.total_bytes)}"
        case FailedDownload():
            return f"Stopped at {percent(download)} · {here}"


def again_words(again_in_s: float) -> str:
    """When it tries again by itself."""
    return f"tries again in {again_in_s:.0f} s" if again_in_s >= 1 else "goes on as soon as it can"


def reason_words(download: Download) -> str:
    """Why it does not go on."""
    return download.state.error.message if isinstance(download.state, FailedDownload) else ""


def detail_words(download: Download) -> str:
    """The next step of what does not go on, else what happened on the way."""
    match download.state:
        case FailedDownload(error):
            return error.hint
        case WaitingForNetwork(why, _):
            return f"{why.message} {why.hint}".strip()
        case _:
            return download.notice


def percent(download: Download) -> str:
    """'43 %'; 100 only when nothing is missing."""
    return f"{int(download.fraction * 100)} %"


def action_name(action: str, title: str) -> str:
    """'Pause: Qwen3-8B-GGUF · Q4_K_M', for a screen reader that hears nothing of the row."""
    return f"{action}: {title}"


def ring_words(active: Sequence[Download], fraction: float, speed: float | None, left_s: float | None) -> str:
    """'Downloading 2 models, 43 %, 12 MB/s, 3 min left'."""
    models = "1 model" if len(active) == 1 else f"{len(active)} models"
    words = [f"Downloading {models}", f"{int(fraction * 100)} %"]
    words += [rate_text(speed)] if speed is not None else []
    words += [left_text(left_s)] if left_s is not None else []
    return ", ".join(words)


def waiting_words(active: Sequence[Download]) -> str:
    """Where all that is active waits for the network."""
    models = "1 download waits" if len(active) == 1 else f"{len(active)} downloads wait"
    return f"{models} for the network"


def making_words(active: Sequence[Run]) -> str:
    """'Workshop: quantizing to Q4_K_M, 43 %, 2 min left, 1 run waits'."""
    said = run_words.spoken_text(active)
    return f"Workshop: {said[:1].lower()}{said[1:]}"


def calm_words(downloads: Sequence[Download], runs: Sequence[Run] = ()) -> str:
    """'Downloads: 1 failed, 2 paused, 3 finished. Workshop: 1 stopped'."""
    loaded = _counts([one.state for one in downloads], (
        ("failed", FailedDownload), ("paused", Paused), ("finished", Finished),
    ))  # fmt: skip
    made = _counts([one.state for one in runs], (
        ("failed", FailedRun), ("stopped", Interrupted), ("ready", FinishedRun),
    ))  # fmt: skip
    said = [f"Downloads: {loaded}"] if loaded else []
    return ". ".join([*said, *([f"Workshop: {made}"] if made else [])]) or TITLE


def _counts(states: Sequence[object], kinds: Sequence[tuple[str, type]]) -> str:
    counts = [(sum(isinstance(one, kind) for one in states), word) for word, kind in kinds]
    return ", ".join(f"{n} {word}" for n, word in counts if n)


def cancel_question(download: Download) -> str:
    """What is at stake."""
    here = bytes_text(download.done_bytes)
    return (
        f"{here} of “{download.wish.title}” are here. If you keep them, "
        "the download goes on from there the next time you want this model."
    )


def stop_question(run: Run) -> str:
    """What is at stake: the stage that goes on begins anew."""
    doing = run_words.doing_text(run.state.stage) if isinstance(run.state, Working) else ""
    kept = run_words.kept_text(run)
    rest = f" {kept}." if kept else ""
    return f"“{doing}” begins anew when the run is resumed.{rest}"


def remove_question(run: Run) -> str:
    """What is at stake: hours of work, in files that nothing else knows."""
    return f"{run_words.kept_text(run)}. What was made on the way is deleted; finished files stay."


def finished_words(download: Download) -> str:
    """Said when a download came to its end."""
    return f"“{download.wish.title}” is downloaded."


def failed_words(download: Download) -> str:
    """Said when one stopped."""
    return f"The download of “{download.wish.title}” stopped. {reason_words(download)}"
