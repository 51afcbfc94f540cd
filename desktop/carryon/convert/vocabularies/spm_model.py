"""A SentencePiece model file (tokenizer.model): its pieces, scores and flags, read without any library.

The format is protobuf, described by sentencepiece_model.proto of github.com/google/sentencepiece. Everything that is
read is bounded by the file's own size, and whatever does not fit is a BadFile.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.vocabularies.vocabulary import Kind, Token

MAX_MODEL_BYTES = 64_000_000  # Gemma's, the largest in use, has 4 MB
VARINT, LENGTH = 0, 2  # protobuf's wire types, with those of a fixed size below
FIXED_BYTES = {1: 8, 5: 4}
LAST_FIELD = 1 << 29  # numbers of fields end below this

# Fields of ModelProto, SentencePiece, TrainerSpec and NormalizerSpec.
PIECES, TRAINER, NORMALIZER = 1, 2, 3
TEXT, SCORE, TYPE = 1, 2, 3
ALGORITHM, SPACE_IS_SUFFIX, UNKNOWN_ID, BOS_ID, EOS_ID, PAD_ID = 3, 24, 40, 41, 42, 43
CHARSMAP, ADDS_SPACE, REMOVES_EXTRA_SPACES = 2, 3, 4

Fields = dict[int, int | bytes]


class Algorithm(IntEnum):
    """How the pieces are chosen (TrainerSpec.ModelType)."""

    UNIGRAM = 1
    BPE = 2
    WORD = 3
    CHAR = 4


@dataclass(frozen=True)
class PieceModel:
    """What a tokenizer.model says; an id of -1 means that there is no such piece."""

    pieces: Sequence[Token]
    algorithm: Algorithm
    adds_space: bool
    removes_extra_spaces: bool
    space_is_suffix: bool
    charsmap: bytes
    bos: int
    eos: int
    padding: int


def read_piece_model(path: Path) -> PieceModel:
    """Reads a tokenizer.model. Raises BadFile."""
    with disk_errors(path):
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise BadFile(f"{path.name} is far too large.", DOWNLOAD_AGAIN)
        content = path.read_bytes()
    try:
        return piece_model(content)
    except _Damage as damage:
        raise BadFile(f"{path.name} is damaged: {damage}.", DOWNLOAD_AGAIN) from damage


def piece_model(content: bytes) -> PieceModel:
    """A model from the bytes of its file; `read_piece_model` is the door for files."""
    pieces: list[Token] = []
    trainer: Fields = {}
    normalizer: Fields = {}
    for number, value in _fields(content):
        if number == PIECES:
            pieces.append(_piece(_message(value)))
        elif number == TRAINER:
            trainer |= _message(value)
        elif number == NORMALIZER:
            normalizer |= _message(value)
    _check(pieces)
    return PieceModel(
        pieces=pieces,
        algorithm=_algorithm(_whole(trainer, ALGORITHM, Algorithm.UNIGRAM)),
        adds_space=bool(_whole(normalizer, ADDS_SPACE, 1)),
        removes_extra_spaces=bool(_whole(normalizer, REMOVES_EXTRA_SPACES, 1)),
        space_is_suffix=bool(_whole(trainer, SPACE_IS_SUFFIX, 0)),
        charsmap=_bytes(normalizer, CHARSMAP),
        bos=_id(_whole(trainer, BOS_ID, 1), pieces),
        eos=_id(_whole(trainer, EOS_ID, 2), pieces),
        padding=_id(_whole(trainer, PAD_ID, -1), pieces),
    )


class _Damage(Exception):
    """What is wrong, in a few words."""


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one message in their order; the fixed sizes come as bytes."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if not 0 < number < LAST_FIELD:
            raise _Damage("a field has no number")
        if wire == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        size, position = _size(message, position, wire)
        if size > end - position:
            raise _Damage("it ends too early")
        yield number, message[position : position + size]
        position += size


def _message(value: int | bytes) -> Fields:
    if not isinstance(value, bytes):
        raise _Damage("a number stands where a message should")
    return dict(_fields(value))


def _size(message: bytes, position: int, wire: int) -> tuple[int, int]:
    if wire == LENGTH:
        return _varint(message, position)
    if wire not in FIXED_BYTES:
        raise _Damage(f"wire type {wire} is not in use")
    return FIXED_BYTES[wire], position


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise _Damage("it ends too early")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Damage("a number does not end")


def _piece(fields: Fields) -> Token:
    kind = _whole(fields, TYPE, Kind.NORMAL)
    if kind not in set(Kind):
        raise _Damage(f"a piece is of the type {kind}")
    try:
        text = _bytes(fields, TEXT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Damage("a piece is not Unicode") from error
    return Token(text, Kind(kind), _score(_bytes(fields, SCORE, bytes(4))))


def _score(raw: bytes) -> float:
    if len(raw) != 4:
        raise _Damage("a score is not a number")
    score = float(struct.unpack("<f", raw)[0])
    if not math.isfinite(score):
        raise _Damage("a score is not a number")
    return score


def _check(pieces: Sequence[Token]) -> None:
    if not pieces:
        raise _Damage("it has no pieces")
    texts = {piece.text for piece in pieces}
    if "" in texts or len(texts) < len(pieces):
        raise _Damage("a piece is empty or stands twice")


def _algorithm(number: int) -> Algorithm:
    if number not in set(Algorithm):
        raise _Damage(f"its algorithm is {number}")
    return Algorithm(number)


def _id(number: int, pieces: Sequence[Token]) -> int:
    """Protobuf writes -1 as a number of 64 bits; ids that are no piece's count as none."""
    return number if number < len(pieces) else -1


def _whole(fields: Mapping[int, int | bytes], number: int, default: int) -> int:
    value = fields.get(number, default)
    if not isinstance(value, int):
        raise _Damage(f"field {number} is not a whole number")
    return value


def _bytes(fields: Mapping[int, int | bytes], number: int, default: bytes = b"") -> bytes:
    value = fields.get(number, default)
    if not isinstance(value, bytes):
        raise _Damage(f"field {number} is not text")
    return value
