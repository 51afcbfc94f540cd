"""What the Library page asks and answers: searches, sorts, judges what is seen, renames, deletes, compares. No Qt."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from carryon.app.fits_here import Judge, Judged, moved
from carryon.app.fitting import Fitting, refreshed
from carryon.app.host import LoadedModel, LoadingModel, ModelHost, ModelState, NoModel
from carryon.app.library import Library, LibraryState
from carryon.app.made_here import Story, telling
from carryon.app.model_trash import Trashed
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Job, Lane, Outcome, Progress, Runner
from carryon.fit.plan import Site
from carryon.hardware.machine import Machine, MemoryUse
from carryon.hub.library.duplicates import Copies
from carryon.hub.library.entry import Entry
from carryon.hub.library.metadata import MetadataLine, read_metadata
from carryon.ui.library import texts
from carryon.ui.library.form import Column, Form, Place


class View(Protocol):
    """What the presenter needs of a page."""

    def show_form(self, form: Form) -> None: ...

    def say(self, words: str, undo: Callable[[], object] | None = None) -> None: ...


class LibraryPresenter:
    """Lives on the main thread. Verdicts are worked out in the QUICK lane, hashes in the DISK lane."""

    def __init__(self, library: Library, runner: Runner, host: ModelHost, fitting: Fitting, view: View) -> None:
        self._library, self._runner, self._host = library, runner, host
        self._fitting, self._view, self._judge = fitting, view, Judge()
        self._machine: Machine | None = None
        self._use: MemoryUse | None = None
        self._site: Site | None = None
        self._stale: set[Path] = set()  # answers that are for another moment's memory
        self._seen: tuple[Path, ...] = ()
        self._judging: Job | None = None
        self._comparing: Job | None = None
        self._telling: Job | None = None
        self._round = 0  # of the site: an answer for an older one is dropped
        self.form = Form()
        library.listen(self._library_turned)
        host.listen(self._host_turned)

    def open(self) -> None:
        """Asked whenever the page is opened: what is chosen may have been measured meanwhile."""
        self._library.refresh()
        self._look_closer()

    def watch(self) -> None:
        """Asked every few seconds while the page is seen: notices what other programs do."""
        self._library.look_for_changes()

    def look_again(self) -> None:
        """A person says that something should be there."""
        self._library.refresh()

    def set_machine(self, machine: Machine | None) -> None:
        """What was found out about this machine; None while it is being looked at."""
        self._machine = machine
        self._settle()

    def set_use(self, use: MemoryUse) -> None:
        """How full this machine is now; small changes do not judge everything anew."""
        if self._use is None or moved(self._use, use):
            self._use = use
            self._settle()

    def search(self, words: str) -> None:
        """Only the models with these words."""
        self._show(search=words)

    def show_place(self, place: Place) -> None:
        """Only the models of a program or folder."""
        self._show(place=place)

    def show_all(self) -> None:
        """Whatever was looked for."""
        self._show(search="", place=None)

    def sort(self, column: Column, *, is_descending: bool) -> None:
        """The order of the rows."""
        self._show(column=column, is_descending=is_descending)
        self._judge_more()

    def select(self, path: Path | None) -> None:
        """Looks at one model."""
        if path != self.form.selected:
            self._choose(path)

    def seen(self, paths: Sequence[Path]) -> None:
        """Which rows are on the screen: these get their verdict first."""
        if tuple(paths) != self._seen:
            self._seen = tuple(paths)
            self._judge_more()

    def rename(self, path: Path, name: str) -> None:
        """Another name for a model."""
        entry = self._library.entry_at(path)
        if entry is None or name.strip() in ("", entry.name):
            return
        try:
            self._refuse_loaded(entry)
            renamed = self._library.rename(entry, name)
        except AppError as error:
            self._tell(error)
            return
        if self.form.selected == path:
            self._choose(renamed.path)
        self._view.say(texts.renamed_text(name.strip()), lambda: self._attempt(renamed.undo))

    def move_to_trash(self, path: Path) -> bool:
        """A model of Carryon's goes into the trash; True where it did."""
        entry = self._library.entry_at(path)
        if entry is None:
            return False
        following = self._following(path)
        try:
            self._refuse_loaded(entry)
            trashed = self._library.move_to_trash(entry)
        except AppError as error:
            self._tell(error)
            return False
        self._choose(following)
        self._view.say(texts.trashed_text(entry.name, entry.size_bytes), lambda: self._put_back(trashed, path))
        return True

    def empty_trash(self) -> None:
        """Deletes what is in the trash for good."""
        self._library.empty_trash()

    def add_folder(self, folder: Path) -> None:
        """Looks into another folder too."""
        self._attempt(lambda: self._library.add_folder(folder))

    def remove_folder(self, folder: Path) -> None:
        """Looks into an added folder no more."""
        if self._attempt(lambda: self._library.remove_folder(folder)):
            self._show(place=None)

    def find_copies(
        self, on_progress: Callable[[Progress], None], on_end: Callable[[tuple[Copies, ...] | AppError], None]
    ) -> None:
        """Compares the files; `stop_comparing` ends it without an answer."""

        def ended(outcome: Outcome) -> None:
            match outcome:
                case Done(found):
                    on_end(found)
                case Failed(error):
                    on_end(error)

        self._comparing = self._runner.start(self._library.finding_copies(), on_progress, ended, Lane.DISK)

    def stop_comparing(self) -> None:
        """The person does not want to wait."""
        if self._comparing:
            self._comparing.cancel()

    def read_fields(self, path: Path, on_end: Callable[[tuple[MetadataLine, ...] | AppError], None]) -> None:
        """Everything that a file says about itself."""

        def ended(outcome: Outcome) -> None:
            match outcome:
                case Done(lines):
                    on_end(lines)
                case Failed(error):
                    on_end(error)

        self._runner.start(_once(lambda: read_metadata(path)), on_end=ended)

    def _library_turned(self, state: LibraryState) -> None:
        before = {one.path: (one.size_bytes, one.modified_s) for one in self.form.state.entries}
        changed = {one.path for one in state.entries if before.get(one.path) != (one.size_bytes, one.modified_s)}
        judged = {path: answer for path, answer in self.form.judged.items() if path not in changed}
        place = self.form.place if self.form.place in Form(state=state).places else None
        stories = {path: story for path, story in self.form.stories.items() if path not in changed}
        self._show(state=state, judged=judged, stories=stories, place=place)
        if changed:
            self._judge_more()
        if self.form.selected in changed:
            self._look_closer()

    def _choose(self, path: Path | None) -> None:
        self._show(selected=path)
        self._judge_more()
        self._look_closer()

    def _look_closer(self) -> None:
        """How the chosen file was made and what was measured of it; whatever was looked up before it is given up."""
        if self._telling:
            self._telling.cancel()
            self._telling = None
        entry = self.form.entry
        if entry is None or entry.is_broken:
            return
        path = entry.path

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                story: Story = outcome.result
                self._show(stories={**self.form.stories, path: story})

        self._telling = self._runner.start(telling(path, self._fitting.evaluations), on_end=told)

    def _host_turned(self, state: ModelState) -> None:
        """What is loaded would be unloaded first, so it decides how much is free."""
        if isinstance(state, LoadedModel | NoModel):
            self._settle()

    def _settle(self) -> None:
        """The site of this moment; what was judged for another one is judged anew, and shown meanwhile."""
        if self._machine is None:
            return
        machine = refreshed(self._machine, self._use) if self._use else self._machine
        ready = self._host.state.engine.ready if isinstance(self._host.state, LoadedModel) else None
        self._site = self._fitting.site(machine, ready)
        self._round += 1
        self._stale = set(self.form.judged)
        self._show(has_gpu=bool(self._site.rooms.gpus), is_judging=True)
        self._judge_more()

    def _judge_more(self) -> None:
        """Begins with what is chosen and what is seen; all of them count where they are sorted by it."""
        if self._judging:
            self._judging.cancel()
            self._judging = None
        if self._site is None or not (entries := self._unjudged()):
            return
        round_then = self._round
        self._judging = self._runner.start(
            self._judge.judging(entries, self._site), lambda news: self._judged(round_then, *news)
        )

    def _unjudged(self) -> list[Entry]:
        by_path = {one.path: one for one in self.form.state.entries}
        wanted = [self.form.selected, *self._seen]
        if self.form.column is Column.FIT:
            wanted += by_path
        found = [by_path[path] for path in dict.fromkeys(wanted) if path in by_path]
        return [one for one in found if one.is_usable and self._needs_answer(one.path)]

    def _needs_answer(self, path: Path) -> bool:
        return path not in self.form.judged or path in self._stale

    def _judged(self, round_then: int, path: Path, answer: Judged) -> None:
        if round_then == self._round:
            self._stale.discard(path)
            self._show(judged={**self.form.judged, path: answer})

    def _following(self, path: Path) -> Path | None:
        """What is chosen once this one is gone."""
        paths = [one.path for one in self.form.rows]
        if path not in paths:
            return None
        at = paths.index(path)
        others = [*paths[at + 1 :], *reversed(paths[:at])]
        return others[0] if others else None

    def _put_back(self, trashed: Trashed, path: Path) -> None:
        if self._attempt(lambda: self._library.put_back(trashed)):
            self._choose(path)

    def _refuse_loaded(self, entry: Entry) -> None:
        """A file that an engine reads stays where it is: some systems would refuse it half-way."""
        state = self._host.state
        if isinstance(state, LoadedModel | LoadingModel) and state.wish.file.path in entry.parts:
            raise AppError(texts.LOADED)

    def _attempt(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except AppError as error:
            self._tell(error)
            return False
        return True

    def _tell(self, error: AppError) -> None:
        self._view.say(f"{error.message} {error.hint}".strip())

    def _show(self, **changes: Any) -> None:
        self.form = replace(self.form, **changes)
        self._view.show_form(self.form)


def _once(call: Callable[[], Any]) -> Generator[None, None, Any]:
    """A short read as work: it looks once whether anybody still wants it."""
    yield None
    return call()
