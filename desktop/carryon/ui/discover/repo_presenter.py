"""What the page of one repository asks and answers: its files, how each quant fits, its card, its downloads. No Qt."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from carryon.app.discovery import Discovery, Look
from carryon.app.download_list import Download, DownloadWish, Finished
from carryon.app.fitting import warming
from carryon.app.workshop_list import Source, SourceKind
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Job, Lane, Outcome, Runner
from carryon.fit.plan import Site as Place
from carryon.fit.plan import Wishes, plan
from carryon.hub.names import Reference
from carryon.hub.repo import QuantFiles
from carryon.ui.discover import texts
from carryon.ui.discover.form import RepoForm
from carryon.ui.markdown.blocks import Block
from carryon.ui.markdown.parsing import blocks

LONGEST_CARD = 24_000  # characters that are drawn: some fifteen screens


class RepoView(Protocol):
    """What the presenter needs of a page."""

    def show_repository(self, form: RepoForm) -> None: ...


class RepoPresenter:
    """Lives on the main thread; the Hub is asked in the lane HUB."""

    def __init__(self, runner: Runner, discovery: Discovery, view: RepoView) -> None:
        self._runner, self._discovery, self._view = runner, discovery, view
        self._jobs: list[Job] = []
        self._round = 0
        self._place: Place | None = None
        self._is_warm = False  # plans of this repository are quick at this place
        self._downloads: tuple[Download, ...] = ()
        self._context: int | None = None  # the plan's own, while the person has set none
        self.form: RepoForm | None = None

    def open(self, reference: Reference) -> None:
        """Asks for a repository; what was asked for another one is given up."""
        self.close()
        self._context, self._is_warm = None, False
        self._draw(RepoForm(reference))
        round_now, place = self._round, self._place
        self._start(
            self._discovery.looking_into(reference, place),
            lambda look: self._looked(round_now, look),
            lambda outcome: self._looked_through(round_now, outcome, place),
        )

    def close(self) -> None:
        """The person went back."""
        self._round += 1
        for job in self._jobs:
            job.cancel()
        self._jobs.clear()
        self.form = None

    def again(self) -> None:
        """The same repository anew."""
        if self.form:
            self.open(self.form.reference)

    def set_place(self, place: Place | None) -> None:
        """Where a model would lie."""
        is_first = self._place is None
        self._place = place
        self._is_warm = self._is_warm and not is_first
        self._replan()

    def choose_quant(self, quant: str) -> None:
        """Looks at another row; the recommended one is what the plan chooses by itself."""
        if self.form and quant != self.form.chosen:
            self.form = replace(self.form, chosen=quant)
            self._wish(quant=None if quant == self.form.best_quant else quant)

    def set_context(self, n_ctx: int) -> None:
        """In tokens."""
        self._wish(n_ctx=n_ctx)

    def show_all(self, is_wanted: bool) -> None:
        """All quants, or the usual ones."""
        self._show(shows_all=is_wanted)

    def take_projector(self, is_wanted: bool) -> None:
        """Whether the projector is downloaded with the model."""
        self._show(with_projector=is_wanted)

    def show_downloads(self, downloads: Sequence[Download]) -> None:
        """What is going on with the files of this repository; what has come since is here now."""
        ended = {one.id for one in downloads if isinstance(one.state, Finished)}
        known = {one.id for one in self._downloads if isinstance(one.state, Finished)}
        self._downloads = tuple(downloads)
        if self.form is None or self.form.look is None:
            return
        going_on = _by_quant(self.form.look, self._downloads)
        if ended - known:
            self._take(self._discovery.again(self.form.look), downloads=going_on)
            self._replan()
        elif going_on != self.form.downloads:
            self._show(downloads=going_on)

    def refresh(self) -> None:
        """Looks on the disk again: the page is opened."""
        if self.form and self.form.look:
            self._take(self._discovery.again(self.form.look))
            self._replan()

    def wish(self) -> DownloadWish | None:
        """What the button downloads."""
        form = self.form
        if form is None or form.look is None or form.quant is None:
            return None
        projector = texts.projector(form) if form.with_projector else None
        return self._discovery.wish_for(form.look, form.quant, projector)

    def source(self) -> Source | None:
        """What the Workshop would convert; a revision that was asked for goes with it."""
        form = self.form
        if form is None or form.look is None or not form.look.must_be_converted:
            return None
        asked = form.reference.revision
        revision = f"@{asked}" if asked and asked != "main" else ""
        return Source(SourceKind.REPOSITORY, f"{form.look.repo.repo_id}{revision}")

    def path(self) -> Path | None:
        """The file of the quant that is looked at, where it is here."""
        form = self.form
        if form is None or form.look is None or form.quant is None or not form.is_here:
            return None
        return self._discovery.path_of(form.look.repo, form.quant.first)

    def _looked(self, round_then: int, look: Look) -> None:
        """Its files are known; its header is still being read."""
        if round_then != self._round or self.form is None:
            return
        self._take(look, chosen=_first_choice(self.form.reference, look), downloads=_by_quant(look, self._downloads))
        round_now = self._round
        self._start(
            _reading_blocks(self._discovery, look),
            lambda _: None,
            lambda outcome: self._card_came(round_now, outcome),
        )

    def _looked_through(self, round_then: int, outcome: Outcome, place: Place | None) -> None:
        if round_then != self._round or self.form is None:
            return
        match outcome:
            case Done(Look() as look):
                self._is_warm = place is not None and place is self._place
                self._take(self._discovery.again(look))
                named = _named(self.form.reference, look)
                self.form = replace(self.form, wishes=Wishes(quant=named or None))
                self._replan()
            case Failed(error):
                self._show(error=error)

    def _card_came(self, round_then: int, outcome: Outcome) -> None:
        if round_then != self._round:
            return
        card, is_cut = outcome.result if isinstance(outcome, Done) else ((), False)
        self._show(card=card, is_card_cut=is_cut)

    def _replan(self) -> None:
        """At once where plans are quick; else what a first plan works out is worked out in the background."""
        form, place = self.form, self._place
        if form is None or form.look is None or form.look.subject is None or place is None:
            self._show(plan=None)
            return
        if self._is_warm:
            self._plan_now()
            return
        round_now = self._round
        self._start(
            warming(form.look.subject.candidates, place, form.wishes),
            lambda _: None,
            lambda outcome: self._warmed(round_now, outcome),
        )

    def _warmed(self, round_then: int, outcome: Outcome) -> None:
        if round_then == self._round and isinstance(outcome, Done):
            self._is_warm = True
            self._plan_now()

    def _plan_now(self) -> None:
        form, place = self.form, self._place
        if form is None or form.look is None or form.look.subject is None or place is None:
            return
        asked = form.wishes
        if asked.quant is not None and asked.n_ctx is None:
            asked = replace(asked, n_ctx=self._context)  # to look at another row must not move the slider
        try:
            made = plan(form.look.subject.candidates, place, asked)
        except AppError as error:
            self._show(error=error)
            return
        self._context = made.best.placement.n_ctx
        best = made.recommended or made.best
        self._show(plan=made, best_quant=best.candidate.quant, chosen=made.best.candidate.quant, error=None)

    def _wish(self, **changes: Any) -> None:
        if self.form:
            self.form = replace(self.form, wishes=replace(self.form.wishes, **changes))
            self._replan()

    def _take(self, look: Look, **changes: Any) -> None:
        self._show(look=look, **changes)

    def _start(self, work: Generator[Any, None, Any], on_news: Any, on_end: Any) -> None:
        self._jobs = [one for one in self._jobs if one.is_running]
        self._jobs.append(self._runner.start(work, on_news, on_end, Lane.HUB))

    def _show(self, **changes: Any) -> None:
        if self.form:
            self._draw(replace(self.form, **changes))

    def _draw(self, form: RepoForm) -> None:
        self.form = form
        self._view.show_repository(form)


def _named(reference: Reference, look: Look) -> str:
    """The quant that was asked for by its name or by one of its files; empty where none was."""
    if reference.quant and (found := look.quant(reference.quant)):
        return found.quant
    for one in look.files.quants:
        if reference.file and any(file.path == reference.file for file in one.files):
            return one.quant
    return ""


def _first_choice(reference: Reference, look: Look) -> str:
    """Until the plan recommends one."""
    return _named(reference, look) or (look.files.quants[0].quant if look.files.quants else "")


def _by_quant(look: Look, downloads: Sequence[Download]) -> dict[str, Download]:
    """The latest download of each quant."""
    found: dict[str, Download] = {}
    for one in downloads:
        if one.wish.repo_id == look.repo.repo_id:
            found |= {quant.quant: one for quant in look.files.quants if _holds(one, quant)}
    return found


def _holds(download: Download, quant: QuantFiles) -> bool:
    paths = {file.path for file in download.wish.files}
    return all(file.path in paths for file in quant.files)


def _reading_blocks(discovery: Discovery, look: Look) -> Generator[None, None, tuple[tuple[Block, ...], bool]]:
    """The card as blocks that can be drawn, and whether it was cut."""
    text = yield from discovery.reading_card(look.repo)
    yield None
    is_cut = len(text) > LONGEST_CARD
    if is_cut:
        text = text[: text.rfind("\n", 0, LONGEST_CARD)]
    return blocks(text), is_cut
