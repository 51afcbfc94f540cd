"""One-step changes that make a model fit or make it faster, each of them planned before it is offered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log

from carryon.fit.answers import RANK, Change, Fit, Repair, Site, Verdict, Wishes
from carryon.fit.choice import FLUENT, is_usual
from carryon.fit.ladder import best_fit, fewest_experts, largest_layers
from carryon.fit.room import Program, Room
from carryon.fit.wished import kv_type_fits
from carryon.gguf.quants import KvType

_MOST_REPAIRS = 4
_FASTER = 1.1  # less is not worth a click
_CONTEXTS = (131072, 65536, 32768, 16384, 8192, 4096, 2048)
_SMALL_UBATCHES = (256, 128)
# Where two help equally: the first costs least of what the model can do.
_GENTLEST = (
    Change.LAYERS, Change.EXPERTS, Change.UBATCH, Change.KV_TYPE, Change.QUANT, Change.PARALLEL, Change.PROGRAM,
    Change.CONTEXT,
)  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """A change that may help: what it is, and what would be asked for with it."""

    change: Change
    wishes: Wishes
    program: Program | None = None


def repairs(fits: Sequence[Fit], site: Site, wishes: Wishes, best: Fit) -> tuple[Repair, ...]:
    """The most useful changes to this fit, at most four; none of them is offered untried.

    `fits` are those of all candidates for the same wishes, so that another quant is tried already.
    """
    pinned = replace(wishes, quant=best.candidate.quant, n_ctx=best.placement.n_ctx)
    found: dict[Change, Repair] = {}
    for step in _steps(site, pinned, best) if _may_help(best) else ():
        if step.change in found:
            continue
        repair = _tried(step, site, best)
        if _helps(repair, best):
            found[step.change] = repair
    if shorter := _shorter(site, pinned, best):
        found[Change.CONTEXT] = shorter
    swapped = (_swapped(fit, pinned, best) for fit in _smaller(fits, best))
    smaller = next((repair for repair in swapped if _helps(repair, best)), None)
    if smaller is not None:
        found[Change.QUANT] = smaller
    return tuple(sorted(found.values(), key=_order)[:_MOST_REPAIRS])


def _steps(site: Site, wishes: Wishes, best: Fit) -> Iterator[_Step]:
    """Every change there is, of each kind the smallest one first."""
    placed, shape = best.placement, best.candidate.shape
    yield from _layer_steps(site, wishes, best)
    if shape.is_moe and wishes.n_cpu_experts is not None and placed.n_gpu_layers:
        fewest = fewest_experts(best.candidate, placed, site)
        yield _Step(Change.EXPERTS, replace(wishes, n_cpu_experts=fewest))
    for n_ubatch in _SMALL_UBATCHES:
        if n_ubatch < placed.n_ubatch:
            yield _Step(Change.UBATCH, replace(wishes, n_ubatch=n_ubatch))
    if placed.kv_type in (KvType.F16, KvType.BF16, KvType.F32) and kv_type_fits(shape, KvType.Q8_0):
        yield _Step(Change.KV_TYPE, replace(wishes, kv_type=KvType.Q8_0))
    if placed.n_parallel > 1:
        yield _Step(Change.PARALLEL, replace(wishes, n_parallel=1))
    for room in site.rooms.gpus:
        yield from (_Step(Change.PROGRAM, wishes, program) for program in room.programs[:1])


def _shorter(site: Site, wishes: Wishes, best: Fit) -> Repair | None:
    """The longest context that makes it fit better, by bisection; where the shortest does not, none does."""
    contexts = [n_ctx for n_ctx in _CONTEXTS if n_ctx < best.placement.n_ctx]
    if best.verdict is Verdict.GPU or not contexts:
        return None
    low, high = 0, len(contexts) - 1  # the answer lies between them, if `high` is one
    found = _tried_context(contexts[high], site, wishes, best)
    while found and low < high:
        middle = (low + high) // 2
        if repair := _tried_context(contexts[middle], site, wishes, best):
            found, high = repair, middle
        else:
            low = middle + 1
    return found


def _tried_context(n_ctx: int, site: Site, wishes: Wishes, best: Fit) -> Repair | None:
    repair = _tried(_Step(Change.CONTEXT, replace(wishes, n_ctx=n_ctx)), site, best)
    return repair if _helps(repair, best) else None


def _layer_steps(site: Site, wishes: Wishes, best: Fit) -> Iterator[_Step]:
    """Only where a person set the number: the plan itself already offloads what it can."""
    if wishes.n_gpu_layers is not None and site.rooms.gpus:
        most = largest_layers(best.candidate, best.placement, site, wishes.gpus)
        yield _Step(Change.LAYERS, replace(wishes, n_gpu_layers=most))


def _smaller(fits: Sequence[Fit], best: Fit) -> list[Fit]:
    """The largest of them first."""
    size_bytes = best.candidate.shape.weights_bytes
    smaller = [fit for fit in fits if fit.candidate.shape.weights_bytes < size_bytes]
    return sorted(smaller, key=lambda fit: -fit.candidate.shape.weights_bytes)


def _tried(step: _Step, site: Site, best: Fit) -> Repair:
    where = site if step.program is None else _without(step.program, site)
    fit = best_fit(best.candidate, where, step.wishes)
    saves_bytes = step.program.held_bytes if step.program else best.need.total_bytes - fit.need.total_bytes
    return Repair(step.wishes, fit, saves_bytes, _speedup(fit, best), step.change, step.program)


def _swapped(fit: Fit, wishes: Wishes, best: Fit) -> Repair:
    """Another quant, which the plan has looked at already."""
    saves_bytes = best.need.total_bytes - fit.need.total_bytes
    wanted = replace(wishes, quant=fit.candidate.quant)
    return Repair(wanted, fit, saves_bytes, _speedup(fit, best), Change.QUANT)


def _speedup(fit: Fit, best: Fit) -> float:
    return fit.decode.middle / best.decode.middle if best.decode.high else 1.0


def _without(program: Program, site: Site) -> Site:
    """The site once that program has been closed."""
    gpus = tuple(_freed(room, program) if program in room.programs else room for room in site.rooms.gpus)
    return replace(site, rooms=replace(site.rooms, gpus=gpus))


def _freed(room: Room, program: Program) -> Room:
    return replace(room, free_bytes=min(room.total_bytes, room.free_bytes + program.held_bytes))


def _may_help(best: Fit) -> bool:
    """Whether anything could: what lies on a GPU and is fluent is as good as it gets."""
    return best.verdict is not Verdict.GPU or best.decode.middle < FLUENT


def _helps(repair: Repair, best: Fit) -> bool:
    """Whether it fits better than before, or is faster by enough to be felt."""
    if RANK[repair.fit.verdict] != RANK[best.verdict]:
        return RANK[repair.fit.verdict] < RANK[best.verdict]
    is_loss = repair.change is Change.QUANT and not is_usual(repair.fit.candidate)  # quality for a little speed
    is_worth_it = repair.change is not Change.CONTEXT and _may_help(best) and not is_loss
    return is_worth_it and repair.fit.verdict.fits and repair.speedup > _FASTER


def _order(repair: Repair) -> tuple[int, int, int]:
    """The better verdict first, then what is clearly faster, then what costs the least."""
    pace = round(log(max(repair.fit.decode.middle, 0.01), 1.3))
    return RANK[repair.fit.verdict], -pace, _GENTLEST.index(repair.change)
