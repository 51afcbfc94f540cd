"""A run of the workshop in words and buttons. No Qt."""

from carryon.app.workshop_list import FailedRun, FinishedRun, Interrupted, Run, StageKind, Waiting, Working
from carryon.ui import run_words
from carryon.ui.jobs import texts
from carryon.ui.jobs.form import Action, Answer, Question, Row, Sign


def row_of(run: Run) -> Row:
    """A run as a row shows it; its bar is that of the stage that goes on."""
    error = run.state.error if isinstance(run.state, FailedRun) else None
    fraction = (run_words.fraction(run) or 0.0) if isinstance(run.state, Working) else None
    files = run.state.files if isinstance(run.state, FinishedRun) else ()
    return Row(
        run, run.title, run_words.state_text(run), error.message if error else "", _detail(run), fraction,
        sign_of(run), actions_of(run), files,
    )  # fmt: skip


def actions_of(run: Run) -> tuple[Action, ...]:
    """What can be done with it as it is."""
    match run.state:
        case Waiting():
            return (Action.STOP, Action.OPEN)
        case Working():
            return (Action.STOP, Action.LOG, Action.OPEN)
        case Interrupted():
            return (Action.RESUME, Action.FORGET, Action.LOG, Action.OPEN)
        case FailedRun():
            return (Action.RETRY, Action.FORGET, Action.LOG, Action.OPEN)
        case FinishedRun():
            return (Action.USE, Action.SHOW, Action.FORGET, Action.LOG, Action.OPEN)


def question_of(run: Run, action: Action) -> Question | None:
    """What is asked before it is done; None where nothing would be lost."""
    match action, run.state:
        case Action.STOP, Working(stage, done) if done and stage.kind is not StageKind.DOWNLOAD:  # which goes on
            return Question(texts.STOP_TITLE, texts.stop_question(run), (Answer.STOP_RUN,))
        case Action.FORGET, Interrupted() | FailedRun() if any(one.is_done for one in run.stages):
            return Question(texts.REMOVE_TITLE, texts.remove_question(run), (Answer.REMOVE_RUN,))
        case _:
            return None


def sign_of(run: Run) -> Sign:
    """How it is."""
    match run.state:
        case Waiting():
            return Sign.WAITING
        case Working():
            return Sign.MAKING
        case Interrupted():
            return Sign.PAUSED
        case FailedRun():
            return Sign.FAILED
        case FinishedRun():
            return Sign.FINISHED


def _detail(run: Run) -> str:
    match run.state:
        case FailedRun(error):
            return error.hint
        case FinishedRun():
            return "\n".join(run.notices)
        case Working(stage, note=note) if stage.kind is StageKind.DOWNLOAD:
            return note  # why no bytes come
        case _:
            return ""
