"""Whether a need goes into the rooms: the verdict on one placement, and by how much it misses."""

from carryon.fit.answers import Basis, Candidate, Fit, Site, Verdict
from carryon.fit.calibration import corrected
from carryon.fit.memory import Need, need
from carryon.fit.placement import Placement
from carryon.fit.room import Backend, Room, Rooms
from carryon.fit.speed import Basis as PaceBasis
from carryon.fit.speed import Pace, paces
from carryon.fit.weights import weight_sums
from carryon.gguf.shape import ModelShape

# Of the weights so much must find room somewhere for a model to "run from disk". Below it every token waits for nearly
# the whole file, and "one word a minute" is what people call too big (KoboldCpp #1185).
_LEAST_RESIDENT_SHARE = 0.25
# What a disk reads for an engine that faults in pages: a SATA drive to a good NVMe drive.
_DISK_BYTES_PER_S = (0.4e9, 3.0e9)
_NO_PACE = Pace(0.0, 0.0, PaceBasis.GUESSED)  # what cannot be loaded has no speed


def assess(candidate: Candidate, placement: Placement, site: Site) -> Fit:
    """How this candidate would lie there when it is placed so; nothing is changed, whatever the verdict."""
    return judged(candidate, placement, need_at(candidate.shape, placement, site), site)


def need_at(shape: ModelShape, placement: Placement, site: Site) -> Need:
    """What it needs there, with what earlier loads on this machine taught."""
    found = need(shape, placement, site.rooms)
    if not site.learnt.memory:
        return found
    return corrected(found, shape.architecture, placement.kv_type, site.rooms, site.learnt)


def judged(
    candidate: Candidate, placement: Placement, needed: Need, site: Site, basis: Basis = Basis.INSTANT
) -> Fit:  # fmt: skip
    """The fit for a need that is known already, from arithmetic or from the engine."""
    verdict, missing_bytes = verdict_of(candidate.shape, placement, needed, site.rooms)
    shape, depth = candidate.shape, placement.depth_tokens
    if verdict is Verdict.TOO_BIG:
        decode = prefill = _NO_PACE
    else:
        decode, prefill = paces(shape, placement, site.rooms, site.speeds, depth)
    if verdict is Verdict.DISK:
        share = _read_share(shape)
        decode = _from_disk(decode, missing_bytes * share, needed.ram.weights_bytes * share)
    within = None
    if site.learnt.memory:
        within = site.learnt.within(shape.architecture, placement.kv_type, _used(needed, site.rooms))
    return Fit(candidate, placement, needed, verdict, missing_bytes, decode, prefill, basis, within)


def verdict_of(shape: ModelShape, placement: Placement, needed: Need, rooms: Rooms) -> tuple[Verdict, int]:
    """The verdict, and the bytes that are missing: 0 where it fits, what the disk has to lend where it runs from it."""
    over_bytes = _gpus_over_bytes(needed, rooms)
    usable_bytes, wanted_bytes, mapped_bytes = _ram(placement, needed, rooms)
    over_bytes += max(0, wanted_bytes - usable_bytes)
    mapped_over_bytes = max(0, wanted_bytes + mapped_bytes - max(usable_bytes, wanted_bytes))
    weights_bytes = needed.ram.weights_bytes + sum([one.weights_bytes for one in needed.gpus])
    if over_bytes or mapped_over_bytes > weights_bytes * (1 - _LEAST_RESIDENT_SHARE):
        return Verdict.TOO_BIG, over_bytes + mapped_over_bytes
    if mapped_over_bytes:
        return Verdict.DISK, mapped_over_bytes
    return _place(shape, placement, needed), 0


def gpus_hold(placement: Placement, needed: Need, rooms: Rooms) -> bool:
    """Whether every GPU holds its part, and the RAM what cannot be read again from the file."""
    usable_bytes, wanted_bytes, _ = _ram(placement, needed, rooms)
    return not _gpus_over_bytes(needed, rooms) and wanted_bytes <= usable_bytes


def _used(needed: Need, rooms: Rooms) -> list[Room]:
    """The memories that hold a part of the model."""
    gpus = [room for one, room in zip(needed.gpus, rooms.gpus, strict=True) if one.weights_bytes]
    return [rooms.ram, *gpus]


def _gpus_over_bytes(needed: Need, rooms: Rooms) -> int:
    pairs = zip(needed.gpus, rooms.gpus, strict=True)
    return sum([max(0, one.total_bytes - room.usable_bytes) for one, room in pairs])


def _ram(placement: Placement, needed: Need, rooms: Rooms) -> tuple[int, int, int]:
    """(usable bytes, bytes that must stay in RAM, bytes that the system may drop and read again from the file).

    Weights that the processor likes to repack count among the latter: the engine does not where they would not fit
    (worker.shortage, which looks at the same room).
    Where GPUs work in the RAM, what they hold counts against it as well: it is pinned.
    """
    mapped_bytes = needed.ram.weights_bytes if placement.use_mmap else 0
    pinned_bytes = sum([one.total_bytes for one in needed.gpus]) if rooms.is_unified else 0
    return rooms.ram.usable_bytes, needed.ram.total_bytes - mapped_bytes + pinned_bytes, mapped_bytes


def is_whole(shape: ModelShape, placement: Placement) -> bool:
    """Whether every layer is meant for a GPU, all experts included."""
    return placement.n_gpu_layers >= shape.n_gpu_layers_max and not (shape.is_moe and placement.n_cpu_experts)


def _place(shape: ModelShape, placement: Placement, needed: Need) -> Verdict:
    if not any(one.weights_bytes for one in needed.gpus):
        return Verdict.RAM
    return Verdict.GPU if is_whole(shape, placement) else Verdict.SPLIT


def _read_share(shape: ModelShape) -> float:
    """How much of the layers a token reads: all of a dense model, of a mixture only the experts it is sent to."""
    sums = weight_sums(shape, Backend.CPU)
    if not shape.is_moe or not sums.layers[-1]:
        return 1.0
    experts = sums.experts[-1] / sums.layers[-1]
    return 1 - experts * (1 - shape.n_experts_used / shape.n_experts)


def _from_disk(pace: Pace, missing_bytes: float, mapped_bytes: float) -> Pace:
    """The pace when a part of the weights is read from the disk for every token.

    At best only what is missing; at worst everything mapped, since the system drops first what is needed next.
    """
    slowest, fastest = _DISK_BYTES_PER_S
    low = 1 / (1 / pace.low + mapped_bytes / slowest) if pace.low > 0 else 0.0
    high = 1 / (1 / pace.high + missing_bytes / fastest) if pace.high > 0 else 0.0
    return Pace(low, high, PaceBasis.GUESSED)
