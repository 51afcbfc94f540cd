"""What a tensor takes on a device: its bytes, the padding of its rows, the padding of its end."""

from carryon.fit.placement import padded
from carryon.fit.room import Backend
from carryon.gguf.quants import GGML_TYPES, GgmlType
from carryon.gguf.shape import TensorInfo

# The buffer types' get_alignment. TENSOR_ALIGNMENT of ggml-impl.h, also for CPU_REPACK and AMX; ggml-cuda.cu (HIP and
# MUSA are built from it); ggml-metal.cpp; SYCL_BUFFER_ALIGNMENT. Vulkan asks the device for
# minStorageBufferOffsetAlignment, which is 16 to 64 on what people have. An RPC server answers for the device behind
# it, which we cannot know: the CPU's figure.
ALIGNMENT = {
    Backend.CPU: 32, Backend.CUDA: 128, Backend.HIP: 128, Backend.METAL: 32, Backend.VULKAN: 64, Backend.SYCL: 128,
    Backend.RPC: 32, Backend.OTHER: 64,
}  # fmt: skip
_ROW_PADDING = 512  # MATRIX_ROW_PADDING of ggml-cuda/common.cuh and ggml-sycl/presets.hpp
_PADS_ROWS = (Backend.CUDA, Backend.HIP, Backend.SYCL)


def stored_bytes(tensor: TensorInfo, backend: Backend) -> int:
    """What the weight takes in the buffer of such a device."""
    kind = GGML_TYPES[tensor.type_id]
    row_padding = row_padding_bytes(kind, tensor.shape[0], backend) if tensor.shape else 0
    return padded(tensor.size_bytes + row_padding, ALIGNMENT[backend])


def row_padding_bytes(kind: GgmlType, row_elements: int, backend: Backend) -> int:
    """What the last row of a quantized tensor is widened by, so that its kernels may read past its end."""
    broken = row_elements % _ROW_PADDING
    if backend not in _PADS_ROWS or kind.block_elements == 1 or not broken:
        return 0
    return kind.size_bytes(_ROW_PADDING - broken)


def aligned(size_bytes: int, backend: Backend) -> int:
    """A buffer's end on such a device."""
    return padded(size_bytes, ALIGNMENT[backend])
