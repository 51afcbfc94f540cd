"""What the Discover page looks for: starters, searches and their pages, and how each line would about fit. No Qt."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any, Protocol

from carryon.app.discovery import Discovery, RoughFit, judging
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Job, Lane, Outcome, Runner
from carryon.fit.plan import Site as Place
from carryon.hub.catalog import starters
from carryon.hub.names import Reference
from carryon.hub.repo import FoundModel
from carryon.hub.search import SearchPage, SearchWish
from carryon.ui.discover.form import Line, Phase, SearchForm

_ENOUGH_LINES = 12  # that fit; fewer, and the next page is asked for without a click
_MOST_PAGES_UNASKED = 3


class View(Protocol):
    """What the presenter needs of a page."""

    def show_search(self, form: SearchForm) -> None: ...

    def open_repository(self, reference: Reference) -> None: ...


class SearchPresenter:
    """Lives on the main thread; the Hub is asked in the lane HUB. An answer to an older question is dropped."""

    def __init__(self, runner: Runner, discovery: Discovery, view: View) -> None:
        self._runner, self._discovery, self._view = runner, discovery, view
        self._asking: Job | None = None
        self._judging: Job | None = None
        self._place: Place | None = None
        self._rough: dict[str, RoughFit] = {}
        self._round = 0
        self._n_unasked = 0  # pages that were asked for without a click
        self.form = SearchForm()

    def open(self) -> None:
        """Shows the starters, which need no network."""
        if not self.form.all_lines and self.form.phase is Phase.STARTERS:
            self._show_starters()

    def search(self, wish: SearchWish, *, is_final: bool = False) -> None:
        """Looks for this. When it is final (Enter, a paste), a name or an address opens its repository."""
        if wish == self.form.wish and self.form.phase in (Phase.SEARCHING, Phase.FOUND) and not is_final:
            return
        if wish.is_empty and wish.format is SearchWish().format:
            self._show_starters(wish)
            return
        self._ask(wish, is_final=is_final)

    def browse(self) -> None:
        """What is trending on the Hub, without a word to look for."""
        self._ask(self.form.wish, is_final=False)

    def again(self) -> None:
        """The same question once more."""
        self._ask(self.form.wish, is_final=False)

    def more(self) -> None:
        """The next page."""
        if self.form.next is None or self.form.is_more_coming:
            return
        self._show(is_more_coming=True, error=None)
        round_now = self._round
        self._asking = self._runner.start(
            self._discovery.searching(self.form.wish, self.form.next),
            on_end=lambda outcome: self._more_came(round_now, outcome),
            lane=Lane.HUB,
        )

    def show_only_fitting(self, is_wanted: bool) -> None:
        """Hides what does not fit this machine."""
        self._n_unasked = 0
        self._show(only_fitting=is_wanted)
        self._fill_up()

    def set_place(self, place: Place | None, *, has_gpu: bool) -> None:
        """Where models would lie; what was judged for another place is judged anew."""
        self._place = place
        self._rough.clear()
        self._show(has_gpu=has_gpu)
        self._judge()

    def stop(self) -> None:
        """Nobody waits for an answer any more."""
        self._round += 1
        for job in (self._asking, self._judging):
            if job:
                job.cancel()

    def _show_starters(self, wish: SearchWish | None = None) -> None:
        self.stop()
        self._show(
            wish=wish or self.form.wish, phase=Phase.STARTERS, all_lines=_starter_lines(), error=None, next=None,
            is_more_coming=False,
        )  # fmt: skip
        self._judge()

    def _ask(self, wish: SearchWish, *, is_final: bool) -> None:
        self.stop()
        self._n_unasked = 0
        self._show(wish=wish, phase=Phase.SEARCHING, error=None, next=None, is_more_coming=False)
        work = self._discovery.finding(wish) if is_final else self._discovery.searching(wish)
        round_now = self._round
        self._asking = self._runner.start(work, on_end=lambda outcome: self._came(round_now, outcome), lane=Lane.HUB)

    def _came(self, round_then: int, outcome: Outcome) -> None:
        if round_then != self._round:
            return
        match outcome:
            case Done(SearchPage() as page):
                self._show(phase=Phase.FOUND, all_lines=_lines(page.models), next=page.next)
                self._judge()
            case Done(Reference() as reference):
                self._show_starters(replace(self.form.wish, text=""))
                self._view.open_repository(reference)
            case Failed(error):
                self._fail(error)

    def _more_came(self, round_then: int, outcome: Outcome) -> None:
        if round_then != self._round:
            return
        match outcome:
            case Done(SearchPage() as page):
                known = {one.found.repo_id for one in self.form.all_lines}
                new = tuple(one for one in _lines(page.models) if one.found.repo_id not in known)
                self._show(all_lines=(*self.form.all_lines, *new), next=page.next, is_more_coming=False)
                self._judge()
            case Failed(error):
                self._show(error=error, is_more_coming=False)

    def _fail(self, error: AppError) -> None:
        self._show(phase=Phase.FAILED, all_lines=_starter_lines(), error=error)
        self._judge()

    def _judge(self) -> None:
        """How each line would about fit, in the background."""
        if self._judging:
            self._judging.cancel()
        place, unjudged = (
            self._place,
            [one.found for one in self.form.all_lines if one.found.repo_id not in self._rough],
        )
        if place is None:
            return
        if not unjudged:
            self._draw_rough()
            return
        self._judging = self._runner.start(
            _all_judged(unjudged, place), on_end=lambda outcome: self._judged(place, outcome)
        )

    def _judged(self, place: Place, outcome: Outcome) -> None:
        if isinstance(outcome, Done) and place is self._place:
            self._rough |= outcome.result
            self._draw_rough()
            self._fill_up()

    def _draw_rough(self) -> None:
        lines = tuple(replace(one, rough=self._rough.get(one.found.repo_id)) for one in self.form.all_lines)
        self._show(all_lines=lines)

    def _fill_up(self) -> None:
        """A filter that leaves little of a page asks for the next one by itself, a few times."""
        form = self.form
        is_short = form.only_fitting and form.phase is Phase.FOUND and len(form.lines) < _ENOUGH_LINES
        if is_short and form.next is not None and self._n_unasked < _MOST_PAGES_UNASKED:
            self._n_unasked += 1
            self.more()

    def _show(self, **changes: Any) -> None:
        self.form = replace(self.form, **changes)
        self._view.show_search(self.form)


def _starter_lines() -> tuple[Line, ...]:
    return tuple(Line(one.found, one.good_for) for one in starters())


def _lines(models: tuple[FoundModel, ...]) -> tuple[Line, ...]:
    return tuple(map(Line, models))


def _all_judged(models: list[FoundModel], place: Place) -> Generator[None, None, dict[str, RoughFit]]:
    judged: dict[str, RoughFit] = {}
    for found, rough in judging(models, place):
        judged[found.repo_id] = rough
        yield None
    return judged
