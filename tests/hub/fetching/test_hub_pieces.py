"""Whatever order pieces come in: what counts as here is here, nothing is fetched twice, nothing is forgotten."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carryon.hub.fetching.pieces import MIB, Pieces, Span, mark_bytes_of, piece_bytes_of

sizes = st.integers(0, 40 * MIB)


@given(sizes, st.integers(0, 1 << 32))
def test_taking_in_any_order_brings_every_byte_once(size_bytes, seed):
    pieces, chance, taken, came_bytes = Pieces(size_bytes), random.Random(seed), [], 0
    while not pieces.is_complete:
        while len(taken) < 4 and (span := pieces.take(size_bytes)):
            taken.append(span)
        span = taken.pop(chance.randrange(len(taken)))
        n_bytes = chance.randint(1, span.end - span.start)
        pieces.landed(span.start, n_bytes)
        pieces.give_back(span)
        came_bytes += n_bytes
        assert pieces.done_bytes == came_bytes == sum(end - start for start, end in pieces.done())
    assert pieces.done() == ((0, size_bytes),) * bool(size_bytes)
    assert pieces.take(size_bytes) is None


@given(st.integers(1, 40 * MIB), st.lists(st.integers(0, 40 * MIB), max_size=8))
def test_what_was_kept_is_recalled(size_bytes, points):
    pieces = Pieces(size_bytes)
    for point in points:
        start = min(point, size_bytes - 1) // pieces.piece_bytes * pieces.piece_bytes
        reached = pieces.here_until(start)
        if reached < pieces.piece_end(start):
            pieces.landed(reached, max(1, (pieces.piece_end(start) - reached) // 2))
    again = Pieces(size_bytes, pieces.done())
    assert (again.done(), again.done_bytes) == (pieces.done(), pieces.done_bytes)


@given(st.integers(1, 20 * MIB), st.integers(0, 20 * MIB), st.integers(1, 5 * MIB))
def test_what_is_lost_is_fetched_again(size_bytes, start, n_bytes):
    start = min(start, size_bytes - 1)
    pieces = Pieces(size_bytes, [(0, size_bytes)])
    assert pieces.is_complete
    pieces.lose(start, min(start + n_bytes, size_bytes))
    assert pieces.here_until(start) == start or start % pieces.piece_bytes
    while (span := pieces.take(size_bytes)) is not None:
        pieces.landed(span.start, span.end - span.start)
        pieces.give_back(span)
    assert pieces.is_complete


@given(st.integers(0, 10**12))
def test_marks_are_whole_pieces_and_few(size_bytes):
    assert mark_bytes_of(size_bytes) % piece_bytes_of(size_bytes) == 0
    assert size_bytes // mark_bytes_of(size_bytes) <= 1024
    assert MIB <= piece_bytes_of(size_bytes) <= 8 * MIB


def test_nobody_takes_what_lies_too_far_ahead():
    pieces = Pieces(16 * MIB)
    assert [pieces.take(2 * MIB) for _ in range(3)] == [Span(0, MIB), Span(MIB, 2 * MIB), None]


def test_everything_is_taken_at_once_only_while_nobody_fetches():
    pieces = Pieces(4 * MIB)
    first = pieces.take(MIB)
    assert pieces.take_all() is None
    pieces.give_back(first)
    assert pieces.take_all() == Span(0, 4 * MIB)
    assert pieces.take(4 * MIB) is None


def test_bytes_that_are_here_already_count_once():
    pieces = Pieces(2 * MIB)
    for at, n_bytes in ((0, 100), (50, 100), (0, 10), (300, 10)):
        pieces.landed(at, n_bytes)
    assert pieces.done() == ((0, 150),)


@given(st.lists(st.tuples(st.integers(0, 10 * MIB), st.integers(0, 10 * MIB)), max_size=4))
def test_ranges_never_touch(ranges):
    wanted = [(min(one), min(max(one), 9 * MIB)) for one in ranges if min(one) < min(max(one), 9 * MIB)]
    done = Pieces(9 * MIB, wanted).done()
    assert all(end < start for (_, end), (start, _) in pairwise(done))
