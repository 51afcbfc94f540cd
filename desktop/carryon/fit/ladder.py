"""Where one candidate goes: the ways to place it from the best to the last resort, and the first that fits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from carryon.fit.answers import RANK, Candidate, Fit, Site, Wishes
from carryon.fit.memory import Need
from carryon.fit.placement import DEFAULT_UBATCH, Placement
from carryon.fit.sharing import Sharing
from carryon.fit.verdict import gpus_hold, judged, need_at, verdict_of
from carryon.fit.weights import weight_sums
from carryon.fit.wished import kv_type_fits
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

# What is given up, in this order, before a layer leaves the GPU: a shorter stride through the prompt costs a little
# reading speed, a KV cache of q8_0 next to nothing (KL divergence 0.001 on Llama-3-8B, llama.cpp #7412).
_RUNGS = (
    (KvType.F16, DEFAULT_UBATCH), (KvType.F16, 256), (KvType.Q8_0, DEFAULT_UBATCH), (KvType.Q8_0, 256)
)  # fmt: skip


def best_fit(candidate: Candidate, site: Site, wishes: Wishes) -> Fit:
    """The best way to load one candidate with a context that is given (`wishes.n_ctx`).

    What is wished is kept. Where nothing fits, the way that comes nearest: it can be loaded anyway.
    """
    return Ladder(site, wishes).best_fit(candidate)


def largest_layers(
    candidate: Candidate, placement: Placement, site: Site, gpus: tuple[str, ...] | None = None
) -> int:  # fmt: skip
    """The most layers that these GPUs hold together (None: all there are), everything else as the placement says."""
    if not site.rooms.gpus or gpus == ():
        return 0
    names = gpus or tuple(room.name for room in site.rooms.gpus)
    return _Ways(candidate.shape, replace(placement, gpus=names), site).most_layers().placement.n_gpu_layers


def fewest_experts(candidate: Candidate, placement: Placement, site: Site) -> int:
    """Of how many layers the experts have to stay in RAM, everything else as the placement says."""
    if not (site.rooms.gpus and placement.n_gpu_layers):
        return 0
    return _Ways(candidate.shape, placement, site).fewest_experts().placement.n_cpu_experts


def plain_fit(candidate: Candidate, placement: Placement, site: Site) -> Fit:
    """The same with whole layers in RAM instead of experts: what experts in RAM are worth."""
    whole = replace(placement, n_cpu_experts=0, n_gpu_layers=candidate.shape.n_gpu_layers_max)
    way = _Ways(candidate.shape, whole, site).most_layers()
    return judged(candidate, way.placement, way.needed, site)


@dataclass(frozen=True)
class _Way:
    """One placement and what it needs."""

    placement: Placement
    needed: Need


class Ladder:
    """The ways to place any candidate at a site with the same wishes, from the best to the last resort."""

    def __init__(self, site: Site, wishes: Wishes) -> None:
        self._site, self._wishes = site, wishes
        self._names = _by_speed(site, wishes)
        self._bases: dict[tuple[int, KvType, int, tuple[str, ...]], Placement] = {}

    def best_fit(self, candidate: Candidate) -> Fit:
        """The first way that fits, else the one that comes nearest."""
        nearest: list[tuple[int, int, _Way]] = []
        for way in self._ways(candidate.shape):
            verdict, missing_bytes = verdict_of(candidate.shape, way.placement, way.needed, self._site.rooms)
            if verdict.fits:
                return judged(candidate, way.placement, way.needed, self._site)
            nearest.append((RANK[verdict], missing_bytes, way))
        way = min(nearest, key=lambda one: one[:2])[2]
        return judged(candidate, way.placement, way.needed, self._site)

    def _ways(self, shape: ModelShape) -> Iterator[_Way]:
        """Fully on GPUs as long as anything helps, then experts in RAM, then layers in RAM, then the processor."""
        site, wishes, names = self._site, self._wishes, self._names
        kv_type, n_ubatch = wishes.kv_type or _RUNGS[0][0], wishes.n_ubatch or _RUNGS[0][1]
        first = self._base(shape, kv_type, n_ubatch, names)
        if not names or first.n_gpu_layers == 0:
            n_layers = 0 if wishes.n_gpu_layers is None else first.n_gpu_layers
            yield _way(shape, replace(first, n_gpu_layers=n_layers, gpus=()), site)
            return
        for way in self._whole(shape, kv_type, n_ubatch):
            yield (last := way)
        for kv_type, n_ubatch in _rungs(shape, wishes)[1:] if _may_hold(last, names, site) else ():
            whole = self._whole(shape, kv_type, n_ubatch)
            yield from (way for way in whole if gpus_hold(way.placement, way.needed, site.rooms))
        yield from _parted(shape, first, site, wishes, last)

    def _whole(self, shape: ModelShape, kv_type: KvType, n_ubatch: int) -> Iterator[_Way]:
        """All wished layers on one GPU, the fastest first; then on all of them together: that is the last."""
        names, site = self._names, self._site
        together = self._base(shape, kv_type, n_ubatch, names)
        if len(names) == 1:
            yield _way(shape, together, site)
            return
        for name in names:
            if _may_hold_alone(shape, together, name, site):
                yield _way(shape, self._base(shape, kv_type, n_ubatch, (name,)), site)
        yield _Ways(shape, together, site).as_it_is()

    def _base(self, shape: ModelShape, kv_type: KvType, n_ubatch: int, gpus: tuple[str, ...]) -> Placement:
        """As it is wished, with every layer on these GPUs where no number is; the same for all quants of a model."""
        key = (shape.n_layers, kv_type, n_ubatch, gpus)
        base = self._bases.get(key)
        if base is None:
            base = self._bases[key] = replace(_base(shape, self._wishes, kv_type, n_ubatch), gpus=gpus)
        return base


def _way(shape: ModelShape, placement: Placement, site: Site) -> _Way:
    return _Way(placement, need_at(shape, placement, site))


class _Ways:
    """The ways to share one placement's layers and experts between its GPUs and the RAM."""

    def __init__(self, shape: ModelShape, base: Placement, site: Site, tried: _Way | None = None) -> None:
        """`tried`: all of it shared out over these GPUs, which did not hold."""
        self._shape, self._base, self._site, self._tried = shape, base, site, tried
        self._sharing = Sharing(shape, base, site.rooms, tried.needed if tried else None)

    def as_it_is(self) -> _Way:
        """Nothing moved, shared out over the GPUs."""
        return self._placed(self._base)

    def fewest_experts(self) -> _Way:
        """The experts of as few layers in RAM as the GPUs allow; all of them where even that is not enough."""
        guess = self._sharing.fewest_experts(self._base)
        return self._smallest(lambda count: replace(self._base, n_cpu_experts=count), self._shape.n_layers, guess)

    def most_layers(self) -> _Way:
        """As many layers on the GPUs as they hold; 0 where not one fits."""
        most = self._shape.n_gpu_layers_max
        guess = most - self._sharing.most_layers(self._base)
        return self._smallest(lambda behind: replace(self._base, n_gpu_layers=most - behind), most, guess)

    def holds(self, way: _Way) -> bool:
        """Whether the GPUs hold their parts, and the RAM what cannot be read again."""
        return gpus_hold(way.placement, way.needed, self._site.rooms)

    def _placed(self, placement: Placement) -> _Way:
        """The first way to share it out that holds, else the first of all."""
        tries = (_way(self._shape, one, self._site) for one in self._sharing.ways(placement))
        first = next(tries)
        if self.holds(first):
            return first
        return next((one for one in tries if self.holds(one)), first)

    def _smallest(self, placement_of: Callable[[int], Placement], most: int, guess: int) -> _Way:
        """The way with the smallest number that holds, by bisection around a guess; `most` itself is not asked.

        Nothing at all is asked first: with no weight left in RAM the engine needs less working memory, so that 0 may
        hold where 1 does not.
        """
        if self._tried is None and self.holds(whole := self._placed(placement_of(0))):
            return whole
        low, high = 1, most
        step = min(max(guess, 1), most)
        seen: dict[int, _Way] = {}
        while low < high:
            seen[step] = way = self._placed(placement_of(step))
            if self.holds(way):
                high = step
                step = max(low, step - 1) if step == guess else (low + high) // 2
            else:
                low = step + 1
                step = min(high - 1, step + 1) if step == guess else (low + high) // 2
        smallest = min(low, most)
        return seen.get(smallest) or self._placed(placement_of(smallest))


