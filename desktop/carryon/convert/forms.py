"""The forms in which GGUF stores a tensor, and which of them a conversion can be asked for."""

from enum import Enum, IntEnum

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType


class GgmlType(IntEnum):
    """A tensor's storage form; the value is the number that stands for it in the file."""

    F32 = int(GGMLQuantizationType.F32)
    F16 = int(GGMLQuantizationType.F16)
    BF16 = int(GGMLQuantizationType.BF16)
    Q8_0 = int(GGMLQuantizationType.Q8_0)
    MXFP4 = int(GGMLQuantizationType.MXFP4)  # only copied from a source that has it, never encoded

    @property
    def values_in_block(self) -> int:
        return int(GGML_QUANT_SIZES[GGMLQuantizationType(self)][0])

    def size_bytes(self, n_values: int) -> int:
        """Bytes of that many values; they fill whole blocks."""
        block_values, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(self)]
        return n_values // int(block_values) * int(block_bytes)


class OutType(Enum):
    """What to convert to: the form of the large matrices. Small tensors are always F32."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"

    @property
    def ggml(self) -> GgmlType:
        return GgmlType[self.name]

    @property
    def file_type(self) -> int:
        """The number for general.file_type."""
        return FILE_TYPES[self]


MXFP4_FILE_TYPE = int(LlamaFileType.MOSTLY_MXFP4_MOE)
FILE_TYPES = {
    OutType.F32: int(LlamaFileType.ALL_F32),
    OutType.F16: int(LlamaFileType.MOSTLY_F16),
    OutType.BF16: int(LlamaFileType.MOSTLY_BF16),
    OutType.Q8_0: int(LlamaFileType.MOSTLY_Q8_0),
}
