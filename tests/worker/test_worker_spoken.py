"""Text as it is shown: whole characters, no stop strings, however the bytes were cut."""

from hypothesis import example, given
from hypothesis import strategies as st

from carryon.worker.spoken import Spoken

BYTES = st.binary(max_size=60)


@st.composite
def bytes_in_pieces(draw, source=BYTES):
    """The same bytes, cut anywhere."""
    whole = draw(source)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    return whole, [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def said(pieces, stops=()):
    spoken = Spoken(stops)
    texts = [spoken.add(piece) for piece in pieces]
    return texts, "".join(texts) + spoken.end(), spoken.is_stopped


def up_to_the_first_stop(whole, stops):
    """The stop that is complete first, earliest start among equals: by brute force."""
    for end in range(len(whole) + 1):
        starts = [end - len(stop) for stop in stops if whole[:end].endswith(stop)]
        if starts:
            return whole[: min(starts)], True
    return whole, False


@given(bytes_in_pieces())
def test_any_cut_gives_the_same_text(cut):
    whole, pieces = cut
    assert said(pieces)[1] == whole.decode("utf-8", "replace")


@given(bytes_in_pieces(st.text(max_size=30).map(str.encode)))
def test_a_character_is_never_split(cut):
    whole, pieces = cut
    texts, together, _ = said(pieces)
    assert together == whole.decode()
    assert not any("\ufffd" in text for text in texts if "\ufffd" not in whole.decode())


LETTERS = st.text("abé🙂", max_size=20)
STOPS = st.lists(st.text("abé🙂", min_size=1, max_size=4), max_size=3)


@given(bytes_in_pieces(LETTERS.map(str.encode)), STOPS)
@example((b"abc", [b"a", b"bc"]), ["abc", "b"])
def test_any_cut_stops_at_the_same_place(cut, stops):
    whole, pieces = cut
    wanted, is_stopped = up_to_the_first_stop(whole, [stop.encode() for stop in stops])
    assert said(pieces, stops)[1:] == (wanted.decode("utf-8", "replace"), is_stopped)


@given(bytes_in_pieces(LETTERS.map(str.encode)), STOPS)
def test_what_was_said_is_never_taken_back(cut, stops):
    """No text that was shown may turn out to be part of a stop string."""
    _, pieces = cut
    texts, together, _ = said(pieces, stops)
    assert together.startswith("".join(texts))


def test_nothing_is_held_back_without_need():
    spoken = Spoken(["User:"])
    assert spoken.add(b"hello Us") == "hello "
    assert spoken.add(b" all") == "Us all"


def test_after_a_stop_there_is_silence():
    spoken = Spoken(["x"])
    assert spoken.add(b"axb") == "a"
    assert spoken.add(b"more") == ""
    assert spoken.end() == ""


def test_an_unfinished_character_at_the_end_is_shown_as_such():
    spoken = Spoken()
    assert spoken.add("é".encode()[:1]) == ""
    assert spoken.end() == "\ufffd"