def _rungs(shape: ModelShape, wishes: Wishes) -> list[tuple[KvType, int]]:
    """What the wishes leave open."""
    open_ones = dict.fromkeys((wishes.kv_type or kv_type, wishes.n_ubatch or n_ubatch) for kv_type, n_ubatch in _RUNGS)
    return [rung for rung in open_ones if wishes.kv_type or kv_type_fits(shape, rung[0])]


def _base(shape: ModelShape, wishes: Wishes, kv_type: KvType, n_ubatch: int) -> Placement:
    """As it is wished, with every layer on GPUs where no number is."""
    assert wishes.n_ctx is not None
    most = shape.n_gpu_layers_max
    n_layers = most if wishes.n_gpu_layers is None else min(wishes.n_gpu_layers, most)
    n_experts = min(wishes.n_cpu_experts or 0, shape.n_layers)
    return Placement(
        wishes.n_ctx, kv_type, n_layers, n_experts, n_ubatch=n_ubatch, n_parallel=wishes.n_parallel,
        use_mmap=wishes.use_mmap, extras=wishes.extras,
    )  # fmt: skip


def _by_speed(site: Site, wishes: Wishes) -> tuple[str, ...]:
    """The GPUs that may take layers, the fastest first; of equal ones the emptiest."""
    rows = [
        (speed.weights_bytes_per_s, room.usable_bytes, room.name)
        for room, speed in zip(site.rooms.gpus, site.speeds.gpus, strict=True)
        if wishes.gpus is None or room.name in wishes.gpus
    ]
    return tuple(name for *_, name in sorted(rows, key=lambda row: row[:2], reverse=True))


