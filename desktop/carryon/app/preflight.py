"""The preflight: what would come of a source, before a weight is read or downloaded.

What the files tell is found once and remembered while they stay the same; the fit is worked out anew each time.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from carryon.app.fitting import warming
from carryon.app.hub_access import HubAccess
from carryon.app.preflight_words import (
    converter_of,
    disk_finding,
    estimate_finding,
    file_findings,
    is_pickled_and_readable,
    memory_finding,
    source_findings,
    time_finding,
)
from carryon.app.workshop_list import Converter, Fallback, Finding, Preflight, Source, SourceKind, Subject, Target
from carryon.app.workshop_pace import Paces
from carryon.app.workshop_places import DIRECT, middle_name
from carryon.app.workshop_source import facts_of
from carryon.base.errors import AppError
from carryon.base.files import disk_errors, free_bytes_at
from carryon.base.jobs import aside
from carryon.base.paths import Home
from carryon.convert.forms import OutType
from carryon.convert.preflight import Examined, direct_size, examining, write_sketch
from carryon.convert.provenance import Provenance
from carryon.convert.run import Recipe
from carryon.convert.stamp import stamp_of
from carryon.fit.answers import Candidate, Fit, Site, Wishes
from carryon.fit.plan import plan
from carryon.gguf.header import Header, MoreNeeded, header_of
from carryon.gguf.mix import QUANTS, requantized
from carryon.gguf.outline import scaled
from carryon.gguf.quants import GGML_TYPES
from carryon.gguf.shape import ModelShape, shape_of
from carryon.gguf.sketch import sketched
from carryon.gguf.split import read_model
from carryon.hub.model_config import parameters_of
from carryon.hub.names import Reference, repo_id_of
from carryon.hub.repository import opening
from carryon.hub.staging import small_files, staging
from carryon.quantize.request import QuantSize, Wish
from carryon.quantize.sizes import sizing, slab_bytes

_USUAL = "Q4_K_M"  # what disk and time are told for where nothing fits
_REMEMBERED = 8
_LEFT_AFTER_S = 3600.0
# What the process takes beside a tensor: numpy, the vocabulary, the engine's library.
_BASE_BYTES = 300_000_000
_BYTES_PER_VALUE = 5  # the quantizer holds rows as float32 and their result
Locating = Callable[[], Generator[None, None, Site | None]]


@dataclass(frozen=True)
class Told:
    """What the files of a source tell, wherever it shall run."""

    source: Source
    converter: Converter
    findings: tuple[Finding, ...]
    architecture: str = ""
    n_parameters: int = 0
    source_bytes: int = 0
    download_bytes: int = 0
    revision: str = ""
    sizes: tuple[QuantSize, ...] = ()
    shape: ModelShape | None = field(default=None, compare=False)
    middle_bytes: int = 0  # 0 where none is needed


class Inspector:
    """Finds out about sources for one home. `locating` is work that returns where a model would run."""

    def __init__(self, home: Home, access: Callable[[], HubAccess], locating: Locating, paces: Paces) -> None:
        self._home, self._access, self._locating, self._paces = home, access, locating, paces
        self._told: dict[object, Told] = {}

    def inspecting(
        self, source: Source, n_ctx: int | None = None, folder: Path | None = None
    ) -> Generator[None, None, Preflight]:
        """Work that tells all. `folder` is where the files would go; None: the library.

        Raises BadFile and BadInput for what is no model, Offline, NoAccess and NoRoom.
        """
        told = yield from self._telling(source)
        site = yield from self._locating()
        fits, best = yield from _fitted(told, site, n_ctx)
        targets = tuple(_target(one, fits.get(one.quant), is_best=one.quant == best) for one in told.sizes)
        return self._summed_up(told, targets, site, folder or self._home.models)

    def tidying(self) -> Generator[None, None, None]:
        """Removes what killed processes left in the cache; what is younger may be another Carryon's."""
        for one in self._cache.glob("*"):
            yield None
            with suppress(OSError):
                if time.time() - one.stat().st_mtime > _LEFT_AFTER_S:
                    shutil.rmtree(one)

    @property
    def _cache(self) -> Path:
        return self._home.cache / "preflight"

    def _telling(self, source: Source) -> Generator[None, None, Told]:
        match source.kind:
            case SourceKind.GGUF:
                return (yield from self._telling_of_file(source))
            case SourceKind.FOLDER:
                folder = Path(source.place)
                key = (source, *(stamp_of(folder).files.items() if folder.is_dir() else ()))
                found = self._told.get(key)
                return found or self._remember(key, (yield from self._telling_of_folder(source, folder)))
            case SourceKind.REPOSITORY:
                return (yield from self._telling_of_repository(source))

    def _telling_of_file(self, source: Source) -> Generator[None, None, Told]:
        path = Path(source.place)
        headers = yield from aside(lambda: read_model(path))
        shape = yield from aside(lambda: shape_of(headers))
        sizes = yield from _with_imatrix_where_needed(path, _offered(shape.is_moe), facts_of(source))
        findings = tuple(file_findings(headers[0], shape.quant, any(map(_is_quantized, shape.tensors))))
        return Told(
            source, Converter.NONE, findings, shape.architecture, shape.n_params, shape.size_bytes,
            sizes=_sorted(sizes), shape=shape,
        )  # fmt: skip

    def _telling_of_folder(self, source: Source, folder: Path) -> Generator[None, None, Told]:
        examined = yield from examining(folder, source.name, adapter=source.adapter)
        return (yield from self._told_of(examined, source, folder))

    def _telling_of_repository(self, source: Source) -> Generator[None, None, Told]:
        repo_id, _, revision = source.place.partition("@")
        site = yield from aside(self._access().site)
        repo = yield from opening(site, Reference(repo_id_of(repo_id), revision or "main"))
        key = (source, repo.commit)
        if key in self._told:
            return self._told[key]
        with self._stage() as stage:
            weights = yield from staging(site, repo, stage)
            provenance = Provenance(repo.repo_id, repo.commit)
            examined = yield from examining(stage, source.name, provenance, source.adapter)
            told = yield from self._told_of(examined, source, stage, is_here=False)
        needed = (*weights, *small_files(repo.files))
        download_bytes = sum(one.size_bytes for one in needed)
        return self._remember(key, replace(told, revision=repo.commit, download_bytes=download_bytes))

    def _told_of(
        self, examined: Examined, source: Source, folder: Path, *, is_here: bool = True
    ) -> Generator[None, None, Told]:
        """What was examined, with the sizes of all types where a file can be made."""
        converter, weights = converter_of(examined, is_here=is_here), examined.weights
        header = _header_of(examined.recipe, source.name) if isinstance(examined.recipe, Recipe) else None
        findings = tuple(source_findings(examined, header, is_here))
        told = Told(
            source, converter, findings, examined.architecture if isinstance(examined.architecture, str) else "",
            0 if isinstance(weights, AppError) else weights.n_values,
            0 if isinstance(weights, AppError) else weights.size_bytes,
        )  # fmt: skip
        if converter is Converter.OURS and isinstance(examined.recipe, Recipe) and header:
            shape = shape_of([header])
            name = middle_name(source.name, examined.out_type)
            sizes = yield from self._sizing(examined.recipe, name, _offered(shape.is_moe))
            return replace(
                told, n_parameters=shape.n_params, sizes=sizes, shape=shape, middle_bytes=examined.recipe.size_bytes
            )
        if is_pickled_and_readable(examined) and is_here:
            size_bytes = sum(one.stat().st_size for one in _pickles(folder))
            told = replace(told, source_bytes=size_bytes, n_parameters=size_bytes // 2)
        if converter is not Converter.IMPOSSIBLE:
            return (yield from _estimated(told, folder))
        return told

    def _sizing(self, recipe: Recipe, name: str, quants: Sequence[str]) -> Generator[None, None, tuple[QuantSize, ...]]:
        """Of every type, to the byte: what we convert by our own arithmetic, the others by the engine's dry run.

        `name` is what the file in between will be called: a quantized file says what it was made from.
        """
        others = [one for one in quants if one not in DIRECT]
        with self._stage() as stage:
            sketch = stage / name
            write_sketch(recipe, sketch)
            found = yield from _with_imatrix_where_needed(sketch, others)
        n_values = sum(_n_values(info.shape) for info, _ in recipe.tensors)
        direct = [(one.name, direct_size(recipe, one)) for one in OutType]
        header_bytes = len(recipe.header)
        return _sorted(
            [*found, *(QuantSize(name, size, 8 * (size - header_bytes) / n_values) for name, size in direct)]
        )

    @contextmanager
    def _stage(self) -> Iterator[Path]:
        with disk_errors(self._cache):
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._cache, ignore_cleanup_errors=True) as folder:
                yield Path(folder)

    def _remember(self, key: object, told: Told) -> Told:
        while len(self._told) >= _REMEMBERED:
            self._told.pop(next(iter(self._told)))
        self._told[key] = told
        return told

    def _summed_up(self, told: Told, targets: tuple[Target, ...], site: Site | None, folder: Path) -> Preflight:
        ram_bytes = _ram_bytes(told)
        chosen = next((one for one in targets if one.is_best), None) or next(
            (one for one in targets if one.quant == _USUAL), None
        )
        findings, duration_s = list(told.findings), None
        if chosen:
            needs_middle = chosen.quant not in DIRECT
            parts = (
                (told.download_bytes, "for the download"),
                (told.middle_bytes if needs_middle else 0, "for the file in between"),
                (chosen.size_bytes, f"for the {chosen.quant}"),
            )
            read_bytes = told.middle_bytes or told.source_bytes
            duration_s, is_measured = self._paces.duration_s(told.converter, read_bytes, chosen)
            findings += [
                memory_finding(ram_bytes, site.rooms.ram.free_bytes if site else None),
                disk_finding(parts, free_bytes_at(folder), folder),
                time_finding(duration_s, is_measured, told.download_bytes),
            ]
        order = list(Subject)
        findings.sort(key=lambda one: order.index(one.subject))
        return Preflight(
            told.source, told.architecture, told.n_parameters, told.source_bytes, told.download_bytes, ram_bytes,
            duration_s, told.converter, tuple(findings), targets, told.revision,
        )  # fmt: skip


