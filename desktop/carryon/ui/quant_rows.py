"""The lines of a table of quants, the same on every page where one is shown. No Qt."""

from collections.abc import Sequence
from dataclasses import dataclass

from carryon.base.units import NOT_MEASURED, bytes_text, context_text, memory_text
from carryon.fit import words
from carryon.fit.plan import Fit, Verdict
from carryon.fit.quality import Quality, quality_of
from carryon.hub.quants import nearest_type

COLUMNS = ("Quant", "Size", "Bits/weight", "Memory", "Verdict", "Tokens/s", "Quality")
QUANTS = "Quants of this model"
BEST, HERE = "best for you", "here"
USUAL_QUANTS = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K")


@dataclass(frozen=True)
class Row:
    """One line of the table of quants. Without a verdict nothing but its size is known."""

    quant: str
    is_best: bool
    is_here: bool
    verdict: Verdict | None
    cells: tuple[str, ...]  # as COLUMNS
    note: str = ""  # what is going on with it: "downloading 42 %"

    @property
    def tags(self) -> tuple[str, ...]:
        """What stands beside the quant."""
        return (BEST,) * self.is_best + (HERE,) * self.is_here + (self.note,) * bool(self.note)

    @property
    def spoken(self) -> str:
        """The whole line for a screen reader."""
        named = (f"{name} {cell}" for name, cell in zip(COLUMNS[1:], self.cells[1:], strict=True))
        return ", ".join((self.quant, *self.tags, *named))


def row_of(fit: Fit, best_quant: str, note: str = "") -> Row:
    """A fit as a line of the table."""
    shape = fit.candidate.shape
    quality = fit.candidate.measured or _quality(fit.candidate.quant, shape.architecture)
    cells = (
        fit.candidate.quant,
        bytes_text(shape.size_bytes or shape.weights_bytes),
        f"{shape.bits_per_weight:.1f}",
        memory_text(fit.need.total_bytes),
        verdict_text(fit),
        words.range_text(fit.decode),
        words.quality_text(quality) if quality else NOT_MEASURED,
    )
    is_here = fit.candidate.path is not None
    return Row(fit.candidate.quant, fit.candidate.quant == best_quant, is_here, fit.verdict, cells, note)


def bare_row(quant: str, size_bytes: int, *, is_here: bool = False, note: str = "") -> Row:
    """A quant of which nothing but its size is known."""
    quality = _quality(quant, "")
    cells = (
        quant,
        bytes_text(size_bytes),
        *(NOT_MEASURED,) * 4,
        words.quality_text(quality) if quality else NOT_MEASURED,
    )
    return Row(quant, False, is_here, None, cells, note)


def shown_fits(fits: Sequence[Fit], best_quant: str, chosen: str, *, shows_all: bool) -> tuple[Fit, ...]:
    """The usual quants, the files that are here, and what is recommended or looked at; or all of them."""
    wanted = {*USUAL_QUANTS, best_quant, chosen}
    return tuple(one for one in fits if shows_all or one.candidate.path or one.candidate.quant in wanted)


def more_text(n_hidden: int, *, shows_all: bool) -> str:
    """The link under the table."""
    return "Show only the usual quants" if shows_all else f"Show {n_hidden} more quants"


def memory_header(n_ctx: int | None) -> str:
    """'Memory at 16k'."""
    return f"Memory at {context_text(n_ctx)}" if n_ctx else COLUMNS[3]


def verdict_text(fit: Fit) -> str:
    """The verdict in a table: 'Fits, split 28 + 9', 'Fits, experts in RAM'."""
    said, placed = words.verdict_text(fit), fit.placement
    if fit.verdict is not Verdict.SPLIT:
        return said
    if fit.candidate.shape.is_moe and placed.n_cpu_experts:
        return f"{said}, experts in RAM"
    return f"{said} {placed.n_gpu_layers} + {fit.candidate.shape.n_gpu_layers_max - placed.n_gpu_layers}"


def _quality(quant: str, architecture: str) -> Quality | None:
    """Of the type itself, else of the one that it is a larger mix of (“UD-Q4_K_XL”)."""
    return quality_of(quant, architecture=architecture) or quality_of(nearest_type(quant), architecture=architecture)
