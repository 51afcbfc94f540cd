"""No file can break the reader: damaged, cut, foreign and hostile ones are named, quickly and in little memory."""

import json
import os
import random
import struct
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from any_architecture import fields_of
from fakes.header_models import llama_like
from fakes.header_writer import HeaderWriter, Typed
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.base.errors import AppError, BadFile
from carryon.gguf.architectures import KNOWN
from carryon.gguf.cursor import Cursor, WholeFile
from carryon.gguf.header import MoreNeeded, first_facts, header_of, read_first_facts, read_header
from carryon.gguf.shape import read_shape, shape_of

MOST_BYTES = 256 << 20
LONGEST_S = 5.0  # far above what any of them takes, far below a hang
HUGE = (1 << 17, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
FIELDS, TENSORS = llama_like("llama", "Small", 2, 64, 128, 4, 2, 512, 320)
FIELDS = FIELDS | {
    "tokenizer.ggml.tokens": [f"t{number}" for number in range(320)],
    "llama.attention.head_count_kv": [2, 2],
    "llama.pattern": [True, False],
}
SOUND = HeaderWriter().header(FIELDS, TENSORS)
SIZE = len(SOUND) + (1 << 20)


def refusal(content, size_bytes=None):
    """The words with which a file is refused."""
    with pytest.raises(BadFile) as error:
        header_of(content, size_bytes or len(content), "m.gguf")
    assert error.value.hint
    return error.value.message


def one_field(name, kind, value=b""):
    """A header with one field whose value is written out."""
    raw = name if isinstance(name, bytes) else name.encode()
    return b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, len(raw)) + raw + struct.pack("<I", kind) + value


def one_tensor(*infos):
    """A header with nothing but these tensors: (name, shape, type, offset)."""
    body = b"".join(HeaderWriter().tensor_info(*info) for info in infos)
    whole = b"GGUF" + struct.pack("<IQQ", 3, len(infos), 0) + body
    return whole + bytes(-len(whole) % 32) + bytes(256)


def typed(value):
    """As the field of a header that holds it, whatever its sign."""
    return Typed("i32", value) if type(value) is int else value


NUMBER, TEXT, LIST = 4, 8, 9


