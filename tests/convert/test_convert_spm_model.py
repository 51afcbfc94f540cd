"""tokenizer.model is read as sentencepiece reads it, and whatever is wrong with one is said in a sentence."""

import struct

import pytest
from fakes import tokenizers_made as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carryon.base.errors import BadFile
from carryon.convert.vocabularies.spm_model import Algorithm, read_piece_model
from carryon.convert.vocabularies.vocabulary import Kind


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return made.piece_model(tmp_path_factory.mktemp("pairs"), user_defined_symbols=["<tool>"])


@pytest.fixture(scope="module")
def likeliest(tmp_path_factory):
    usual = {"byte_fallback": False, "normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True}
    return made.piece_model(tmp_path_factory.mktemp("likeliest"), algorithm="unigram", add_dummy_prefix=False, **usual)


@pytest.mark.parametrize("folder", ["pairs", "likeliest"])
def test_pieces_scores_and_kinds_are_those_of_sentencepiece(folder, request):
    folder = request.getfixturevalue(folder)
    theirs, ours = made.pieces_of(folder), read_piece_model(folder / "tokenizer.model")
    assert [piece.text for piece in ours.pieces] == [theirs.id_to_piece(number) for number in range(len(theirs))]
    assert [piece.score for piece in ours.pieces] == [theirs.get_score(number) for number in range(len(theirs))]
    for number, piece in enumerate(ours.pieces):
        assert (piece.kind is Kind.BYTE) == theirs.is_byte(number)
        assert (piece.kind is Kind.CONTROL) == theirs.is_control(number)
        assert (piece.kind is Kind.UNKNOWN) == theirs.is_unknown(number)
    assert (ours.bos, ours.eos, ours.padding) == (theirs.bos_id(), theirs.eos_id(), theirs.pad_id())


def test_the_flags_are_read(pairs, likeliest):
    first, second = read_piece_model(pairs / "tokenizer.model"), read_piece_model(likeliest / "tokenizer.model")
    assert (first.algorithm, first.adds_space, first.removes_extra_spaces) == (Algorithm.BPE, True, False)
    assert (second.algorithm, second.adds_space, second.removes_extra_spaces) == (Algorithm.UNIGRAM, False, True)
    assert first.charsmap == b""
    assert len(second.charsmap) > 100_000
    assert next(piece for piece in first.pieces if piece.text == "<tool>").kind is Kind.USER_DEFINED
    assert not first.space_is_suffix


@pytest.fixture
def read(tmp_path):
    def run(content):
        (tmp_path / "tokenizer.model").write_bytes(content)
        return read_piece_model(tmp_path / "tokenizer.model")

    return run


def field(number, value):
    """One field of protobuf; whole numbers as varints, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    head = b""
    while value >= 0x80:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


def piece(text, kind=1, score=0.0):
    number = varint(2 << 3 | 5) + struct.pack("<f", score)
    return field(1, field(1, text.encode()) + number + field(3, kind))


def test_what_is_left_out_has_its_usual_value(read):
    model = read(field(1, field(1, b"a")) + field(1, field(1, b"b")) + field(1, field(1, b"c")))
    assert [(token.text, token.score, token.kind) for token in model.pieces][:1] == [("a", 0.0, Kind.NORMAL)]
    assert (model.algorithm, model.adds_space, model.removes_extra_spaces) == (Algorithm.UNIGRAM, True, True)
    assert (model.bos, model.eos, model.padding) == (1, 2, -1)


def test_fields_of_the_future_are_passed_over(read):
    more = field(77, b"x") + field(78, 5) + varint(79 << 3 | 1) + bytes(8) + varint(80 << 3 | 5) + bytes(4)
    assert len(read(more + piece("a") + more).pieces) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no pieces"),
        (b"<html>nothing</html>", "damaged"),
        (piece("a") + piece("a"), "twice"),
        (piece(""), "empty"),
        (piece("a", kind=9), "type 9"),
        (piece("a", score=float("nan")), "score"),
        (piece("a", score=float("inf")), "score"),
        (field(1, field(1, b"\xff")), "not Unicode"),
        (field(1, field(1, 5)), "not text"),
        (field(1, field(1, b"a") + field(3, b"1")), "not a whole number"),
        (field(1, field(1, b"a") + field(2, 1)), "not text"),
        (field(1, 7), "a message"),
        (piece("a")[:-1], "too early"),
        (piece("a") + b"\x0a", "too early"),
        (piece("a") + varint(1 << 3 | 3), "wire type"),
        (piece("a") + b"\xff" * 11, "does not end"),
        (piece("a") + varint(0), "no number"),
        (piece("a") + field(2, field(3, 9)), "algorithm"),
        (varint(1 << 3 | 2) + varint(1 << 62), "too early"),
    ],
)
def test_a_damaged_model_is_refused(read, content, said):
    with pytest.raises(BadFile, match=r"tokenizer\.model") as caught:
        read(content)
    assert said in str(caught.value)
    assert caught.value.hint


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_it_fail_otherwise(pairs, tmp_path, data):
    whole = (pairs / "tokenizer.model").read_bytes()
    start = data.draw(st.integers(0, len(whole) - 300))
    content = bytearray(data.draw(st.sampled_from([whole, whole[: start + 300], whole[start : start + 300]])))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "tokenizer.model").write_bytes(content)
    try:
        model = read_piece_model(tmp_path / "tokenizer.model")
    except BadFile:
        return
    assert len({token.text for token in model.pieces}) == len(model.pieces)


@given(st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.model").write_bytes(content)
    try:
        assert read_piece_model(tmp_path / "tokenizer.model").pieces
    except BadFile:
        return


def test_a_missing_or_huge_file_is_our_error(tmp_path):
    with pytest.raises(BadFile):
        read_piece_model(tmp_path / "tokenizer.model")
    with (tmp_path / "tokenizer.model").open("wb") as out:
        out.truncate(100_000_000)
    with pytest.raises(BadFile, match="too large"):
        read_piece_model(tmp_path / "tokenizer.model")