def _offered(is_moe: bool) -> tuple[str, ...]:
    """MXFP4_MOE is a type for experts; without them it is a larger Q8_0."""
    return tuple(one for one in ("F32", *QUANTS) if is_moe or one != "MXFP4_MOE")


def _with_imatrix_where_needed(
    path: Path, quants: Sequence[str], facts: tuple[tuple[str, str], ...] = ()
) -> Generator[None, None, list[QuantSize]]:
    """Types that cannot be made without an importance matrix have the mix that one gives them."""
    plain = yield from sizing(path, [Wish(one, facts=facts) for one in quants])
    blind = [Wish(one.quant, awaits_imatrix=True, facts=facts) for one in plain if one.needs_imatrix]
    seeing = (yield from sizing(path, blind)) if blind else ()
    better = {one.quant: replace(one, needs_imatrix=True) for one in seeing}
    return [better.get(one.quant, one) for one in plain]


def _pickles(folder: Path) -> list[Path]:
    return sorted(folder.glob("pytorch_model*.bin")) or sorted((*folder.glob("*.bin"), *folder.glob("*.pth")))


def _estimated(told: Told, folder: Path) -> Generator[None, None, Told]:
    """Sizes by config.json, where another converter decides on the tensors; none where that does not tell."""
    yield None
    with suppress(AppError):
        shape = sketched(parameters_of((folder / "config.json").read_bytes(), told.source.name))
        shape = scaled(shape, 2 * told.n_parameters)
        made = [requantized(shape, one) for one in _offered(shape.is_moe)]
        sizes = [QuantSize(one.quant, one.size_bytes, one.bits_per_weight) for one in made]
        return replace(
            told, findings=(*told.findings, estimate_finding()), sizes=_sorted(sizes), shape=shape,
            middle_bytes=2 * told.n_parameters,
        )  # fmt: skip
    return told


