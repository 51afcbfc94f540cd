"""What each stage of a run does, joined from the parts that can do it; each returns what should be known of its result.

A stage leaves one whole file in the run's own folder, or nothing but what it can go on from.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from carryon.app.download_list import DownloadWish, WaitingForNetwork
from carryon.app.download_work import Step, Terms, fetching, room_missing_for
from carryon.app.evaluations import Evaluations
from carryon.app.preflight_words import converter_of
from carryon.app.workshop_list import Converter, SourceKind, Stage, StageKind, Working
from carryon.app.workshop_places import DIRECT, Places
from carryon.app.workshop_source import facts_of
from carryon.app.workshop_store import WorkshopStore
from carryon.base.errors import AppError, BadFile, NoRoom, Unsupported
from carryon.base.files import disk_errors, sync_folder
from carryon.base.jobs import Progress, aside
from carryon.base.paths import Home
from carryon.base.units import bytes_text
from carryon.convert.forms import OutType
from carryon.convert.job import ConvertRequest, VerifyRequest, converting, verifying
from carryon.convert.preflight import Examined, examining
from carryon.convert.provenance import Provenance
from carryon.convert.upstream.component import fetching_words, kept
from carryon.convert.upstream.fetching import fetching as fetching_converter
from carryon.convert.upstream.job import converting_upstream
from carryon.evaluate.job import evaluating
from carryon.evaluate.request import EvaluateRequest
from carryon.gguf.header import read_header
from carryon.hub.names import Reference, repo_id_of
from carryon.hub.repository import opening
from carryon.hub.staging import INDEX, small_files, weight_files
from carryon.quantize.job import making_imatrix, quantizing
from carryon.quantize.request import ImatrixRequest, QuantizeRequest

__all__ = ["Job", "Terms", "doing", "units_of"]

Notices = tuple[str, ...]
StageWork = Generator[Progress | Working | None, None, Notices]


@dataclass(frozen=True)
class Job:
    """What a stage works with."""

    places: Places
    home: Home
    terms: Terms
    store: WorkshopStore
    log_path: Path


def doing(stage: Stage, job: Job) -> StageWork:
    """The work of a stage. Raises what its parts raise."""
    match stage.kind:
        case StageKind.DOWNLOAD:
            return _downloading(stage, job)
        case StageKind.CONVERT:
            return _converting(stage, job)
        case StageKind.IMATRIX:
            return _making_imatrix(job)
        case StageKind.QUANTIZE:
            return _quantizing(stage, job)
        case StageKind.MEASURE:
            return _measuring(job)


def units_of(stage: Stage, places: Places) -> int:
    """How much a stage has read, for how fast such stages are: bytes of weights; 0 for stages that nobody guesses."""
    match stage.kind:
        case StageKind.CONVERT:
            return sum(one.stat().st_size for one in places.source.glob("*.safetensors"))
        case StageKind.QUANTIZE:
            return places.base.stat().st_size
        case _:
            return 0


def _downloading(stage: Stage, job: Job) -> StageWork:
    """The small files first: the index among them names those of the weights."""
    order, store = job.places.order, job.store
    repo_id, _, named = order.source.place.partition("@")
    commit = store.revision(job.places.id) or order.revision or named or "main"
    site = yield from aside(job.terms.access.site)
    repo = yield from opening(site, Reference(repo_id_of(repo_id), commit))
    store.set_revision(job.places.id, repo.commit)
    small = small_files(repo.files)

    def wish(files: tuple[object, ...]) -> DownloadWish:
        return DownloadWish(repo.repo_id, repo.commit, order.name, files, job.places.source, repo.found.licence)  # type: ignore[arg-type]

    yield from _fetched(stage, wish(small), job)
    index = job.places.source / INDEX
    weights = weight_files(repo.files, index.read_bytes() if index.is_file() else None)
    if not weights:
        raise BadFile(
            f"{repo.repo_id} has no .safetensors files.", "Look for a copy of the model that has them."
        )  # fmt: skip
    whole = wish((*small, *weights))
    if missing_bytes := room_missing_for(whole, ()):
        raise NoRoom(
            f"{bytes_text(missing_bytes)} are missing on the disk that holds {order.folder}.",
            "Free some space there, or choose another folder.",
        )
    yield from _fetched(stage, whole, job)
    return ()


def _fetched(stage: Stage, wish: DownloadWish, job: Job) -> Generator[Working | None, None, None]:
    for news in fetching(wish, job.terms):
        match news:
            case Step(WaitingForNetwork(why), done_bytes):
                yield Working(stage, done_bytes, wish.total_bytes, why.message)
            case Step(state, done_bytes):
                yield Working(stage, done_bytes, wish.total_bytes, left_s=getattr(state, "left_s", None))
            case _:
                yield None


def _converting(stage: Stage, job: Job) -> StageWork:
    """To a target, or to the file in between; by us where we can, else by llama.cpp's own converter."""
    places = job.places
    examined = yield from examining(places.source, places.order.name, adapter=places.order.source.adapter)
    out_type = DIRECT[stage.quant] if stage.quant else examined.out_type
    target = places.made(stage.quant) if stage.quant else places.middle_of(out_type)
    match converter_of(examined):
        case Converter.UPSTREAM:
            return (yield from _converting_upstream(examined, out_type, target, job))
        case _:  # what cannot be converted is refused by the converter itself, with its reason
            request = ConvertRequest(
                places.source, target, out_type, places.order.name, places.order.source.adapter, _provenance(job)
            )
            converted = yield from converting(request, job.log_path)
            return converted.warnings


