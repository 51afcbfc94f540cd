"""Best for this machine: from a source to the file of the highest quality that fits here, checked and in its place.

The choice is the plan's (fit/choice.py); the window makes the order and queues it, the command does it all at once.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from carryon.app.preflight import Inspector
from carryon.app.workshop_list import Converter, Level, Order, Preflight, Source, Subject, Target
from carryon.app.workshop_places import id_of, settled
from carryon.app.workshop_run import Bench, News, working
from carryon.base.errors import BadFile, NoRoom, Unsupported
from carryon.base.units import bytes_text, context_text
from carryon.evaluate.text import shipped_text
from carryon.fit import words
from carryon.fit.quality import quality_of
from carryon.fit.words import quality_text

_NONE_FITS = "Try a smaller context, close other programs, or choose a smaller model."


@dataclass(frozen=True)
class Choice:
    """What will be made of a source, and why."""

    preflight: Preflight
    target: Target
    order: Order
    why: tuple[str, ...]  # plain sentences

    @property
    def path(self) -> Path:
        return self.order.target(self.target.quant)


@dataclass(frozen=True)
class Best:
    """The finished file."""

    choice: Choice
    was_here: bool  # it had been made before

    @property
    def path(self) -> Path:
        return self.choice.path


def chosen(preflight: Preflight, folder: Path) -> Choice:
    """The best that fits, as an order. Raises what is in the way: Unsupported, BadFile, NoRoom."""
    refuse_what_cannot_run(preflight)
    target = next((one for one in preflight.targets if one.is_best), None)
    if target is None or target.fit is None:
        n_ctx = next((one.fit.placement.n_ctx for one in preflight.targets if one.fit), 0)
        raise NoRoom(
            f"No quant type of {preflight.source.name} fits this machine with a context of {context_text(n_ctx)}.",
            _NONE_FITS,
        )
    order = Order(
        preflight.source, (target.quant,), folder, preflight.source.name,
        requantizes=preflight.converter is Converter.NONE, revision=preflight.revision,
    )  # fmt: skip
    return Choice(preflight, target, settled(with_matrix(order, target)), tuple(_why(preflight, target)))


def with_matrix(order: Order, target: Target) -> Order:
    """The order with what its target cannot be made without: an importance matrix, of the text that comes with us."""
    if not target.needs_imatrix or order.imatrix or order.imatrix_text:
        return order
    return replace(order, imatrix_text=shipped_text())


def making_best(
    source: Source, n_ctx: int | None, folder: Path, inspector: Inspector, bench: Bench
) -> Generator[Choice | News | None, None, Best]:
    """Work that does all of it: yields the choice before anything is made, then the news of the run.

    What a killed try left whole is used. Raises what preflight and run raise.
    """
    preflight = yield from inspector.inspecting(source, n_ctx, folder)
    choice = chosen(preflight, folder)
    yield choice
    if _is_here(choice):
        return Best(choice, was_here=True)
    id = id_of(choice.order)
    if all(one.id != id for one in bench.store.runs()):
        bench.store.add(id, choice.order)
    yield from working(id, choice.order, bench)
    return Best(choice, was_here=False)


def refuse_what_cannot_run(preflight: Preflight) -> None:
    """Raises the first thing that is in the way."""
    bad = next((one for one in preflight.findings if one.level is Level.BAD), None)
    if bad is not None:
        raise (NoRoom if bad.subject is Subject.DISK else Unsupported)(bad.message, bad.hint)
    if preflight.converter is Converter.IMPOSSIBLE:
        raise Unsupported(f"{preflight.source.name} cannot be converted.", "Look for a GGUF copy of this model.")


def _is_here(choice: Choice) -> bool:
    """Whether the very file was made before: same size. Another file of that name is in the way."""
    try:
        size_bytes = choice.path.stat().st_size
    except OSError:
        return False
    if size_bytes == choice.target.size_bytes:
        return True
    raise BadFile(
        f"{choice.path.name} is in {choice.path.parent} already, and is another file.",
        "Choose another folder, or move that file away.",
    )


def _why(preflight: Preflight, target: Target) -> Generator[str, None, None]:
    fit = target.fit
    assert fit is not None
    ctx = context_text(fit.placement.n_ctx)
    quality = quality_of(target.quant, architecture=preflight.architecture, with_imatrix=target.needs_imatrix)
    graded = f", quality {quality_text(quality)}" if quality else ""
    size = f"{bytes_text(target.size_bytes)}, {target.bits_per_weight:.1f} bits a weight"
    yield (
        f"{target.quant} is the best choice for this machine with a context of {ctx}: "
        f"{words.verdict_text(fit)}, {size}{graded}."
    )
    if fit.decode.high > 0:
        yield f"Answers come at {words.pace_text(fit.decode)}."
    larger = [one for one in preflight.targets if one.size_bytes > target.size_bytes and one.fit]
    if larger and (other := larger[-1].fit) and other.verdict is not fit.verdict:
        yield f"{larger[-1].quant}, the next larger: {words.verdict_text(other)}, {words.pace_text(other.decode)}."
    if target.needs_imatrix:
        yield "This type needs an importance matrix, which is made from the text that comes with Carryon."
