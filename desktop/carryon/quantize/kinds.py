"""The quant types that this engine makes, in the order in which they are offered, and the names people give them."""

from carryon.base.errors import BadInput
from carryon.gguf.mix import QUANTS
from carryon.gguf.quants import GGML_TYPES_BY_NAME
from carryon.gguf.recipes import FILE_TYPES

FRONT = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")
OFFERED = (
    *FRONT,
    *(quant for quant in QUANTS if quant not in FRONT),
    *(quant for quant in FILE_TYPES if quant not in QUANTS),
)
_SHORT = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4": "MXFP4_MOE"}  # as llama-quantize takes them
# Types of single tensors: ggml computes with the others, or keeps whole numbers in them (ggml_quantize_chunk).
_UNWRITTEN = frozenset(("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K", "NVFP4"))
STORAGE = tuple(name for name in GGML_TYPES_BY_NAME if name not in _UNWRITTEN)
# tensor_requires_imatrix of src/llama-quant.cpp, llama.cpp 0c1e57098
_BLIND = frozenset(("IQ3_XXS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_M", "IQ1_S"))
_OUTSIDE = ("token_embd.weight", "per_layer_token_embd.weight", "output.weight")


def quant_of(named: str) -> str:
    """'Q4_K_M' for 'q4_k_m' and 'q4_k'. Raises BadInput for what this engine does not make."""
    name = named.strip().upper().replace("-", "_")
    found = _SHORT.get(name, name)
    if found not in FILE_TYPES:
        raise BadInput(f"“{named[:40]}” is no quant type.", f"Choose one of {', '.join(OFFERED)}.")
    return found


def storage_of(named: str) -> str:
    """'Q8_0' for 'q8_0', as a type of single tensors. Raises BadInput."""
    name = named.strip().upper().replace("-", "_")
    if name not in STORAGE:
        raise BadInput(f"“{named[:40]}” is no type that a tensor can have.", f"Choose one of {', '.join(STORAGE)}.")
    return name


def is_quantized(storage: str) -> bool:
    """Whether numbers of this type come in blocks."""
    return GGML_TYPES_BY_NAME[storage].block_elements > 1


def needs_importance(tensor: str, storage: str, quant: str) -> bool:
    """Whether llama.cpp refuses to store this tensor so without knowing which of its columns matter."""
    if tensor in _OUTSIDE:
        return False
    return storage in _BLIND or (storage == "Q2_K" and quant == "Q2_K_S")
