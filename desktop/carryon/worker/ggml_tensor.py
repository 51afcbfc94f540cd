"""A tensor of a running graph, as ggml lays it out in memory: which product it is, of what, and its numbers.

struct ggml_tensor of ggml.h, llama.cpp 0c1e57098. `layout_complaint` compares it with what the library says of a
tensor of its own making, because nothing else would notice a new field.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carryon.worker.capi import symbol

_FIRST_OPERATIONS = 64  # products are among them; the table of names has no end that could be asked for
N_DIMENSIONS, N_SOURCES, LONGEST_NAME_BYTES, N_OP_PARAMETERS = 4, 10, 64, 16
F32 = 0


class Tensor(ctypes.Structure):
    """struct ggml_tensor."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * N_DIMENSIONS),
    ("nb", ctypes.c_size_t * N_DIMENSIONS),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * N_OP_PARAMETERS),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * N_SOURCES),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * LONGEST_NAME_BYTES),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


@cache
def operations() -> dict[str, int]:
    """ggml's operations by name: 'MUL_MAT' is a product with a matrix, 'MUL_MAT_ID' with one chosen for each token."""
    spelled = symbol("ggml_op_name", ctypes.c_char_p, ctypes.c_int)
    return {spelled(number).decode(): number for number in range(_FIRST_OPERATIONS)}


def at(address: Any) -> Tensor:
    """The tensor at an address that the engine gave."""
    return ctypes.cast(address, ctypes.POINTER(Tensor)).contents


def name_of(tensor: Tensor) -> str:
    """The weight's own name; a copy on another device is called “device#name#number”."""
    name: str = tensor.name.decode("utf-8", "replace")
    return name.split("#")[1] if name.count("#") >= 2 else name


class Reader:
    """Copies the numbers of tensors out of whatever device they are on."""

    def __init__(self) -> None:
        self._get = symbol(
            "ggml_backend_tensor_get", None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t
        )
        self._n_bytes = symbol("ggml_nbytes", ctypes.c_size_t, ctypes.c_void_p)

    def numbers(self, tensor: Tensor, kind: type[np.generic]) -> NDArray[Any]:
        """Its numbers, the slowest axis first, wherever they lie between others: a view of the copy."""
        n_bytes = self._n_bytes(ctypes.byref(tensor))
        copy = np.empty(n_bytes, np.uint8)
        self._get(ctypes.byref(tensor), copy.ctypes.data, 0, n_bytes)
        return np.lib.stride_tricks.as_strided(copy.view(kind), tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1])


def layout_complaint() -> str | None:
    """Why this layout is not the library's; None if it is."""
    context = symbol("ggml_init", ctypes.c_void_p, _InitParameters)(_InitParameters(1 << 16, None, True))
    try:
        made = symbol("ggml_new_tensor_3d", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, *[ctypes.c_int64] * 3)
        other = made(context, F32, 5, 3, 2)
        symbol("ggml_set_name", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(other, b"blk.0.seven")
        product = symbol("ggml_mul_mat", ctypes.c_void_p, *[ctypes.c_void_p] * 3)(context, other, other)
        seen, of = at(product), at(at(product).src[0])
        fits = (
            seen.op == operations().get("MUL_MAT")
            and (tuple(of.ne), of.type, of.nb[1], name_of(of)) == ((5, 3, 2, 1), F32, 20, "blk.0.seven")
            and tuple(seen.ne) == (3, 3, 2, 1)
            and ctypes.addressof(seen.src[1].contents) == other
        )
        return None if fits else "the engine's tensors are laid out differently from what this version of Carryon knows"
    finally:
        symbol("ggml_free", None, ctypes.c_void_p)(context)


class _InitParameters(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))
