"""Notes, while a model reads, what each of its matrices is multiplied with: sums of squares for every column.

The rules of which products count, and how, are those of tools/imatrix/imatrix.cpp (collect_imatrix) of llama.cpp
0c1e57098, so that its quantizer and its tools take the result as their own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carryon.quantize.imatrix_file import Entry
from carryon.worker.capi import L
from carryon.worker.ggml_tensor import F32, Reader, Tensor, at, name_of, operations

_FEWEST_TOKENS = 16  # smaller products are the last steps of a graph, not the text
_OF_LAYERS = "blk."


class Collector:
    """Give `callback` to a context as cb_eval, and keep this object as long as the context lives."""

    def __init__(self) -> None:
        found = operations()
        self._product, self._product_of_experts = found["MUL_MAT"], found["MUL_MAT_ID"]
        self._reader = Reader()
        self._sums: dict[str, NDArray[np.floating[Any]]] = {}
        self._counts: dict[str, NDArray[np.float64]] = {}
        self.error: Exception | None = None
        self.callback = L.ggml_backend_sched_eval_callback(self._hear)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What was noted so far; matrices that saw nothing at all are left out."""
        return {
            name: Entry(sums.reshape(len(counts), -1).astype(np.float32), counts.astype(np.float32))
            for name, sums in self._sums.items()
            if (counts := self._counts[name]).any()
        }

    def _hear(self, address: Any, is_asked: bool, _user_data: Any) -> bool:
        """Asked whether a result is wanted, then told that it is there. An exception must never travel into C."""
        try:
            tensor = at(address)
            if is_asked or self.error:
                return not self.error and self._wants(tensor)
            self._note(tensor)
        except Exception as error:
            self.error = error
            return False
        return True

    def _wants(self, tensor: Tensor) -> bool:
        if tensor.op == self._product_of_experts:
            return True
        if tensor.op != self._product:
            return False
        matrix, given = tensor.src[0].contents, tensor.src[1].contents
        enough = given.ne[1] >= _FEWEST_TOKENS and given.type == F32
        return bool(enough and name_of(matrix).startswith(_OF_LAYERS))

    def _note(self, tensor: Tensor) -> None:
        matrix, given = tensor.src[0].contents, tensor.src[1].contents
        values = self._reader.numbers(given, np.float32)
        if tensor.op == self._product:
            self._add_all(name_of(matrix), matrix, values)
        else:
            chosen = self._reader.numbers(tensor.src[2].contents, np.int32)[0, 0]
            self._add_chosen(name_of(matrix), matrix.ne[2], values[0], chosen)

    def _add_all(self, name: str, matrix: Tensor, values: NDArray[np.float32]) -> None:
        """`values`: [.., .., tokens, columns]; a stack of matrices meets the stacks of values in turn."""
        n_matrices = matrix.ne[2] * matrix.ne[3]
        sums = self._sums.setdefault(name, np.zeros((n_matrices, values.shape[3])))
        counts = self._counts.setdefault(name, np.zeros(1))
        for last in range(values.shape[0]):
            for third in range(values.shape[1]):
                rows = values[last, third]
                at_matrix = (last % matrix.ne[3]) * matrix.ne[2] + third % matrix.ne[2]
                sums[at_matrix] += np.einsum("ij,ij->j", rows, rows)
        counts += values.shape[0] * values.shape[1] * values.shape[2] // n_matrices

    def _add_chosen(self, name: str, n_experts: int, values: NDArray[np.float32], chosen: NDArray[np.int32]) -> None:
        """`values`: [tokens, one or as many as experts are used, columns]; `chosen`: [tokens, experts used]."""
        # of experts there are so many that their sums would be gigabytes in double precision
        sums = self._sums.setdefault(name, np.zeros((n_experts, values.shape[2]), np.float32))
        counts = self._counts.setdefault(name, np.zeros(n_experts))
        n_used = chosen.shape[1]
        order = np.argsort(chosen, axis=None, kind="stable")
        experts, starts, n_tokens = np.unique(chosen.reshape(-1)[order], return_index=True, return_counts=True)
        rows = values[order // n_used, order % n_used % values.shape[1]]
        sums[experts] += np.add.reduceat(rows * rows, starts, axis=0)
        counts[experts] += n_tokens
