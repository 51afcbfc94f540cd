"""The scan of all shelves, in place and read only: every model once, at the first place where it lies."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from carryon.base.errors import AppError
from carryon.base.jobs import Progress
from carryon.gguf.split import parts_of
from carryon.hub.library.entry import Entry, Kind, Known, Trouble
from carryon.hub.library.index import Index
from carryon.hub.library.knowing import Passing, by_headers
from carryon.hub.library.making import Maker
from carryon.hub.library.ollama import OllamaModel, reading_manifests, sha256_of
from carryon.hub.library.places import Place
from carryon.hub.library.shelves import Program, Shelf
from carryon.hub.library.walking import (
    FoundFile,
    Walk,
    can_be_listed,
    changed_ns,
    file_at,
    is_folder,
    small_text,
    walking,
)

_PROJECTOR_WORDS = re.compile(r"mm[-_]?proj[-_.]?(?:model[-_.]?)?", re.IGNORECASE)
_LARGEST_REF_BYTES = 100


@dataclass(frozen=True)
class Looked:
    """How the look at one shelf went."""

    shelf: Shelf
    is_there: bool
    trouble: Trouble | None = None  # why it, or a part of it, could not be looked at
    folders: Mapping[Path, int] = field(default_factory=dict)  # all that were looked into, and when each had changed

    def has_changed(self) -> bool:
        """Whether a file has come, gone or been renamed since."""
        if not self.folders:
            return can_be_listed(self.shelf.root)
        return any(changed_ns(folder) != then for folder, then in self.folders.items())


@dataclass(frozen=True)
class Scan:
    """What lies on all shelves at one moment."""

    entries: tuple[Entry, ...] = ()
    looked: tuple[Looked, ...] = ()

    @cached_property
    def listed(self) -> tuple[Entry, ...]:
        """What a person sees: a projector that belongs to a model goes with it."""
        taken = {path for one in self.entries for path in one.projectors}
        return tuple(one for one in self.entries if one.path not in taken)

    def with_known(self, found: dict[Path, Known]) -> "Scan":
        """The same with what a closer look has found."""
        return replace(self, entries=tuple(_with_known(one, found.get(one.path)) for one in self.entries))


def scanning(shelves: Sequence[Shelf], index: Index) -> Generator[Progress | None, None, Scan]:
    """Looks into all shelves and reads only what is new there. Says on the way how many entries there are."""
    maker = Maker(index)
    entries: list[Entry] = []
    looked: list[Looked] = []
    try:
        for shelf in shelves:
            found, look = yield from _looking(shelf, maker)
            entries += found
            looked.append(look)
            yield Progress(len(entries), None)
    finally:
        maker.keep()
    return Scan(tuple(_with_projectors(tuple(_once_each(entries)))), tuple(looked))


def checking(entries: Iterable[Entry], index: Index, most_s: float) -> Generator[None, None, dict[Path, Known]]:
    """Reads the whole headers of entries, for about so long. Answers by path what was found of those it came to."""
    until_s, found = time.monotonic() + most_s, dict[Path, Known]()
    for entry in entries:
        yield None
        found[entry.path] = _checked(entry, index)
        if time.monotonic() > until_s:
            break
    return found


def _checked(entry: Entry, index: Index) -> Known:
    file = file_at(entry.path)
    try:
        known = by_headers(entry.parts)
    except Passing as passing:
        return passing.known
    if file and len(entry.parts) == 1:  # of several, another one may change without a trace in the first
        index.keep([(file, known)])
    return known


def _looking(shelf: Shelf, maker: Maker) -> Generator[None, None, tuple[list[Entry], Looked]]:
    try:
        if not is_folder(shelf.root):
            return [], Looked(shelf, is_there=False)
        if shelf.program is Program.OLLAMA:
            models, walk = yield from reading_manifests(shelf.root)
            found = yield from _of_ollama(models, shelf, maker)
        else:
            walk = yield from (_cache_walk(shelf) if shelf.program is Program.HUGGING_FACE else walking(shelf.root))
            found = yield from _of_files(walk.files, shelf, maker)
    except AppError as error:
        trouble, folders = Trouble(error.message, error.hint), {shelf.root: changed_ns(shelf.root)}
        return [], Looked(shelf, is_there=True, trouble=trouble, folders=folders)
    return found, Looked(shelf, is_there=True, trouble=_trouble(shelf, walk), folders=walk.folders)


def _cache_walk(shelf: Shelf) -> Generator[None, None, Walk]:
    """Of the Hugging Face cache only the snapshots of models, the one that “main” means before older ones."""
    whole = Walk()
    whole.visit(shelf.root)
    for repo in sorted(shelf.root.glob("models--*")):
        snapshots = repo / "snapshots"
        if repo.is_symlink() or snapshots.is_symlink() or not can_be_listed(snapshots):
            continue
        whole.visit(snapshots)
        main = small_text(repo / "refs" / "main", _LARGEST_REF_BYTES).strip()
        for snapshot in sorted(snapshots.iterdir(), key=lambda one: (one.name != main, one.name)):
            if not snapshot.is_symlink() and can_be_listed(snapshot):
                whole.add((yield from walking(snapshot, links_into=shelf.root)))
    return whole


def _of_files(files: Sequence[FoundFile], shelf: Shelf, maker: Maker) -> Generator[None, None, list[Entry]]:
    by_path = {file.path: file for file in files}
    made: list[Entry] = []
    for path in by_path:
        if maker.is_due():
            yield None
        parts = parts_of(path)
        if path == next(part for part in parts if part in by_path):
            made.append(maker.of_files(by_path, parts, shelf))
    return made


def _of_ollama(models: Sequence[OllamaModel], shelf: Shelf, maker: Maker) -> Generator[None, None, list[Entry]]:
    """One entry a blob: several names may stand for the same one."""
    by_blob: dict[Path, list[OllamaModel]] = defaultdict(list)
    for model in models:
        by_blob[model.model].append(model)
    made: list[Entry] = []
    for named in by_blob.values():
        yield None
        best = min(named, key=lambda one: (one.name.endswith(":latest"), one.name))
        others = tuple(one.name for one in named if one is not best)
        entry = maker.of_blob(best.model, Place(best.name, best.repo_id, sha256=sha256_of(best.model)), shelf)
        made.append(replace(entry, other_names=others, projectors=best.projectors))
        for kind, blobs in ((Kind.PROJECTOR, best.projectors), (Kind.ADAPTER, best.adapters)):
            made += [_beside(blob, kind, best, shelf, maker) for blob in blobs]
    return made


def _beside(blob: Path, kind: Kind, model: OllamaModel, shelf: Shelf, maker: Maker) -> Entry:
    place = Place(f"{model.name} ({kind.value})", model.repo_id, sha256=sha256_of(blob))
    entry = maker.of_blob(blob, place, shelf)
    return replace(entry, known=replace(entry.known, kind=kind))


def _trouble(shelf: Shelf, walk: Walk) -> Trouble | None:
    if walk.is_cut:
        return Trouble(
            f"{shelf.root} holds more files than Carryon looks at, so some models may be missing.",
            "Add the folders with models instead of one that holds everything.",
        )
    if walk.n_unreadable:
        count = "One folder" if walk.n_unreadable == 1 else f"{walk.n_unreadable} folders"
        return Trouble(f"{count} in {shelf.root} could not be read.", "Give yourself the right to read them.")
    return None


def _once_each(entries: Iterable[Entry]) -> Iterator[Entry]:
    """A file that several shelves hold, or several snapshots of a cache, counts at its first place."""
    seen: set[str] = set()
    for entry in entries:
        place = os.path.realpath(entry.path)
        if place not in seen:
            seen.add(place)
            yield entry


def _with_projectors(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Every model with the projectors of its repository, or with those of its folder that have its name."""
    projectors = [one for one in entries if one.known.kind is Kind.PROJECTOR and not one.is_broken]
    for entry in entries:
        own = tuple(one.path for one in projectors if _belongs(one, entry))
        is_model = entry.known.kind is Kind.MODEL and not entry.projectors
        yield replace(entry, projectors=own) if own and is_model else entry


def _belongs(projector: Entry, model: Entry) -> bool:
    if projector.shelf != model.shelf:
        return False
    if projector.repo_id and projector.repo_id == model.repo_id:
        return True
    return projector.path.parent == model.path.parent and _family(projector) == _family(model)


def _family(entry: Entry) -> list[str]:
    """The first words of a name without what says that it is a projector: ["gemma", "3"]."""
    return re.split(r"[-_. ]", _PROJECTOR_WORDS.sub("", entry.path.stem).lower())[:2]


def _with_known(entry: Entry, known: Known | None) -> Entry:
    """What the place said stays where the file says nothing."""
    if known is None:
        return entry
    kind = entry.known.kind if entry.known.kind is not Kind.MODEL else known.kind
    trouble = known.trouble or entry.known.trouble
    return replace(
        entry, known=replace(known, kind=kind, licence=known.licence or entry.known.licence, trouble=trouble)
    )
