"""What the ring, the popover and the page of jobs show, as values: downloads and the workshop's runs alike. No Qt."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from carryon.app.download_list import Download
from carryon.app.workshop_list import Run
from carryon.ui.jobs import texts

Job = Download | Run


class Action(Enum):
    """What can be done with a job; the value is the word on its button."""

    USE = texts.USE
    SHOW = texts.SHOW
    RESUME = texts.RESUME
    RETRY = texts.RETRY
    PAUSE = texts.PAUSE
    STOP = texts.STOP
    CANCEL = texts.CANCEL
    FORGET = texts.FORGET
    LOG = texts.LOG
    OPEN = texts.OPEN


class Answer(Enum):
    """What a person says when asked before something is lost; the value is the word on its button."""

    KEEP_PART = texts.KEEP_PART
    DELETE_PART = texts.DELETE_PART
    STOP_RUN = texts.STOP_RUN
    REMOVE_RUN = texts.REMOVE_RUN

    @property
    def loses(self) -> bool:
        """Whether something is gone after it."""
        return self is not Answer.KEEP_PART


@dataclass(frozen=True)
class Question:
    """What is asked before something is lost."""

    title: str
    words: str
    answers: tuple[Answer, ...]  # beside the one that takes it back


class Sign(Enum):
    """How a job or all of them are; each has an icon of its own, so that colour is not the only sign."""

    RUNNING = "running"
    MAKING = "making"  # the workshop is at work
    WAITING = "waiting"
    PAUSED = "paused"
    FAILED = "failed"
    FINISHED = "finished"


@dataclass(frozen=True)
class Row:
    """A job as a row shows it."""

    job: Job
    title: str
    words: str
    reason: str  # why it failed
    detail: str  # the next step, or what else should be known
    fraction: float | None  # None: no bar
    sign: Sign
    actions: tuple[Action, ...]
    files: tuple[Path, ...] = ()  # that can be used in the chat

    @property
    def id(self) -> str:
        """Told apart from all other rows by it."""
        return f"run {self.job.id}" if isinstance(self.job, Run) else self.job.id

    @property
    def spoken(self) -> str:
        """All that the row says."""
        said = (self.title, self.words, self.reason, self.detail)
        return ". ".join(one.rstrip(".") for one in said if one)


@dataclass(frozen=True)
class Ring:
    """All jobs in one small sign. `fraction` is None where nothing goes on."""

    sign: Sign
    fraction: float | None
    count: int  # of those that go on by themselves
    words: str


@dataclass(frozen=True)
class Bulk:
    """Which of the buttons for all jobs have something to do."""

    can_pause: bool = False
    can_resume: bool = False
    can_clear: bool = False