def _converting_upstream(examined: Examined, out_type: OutType, target: Path, job: Job) -> StageWork:
    order, cache = job.places.order, job.home.cache
    component = kept(cache)
    if component is None and not order.may_fetch_converter:
        raise Unsupported(
            f"Carryon does not convert {examined.class_name} itself; llama.cpp's own converter could do it.",
            f"{fetching_words()} Agree to it in the Workshop's preflight, or by --fetch-converter.",
        )
    if order.source.adapter:
        raise Unsupported(
            f"An adapter cannot be merged into {examined.class_name}.", "Convert the model without it."
        )  # fmt: skip
    if component is None:
        component = yield from fetching_converter(cache)
    n_values = 0 if isinstance(examined.weights, AppError) else examined.weights.n_values
    expected_bytes = round(n_values * out_type.ggml.size_bytes(32) / 32)
    source = job.places.source
    part = yield from converting_upstream(
        component, source, target, out_type, order.name, expected_bytes, job.log_path
    )  # fmt: skip
    notices = yield from verifying(VerifyRequest(part, read_header(part).n_tensors, source), job.log_path)
    with disk_errors(target):
        part.replace(target)
        sync_folder(target.parent)
    return (*notices, f"It was converted by llama.cpp's own converter ({component.folder.name}).")


def _provenance(job: Job) -> Provenance | None:
    """Of a repository; a folder tells its own."""
    order = job.places.order
    if order.source.kind is not SourceKind.REPOSITORY:
        return None
    return Provenance(order.source.place.partition("@")[0], job.store.revision(job.places.id))


def _making_imatrix(job: Job) -> StageWork:
    text = job.places.order.imatrix_text
    assert text is not None
    made = yield from making_imatrix(ImatrixRequest(job.places.base, text, job.places.imatrix), job.log_path)
    return made.notices


def _quantizing(stage: Stage, job: Job) -> StageWork:
    places, order = job.places, job.places.order
    has_imatrix = order.imatrix is not None or order.imatrix_text is not None
    request = QuantizeRequest(
        places.base, places.made(stage.quant), stage.quant, places.imatrix if has_imatrix else None,
        requantizes=order.requantizes, facts=facts_of(order.source),
    )  # fmt: skip
    made = yield from quantizing(request, job.log_path)
    return made.notices


def _measuring(job: Job) -> StageWork:
    """All targets against what they were made from; the figures are kept with the files."""
    places, order = job.places, job.places.order
    base = places.base
    others = tuple(one for one in map(order.target, order.quants) if one != base)
    found = yield from evaluating(EvaluateRequest(base, others, order.text), job.log_path)
    with closing(Evaluations(job.home.library)) as kept_figures:
        yield from aside(lambda: kept_figures.keep(found))
    return found.notices
