"""From a question to the Hub to what a person decides on: a repository, its quants, how each fits, what is here."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path

from carryon.app.download_list import DownloadWish
from carryon.app.fitting import Subject, warming
from carryon.base.errors import AppError, BadFile, BadInput
from carryon.base.jobs import aside
from carryon.base.paths import Home
from carryon.fit.answers import Candidate, Verdict, Wishes
from carryon.fit.answers import Site as Place
from carryon.fit.choice import USUAL_CONTEXT
from carryon.fit.ladder import best_fit
from carryon.gguf.mix import requantized, requantized_each
from carryon.gguf.outline import likeness, scaled
from carryon.gguf.shape import ModelShape
from carryon.gguf.sketch import sketched
from carryon.hub.asking import reading_file
from carryon.hub.card import reading_card
from carryon.hub.header import cheapest, reading_shape
from carryon.hub.header_cache import HeaderCache
from carryon.hub.model_config import LARGEST_BYTES, parameters_of
from carryon.hub.names import Reference, safe_parts
from carryon.hub.quants import GgufFiles, chosen_quant, gguf_files, nearest_type
from carryon.hub.repo import Format, FoundModel, QuantFiles, Repo, RepoFile
from carryon.hub.repository import opening, page_address
from carryon.hub.search import Next, SearchPage, SearchWish, pasted, searching
from carryon.hub.site import Site

ROUGH_QUANT = "Q4_K_M"  # what a line of a list is judged by
_USUAL = "Q4_K_M"  # what a file counts as whose name says nothing
_TRUE_WITHIN = 0.003  # a file differs so much from its recipe: its header, an importance matrix
_CONVERTED = ("BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "IQ4_XS", "Q3_K_M", "IQ3_XXS", "Q2_K")


class Sureness(Enum):
    """What the fit of a repository rests on, best first."""

    HEADER = "header"  # of one of its files; the others are inferred from it
    START = "start"  # the first bytes of one: what it keeps is exact, how its weights share out is not
    CONFIG = "config"  # what would be made of it, by its config.json
    COUNT = "count"  # the number of its parameters, and nothing else


@dataclass(frozen=True)
class Look:
    """A repository as a person decides on it. Until `is_reading` ends, the fit may still come."""

    repo: Repo
    files: GgufFiles
    here: frozenset[str] = frozenset()  # the quants that are on this disk already
    subject: Subject | None = None  # None: what it needs is not known, or not yet
    sureness: Sureness | None = None
    error: AppError | None = None  # why its header could not be read
    is_reading: bool = False

    web_address: str = ""  # its page on the Hub

    @property
    def must_be_converted(self) -> bool:
        """Whether nothing of it can be run as it is."""
        return not self.files.quants and Format.SAFETENSORS in self.repo.found.formats

    def quant(self, name: str) -> QuantFiles | None:
        """The files of a quant, by the name that a person types."""
        return chosen_quant(self.files.quants, name)


@dataclass(frozen=True)
class RoughFit:
    """How a model would fit of which only the number of parameters is known: one that is dense, in Q4_K_M."""

    verdict: Verdict
    size_bytes: int


class Discovery:
    """Asks the Hub for this home. `site` may wait for the system's keyring, so it is asked within a job."""

    def __init__(self, home: Home, site: Callable[[], Site]) -> None:
        self._home, self._site = home, site
        self._cache = HeaderCache(home.cache / "headers")

    def searching(self, wish: SearchWish, after: Next | None = None) -> Generator[None, None, SearchPage]:
        """One page of what was found. Raises Offline, NoAccess and BadInput."""
        site = yield from aside(self._site)
        return (yield from searching(site, wish, after))

    def finding(self, wish: SearchWish) -> Generator[None, None, SearchPage | Reference]:
        """The same, but the repository itself where its name or address is what is looked for."""
        site = yield from aside(self._site)
        return pasted(site, wish.text) or (yield from searching(site, wish))

    def reading_card(self, repo: Repo) -> Generator[None, None, str]:
        """Its card as markdown. Raises Offline and NoAccess."""
        site = yield from aside(self._site)
        return (yield from reading_card(site, repo))

    def looking_into(self, reference: Reference, place: Place | None = None) -> Generator[Look | None, None, Look]:
        """Yields what is known before the header is read, and returns all of it. Raises Offline, NoAccess, BadInput.

        With a place, plans there are quick from the first one on.
        """
        site = yield from aside(self._site)
        repo = yield from opening(site, reference)
        files = gguf_files(repo.files)
        here, address = self._here(repo, files.quants), page_address(site, repo.repo_id)
        look = Look(repo, files, here, is_reading=True, web_address=address)
        yield look
        look = yield from self._with_subject(site, look)
        if place and look.subject:
            yield from warming(look.subject.candidates, place)
        return replace(look, is_reading=False)

    def weighing(self, reference: Reference, place: Place | None = None) -> Generator[None, None, Look]:
        """The same for who wants nothing but the fit: its subject is there, the quant that was named chosen in it.

        Raises also what says why nothing is known of a need, and BadInput for a quant that is not there.
        """
        work = self.looking_into(reference, place)
        while True:
            try:
                next(work)
            except StopIteration as end:
                return _weighed(end.value, reference)
            yield None

    def again(self, look: Look) -> Look:
        """The same with what is on the disk by now."""
        here = self._here(look.repo, look.files.quants)
        subject = look.subject and replace(look.subject, candidates=self._placed(look.subject.candidates, look, here))
        return replace(look, here=here, subject=subject)

    def path_of(self, repo: Repo, file: RepoFile) -> Path:
        """Where this file lies, or would lie."""
        return self._folder(repo).joinpath(*safe_parts(file.path))

    def wish_for(self, look: Look, quant: QuantFiles, projector: RepoFile | None = None) -> DownloadWish:
        """What is downloaded: the files of the quant, and the projector where it is wanted."""
        files = (*quant.files, projector) if projector else quant.files
        title = f"{look.repo.found.name} · {quant.quant}" if quant.quant else look.repo.found.name
        return DownloadWish(
            look.repo.repo_id, look.repo.commit, title, files, self._folder(look.repo), look.repo.found.licence
        )

    def _folder(self, repo: Repo) -> Path:
        return self._home.models.joinpath(*safe_parts(repo.repo_id))

    def _here(self, repo: Repo, quants: Iterable[QuantFiles]) -> frozenset[str]:
        return frozenset(one.quant for one in quants if all(self._is_here(repo, file) for file in one.files))

    def _is_here(self, repo: Repo, file: RepoFile) -> bool:
        with suppress(OSError):
            return self.path_of(repo, file).stat().st_size == file.size_bytes
        return False

    def _with_subject(self, site: Site, look: Look) -> Generator[Look | None, None, Look]:
        """With the fit, as surely as it can be told; an error only says why it is not told better."""
        error: AppError | None = None
        try:
            if look.files.quants:
                return (yield from self._by_header(site, look))
            if look.must_be_converted:
                return (yield from self._by_config(site, look))
        except BadFile as caught:
            error = BadFile(caught.message, "Look for another repository of the same model.")
        except AppError as caught:
            error = caught
        return replace(self._by_count(look), error=error)

    def _by_header(self, site: Site, look: Look) -> Generator[Look | None, None, Look]:
        found = look.repo.found
        read = yield from reading_shape(site, look.repo, cheapest(look.files.quants), self._cache, found.n_params)
        sureness = Sureness.START if read.is_estimate else Sureness.HEADER
        return self._with_quants(look, read.shape, sureness, read.quant)

    def _by_config(self, site: Site, look: Look) -> Generator[Look | None, None, Look]:
        files = [one for one in look.repo.files if one.path == "config.json"]
        if not files:
            return self._by_count(look)
        content = yield from reading_file(site, look.repo, files[0], LARGEST_BYTES)
        shape = sketched(parameters_of(content, look.repo.found.name))
        if look.repo.found.n_params:
            shape = scaled(shape, 2 * look.repo.found.n_params)
        return self._converted(look, shape, Sureness.CONFIG)

    def _by_count(self, look: Look) -> Look:
        found = look.repo.found
        if not found.n_params:
            return look
        with suppress(BadInput):
            shape = likeness(found.n_params, found.n_ctx_train, found.name)
            if look.files.quants:
                return self._with_quants(look, shape, Sureness.COUNT)
            return self._converted(look, shape, Sureness.COUNT)
        return look

    def _with_quants(self, look: Look, shape: ModelShape, sureness: Sureness, quant: str | None = None) -> Look:
        """Every quant of the repository by the shape of one of them, each in the size of its files."""
        types = [nearest_type(one.quant) or _USUAL for one in look.files.quants]
        made = zip(look.files.quants, requantized_each(shape, types), strict=True)
        candidates = [
            Candidate(one.quant, shape if one.quant == quant else _in_true_size(other, one.size_bytes))
            for one, other in made
        ]
        subject = Subject(look.repo.found.name, self._placed(candidates, look, look.here))
        return replace(look, subject=subject, sureness=sureness)

    def _converted(self, look: Look, shape: ModelShape, sureness: Sureness) -> Look:
        made = zip(_CONVERTED, requantized_each(shape, _CONVERTED), strict=True)
        candidates = tuple(Candidate(quant, other) for quant, other in made)
        return replace(look, subject=Subject(look.repo.found.name, candidates), sureness=sureness)

    def _placed(self, candidates: Iterable[Candidate], look: Look, here: frozenset[str]) -> tuple[Candidate, ...]:
        """With the paths of those that are here."""
        paths = {one.quant: str(self.path_of(look.repo, one.first)) for one in look.files.quants if one.quant in here}
        return tuple(replace(one, path=paths.get(one.quant)) for one in candidates)


