"""A download in words and buttons. No Qt."""

from pathlib import Path

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
from carryon.ui.jobs import texts
from carryon.ui.jobs.form import Action, Answer, Question, Row, Sign


def row_of(download: Download) -> Row:
    """A download as a row shows it."""
    is_measured = not isinstance(download.state, Finished)
    return Row(
        download, download.wish.title, texts.state_words(download), texts.reason_words(download),
        texts.detail_words(download), download.fraction if is_measured else None, sign_of(download),
        actions_of(download), (model_path(download),) if _is_model(download) else (),
    )  # fmt: skip


def actions_of(download: Download) -> tuple[Action, ...]:
    """What can be done with it as it is."""
    match download.state:
        case Finished():
            usable = (Action.USE,) if _is_model(download) else ()
            return (*usable, Action.SHOW, Action.FORGET)
        case FailedDownload():
            return (Action.RETRY, Action.CANCEL)
        case Paused():
            return (Action.RESUME, Action.CANCEL)
        case _:
            return (Action.PAUSE, Action.CANCEL)


def question_of(download: Download, action: Action) -> Question | None:
    """What is asked before it is done; None where nothing would be lost."""
    if action is not Action.CANCEL or not download.done_bytes:
        return None
    return Question(texts.CANCEL_TITLE, texts.cancel_question(download), (Answer.KEEP_PART, Answer.DELETE_PART))


def sign_of(download: Download) -> Sign:
    """How it is."""
    match download.state:
        case Running() | Verifying():
            return Sign.RUNNING
        case Queued() | WaitingForNetwork():
            return Sign.WAITING
        case Paused():
            return Sign.PAUSED
        case FailedDownload():
            return Sign.FAILED
        case Finished():
            return Sign.FINISHED


def model_path(download: Download) -> Path:
    """The file that the set is opened by: the first model of it, else its first file."""
    wish = download.wish
    models = [one for one in wish.files if _is_model_name(one.path)]
    return wish.target((models or list(wish.files))[0])


def _is_model(download: Download) -> bool:
    return any(_is_model_name(one.path) for one in download.wish.files)


def _is_model_name(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(".gguf") and not name.startswith("mmproj")
