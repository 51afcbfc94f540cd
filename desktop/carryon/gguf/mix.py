"""What llama-quantize would make of a model: every tensor's type and the file's size, from a header alone.

The same order of questions as src/llama-quant.cpp of llama.cpp 0c1e57098 (`llama_model_quantize_impl`); the tables are
in recipes.py. The source may be any file, also a quantized one: only names and extents count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from carryon.base.errors import BadInput
from carryon.gguf.quants import GGML_TYPES, GGML_TYPES_BY_NAME
from carryon.gguf.recipes import FILE_TYPES, Place, Recipe, Traits, fitting, recipe_of
from carryon.gguf.roles import Role, kind_of, layer_of, n_dimensions
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo

USUAL_QUANTS = ("Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M")
# Best first, by the KL divergences of fit/quality.py.
QUANTS = (
    "BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "IQ4_NL", "IQ4_XS",
    "MXFP4_MOE", "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "IQ3_M", "IQ3_S", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "IQ2_M", "Q2_K",
    "Q2_K_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S",
)  # fmt: skip
ALIGNMENT_BYTES = 32  # GGUF_DEFAULT_ALIGNMENT: llama-quantize pads every tensor to it

# What llama.cpp calls LLM_TYPE_70B: so many layers of these architectures (src/models/*.cpp).
_LAYERS_OF_70B = {"llama": 80, "llama-embed": 80, "qwen2": 80, "deci": 80, "olmo": 80, "jais2": 68}
# Their first layer keeps a recurrent state, and yet their header counts its key and value heads.
_INTERVAL_HYBRIDS = frozenset(("qwen3next", "qwen35", "qwen35moe", "qwen4exp", "minimax-01"))
_BY_LAYER = frozenset((Role.UP, Role.GATE, Role.DOWN))  # with experts they are told by their layer's number
_COUNTED = _BY_LAYER | {Role.VALUE}
_NOWHERE = Place(0, 0)
_KEPT_TYPE = -1


def requantized(shape: ModelShape, quant: str, *, with_imatrix: bool = False) -> ModelShape:
    """The model as llama-quantize would write it. An importance matrix changes the types of a few kinds of files.

    Offsets in the file are not told (all 0). Raises BadInput for a name that is no quant type.
    """
    return next(requantized_each(shape, (quant,), with_imatrix=with_imatrix))


def requantized_each(
    shape: ModelShape, quants: Iterable[str] = QUANTS, *, with_imatrix: bool = False
) -> Iterator[ModelShape]:
    """The model in several quant types, made one by one as they are asked for; what they share is made once."""
    mixer = _Mixer(shape, with_imatrix)
    return (mixer.requantized(_known(quant)) for quant in quants)


def traits_of(shape: ModelShape, with_imatrix: bool = False) -> Traits:
    """What the recipes want to know about a model."""
    shared = _heads_per_kv_head(shape)
    is_70b = _LAYERS_OF_70B.get(shape.architecture) == shape.n_layers
    if shape.architecture in ("llama", "llama-embed"):  # else it is the 65B, or a Mixtral
        is_70b = is_70b and shared != 1 and shape.n_experts != 8
    return Traits(shape.architecture, shared, shape.n_experts, is_70b, with_imatrix)


def padded_bytes(size_bytes: int) -> int:
    """What a tensor takes in a file."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


@dataclass(frozen=True)
class _Slot:
    """All that the type of a tensor depends on: tensors alike share one."""

    role: Role
    columns: int
    is_stack: bool  # a matrix for each expert or head
    has_eight_bits: bool
    place: Place
    nth: Place  # the lowest recipes count feed-forward tensors where the others may count layers


class _Group:
    """The tensors of one layer, or those of none, with the numbers of their slots; each mix of types is made once."""

    def __init__(self, tensors: tuple[TensorInfo, ...], numbers: tuple[int, ...]) -> None:
        self._tensors, self._numbers = tensors, numbers
        self._counts = [one.n_elements for one in tensors]
        self._mixes: dict[tuple[int, ...], tuple[tuple[TensorInfo, ...], int]] = {}
        self._made: dict[tuple[int, int], TensorInfo] = {}

    def retyped(self, types: list[int]) -> tuple[tuple[TensorInfo, ...], int]:
        """The tensors in the types of their slots, and the bytes they take in a file."""
        key = tuple([types[number] for number in self._numbers])
        found = self._mixes.get(key)
        if found is None:
            tensors = tuple([self._made.get(one) or self._make(*one) for one in enumerate(key)])
            found = self._mixes[key] = tensors, sum([padded_bytes(one.size_bytes) for one in tensors])
        return found

    def _make(self, at: int, type_id: int) -> TensorInfo:
        old = self._tensors[at]
        kept = type_id == _KEPT_TYPE
        size_bytes = old.size_bytes if kept else GGML_TYPES[type_id].size_bytes(self._counts[at])
        made = TensorInfo(old.name, old.shape, old.type_id if kept else type_id, size_bytes)
        self._made[at, type_id] = made
        return made