def _weighed(look: Look, reference: Reference) -> Look:
    if look.subject is None:
        raise look.error or BadFile(
            f"{reference.repo_id} does not say what it needs.", "Look for another repository of the same model."
        )
    named = reference.quant or reference.file
    found = look.quant(named) if named else None
    if named and found is None:
        known = ", ".join(one.quant or one.first.path for one in look.files.quants)
        raise BadInput(f"{reference.repo_id} has no {named}.", f"It has {known}." if known else "It has no GGUF file.")
    return replace(look, subject=replace(look.subject, chosen=found.quant if found else None))


def judging(models: Sequence[FoundModel], place: Place) -> Generator[tuple[FoundModel, RoughFit], None, None]:
    """Yields how each model would about fit, as far as its size is known."""
    for found in models:
        if found.n_params:
            rough = rough_fit(_rounded(found.n_params), place)
            if rough:
                yield found, rough


@lru_cache(maxsize=512)
def _rough_shape(n_params: int) -> ModelShape | None:
    try:
        return requantized(likeness(n_params), ROUGH_QUANT)
    except AppError:
        return None


def rough_fit(n_params: int, place: Place) -> RoughFit | None:
    """By the same arithmetic as every other fit."""
    shape = _rough_shape(n_params)
    if shape is None:
        return None
    found = best_fit(Candidate(ROUGH_QUANT, shape), place, Wishes(n_ctx=USUAL_CONTEXT))
    return RoughFit(found.verdict, shape.size_bytes)


def _rounded(n_params: int) -> int:
    """To two digits: models of nearly the same size fit alike."""
    return int(float(f"{n_params:.1e}"))


def _in_true_size(shape: ModelShape, size_bytes: int) -> ModelShape:
    if abs(shape.size_bytes - size_bytes) <= _TRUE_WITHIN * size_bytes:
        made = replace(shape, size_bytes=size_bytes)
        made.join(shape.family)
        return made
    return scaled(shape, size_bytes)
