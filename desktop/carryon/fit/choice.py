"""Which quant and which context to recommend: the best quality that is comfortable to use."""

from collections.abc import Sequence
from dataclasses import replace

from carryon.fit.answers import RANK, Candidate, Fit, Site, Verdict, Wishes
from carryon.fit.ladder import Ladder

# What people download by default; the others are for those who ask, or for when nothing else fits.
_USUAL = ("Q8_0", "Q6_K_L", "Q6_K_XL", "Q6_K", "Q5_K_L", "Q5_K_XL", "Q5_K_M", "Q5_K_S", "Q4_K_L", "Q4_K_XL", "Q4_K_M")
# Models that were trained in a type of four bits: everything else is a copy of it, larger or worse.
_NATIVE = {"gpt-oss": ("MXFP4_MOE", "MXFP4")}
_SMALL_MODEL = 4e9  # parameters: below, Q8_0 costs little and shows
FLUENT = 15.0  # tokens per second: faster than people read
_BEARABLE = 5.0  # about as fast as people read
# So much faster must a smaller quant be to be worth its loss of quality, where a part lies in RAM anyway.
_WORTH_IT = 1.5

LEAST_CONTEXT, USUAL_CONTEXT, LARGE_CONTEXT = 4096, 8192, 16384


def is_usual(candidate: Candidate) -> bool:
    """Whether it is recommended without being asked for: Q4_K_M to Q6_K, for a small model Q8_0."""
    quant = candidate.quant.upper().removeprefix("UD-")
    native = _NATIVE.get(candidate.shape.architecture)
    if native is not None:
        return quant in native
    return quant in _USUAL and (quant != "Q8_0" or candidate.shape.n_params < _SMALL_MODEL)


def chosen(fits: Sequence[Fit]) -> Fit:
    """The one to recommend; `fits` has the best quality first."""
    usual = [fit for fit in fits if is_usual(fit.candidate)]
    others = [fit for fit in fits if not is_usual(fit.candidate)]
    smaller = [fit for fit in others if _is_below(fit, usual)]
    picks = (
        _on_gpu(usual),
        _parted(usual, _BEARABLE),
        _on_gpu(smaller),
        _quickest(usual),
        _parted(smaller),
        _on_gpu(others),
        _parted(others),
    )
    return next((pick for pick in picks if pick is not None), None) or _nearest(fits)


class Trials:
    """Fits of candidates with some context, each planned once."""

    def __init__(self, site: Site, wishes: Wishes) -> None:
        self._site, self._wishes = site, wishes
        self._fits: dict[tuple[int, int], Fit] = {}
        self._ladders: dict[int, Ladder] = {}

    def fit(self, candidate: Candidate, n_ctx: int) -> Fit:
        """The best way to load it with this context."""
        key = id(candidate), n_ctx
        if key not in self._fits:
            self._fits[key] = self._ladder(n_ctx).best_fit(candidate)
        return self._fits[key]

    def _ladder(self, n_ctx: int) -> Ladder:
        if n_ctx not in self._ladders:
            self._ladders[n_ctx] = Ladder(self._site, replace(self._wishes, n_ctx=n_ctx))
        return self._ladders[n_ctx]


def chosen_context(candidates: Sequence[Candidate], trials: Trials) -> int:
    """The context to plan for where none is wished: 8k, 16k where that costs nothing else, 4k where that saves the GPU.

    Never more than the model was trained for.
    """
    usual = [one for one in candidates if is_usual(one)] or list(candidates)
    trained = candidates[0].shape.n_ctx_train or USUAL_CONTEXT
    least, base, large = (min(trained, one) for one in (LEAST_CONTEXT, USUAL_CONTEXT, LARGE_CONTEXT))

    def pick(among: Sequence[Candidate], n_ctx: int) -> Fit:
        return chosen([trials.fit(one, n_ctx) for one in among])

    first = pick(usual, base)
    if not first.verdict.fits:
        usual, first = list(candidates), pick(candidates, base)
    if first.verdict is Verdict.GPU and _costs_nothing(first, pick([first.candidate], large)):
        return large
    if first.verdict is Verdict.GPU or first.verdict is Verdict.RAM:
        return base
    short = pick(usual, least)
    return least if RANK[short.verdict] < RANK[first.verdict] else base


def _costs_nothing(first: Fit, larger: Fit) -> bool:
    """Whether only the context differs."""
    return larger.verdict is first.verdict and replace(larger.placement, n_ctx=first.placement.n_ctx) == first.placement


def _on_gpu(fits: Sequence[Fit]) -> Fit | None:
    """The best quality that is fluent, of those that lie on GPUs only; else the fastest of them."""
    found = [fit for fit in fits if fit.verdict is Verdict.GPU]
    fluent = next((fit for fit in found if fit.decode.middle >= FLUENT), None)
    return fluent or max(found, key=lambda fit: fit.decode.middle, default=None)


def _parted(fits: Sequence[Fit], least: float = 0.0) -> Fit | None:
    """The best of those that lie in RAM or partly so: quality first, unless a smaller one is much faster."""
    found = [fit for fit in fits if fit.verdict in (Verdict.SPLIT, Verdict.RAM) and fit.decode.middle >= least]
    best = found[0] if found else None
    for fit in found[1:]:
        if best is not None and fit.decode.middle > _WORTH_IT * best.decode.middle:
            best = fit
    return best


def _quickest(fits: Sequence[Fit]) -> Fit | None:
    """The fastest that fits: where all are slow, speed is what is missing most."""
    found = [fit for fit in fits if fit.verdict.fits]
    return max(found, key=lambda fit: fit.decode.middle, default=None)


def _nearest(fits: Sequence[Fit]) -> Fit:
    """Nothing fits: the fastest that runs from the disk, else the one that misses least."""
    from_disk = [fit for fit in fits if fit.verdict is Verdict.DISK]
    if from_disk:
        return max(from_disk, key=lambda fit: fit.decode.middle)
    return min(fits, key=lambda fit: (RANK[fit.verdict], fit.missing_bytes))


def _is_below(fit: Fit, usual: Sequence[Fit]) -> bool:
    """Smaller than every usual one: chosen only where none of those is any good."""
    return bool(usual) and fit.candidate.shape.weights_bytes < usual[-1].candidate.shape.weights_bytes