class _Mixer:
    """One model, looked at once for any number of quant types."""

    def __init__(self, shape: ModelShape, with_imatrix: bool) -> None:
        self._shape = shape
        self._traits = traits_of(shape, with_imatrix)
        self._header_bytes = max(0, shape.size_bytes - sum(padded_bytes(one.size_bytes) for one in shape.tensors))
        slots = _slots_of(shape)
        self._slots = tuple(dict.fromkeys(slots.values()))
        numbers = {slot: number for number, slot in enumerate(self._slots)}
        self._numbers = {name: numbers[slot] for name, slot in slots.items()}
        self._layers = [self._group(layer.tensors) for layer in shape.layers]
        outside = (shape.input_tensors, shape.output_tensors, shape.shared_tensors, shape.unused_tensors)
        self._others = [self._group(tensors) for tensors in outside]

    def requantized(self, quant: str) -> ModelShape:
        recipe = recipe_of(quant, self._traits)
        types = [_type_id(self._type_of(slot, recipe)) for slot in self._slots]
        types.append(_KEPT_TYPE)  # what is kept has the slot number -1, the last
        layers = [group.retyped(types) for group in self._layers]
        others = [group.retyped(types) for group in self._others]
        inputs, outputs, shared, unused = (tensors for tensors, _ in others)
        size_bytes = self._header_bytes + sum(size for _, size in (*layers, *others))
        blocks = tuple(
            LayerShape(tensors, layer.attention, layer.recurrent_bytes)
            for (tensors, _), layer in zip(layers, self._shape.layers, strict=True)
        )
        made = replace(
            self._shape, quant=quant, layers=blocks, input_tensors=inputs, output_tensors=outputs,
            shared_tensors=shared, unused_tensors=unused, size_bytes=size_bytes,
        )  # fmt: skip
        made.join(self._shape.family)
        return made

    def _group(self, tensors: tuple[TensorInfo, ...]) -> _Group:
        return _Group(tensors, tuple(self._numbers.get(one.name, -1) for one in tensors))

    def _type_of(self, slot: _Slot, recipe: Recipe) -> str:
        if GGML_TYPES_BY_NAME[recipe.base].block_elements == 1:
            return recipe.base
        return fitting(self._wanted(slot, recipe), slot.columns)

    def _wanted(self, slot: _Slot, recipe: Recipe) -> str:
        if slot.has_eight_bits:
            return "Q8_0"
        if slot.role is Role.OUTPUT:
            fits = slot.columns % GGML_TYPES_BY_NAME[recipe.base].block_elements == 0
            return recipe.output if fits else "Q8_0"
        if recipe.experts is not None:
            return recipe.experts if self._holds_experts(slot) else "Q8_0"
        return self._ruled(slot, recipe) or recipe.base

    def _holds_experts(self, slot: _Slot) -> bool:
        return slot.is_stack and (self._traits.architecture != "bailingmoe3" or slot.role in _BY_LAYER)

    def _ruled(self, slot: _Slot, recipe: Recipe) -> str | None:
        place = slot.nth if recipe.is_lowest else slot.place
        match slot.role:
            case Role.TOKEN_EMBEDDING:
                return recipe.embedding
            case Role.VALUE:
                return recipe.value(self._traits, place)
            case Role.DOWN:
                return recipe.down(self._traits, place)
            case Role.UP | Role.GATE:
                return recipe.middle if place.is_middle else None
            case Role.KEY:
                return recipe.key
            case Role.QUERY:
                return recipe.query
            case Role.ATTENTION_OUTPUT:
                return recipe.attention_output
        return None


def _slots_of(shape: ModelShape) -> dict[str, _Slot]:
    """The slot of every tensor that llama-quantize touches, by name. It counts them by layer, then by name."""
    kinds = [(layer_of(one.name), one.name, one, kind_of(one.name, shape.architecture)) for one in shape.tensors]
    kinds.sort(key=lambda entry: entry[:2])
    n_values = sum(kind.role is Role.VALUE for *_, kind in kinds)
    is_tied = not any(kind.role is Role.OUTPUT for *_, kind in kinds)
    n_blocks = 1 + max((layer for layer, *_ in kinds), default=-1)  # also those that predict further tokens
    seen: Counter[Role] = Counter()
    slots = {}
    for layer, name, tensor, kind in kinds:
        if kind.is_kept or n_dimensions(tensor.shape) < 2:
            continue
        role = Role.OUTPUT if is_tied and kind.role is Role.TOKEN_EMBEDDING else kind.role
        nth, place = _NOWHERE, _NOWHERE
        if role in _COUNTED:
            nth = place = Place(seen[role], n_values if role is Role.VALUE else n_blocks)
        if role in _BY_LAYER and shape.n_experts > 1:
            place = Place(layer, n_blocks)
        seen[role] += 1
        is_stack = len(tensor.shape) > 2 and tensor.shape[2] > 1
        slots[name] = _Slot(role, tensor.shape[0], is_stack, kind.has_eight_bits, place, nth)
    return slots


def _type_id(name: str) -> int:
    return GGML_TYPES_BY_NAME[name].type_id


def _known(quant: str) -> str:
    if quant in FILE_TYPES:
        return quant
    raise BadInput(f"“{quant[:40]}” is no quant type.", f"Choose one of {', '.join(QUANTS)}.")


def _heads_per_kv_head(shape: ModelShape) -> int:
    """llama_hparams::n_gqa: of the first layer; 0 where that has no keys and values."""
    layers = shape.layers
    if shape.architecture in _INTERVAL_HYBRIDS:
        layers = tuple(layer for layer in layers if layer.attention)
    attention = layers[0].attention if layers else None
    if attention is not None:
        return attention.n_heads // max(attention.n_kv_heads, 1)
    return _query_rows_per_key_row(shape)


def _query_rows_per_key_row(shape: ModelShape) -> int:
    """The same ratio by the tensors, for models that attend and keep no cache (diffusion, embeddings)."""
    rows = {one.name: one.shape[-1] for layer in shape.layers[:1] for one in layer.tensors}
    query, key = rows.get("blk.0.attn_q.weight", 0), rows.get("blk.0.attn_k.weight", 0)
    return query // key if key else 0