@pytest.mark.parametrize(("content", "words"), [
    (b"", "not a GGUF file"),
    (b"GG", "not a GGUF file"),
    (b"PK\x03\x04 a zip file", "not a GGUF file"),
    (b'{"a": "text file"}', "not a GGUF file"),
    (b"GGUF", "ends in the middle of its header, at byte 4, inside its first bytes"),
    (b"GGUF\x03\0\0\0", "at byte 8"),
    (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1,"),
    (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9,"),
    (one_field("a.b", NUMBER, b"\1\0"), "inside its field “a.b”"),
    (one_field("a.b", 13, bytes(8)), "its field “a.b” (byte 39) has an unknown type of value (13)"),
    (one_field("a.b", LIST, struct.pack("<IQ", 77, 1)), "a list of an unknown type of value (77)"),
    (one_field("a.b", LIST, struct.pack("<IQ", NUMBER, 5)), "an impossible length (5 entries)"),
    (one_field("a.b", LIST, struct.pack("<IQ", TEXT, 5)), "an impossible length (5 entries)"),
    (one_field("a.b", LIST, struct.pack("<IQQ", TEXT, 1, 1 << 40)), "inside its field “a.b”"),
    (one_field("a.b", LIST, struct.pack("<IQIQ", LIST, 1, LIST, 0)), "a list of lists of a type"),
    (one_field("a.b", TEXT, struct.pack("<Q", 1 << 40)), "inside its field “a.b”"),
    (one_field(b"x" * 2000, NUMBER, bytes(4)), "a text of 2,000 bytes, where 1,024 are the most"),
    (one_field("general.alignment", NUMBER, bytes(4)), "its field “general.alignment”"),
    (one_tensor(("t", [32] * 5, 0, 0)), "its tensor “t” (byte 37) has 5 dimensions, where 4 are the most"),
    (one_tensor(("t", [1 << 40, 1 << 40], 0, 0)), "an impossible size"),
    (one_tensor(("t", [1 << 63], 0, 0)), "an impossible size"),
    (one_tensor(("t", [33], 8, 0)), "rows of 33 numbers, where Q8_0 stores 32 together"),
    (one_tensor(("t", [], 8, 0)), "one number, which Q8_0 cannot store"),
    (one_tensor(("t", [8], 0, 1)), "an impossible place in the file (1)"),
    (one_tensor(("t", [8], 0, 1 << 63)), "an impossible place in the file"),
    (one_tensor(("t", [8], 0, 0), ("t", [8], 0, 32)), "its tensor “t” (byte 66) has a name that another tensor has"),
    (one_tensor(("t", [16], 0, 0), ("u", [8], 0, 32)), "its tensors “t” and “u” overlap at byte 128"),
    (one_tensor(("x" * 300, [8], 0, 0)), "a text of 300 bytes"),
])  # fmt: skip
def test_it_says_what_is_wrong_and_where(content, words):
    assert words in refusal(content)


@pytest.mark.parametrize("count", HUGE)
@pytest.mark.parametrize("of_what", ["tensors", "fields"])
def test_impossible_counts_cost_nothing(count, of_what):
    counts = (count, 0) if of_what == "tensors" else (0, count)
    words = refusal(b"GGUF" + struct.pack("<IQQ", 3, *counts), size_bytes=1 << 62)
    assert f"an impossible number of {of_what} ({count:,})" in words


def test_two_fields_of_one_name_are_refused():
    twice = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * one_field("a.b", NUMBER, bytes(4))[24:]
    assert "its field “a.b”" in refusal(twice)
    assert "a name that another field has already" in refusal(twice)


def test_what_cannot_be_shown_is_not_shown():
    words = refusal(one_field("a\x1b[31m\nb" + "c" * 90, 13))
    assert words.isprintable()
    assert "…”" in words


@pytest.mark.parametrize("read", [read_header, read_first_facts, read_shape])
class TestWhatIsNoFile:
    """Any of the ways in."""

    def test_a_folder(self, read, tmp_path):
        with pytest.raises(BadFile, match="is a folder"):
            read(tmp_path)

    def test_a_missing_file(self, read, tmp_path):
        with pytest.raises(BadFile, match="is not there"):
            read(tmp_path / "absent.gguf")

    @pytest.mark.parametrize("content", [b"", b"some text\n" * 100, bytes(4096)])
    def test_another_kind_of_file(self, read, tmp_path, content):
        path = tmp_path / "other.gguf"
        path.write_bytes(content)
        with pytest.raises(BadFile, match="not a GGUF file") as error:
            read(path)
        assert "must be converted first" in error.value.hint

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
    def test_a_pipe_that_nobody_writes_to(self, read, tmp_path):
        os.mkfifo(tmp_path / "pipe.gguf")
        with pytest.raises(BadFile, match="is not a file"):
            read(tmp_path / "pipe.gguf")


def test_a_file_that_shrinks_while_it_is_read_is_cut():
    cursor = Cursor(WholeFile(BytesIO(SOUND[:1000]), SIZE), "m.gguf")
    with pytest.raises(BadFile, match="ends in the middle"):
        cursor.take(1001)


def test_a_cut_model_names_the_tensor_and_both_sizes(tmp_path):
    path = HeaderWriter().write(tmp_path / "m.gguf", FIELDS, TENSORS)
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(BadFile, match="is not whole: it ends before its tensor “blk") as error:
        read_shape(path)
    assert "again" in error.value.hint


def test_two_thousand_mutated_headers():
    """None crashes, none hangs, none takes memory: each is read or refused in words."""
    outcomes = in_little_memory(lambda: mutate_and_read(2000))
    assert sum(outcomes.values()) == 2000
    assert min(outcomes.values()) > 100  # else the mutations prove nothing


def test_the_limit_of_these_tests_is_real():
    with pytest.raises(AssertionError, match="MemoryError"):
        in_little_memory(lambda: len(bytes(MOST_BYTES + (32 << 20))))


def mutate_and_read(count):
    """How many were read, refused, and went on after their bytes."""
    chance, outcomes = random.Random(20260817), dict.fromkeys(("read", "refused", "goes on"), 0)
    for _ in range(count):
        began_s = time.perf_counter()
        outcomes[outcome(mutated(SOUND, chance))] += 1
        assert time.perf_counter() - began_s < LONGEST_S
    return outcomes


ODD_VALUES = (0, 1, 2, 511, 512, 513, (1 << 31) - 1, -1, -0.5, float("inf"), float("nan"), "text", True)
values = st.one_of(
    st.sampled_from(ODD_VALUES).map(typed),
    st.lists(st.integers(-2, 600), max_size=12).map(lambda all_: Typed("i32", all_)),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(KNOWN)), st.data())
def test_any_value_in_any_field_of_any_architecture(architecture, data):
    fields = fields_of(architecture)
    changed = data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True))
    fields |= {name: data.draw(values) for name in changed if name != "general.architecture"}
    outcome(HeaderWriter().header(fields, TENSORS))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SOUND)), st.binary(min_size=1, max_size=16), st.booleans())
def test_changed_bytes_anywhere(position, change, with_arrays):
    outcome(SOUND[:position] + change + SOUND[position + len(change) :], with_arrays=with_arrays)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([2, 3]), st.integers(0, 9), st.integers(0, 9))
