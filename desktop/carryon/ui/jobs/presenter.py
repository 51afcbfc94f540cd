"""What the popover and the page of jobs ask of the queue of downloads and of the workshop. No Qt."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from carryon.app.download_list import Download, DownloadWish
from carryon.app.workshop_list import FinishedRun, Run, Workbench
from carryon.ui.jobs import download_rows, run_rows
from carryon.ui.jobs.form import Action, Answer, Bulk, Job, Question, Row
from carryon.ui.jobs.summary import bulk_of


class Queue(Protocol):
    """What the window asks of app/downloads.py."""

    @property
    def now(self) -> tuple[Download, ...]: ...

    def listen(self, listener: Callable[[tuple[Download, ...]], None]) -> None: ...

    def add(self, wish: DownloadWish) -> str: ...

    def pause(self, id: str) -> None: ...

    def resume(self, id: str) -> None: ...

    def retry(self, id: str) -> None: ...

    def cancel(self, id: str, keeps_part: bool) -> None: ...

    def forget(self, id: str) -> None: ...

    def forget_finished(self) -> None: ...

    def pause_all(self) -> None: ...

    def resume_all(self) -> None: ...


class View(Protocol):
    """What the presenter needs of a list of jobs."""

    def show_rows(self, rows: tuple[Row, ...], bulk: Bulk) -> None: ...

    def ask(self, row: Row, action: Action, question: Question) -> None: ...

    def use(self, path: Path) -> None: ...

    def show_folder(self, path: Path) -> None: ...

    def show_log(self, path: Path) -> None: ...

    def open_in_workshop(self, run: Run) -> None: ...


class JobsPresenter:
    """Draws the list for one view; every change comes from the queue or the workshop itself."""

    def __init__(self, queue: Queue, bench: Workbench, view: View) -> None:
        self._queue, self._bench, self._view = queue, bench, view
        self._downloads: tuple[Download, ...] = ()
        self._runs: tuple[Run, ...] = ()
        queue.listen(self._downloads_turned)
        bench.listen(self._runs_turned)

    def act(self, row: Row, action: Action) -> None:
        """What the button of a row does, after a question where something would be lost."""
        if question := _question(row.job, action):
            self._view.ask(row, action, question)
        elif isinstance(row.job, Run):
            self._act_on_run(row, row.job, action)
        else:
            self._act_on_download(row, row.job, action)

    def answer(self, row: Row, answer: Answer) -> None:
        """What a person said to a question."""
        match answer:
            case Answer.KEEP_PART:
                self._queue.cancel(row.job.id, keeps_part=True)
            case Answer.DELETE_PART:
                self._queue.cancel(row.job.id, keeps_part=False)
            case Answer.STOP_RUN:
                self._bench.cancel(row.job.id)
            case Answer.REMOVE_RUN:
                self._bench.forget(row.job.id)

    def pause_all(self) -> None:
        self._queue.pause_all()

    def resume_all(self) -> None:
        self._queue.resume_all()

    def clear(self) -> None:
        """Takes the finished ones off the list; their files stay."""
        self._queue.forget_finished()
        for run in self._runs:
            if isinstance(run.state, FinishedRun):
                self._bench.forget(run.id)

    def _act_on_download(self, row: Row, download: Download, action: Action) -> None:
        match action:
            case Action.PAUSE:
                self._queue.pause(download.id)
            case Action.RESUME:
                self._queue.resume(download.id)
            case Action.RETRY:
                self._queue.retry(download.id)
            case Action.CANCEL:
                self._queue.cancel(download.id, keeps_part=False)
            case Action.FORGET:
                self._queue.forget(download.id)
            case Action.USE:
                self._view.use(row.files[0])
            case Action.SHOW:
                self._view.show_folder(download_rows.model_path(download))

    def _act_on_run(self, row: Row, run: Run, action: Action) -> None:
        match action:
            case Action.STOP:
                self._bench.cancel(run.id)
            case Action.RESUME | Action.RETRY:
                self._bench.resume(run.id)
            case Action.FORGET:
                self._bench.forget(run.id)
            case Action.USE:
                self._view.use(row.files[0])
            case Action.SHOW:
                self._view.show_folder(row.files[0])
            case Action.LOG:
                self._view.show_log(run.log_path)
            case Action.OPEN:
                self._view.open_in_workshop(run)

    def _downloads_turned(self, downloads: tuple[Download, ...]) -> None:
        self._downloads = downloads
        self._show()

    def _runs_turned(self, runs: tuple[Run, ...]) -> None:
        self._runs = runs
        self._show()

    def _show(self) -> None:
        rows = (*map(download_rows.row_of, self._downloads), *map(run_rows.row_of, self._runs))
        self._view.show_rows(rows, bulk_of(self._downloads, self._runs))


def _question(job: Job, action: Action) -> Question | None:
    return run_rows.question_of(job, action) if isinstance(job, Run) else download_rows.question_of(job, action)
