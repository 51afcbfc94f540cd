"""The types numbers are stored in: ggml's block types, the types of a KV cache, the quant types of whole files."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class GgmlType:
    """One of ggml's storage types: `block_elements` numbers take `block_bytes`."""

    type_id: int
    name: str
    block_elements: int
    block_bytes: int

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.block_bytes / self.block_elements

    def size_bytes(self, n_elements: int) -> int:
        """Bytes of so many numbers; a last, broken block is not counted (ggml has none)."""
        return n_elements * self.block_bytes // self.block_elements


# enum ggml_type and the block structs of ggml.h and ggml-common.h, llama.cpp 0c1e57098.
_TYPES = (
    GgmlType(0, "F32", 1, 4), GgmlType(1, "F16", 1, 2), GgmlType(2, "Q4_0", 32, 18), GgmlType(3, "Q4_1", 32, 20),
    GgmlType(6, "Q5_0", 32, 22), GgmlType(7, "Q5_1", 32, 24), GgmlType(8, "Q8_0", 32, 34), GgmlType(9, "Q8_1", 32, 36),
    GgmlType(10, "Q2_K", 256, 84), GgmlType(11, "Q3_K", 256, 110), GgmlType(12, "Q4_K", 256, 144),
    GgmlType(13, "Q5_K", 256, 176), GgmlType(14, "Q6_K", 256, 210), GgmlType(15, "Q8_K", 256, 292),
    GgmlType(16, "IQ2_XXS", 256, 66), GgmlType(17, "IQ2_XS", 256, 74), GgmlType(18, "IQ3_XXS", 256, 98),
    GgmlType(19, "IQ1_S", 256, 50), GgmlType(20, "IQ4_NL", 32, 18), GgmlType(21, "IQ3_S", 256, 110),
    GgmlType(22, "IQ2_S", 256, 82), GgmlType(23, "IQ4_XS", 256, 136), GgmlType(24, "I8", 1, 1),
    GgmlType(25, "I16", 1, 2), GgmlType(26, "I32", 1, 4), GgmlType(27, "I64", 1, 8), GgmlType(28, "F64", 1, 8),
    GgmlType(29, "IQ1_M", 256, 56), GgmlType(30, "BF16", 1, 2), GgmlType(34, "TQ1_0", 256, 54),
    GgmlType(35, "TQ2_0", 256, 66), GgmlType(39, "MXFP4", 32, 17), GgmlType(40, "NVFP4", 64, 36),
    GgmlType(41, "Q1_0", 128, 18), GgmlType(42, "Q2_0", 64, 18),
)  # fmt: skip
GGML_TYPES = {one.type_id: one for one in _TYPES}
GGML_TYPES_BY_NAME = {one.name: one for one in _TYPES}

# enum llama_ftype of llama.h (LLAMA_FTYPE_MOSTLY_...), llama.cpp 0c1e57098: what `general.file_type` counts in.
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
    40: "Q1_0", 41: "Q2_0",
}  # fmt: skip
_GUESSED = 1024  # a bit that says: not written in the file, counted from its tensors


def file_type_name(file_type: int) -> str:
    """'Q4_K_M' for 15; '' for a number that this version does not know."""
    return _FILE_TYPES.get(file_type & ~_GUESSED, "") if file_type >= 0 else ""


class KvType(StrEnum):
    """How one number of the KV cache is stored."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q5_1 = "q5_1"
    Q5_0 = "q5_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"
    IQ4_NL = "iq4_nl"

    @property
    def ggml(self) -> GgmlType:
        return GGML_TYPES_BY_NAME[self.value.upper()]

    @property
    def is_quantized(self) -> bool:
        return self.ggml.block_elements > 1


USUAL_KV_TYPES = (KvType.F16, KvType.Q8_0, KvType.Q4_0)
