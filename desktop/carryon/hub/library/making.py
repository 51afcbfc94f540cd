"""Files become entries: what is known of them comes from the index, and what is new goes there."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from carryon.hub.library.entry import Entry, Known, Trouble
from carryon.hub.library.index import Index, key_of
from carryon.hub.library.knowing import Passing, at_a_glance
from carryon.hub.library.places import Place, place_of
from carryon.hub.library.shelves import Shelf
from carryon.hub.library.walking import FoundFile, file_at

_HEARTBEAT_S = 0.1
_KEPT_AT_ONCE = 256


class Maker:
    """Makes the entries of one scan."""

    def __init__(self, index: Index) -> None:
        self._index, self._remembered = index, index.known()
        self._names, self._uses = index.names(), index.uses()
        self._new: list[tuple[FoundFile, Known]] = []
        self._beat_s = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for a heartbeat."""
        now = time.monotonic()
        if now - self._beat_s < _HEARTBEAT_S:
            return False
        self._beat_s = now
        return True

    def keep(self) -> None:
        """Puts what is new into the index."""
        self._index.keep(self._new)
        self._new.clear()

    def of_files(self, by_path: dict[Path, FoundFile], parts: tuple[Path, ...], shelf: Shelf) -> Entry:
        """A model by those of its parts that are here; where one is missing, its trouble says so."""
        here = [by_path[part] for part in parts if part in by_path]
        known = self._known(here[0])
        if len(here) < len(parts):
            known = replace(known, trouble=_missing(len(parts) - len(here), len(parts)))
        return self._entry(place_of(here[0], shelf), here, known, shelf)

    def of_blob(self, blob: Path, place: Place, shelf: Shelf) -> Entry:
        """A file that Ollama's manifest names, whether it is there or not."""
        if file := file_at(blob):
            return self._entry(place, [file], self._known(file), shelf)
        name = place.name.partition(" ")[0]
        gone = Trouble(f"Ollama lists {name}, but its file is not there.", f"Get it again with “ollama pull {name}”.")
        return self._entry(place, [FoundFile(blob, 0, 0)], Known(trouble=gone, is_checked=True), shelf)

    def _known(self, file: FoundFile) -> Known:
        """From the index, else from the file's first bytes."""
        if remembered := self._remembered.of(file):
            return remembered
        try:
            known = at_a_glance(file.path)
        except Passing as passing:
            return passing.known
        self._new.append((file, known))
        if len(self._new) >= _KEPT_AT_ONCE:
            self.keep()
        return known

    def _entry(self, place: Place, here: Sequence[FoundFile], known: Known, shelf: Shelf) -> Entry:
        key, licence = key_of(here[0].path), place.origin.licence if place.origin else ""
        return Entry(
            name=self._names.get(key, place.name),
            shelf=shelf,
            parts=tuple(one.path for one in here),
            size_bytes=sum(one.size_bytes for one in here),
            modified_s=max(one.mtime_ns for one in here) / 1e9,
            known=replace(known, licence=known.licence or licence),
            origin=place.origin,
            repo_id=place.repo_id,
            sha256=place.sha256 if len(here) == 1 else None,
            last_used_s=self._uses.get(key),
        )


def _missing(n_missing: int, n_parts: int) -> Trouble:
    count = "One" if n_missing == 1 else str(n_missing)
    verb = "is" if n_missing == 1 else "are"
    return Trouble(
        f"{count} of the {n_parts} parts of this model {verb} missing.",
        "Put all parts of the model into one folder, or download the missing ones.",
    )
