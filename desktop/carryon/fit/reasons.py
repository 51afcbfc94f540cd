"""Why a plan is as it is: what it needs, what limits, what was given up, as sentences in the order people ask."""

from collections.abc import Iterator, Sequence

from carryon.base.units import context_text, memory_text
from carryon.fit import words
from carryon.fit.answers import RANK, Change, Fit, Limit, Repair, Site, Verdict, Wishes
from carryon.fit.choice import is_usual
from carryon.fit.ladder import plain_fit
from carryon.fit.memory import DEFAULT_UBATCH
from carryon.fit.quality import Grade, quality_of
from carryon.fit.room import Rooms
from carryon.gguf.quants import KvType

_LARGE_MODEL = 60e9  # parameters: so large a model stands few bits better than a smaller one with more


def limit_of(best: Fit, fits: Sequence[Fit], rooms: Rooms, repairs: Sequence[Repair] = ()) -> Limit:
    """What keeps it from being faster or better."""
    if best.verdict.fits and any(repair.change in (Change.LAYERS, Change.EXPERTS) for repair in repairs):
        return Limit.WISHES
    if best.verdict in (Verdict.DISK, Verdict.TOO_BIG):
        over = [one.total_bytes > room.usable_bytes for one, room in zip(best.need.gpus, rooms.gpus, strict=True)]
        return Limit.VRAM if any(over) else Limit.RAM
    if best.verdict is Verdict.RAM:
        return Limit.VRAM if rooms.gpus else Limit.NO_GPU
    if best.verdict is Verdict.SPLIT or any(_is_worse(fit, best) for fit in better(best, fits)):
        return Limit.VRAM
    trained = best.candidate.shape.n_ctx_train
    return Limit.TRAINED_CONTEXT if trained and best.placement.n_ctx >= trained else Limit.NOTHING


def better(best: Fit, fits: Sequence[Fit]) -> list[Fit]:
    """Those of more quality, the nearest first; `fits` has the best quality first."""
    place = next((index for index, fit in enumerate(fits) if fit.candidate is best.candidate), 0)
    return list(fits[:place][::-1])


def _is_worse(fit: Fit, best: Fit) -> bool:
    """Whether it would have been recommended, had there been room."""
    return is_usual(fit.candidate) and RANK[fit.verdict] > RANK[best.verdict]


def reasons(best: Fit, fits: Sequence[Fit], site: Site, wishes: Wishes, limit: Limit) -> tuple[str, ...]:
    """The sentences; the first is the summary."""
    return tuple(_sentences(best, fits, site, wishes, limit))


def _sentences(best: Fit, fits: Sequence[Fit], site: Site, wishes: Wishes, limit: Limit) -> Iterator[str]:
    is_choice = wishes.quant is None and len(fits) > 1
    yield words.summary(best, site.rooms, is_choice=is_choice)
    if not best.verdict.fits:
        yield words.shortage_text(best, site.rooms)
    yield from _split(best, site)
    yield from _given_up(best, wishes)
    yield from _next_better(best, fits)
    yield from _quality(best, is_choice)
    if limit is not Limit.NOTHING:
        yield words.limit_text(limit)


def _split(best: Fit, site: Site) -> Iterator[str]:
    """Where the experts lie, and what that is worth."""
    if best.verdict is not Verdict.SPLIT:
        return
    shape, placed = best.candidate.shape, best.placement
    if not (shape.is_moe and placed.n_cpu_experts):
        return  # the verdict has counted the layers
    held = memory_text(best.need.ram.weights_bytes)
    sentence = f"The experts of {placed.n_cpu_experts} of {shape.n_layers} layers stay in RAM ({held})"
    plain = plain_fit(best.candidate, best.placement, site)
    if plain.verdict.fits and plain.decode.middle < best.decode.middle:
        slower = words.range_text(plain.decode)
        yield f"{sentence}: {words.pace_text(best.decode)} instead of {slower} with whole layers in RAM."
        return
    yield f"{sentence}: a token reads only {shape.n_experts_used} of {shape.n_experts} experts."


def _given_up(best: Fit, wishes: Wishes) -> Iterator[str]:
    """What the plan changed to make it fit, and what was wished for beyond reason."""
    placed, trained = best.placement, best.candidate.shape.n_ctx_train
    if wishes.kv_type is None and placed.kv_type is not KvType.F16:
        yield f"The KV cache is kept in {placed.kv_type.value}, with hardly any loss: so everything fits on the GPU."
    if wishes.n_ubatch is None and placed.n_ubatch < DEFAULT_UBATCH:
        yield f"Prompts are read {placed.n_ubatch} tokens at a time, not {DEFAULT_UBATCH}, to save working memory."
    if trained and placed.n_ctx > trained:
        yield f"The model was trained for {context_text(trained)} tokens; beyond that it may lose the thread."


def _next_better(best: Fit, fits: Sequence[Fit]) -> Iterator[str]:
    """Why not the next better quant."""
    nearest = next(iter(better(best, fits)), None)
    if nearest is None or RANK[nearest.verdict] <= RANK[best.verdict]:
        return
    name = nearest.candidate.quant
    if nearest.verdict is Verdict.SPLIT and best.verdict is Verdict.GPU:
        gpus = "GPUs" if len(best.need.gpus) > 1 else "GPU"
        instead = f"{words.split_text(nearest)}, {words.pace_text(nearest.decode)}"
        yield f"{name} would not fit on the {gpus} alone: {instead}."
    elif nearest.verdict is Verdict.TOO_BIG:
        yield f"{name} would be too big by {memory_text(nearest.missing_bytes)}."
    elif nearest.verdict is Verdict.DISK:
        yield f"{name} would run from the disk: {memory_text(nearest.missing_bytes)} of it find no room in RAM."


def _quality(best: Fit, is_choice: bool) -> Iterator[str]:
    """What the quant costs, and where another model would be the better choice."""
    shape = best.candidate.shape
    quality = best.candidate.measured or quality_of(best.candidate.quant, architecture=shape.architecture)
    if quality is None:
        return
    yield words.quality_sentence(quality)
    if is_choice and quality.grade in (Grade.POOR, Grade.BROKEN) and shape.n_params < _LARGE_MODEL:
        yield "A smaller model in Q4_K_M would very likely answer better than this one in so few bits."
