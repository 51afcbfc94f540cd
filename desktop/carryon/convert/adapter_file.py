"""A LoRA as a GGUF adapter beside its base: the matrices under the base's GGUF names, their scale folded into b.

llama.cpp reads one alpha for the whole file and divides it by each tensor's own rank (src/llama-adapter.cpp), so a
rank-stabilised or patterned scale would be lost: b carries what is missing to it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.adapter import Adapter, Change, LowRank, Rewritten
from carryon.convert.checkpoint import Checkpoint, Rows
from carryon.convert.encode import Floats
from carryon.convert.families import plan_of
from carryon.convert.forms import GgmlType, OutType
from carryon.convert.merging import EMBEDDING, HEAD, base_name, floats_of, is_tied
from carryon.convert.plan import Computed, FamilyPlan, Part, Stored, Tensor
from carryon.convert.run import Recipe
from carryon.convert.write import Setting, TensorInfo, header_bytes
from carryon.gguf.header import Header

MERGE_INSTEAD = "Merge the adapter into its base instead: carryon merge."


def prepare_adapter(base: Checkpoint, adapter: Adapter, name: str = "") -> Recipe:
    """Everything but the numbers of an adapter file. Of the base only headers are read.

    Raises Unsupported for what such a file cannot say, and BadFile for an adapter of another model.
    """
    plan, places = _places(base)
    tensors: list[Tensor] = []
    _refuse_one_use(base, adapter)
    for own, changes in adapter.changes.items():
        tensors.extend(_pair(base, adapter, base_name(own, base.tensors), changes, places))
    if not tensors:
        raise BadFile("The adapter changes nothing.", "Choose another adapter.")
    settings: dict[str, Setting] = {
        "general.architecture": plan.architecture,
        "general.type": "adapter",
        "general.name": name or adapter.name,
        "adapter.type": "lora",
        "adapter.lora.alpha": _alpha(adapter),
    }
    infos = [TensorInfo(one.name, one.shape, GgmlType.F32) for one in tensors]
    return Recipe(header_bytes(settings, infos), list(zip(infos, tensors, strict=True)), adapter.warnings, OutType.F32)


def check_fit(adapter: Header, base: Header) -> None:
    """Whether an adapter file belongs to a model. Raises BadFile.

    An engine that is given a wrong one crashes: its answer is a null pointer that the bindings do not see.
    """
    shapes = {one.name: one.shape for one in base.tensors}
    pairs = {one.name: one.shape for one in adapter.tensors}
    if adapter.architecture != base.architecture:
        raise _stranger(adapter, base, "it is for another architecture")
    for name in {name.removesuffix(".lora_a").removesuffix(".lora_b") for name in pairs}:
        a, b = pairs.get(f"{name}.lora_a"), pairs.get(f"{name}.lora_b")
        if a is None or b is None or name not in shapes or not _fits(name, a, b, shapes[name]):
            raise _stranger(adapter, base, f"{name} has another shape")


def _fits(name: str, a: tuple[int, ...], b: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Shapes as GGUF has them, the fastest axis first."""
    if not len(a) == len(b) == len(shape) == 2:
        return False
    if name.startswith("token_embd."):
        return (b[1], a[1]) == shape and a[0] == b[0]
    return (a[0], b[1]) == shape and a[1] == b[0]


def _stranger(adapter: Header, base: Header, why: str) -> BadFile:
    return BadFile(
        f"The adapter {adapter.file_name} does not belong to {base.file_name}: {why}.",
        "Choose the model that it was trained for.",
    )


def _alpha(adapter: Adapter) -> float:
    """llama.cpp takes 0 for 'not said'; then b carries the whole scale."""
    return adapter.alpha if adapter.alpha > 0 else 1.0


def _places(base: Checkpoint) -> tuple[FamilyPlan, Mapping[str, list[tuple[Stored, Part]]]]:
    """Where each tensor of the base goes."""
    plan = plan_of(base)
    places: dict[str, list[tuple[Stored, Part]]] = {}
    for tensor in plan.tensors:
        if isinstance(tensor, Stored):
            for part in tensor.parts:
                places.setdefault(part.source.name, []).append((tensor, part))
    return plan, places


def _refuse_one_use(base: Checkpoint, adapter: Adapter) -> None:
    """The engine has one tensor for both uses of a tied embedding, and an adapter's matrices for one use only."""
    changed = [name for name in adapter.changes if name.endswith((EMBEDDING, HEAD))]
    if changed and is_tied(base):
        raise Unsupported(
            f"The model uses its embedding twice, and the adapter changes one use ({changed[0]}).", MERGE_INSTEAD
        )


def _pair(
    base: Checkpoint, adapter: Adapter, name: str, changes: Sequence[Change],
    places: Mapping[str, list[tuple[Stored, Part]]],
) -> Iterator[Computed]:  # fmt: skip
    for change in changes:
        match change:
            case Rewritten(whole) if len(changes) > 1 and _is_as_in(base, name, whole.shape):
                continue  # PEFT keeps a copy of what it trained an embedding beside
            case LowRank(magnitude=None):
                yield from _matrices(base, adapter, name, change, places)
            case _:
                raise Unsupported(f"An adapter file cannot hold what this LoRA does to {name}.", MERGE_INSTEAD)


def _is_as_in(base: Checkpoint, name: str, shape: tuple[int, ...]) -> bool:
    return name in base.tensors and base.tensors[name].shape == shape


def _matrices(
    base: Checkpoint, adapter: Adapter, name: str, change: LowRank, places: Mapping[str, list[tuple[Stored, Part]]]
) -> Iterator[Computed]:
    if name not in base.tensors or change.shape != base.tensors[name].shape:
        raise BadFile(f"The adapter does not fit this model: {name} has another shape there.", MERGE_INSTEAD)
    if any(len(tensor.parts) != 1 for tensor, _ in places.get(name, [])) or not places.get(name):
        raise Unsupported(f"An adapter file cannot hold changes of {name} alone.", MERGE_INSTEAD)
    factor = change.scale * change.rank / _alpha(adapter)
    for tensor, part in places[name]:
        a, b = _embedding_sides(change) if change.is_embedding else _sides(change, part.rows)
        n_a, n_b = (change.shape[0], change.shape[1]) if change.is_embedding else (change.rank, tensor.shape[0])
        width = change.rank if change.is_embedding else change.shape[1]
        yield Computed(f"{tensor.name}.lora_a", (n_a, width), partial(_once, a, 1.0))
        yield Computed(f"{tensor.name}.lora_b", (n_b, change.rank), partial(_once, b, factor))


def _sides(change: LowRank, rows: Rows | None) -> tuple[Callable[[], Floats], Callable[[], Floats]]:
    """What the family does to the base's rows, such as re-pairing them, is done to b."""
    return lambda: floats_of(change.a), lambda: floats_of(change.b, slice(None) if rows is None else rows)


def _embedding_sides(change: LowRank) -> tuple[Callable[[], Floats], Callable[[], Floats]]:
    """Of a token's row the engine takes one row of a, so a lies the other way round."""
    return lambda: np.ascontiguousarray(floats_of(change.a).T), lambda: floats_of(change.b)


def _once(matrix: Callable[[], Floats], factor: float) -> Iterator[Floats]:
    yield np.float32(factor) * matrix()