def _parted(
    shape: ModelShape, base: Placement, site: Site, wishes: Wishes, whole: _Way
) -> Iterator[_Way]:  # fmt: skip
    """A part in RAM: experts first, since a token reads few of them; then whole layers. The whole did not fit."""
    tried: _Way | None = whole
    if shape.is_moe and wishes.n_cpu_experts is None:
        yield (fewest := _Ways(shape, base, site, tried).fewest_experts())
        base, tried = replace(base, n_cpu_experts=shape.n_layers), None
        if len(base.gpus) == 1 and fewest.placement == base:  # all experts in RAM: that is where moving layers begins
            if gpus_hold(fewest.placement, fewest.needed, site.rooms):
                return
            tried = fewest
    if wishes.n_gpu_layers is None:
        yield _Ways(shape, base, site, tried).most_layers()


def _may_hold(whole: _Way, names: tuple[str, ...], site: Site) -> bool:
    """Whether a smaller KV cache and less working memory could make the whole fit: not where weights alone do not."""
    usable_bytes = sum(room.usable_bytes for room in site.rooms.gpus if room.name in names)
    return sum(one.weights_bytes for one in whole.needed.gpus) <= usable_bytes


def _may_hold_alone(shape: ModelShape, base: Placement, name: str, site: Site) -> bool:
    """The same for one of several GPUs, without looking closer."""
    room = next(room for room in site.rooms.gpus if room.name == name)
    sums = weight_sums(shape, room.backend)
    behind = sums.layers[max(shape.n_gpu_layers_max - base.n_gpu_layers, 0)] + sums.experts[base.n_cpu_experts]
    return sums.layers[-1] - behind <= room.usable_bytes
