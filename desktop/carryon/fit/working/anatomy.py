"""What decides the graph of a layer, read from its tensors and its heads."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from carryon.fit.alike import alike, short_name
from carryon.fit.cache import rows
from carryon.fit.remembered import per_family, per_shape
from carryon.fit.room import Backend
from carryon.fit.storage import stored_bytes
from carryon.gguf.quants import KvType
from carryon.gguf.shape import Attention, LayerShape, ModelShape, TensorInfo

ROTATED = 64  # llama-kv-cache.cpp: heads of a multiple of it are rotated before they are quantized
_F32, _F16 = 4, 2
_HALF_FLOAT_KERNELS = (Backend.CUDA, Backend.HIP, Backend.SYCL)
_WITHOUT_FLASH_ATTENTION = ("grok",)
_INDEXER_SCORES, _USUAL_INDEXER_SCORES = {"minimax-m3": 36, "glm5-next": 20, "qwen4exp": 150}, 54

Matrices = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Anatomy:
    """What decides the graph of a layer. `matrices`: name, numbers made of a token, numbers read."""

    matrices: Matrices
    architecture: str
    n_embd: int
    n_heads: int = 0
    n_kv_heads: int = 0
    key_length: int = 0
    value_length: int = 0
    window: int = 0  # where the size of its cache matters
    n_used: int = 0  # experts per token
    values_first: bool = False  # V before K, which the cache without sliding windows asks for
    is_last: bool = False  # behind its attention only the tokens go on whose answers are wanted
    rotates_keys: bool = False
    rotates_values: bool = False  # a quantized cache is rotated before it is stored
    has_rope_factors: bool = False
    staged: tuple[tuple[str, int], ...] = ()  # tensors in RAM that a GPU copies to itself, one by one, and their bytes
    scratch: int = 0  # bytes per cell that flash attention of this backend wants beside its result
    scratch_fixed: int = 0
    scratch_mask: int = 0  # bytes per cell and token: scores that are written out, for want of flash attention
    staged_rows: tuple[int, ...] = ()  # bytes per cell of a cache in RAM that a GPU copies
    is_first_staged: bool = False  # then the positions are copied to the GPU here
    is_first_of_cache: bool = False  # and here what all layers of the cache look at

    @property
    def has_experts(self) -> bool:
        return any(name == "ffn_gate_inp" for name, _, _ in self.matrices)


@per_family
def kinds(shape: ModelShape) -> tuple[int, ...]:
    """For every layer the number of the first one with the same graph; most models have but two or three different."""
    seen: dict[tuple[object, ...], int] = {}
    last = shape.n_layers - 1
    return tuple(
        seen.setdefault((tuple(_matrices(layer.tensors)), layer.attention, index == last), index)
        for index, layer in enumerate(shape.layers)
    )


@per_family
def anatomies(shape: ModelShape, kv_type: KvType, backend: Backend) -> dict[int, Anatomy]:
    """One layer of every kind, as computed on such a device."""
    values_first = not any(layer.attention and layer.attention.window for layer in shape.layers)
    return {
        kind: replace(_anatomy(shape, shape.layers[kind], values_first, kv_type, backend), is_last=is_last)
        for kind, is_last in ((one, one == shape.n_layers - 1) for one in set(kinds(shape)))
    }


@per_shape
def staged_anatomies(shape: ModelShape, kv_type: KvType, backend: Backend) -> dict[int, Anatomy]:
    """The same layers in RAM, when a GPU computes them: long batches are worth the copying (op_offload)."""
    made: dict[int, Anatomy] = {}
    for kind, anatomy in anatomies(shape, kv_type, backend).items():
        heads = shape.layers[kind].attention
        cached = rows(heads) if heads else ()
        cached = cached * 2 if len(cached) == 1 else cached  # MLA's values are a view of its keys, and copied as well
        copied = tuple(kv_type.ggml.size_bytes(row) for row in cached)
        weights = _largest(shape, kind, backend, is_all=True)
        made[kind] = replace(anatomy, window=heads.window if heads else 0, staged=weights, staged_rows=copied)
    return made


@per_shape
def anatomies_with_staged_experts(shape: ModelShape, kv_type: KvType, backend: Backend) -> dict[int, Anatomy]:
    """The same layers when only their experts lie in RAM."""
    return {
        kind: replace(anatomy, staged=_largest(shape, kind, backend, is_all=False))
        for kind, anatomy in anatomies(shape, kv_type, backend).items()
    }


def _largest(shape: ModelShape, kind: int, backend: Backend, *, is_all: bool) -> tuple[tuple[str, int], ...]:
    """Every tensor of the layers of a kind, where it is largest: quants give some layers better types than others."""
    largest: dict[str, TensorInfo] = {}
    its_layers = [first for first, its_kind in zip(alike(shape), kinds(shape), strict=True) if its_kind == kind]
    for index in dict.fromkeys(its_layers):
        for one in shape.layers[index].tensors:
            if is_all or one.is_expert:
                name = short_name(one)
                largest[name] = max(one, largest.get(name, one), key=lambda tensor: tensor.size_bytes)
    return tuple((name, stored_bytes(one, backend)) for name, one in largest.items())


def key_rotation_bytes(length: int) -> int:
    """build_input_k_rot: a Hadamard matrix of the largest power of two that divides the head; 0 below 64."""
    side = length & -length
    return _F32 * side * side if side >= ROTATED else 0


def value_rotation_bytes(length: int) -> int:
    """build_input_v_rot: always 64 wide."""
    return _F32 * ROTATED * ROTATED if length % ROTATED == 0 else 0


def _anatomy(shape: ModelShape, layer: LayerShape, values_first: bool, kv_type: KvType, backend: Backend) -> Anatomy:
    heads = layer.attention
    common = Anatomy(
        matrices=tuple(_matrices(layer.tensors)), architecture=shape.architecture, n_embd=shape.n_embd,
        n_used=shape.n_experts_used, values_first=values_first, has_rope_factors=bool(shape.shared_tensors),
    )  # fmt: skip
    if heads is None:
        return common
    scratch = _F16 * sum(rows(heads)) if _copies_to_half(kv_type, backend) else 0
    written_out = _written_out(shape.architecture, common, heads)
    can_rotate = kv_type.is_quantized and heads.value_length > 0  # MLA's rows are never rotated
    return replace(
        common, n_heads=heads.n_heads, n_kv_heads=heads.n_kv_heads, key_length=heads.key_length,
        value_length=heads.value_length,
        rotates_keys=can_rotate and heads.key_length % ROTATED == 0,
        rotates_values=can_rotate and heads.value_length % ROTATED == 0,
        scratch=scratch, scratch_mask=written_out, window=heads.window if scratch or written_out else 0,
        scratch_fixed=_metal_scratch(heads) if backend is Backend.METAL else 0,
    )  # fmt: skip


def _written_out(architecture: str, anatomy: Anatomy, heads: Attention) -> int:
    """Bytes per cell and token. Of indexers as measured by dry runs of small models: an estimate."""
    if architecture in _WITHOUT_FLASH_ATTENTION:
        return _F32 * heads.n_heads
    has_indexer = any(name.startswith("indexer.") for name, _, _ in anatomy.matrices)
    return _INDEXER_SCORES.get(architecture, _USUAL_INDEXER_SCORES) if has_indexer else 0


def _copies_to_half(kv_type: KvType, backend: Backend) -> bool:
    """Kernels for long batches want keys and values as half floats: ggml_cuda_flash_attn_ext_get_f16_extra_data.

    Metal reserves for it whatever the type (ggml_metal_op_flash_attn_ext_extra_kv_f16); Vulkan does without.
    """
    return backend is Backend.METAL or (backend in _HALF_FLOAT_KERNELS and kv_type is not KvType.F16)


def _metal_scratch(heads: Attention) -> int:
    """ggml_metal_op_flash_attn_ext_extra_tmp: 32 queries, 32 work groups, each value row with its sum and maximum."""
    return _F32 * 32 * 32 * heads.n_heads * ((heads.value_length or heads.key_length) + 2)


def _matrices(tensors: Iterable[TensorInfo]) -> Iterable[tuple[str, int, int]]:
    """blk.3.ffn_up.weight -> ("ffn_up", rows, columns); no rows for a norm or a bias. Of experts one is counted."""
    return ((short_name(one), _rows(one), one.shape[0]) for one in tensors)


def _rows(tensor: TensorInfo) -> int:
    if len(tensor.shape) < 2:
        return 0
    return tensor.shape[1] if tensor.is_expert else tensor.n_elements // tensor.shape[0]
