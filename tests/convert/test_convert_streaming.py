"""Pieces come in the file's order whatever the threads do, and a plan that breaks its word makes no file."""

import math
import threading
import time
import tracemalloc

import gguf
import numpy as np
import pytest

from carryon.base.jobs import drained
from carryon.convert.checkpoint import Number, SourceTensor
from carryon.convert.forms import GgmlType, OutType
from carryon.convert.plan import Computed, Made, Packed, Part, Stored
from carryon.convert.run import Means, Recipe, written
from carryon.convert.streaming import pieces
from carryon.convert.write import TensorInfo, header_bytes

WIDTH = 64


class Slow:
    """A source of the values 0, 1, 2 ... whose first rows take longest."""

    number, name, file, offset_bytes = Number.F32, "slow", None, 0

    def __init__(self, n_rows):
        self.shape = (n_rows, WIDTH)
        self.n_values = n_rows * WIDTH
        self.values = np.arange(self.n_values, dtype=np.float32).reshape(self.shape)
        self.threads = set()

    def rows(self, which):
        self.threads.add(threading.current_thread().name)
        rows = self.values[which]
        time.sleep(0.02 if rows[0, 0] % (4 * WIDTH) == 0 else 0)
        return np.ascontiguousarray(rows).view(np.uint8)


def planned(tensor, form):
    return TensorInfo(tensor.name, tensor.shape, form), tensor


def content_of(tensors, **options):
    found = {}
    for piece in pieces(tensors, **options):
        if piece:
            found.setdefault(piece.tensor.name, []).append(bytes(piece.content))
    return {name: b"".join(parts) for name, parts in found.items()}


def test_blocks_come_in_order_from_several_threads(monkeypatch):
    monkeypatch.setattr("carryon.convert.streaming.BLOCK_VALUES", WIDTH)
    source = Slow(40)
    tensor = Stored("slow.weight", source.shape, (Part(source),))
    assert content_of([planned(tensor, GgmlType.F32)], n_threads=4)["slow.weight"] == source.values.tobytes()
    assert len(source.threads) > 1


def test_while_nothing_is_ready_there_are_heartbeats(monkeypatch):
    monkeypatch.setattr("carryon.convert.streaming.HEARTBEAT_S", 0.001)
    source = Slow(1)
    beats = list(pieces([planned(Stored("slow.weight", source.shape, (Part(source),)), GgmlType.F32)]))
    assert None in beats


def test_parts_follow_each_other_and_rows_come_as_asked():
    source = Slow(6)
    order = np.array([5, 0, 3], np.intp)
    parts = (Part(source, slice(1, None, 2)), Part(source, order))
    tensor = Stored("two.weight", (2, 3, WIDTH), parts)
    expected = np.concatenate([source.values[1::2], source.values[order]])
    assert content_of([planned(tensor, GgmlType.F32)])["two.weight"] == expected.tobytes()


def test_every_kind_of_tensor():
    values = np.linspace(-1, 1, 4 * WIDTH, dtype=np.float32).reshape(4, WIDTH)
    packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    source = Slow(2)
    tensors = [
        planned(Made("made", values[0]), GgmlType.F32),
        planned(Computed("computed.weight", values.shape, lambda: iter([values[:3], values[3:]])), GgmlType.Q8_0),
        planned(
            Packed("packed.weight", values.shape, GgmlType.Q8_0, lambda: iter([packed[:1], packed[1:]])), GgmlType.Q8_0
        ),
        planned(Stored("norm.weight", (2, WIDTH), (Part(source),), plus_one=True), GgmlType.F16),
    ]
    assert content_of(tensors) == {
        "made": values[0].tobytes(),
        "computed.weight": packed.tobytes(),
        "packed.weight": packed.tobytes(),
        "norm.weight": (source.values + 1).astype(np.float16).tobytes(),
    }


@pytest.mark.parametrize("form", [GgmlType.F32, GgmlType.BF16, GgmlType.Q8_0], ids=lambda form: form.name)
def test_a_stack_of_experts_takes_no_more_memory_than_some_blocks(tmp_path, form):
    """Sixteen matrices of 16 MB, a tensor of 268 MB, of zeros that take no room on the disk."""
    file, shape = tmp_path / "experts", (2048, 4096)
    size_bytes = 2 * math.prod(shape)
    with file.open("wb") as out:
        out.truncate(16 * size_bytes)
    sources = [SourceTensor(f"expert.{one}", Number.BF16, shape, file, one * size_bytes) for one in range(16)]
    tensor = planned(Stored("experts.weight", (16, *shape), tuple(map(Part, sources))), form)
    tracemalloc.start()
    n_bytes = sum(len(piece.content) for piece in pieces([tensor], n_threads=2) if piece)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_bytes == tensor[0].size_bytes
    assert peak_bytes < 50_000_000


def test_closing_ends_the_threads():
    source = Slow(4000)
    work = pieces([planned(Stored("slow.weight", source.shape, (Part(source),)), GgmlType.F32)])
    next(work)
    work.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("convert_")]


@pytest.mark.parametrize("n_rows", [3, 5])
def test_a_tensor_of_another_size_than_planned_makes_no_file(tmp_path, n_rows):
    values = np.ones((n_rows, WIDTH), np.float32)
    tensors = [
        planned(Computed("bad.weight", (4, WIDTH), lambda: iter([values])), GgmlType.F32),
        planned(Made("good", np.ones(WIDTH, np.float32)), GgmlType.F32),
    ]
    recipe = Recipe(header_bytes({}, [info for info, _ in tensors]), tensors, (), OutType.F32)
    with pytest.raises(ValueError, match=r"bad\.weight has not the size"):
        drained(written(recipe, tmp_path / "m.gguf", Means()))
    assert not list(tmp_path.iterdir())
