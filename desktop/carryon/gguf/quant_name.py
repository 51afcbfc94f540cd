"""The name of a file's quant type: what the header says, or what its tensors show where that is missing or wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence

from carryon.gguf.header import Header
from carryon.gguf.quants import GGML_TYPES, file_type_name
from carryon.gguf.tensors import TensorInfo

# llama-quant.cpp, llama_ftype_get_default_type and the fallbacks of tensor_type_fallback: the types that matrices of
# such a file have. A file is believed if any of its layers has one of them.
_BASES = {
    "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K", "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K",
    "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "IQ2_M": "IQ2_S", "IQ3_XS": "IQ3_S", "IQ3_M": "IQ3_S", "MXFP4_MOE": "MXFP4",
}  # fmt: skip
_ALSO_BASES = {"IQ2_S": {"IQ2_XS"}, "IQ3_XS": {"IQ3_XXS"}}
_FALLBACKS = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
_EVERY_IQ_FALLBACK = "IQ4_NL"
# base type -> (type that shows it among the finer tensors, name); the first that is there counts.
_VARIANTS = {
    "Q3_K": (("Q4_K", "Q3_K_M"), ("Q5_K", "Q3_K_L"), ("", "Q3_K_S")),
    "Q4_K": (("Q6_K", "Q4_K_M"), ("", "Q4_K_S")),
    "Q5_K": (("Q6_K", "Q5_K_M"), ("", "Q5_K_S")),
    "IQ3_S": (("Q4_K", "IQ3_M"), ("", "IQ3_S")),
    "MXFP4": (("", "MXFP4_MOE"),),
}


def quant_of(header: Header, layers: Iterable[Sequence[TensorInfo]]) -> str:
    """'Q4_K_M'; '' where neither the header nor the matrices of the layers say."""
    bytes_by_type = _bytes_by_type(tensor for layer in layers for tensor in layer)
    file_type = header.fields.get("general.file_type")
    said = file_type_name(file_type) if isinstance(file_type, int) else ""
    if said and (not bytes_by_type or _may_be(said, bytes_by_type)):
        return said
    return _guessed(bytes_by_type)


def _bytes_by_type(tensors: Iterable[TensorInfo]) -> Counter[str]:
    """Of the matrices alone: vectors are F32 in every file."""
    counted: Counter[str] = Counter()
    for tensor in tensors:
        if len(tensor.shape) > 1 and tensor.type_id in GGML_TYPES:
            counted[GGML_TYPES[tensor.type_id].name] += tensor.size_bytes
    return counted


def _may_be(said: str, bytes_by_type: Counter[str]) -> bool:
    base = _BASES.get(said, said)
    believed = {base, _FALLBACKS.get(base, base), *_ALSO_BASES.get(said, ())}
    if base.startswith("IQ"):
        believed.add(_EVERY_IQ_FALLBACK)
    return any(name in believed for name in bytes_by_type)


def _guessed(bytes_by_type: Counter[str]) -> str:
    if not bytes_by_type:
        return ""
    ((base, _),) = bytes_by_type.most_common(1)
    variants = _VARIANTS.get(base, (("", base),))
    return next(name for shows, name in variants if not shows or shows in bytes_by_type)