def test_anything_behind_a_sound_start(noise, version, n_tensors, n_fields):
    outcome(b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_fields) + noise)


@pytest.mark.parametrize("with_arrays", [False, True])
@pytest.mark.parametrize("kind", ["long lists of numbers", "wide letters", "many names", "many tensors", "empty texts",
                                  "lists of lists", "long texts"])  # fmt: skip
def test_what_is_made_to_fill_the_memory(kind, with_arrays):
    content = greedy(kind)
    began_s = time.perf_counter()
    in_little_memory(lambda: outcome(content, with_arrays=with_arrays))
    assert time.perf_counter() - began_s < LONGEST_S


def in_little_memory(call):
    """Its answer from a child that may take 256 MB more than it has; a MemoryError there fails the test here."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux says and limits what a process takes")
    import resource

    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        has = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (has + MOST_BYTES,) * 2)
        with os.fdopen(writable, "w") as out:
            try:
                json.dump({"answer": call()}, out)
            except BaseException as error:
                json.dump({"error": repr(error)}, out)
            finally:
                out.flush()
                os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as answer:
        said = json.loads(answer.read())
    os.waitpid(child, 0)
    assert "error" not in said, said
    return said["answer"]


def outcome(content, with_arrays=False):
    """What became of it; an error that is not ours fails the test."""
    size_bytes = max(len(content), SIZE)
    first_or_refused(content, size_bytes)
    try:
        header = header_of(content, size_bytes, "m.gguf", with_arrays=with_arrays)
        if isinstance(header, MoreNeeded):
            assert header.at_least_bytes > len(content)
            return "goes on"
        shape_of([header])
    except AppError as error:
        return "refused" if error.message.isprintable() else "refused in signs"
    return "read"


def first_or_refused(content, size_bytes):
    try:
        facts = first_facts(content[: 1 << 16], size_bytes)
    except BadFile:
        return
    assert facts.n_layers is None or facts.n_layers >= 0


def mutated(content, chance):
    """A few changes as damage or an attacker makes them: flipped bits, wrong lengths, missing and foreign bytes."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        position = chance.randrange(len(changed))
        match chance.randrange(6):
            case 0:
                changed[position] ^= 1 << chance.randrange(8)
            case 1:
                changed[position : position + 8] = struct.pack("<Q", chance.choice(HUGE))
            case 2:
                changed[position : position + 4] = struct.pack("<I", chance.randrange(50))
            case 3:
                del changed[position : position + chance.randint(1, 64)]
            case 4:
                changed[position:position] = chance.randbytes(chance.randint(1, 64))
            case 5:
                del changed[max(position, 1) :]
    return bytes(changed)


def greedy(kind):
    """Headers that stay within every single limit and are large in sum."""
    match kind:
        case "long lists of numbers":
            value = struct.pack("<IQ", 0, 4096) + bytes(4096)
            return many_fields(8000, LIST, value)
        case "wide letters":
            text = ("\U0001f600" + "a" * ((1 << 20) - 4)).encode()
            return many_fields(40, TEXT, struct.pack("<Q", len(text)) + text)
        case "many names":
            return many_fields(16000, NUMBER, bytes(4), prefix="\U0001f600" + "n" * 1000)
        case "many tensors":
            tail = struct.pack("<IQIQ", 1, 0, 0, 0)
            names = (("\U0001f600" + f"{number:06}" + "n" * 240).encode() for number in range(60000))
            infos = b"".join(struct.pack("<Q", len(name)) + name + tail for name in names)
            return b"GGUF" + struct.pack("<IQQ", 3, 60000, 0) + infos
        case "empty texts":
            return many_fields(1, LIST, struct.pack("<IQ", TEXT, 2_000_000) + bytes(16_000_000))
        case "lists of lists":
            return many_fields(1, LIST, struct.pack("<IQ", LIST, 65_000) + struct.pack("<IQ", 0, 0) * 65_000)
        case "long texts":
            text = "\U0001f600".encode() * (1 << 17)
            return many_fields(1, LIST, struct.pack("<IQ", TEXT, 60) + (struct.pack("<Q", len(text)) + text) * 60)


def many_fields(count, kind, value, prefix=""):
    names = [f"{prefix}{number}".encode() for number in range(count)]
    body = b"".join(struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value for name in names)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, count) + body


def test_a_file_cut_within_its_header_is_told_as_too_short_for_what_it_names():
    words = refusal(b"GGUF" + struct.pack("<IQQ", 3, 292, 30), size_bytes=2000)
    assert "has 292 tensors, more than a file of 2.0 kB has room for" in words