def _fitted(told: Told, site: Site | None, n_ctx: int | None) -> Generator[None, None, tuple[dict[str, Fit], str]]:
    """The fit of every type, and the one to recommend; '' while the machine is unknown."""
    if site is None or told.shape is None or not told.sizes:
        return {}, ""
    sizes = {one.quant: one for one in told.sizes}
    ranked = [one for one in ("F32", *QUANTS) if one in sizes]
    shape = told.shape
    made = yield from aside(lambda: [requantized(shape, one, with_imatrix=sizes[one].needs_imatrix) for one in ranked])
    candidates = [Candidate(one.quant, one) for one in made]
    wishes = Wishes(n_ctx=n_ctx)
    yield from warming(candidates, site, wishes)
    found = plan(candidates, site, wishes)
    recommended = found.recommended or found.best
    best = recommended.candidate.quant if recommended.verdict.fits else ""
    return {one.candidate.quant: one for one in found.fits}, best


def _target(size: QuantSize, fit: Fit | None, *, is_best: bool) -> Target:
    fallbacks = tuple(Fallback(*one) for one in size.fallbacks)
    return Target(
        size.quant, size.size_bytes, size.bits_per_weight, fallbacks, size.needs_imatrix, fit, is_best
    )  # fmt: skip


def _header_of(recipe: Recipe, name: str) -> Header:
    found = header_of(recipe.header, recipe.size_bytes, name)
    assert not isinstance(found, MoreNeeded)
    return found


def _sorted(sizes: Sequence[QuantSize]) -> tuple[QuantSize, ...]:
    return tuple(sorted(sizes, key=lambda one: -one.size_bytes))


def _is_quantized(tensor: object) -> bool:
    return GGML_TYPES[tensor.type_id].block_elements > 1  # type: ignore[attr-defined]


def _n_values(shape: Sequence[int]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _ram_bytes(told: Told) -> int:
    largest = max((one.n_elements for one in told.shape.tensors), default=0) if told.shape else 0
    return _BASE_BYTES + min(_BYTES_PER_VALUE * largest, slab_bytes(os.cpu_count() or 1))
