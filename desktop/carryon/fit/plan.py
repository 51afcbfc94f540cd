"""What to load and how: the verdict on every quant of a model, the best of them, reasons and repairs."""

from collections.abc import Sequence
from dataclasses import replace

from carryon.fit.answers import Basis as Basis
from carryon.fit.answers import Candidate as Candidate
from carryon.fit.answers import Change as Change
from carryon.fit.answers import Fit as Fit
from carryon.fit.answers import Limit as Limit
from carryon.fit.answers import Plan as Plan
from carryon.fit.answers import Repair as Repair
from carryon.fit.answers import Site as Site
from carryon.fit.answers import Verdict as Verdict
from carryon.fit.answers import Wishes as Wishes
from carryon.fit.choice import Trials, chosen, chosen_context
from carryon.fit.ladder import fewest_experts as fewest_experts
from carryon.fit.ladder import largest_layers as largest_layers
from carryon.fit.reasons import limit_of, reasons
from carryon.fit.repairs import repairs
from carryon.fit.verdict import assess as assess
from carryon.fit.verdict import judged as judged
from carryon.fit.wished import check
from carryon.gguf.shape import ModelShape


def plan(model: Sequence[Candidate] | ModelShape, site: Site, wishes: Wishes = Wishes()) -> Plan:  # noqa: B008
    """The best way to run a model at this site; candidates come best quality first.

    What is wished is kept and judged, never changed. Raises BadInput where a wish makes no sense.
    """
    candidates = (Candidate(model.quant, model),) if isinstance(model, ModelShape) else tuple(model)
    check(candidates, wishes, site.rooms)
    asked = [one for one in candidates if wishes.quant in (None, one.quant)]
    trials = Trials(site, wishes)
    n_ctx = wishes.n_ctx if wishes.n_ctx is not None else chosen_context(asked, trials)
    settled = replace(wishes, n_ctx=n_ctx)
    fits = tuple(trials.fit(one, n_ctx) for one in candidates)
    best = chosen([fit for fit in fits if wishes.quant in (None, fit.candidate.quant)])
    offered = repairs(fits, site, settled, best)
    limit = limit_of(best, fits, site.rooms, offered)
    said = reasons(best, fits, site, wishes, limit)
    return Plan(site.rooms, wishes, best, fits, limit, said, offered, chosen(fits))
