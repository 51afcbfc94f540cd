"""Known models and sites for plans: shapes made in memory, rooms and speeds of a machine."""

from functools import cache

from fakes.header_models import MODELS, header_from

from carryon.fit.plan import Candidate, Site
from carryon.fit.room import rooms_of
from carryon.fit.speed import speeds_of
from carryon.gguf.mix import requantized
from carryon.gguf.shape import shape_of

USUAL = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")
RAM_BYTES_PER_S = 40e9


@cache
def model(name, quant="F16"):
    """The shape of a known model as llama-quantize would make it."""
    if quant == "F16":
        return shape_of([header_from(*MODELS[name]())])
    return requantized(model(name), quant)


def candidates(name, quants=USUAL):
    """Some quants of a known model, best quality first."""
    return tuple(Candidate(quant, model(name, quant)) for quant in quants)


def site(machine, **rooms):
    """Where a model runs on this machine, with a RAM that was measured."""
    found = rooms_of(machine, **rooms)
    return Site(found, speeds_of(machine, found, RAM_BYTES_PER_S))
