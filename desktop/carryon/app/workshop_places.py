"""Which stages an order has, and where each of them puts what it makes.

    FOLDER/<name>-Q4_K_M.gguf             a target, renamed to its place when it is whole
    FOLDER/.carryon/<run>/lock            held by the process that works on the run
    FOLDER/.carryon/<run>/source/         a repository's files while they are needed
    FOLDER/.carryon/<run>/<name>-BF16.work  what K-quants are made from
    FOLDER/.carryon/<run>/imatrix.work
    FOLDER/.carryon/<run>/Q4_K_M.work     a target that is whole and not yet in its place

No working file ends in .gguf: no program that looks for models shall find half a one.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from carryon.app.workshop_list import Order, SourceKind, Stage, StageKind
from carryon.base.errors import BadFile, BadInput
from carryon.convert.forms import OutType
from carryon.quantize.kinds import quant_of

WORK_FOLDER = ".carryon"
DIRECT = {one.name: one for one in OutType}  # converted to in one pass
_UNQUANTIZED = ("F32", "BF16", "F16")  # the best to quantize from first


@dataclass(frozen=True)
class Places:
    """Where the files of one run lie."""

    order: Order
    id: str

    @property
    def work(self) -> Path:
        return self.order.folder / WORK_FOLDER / self.id

    @property
    def lock(self) -> Path:
        return self.work / "lock"

    @property
    def source(self) -> Path:
        """The model's folder, or the GGUF file."""
        is_fetched = self.order.source.kind is SourceKind.REPOSITORY
        return self.work / "source" if is_fetched else Path(self.order.source.place)

    @property
    def middle(self) -> Path:
        """The file in between, of whichever type it was made."""
        made = (self.middle_of(one) for one in OutType)
        return next((one for one in made if one.is_file()), self.middle_of(OutType.BF16))

    def middle_of(self, out_type: OutType) -> Path:
        """Where it is made in this type."""
        return self.work / middle_name(self.order.name, out_type)

    @property
    def imatrix(self) -> Path:
        """The importance matrix to quantize with, given or made."""
        return self.order.imatrix or self.work / "imatrix.work"

    @property
    def base(self) -> Path:
        """What is quantized and measured against: the given file, a target that is not quantized, or the middle."""
        if self.order.source.kind is SourceKind.GGUF:
            return self.source
        kept = kept_base(self.order)
        return self.order.target(kept) if kept else self.middle

    def made(self, quant: str) -> Path:
        """A target before it gets its name."""
        return self.work / f"{quant}.work"

    def clear_parts(self) -> None:
        """Removes what a killed process left half; whoever calls holds the lock."""
        for part in self.work.glob("*.part"):
            with suppress(OSError):
                part.unlink()
        for stage in self.work.glob(".staged-*"):  # of convert/upstream
            shutil.rmtree(stage, ignore_errors=True)

    def clear(self) -> None:
        """Removes all that is no target."""
        shutil.rmtree(self.work, ignore_errors=True)
        with suppress(OSError):  # others may still work there
            self.work.parent.rmdir()


def middle_name(name: str, out_type: OutType) -> str:
    """What the file in between is called: quantized files name what they were made from, in as many letters."""
    return f"{name}-{out_type.name}.work"


def id_of(order: Order) -> str:
    """The same for the same order, so that asking again goes on with what was interrupted."""
    source = order.source
    told = [
        source.kind.value, source.place, str(source.adapter), order.quants, str(order.folder), order.name,
        order.keeps_middle, str(order.imatrix_text), str(order.imatrix), order.measures, str(order.text),
        order.may_fetch_converter, order.requantizes, order.revision, order.file_name,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def stages_of(order: Order) -> tuple[Stage, ...]:
    """The whole steps of an order, in their order."""
    return tuple(_stages(order))


def kept_base(order: Order) -> str:
    """The target that the others can be made from; '' where there is none."""
    return next((one for one in _UNQUANTIZED if one in order.quants), "")


def needs_middle(order: Order) -> bool:
    """Whether a file must be made that nobody ordered."""
    if order.source.kind is SourceKind.GGUF or kept_base(order):
        return False
    return any(one not in DIRECT for one in order.quants) or order.imatrix_text is not None or order.measures


def settled(order: Order) -> Order:
    """The order with whole paths and names of types as the engine writes them. Raises BadInput for what is no order."""
    quants = tuple(dict.fromkeys(map(quant_of, order.quants)))
    if not quants:
        raise BadInput("No quant type is chosen.", "Choose one, for instance Q4_K_M.")
    if not order.name or any(one in order.name for one in '/\\:\0"<>|?*') or order.name.startswith("."):
        raise BadInput(f"“{order.name}” cannot be a file's name.", "Use letters, digits, dots and dashes.")
    if order.file_name and len(quants) > 1:
        raise BadInput("Several types cannot go into one file.", "Name a folder instead.")
    return replace(order, quants=quants, folder=order.folder.expanduser().absolute())


def check_targets(order: Order, done: frozenset[str]) -> None:
    """Raises BadFile where a target would take the place of a file that this run has not made."""
    wanted = [one for one in order.quants if one not in done]
    for target in (order.target(one) for one in wanted):
        if target.exists():
            raise BadFile(
                f"{target.name} is in {target.parent} already, and is not overwritten.",
                "Choose another name or folder, or move that file away.",
            )


def _stages(order: Order) -> Iterator[Stage]:
    is_file = order.source.kind is SourceKind.GGUF
    if order.source.kind is SourceKind.REPOSITORY:
        yield Stage(StageKind.DOWNLOAD)
    direct = [] if is_file else [one for one in order.quants if one in DIRECT]
    base = kept_base(order)
    for one in sorted(direct, key=lambda quant: quant != base):  # the others may be made from it
        yield Stage(StageKind.CONVERT, one)
    if needs_middle(order):
        yield Stage(StageKind.CONVERT)
    if order.imatrix_text is not None and order.imatrix is None:
        yield Stage(StageKind.IMATRIX)
    for one in order.quants:
        if one not in direct:
            yield Stage(StageKind.QUANTIZE, one)
    if order.measures:
        yield Stage(StageKind.MEASURE)
