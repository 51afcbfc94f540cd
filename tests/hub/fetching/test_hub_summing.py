"""The sum is the same in whatever order the bytes come, from memory or from disk; damage is found at the next mark."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.hub.fetching.pieces import MIB, Pieces
from carryon.hub.fetching.summing import WINDOW_BYTES, Block, RunningSum, sum_name

SIZE_BYTES = 5 * MIB + 12_345
CONTENT = random.Random(5).randbytes(SIZE_BYTES)
NAME = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


def summed(running, pieces, disk):
    """Lets the sum go as far as it can; what it found lost."""
    while not running.is_at_end:
        block = running.in_memory()
        if block is None:
            span = running.on_disk(pieces)
            if span is None:
                return None
            data = disk[span.start : span.end]
        else:
            data = block.buffer[: block.n_bytes]
        running.add(data)
        lost = running.advance(len(data))
        if lost is not None:
            return lost
    return None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1 << 32))
def test_any_order_gives_the_same_sum(seed):
    chance = random.Random(seed)
    pieces, running = Pieces(SIZE_BYTES), RunningSum(NAME, SIZE_BYTES)
    spans = []
    while (span := pieces.take(SIZE_BYTES)) is not None:
        spans.append(span)
    while spans:
        at = chance.randrange(len(spans))
        span, n_bytes = spans[at], min(chance.randint(1, MIB), spans[at].end - spans[at].start)
        pieces.landed(span.start, n_bytes)
        if chance.random() < 0.7:
            running.offer(span.start, Block(memoryview(CONTENT)[span.start :], n_bytes))
        spans[at : at + 1] = [type(span)(span.start + n_bytes, span.end)] if span.start + n_bytes < span.end else []
        assert summed(running, pieces, CONTENT) is None
    assert running.is_at_end
    assert running.is_right


def whole():
    pieces, running = Pieces(SIZE_BYTES, [(0, SIZE_BYTES)]), RunningSum(NAME, SIZE_BYTES)
    summed(running, pieces, CONTENT)
    return running


@pytest.mark.parametrize("at", [0, MIB - 1, MIB, 3 * MIB + 5])
def test_damage_is_found_at_the_next_mark_and_what_comes_again_is_right(at):
    damaged = bytearray(CONTENT)
    damaged[at] ^= 1
    pieces = Pieces(SIZE_BYTES, [(0, SIZE_BYTES)])
    running = RunningSum(NAME, SIZE_BYTES, whole().marks)
    lost = summed(running, pieces, damaged)
    assert lost.start <= at < lost.end
    assert lost.end - lost.start == MIB
    assert summed(running, pieces, CONTENT) is None
    assert running.is_right


def test_damage_behind_the_last_mark_is_found_by_the_sum():
    damaged = CONTENT[:-1] + b"?"
    running = RunningSum(NAME, SIZE_BYTES, whole().marks)
    assert summed(running, Pieces(SIZE_BYTES, [(0, SIZE_BYTES)]), damaged) is None
    assert not running.is_right


def test_a_mark_that_is_wrong_itself_costs_one_look_and_no_more():
    marks = ("0" * 16, *whole().marks[1:])
    running, pieces = RunningSum(NAME, SIZE_BYTES, marks), Pieces(SIZE_BYTES, [(0, SIZE_BYTES)])
    assert summed(running, pieces, CONTENT) is not None
    assert summed(running, pieces, CONTENT) is None
    assert running.is_right
    assert running.marks == whole().marks


def test_it_asks_for_bytes_near_the_front_unless_it_catches_up():
    size_bytes = 1 << 32
    running, pieces = RunningSum("", size_bytes), Pieces(size_bytes, [(0, 8 * MIB)])
    assert running.fetched_before == WINDOW_BYTES
    assert running.wants(0)
    assert not running.wants(size_bytes // 2)
    running.on_disk(pieces)
    assert running.fetched_before == size_bytes


def test_the_hubs_names_of_sums():
    assert sum_name("a" * 64, "b" * 40) == f"sha256:{'a' * 64}"
    assert sum_name(None, "b" * 40) == f"git:{'b' * 40}"
    assert sum_name(None, "c" * 64) == f"sha256:{'c' * 64}"
    assert sum_name(None, "") == ""


@pytest.mark.parametrize("content", [b"", b"hello\n"])
def test_git_sums_a_file_with_its_length(content):
    name = f"git:{hashlib.sha1(b'blob %d' % len(content) + bytes(1) + content).hexdigest()}"
    running = RunningSum(name, len(content))
    running.add(content)
    assert running.is_right
