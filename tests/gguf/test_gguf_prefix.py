"""The first bytes of a file that is somewhere else are enough for what they hold, and say when more are needed."""

import pytest
from fakes.header_models import MODELS, MORE_MODELS, llama_like
from fakes.header_writer import HeaderWriter

from carryon.base.errors import BadFile
from carryon.gguf.header import FIRST_BYTES, Header, MoreNeeded, first_facts, header_of, read_first_facts, read_header

ALL = MODELS | MORE_MODELS
TOKENS = [f"token {number}" for number in range(3000)]


@pytest.fixture(scope="module")
def small():
    """A whole header with a vocabulary, and the size of its file."""
    fields, tensors = llama_like("llama", "Small", 3, 64, 128, 4, 2, 512, 3008)
    content = HeaderWriter().header(fields | {"tokenizer.ggml.tokens": TOKENS, "later.number": 7}, tensors)
    return content, len(content) + (1 << 20)


@pytest.mark.parametrize("name", ALL)
def test_the_first_facts_of_every_model_lie_in_its_first_bytes(name):
    fields, tensors = ALL[name]()
    start, arrays = {}, {"tokenizer.ggml.tokens": TOKENS * 10}
    content = HeaderWriter().header(start | fields | arrays, tensors)
    facts = first_facts(content[:FIRST_BYTES], len(content))
    architecture = fields["general.architecture"]
    assert (facts.architecture, facts.name, facts.quant) == (architecture, fields["general.name"], "F16")
    assert facts.n_layers == fields[f"{architecture}.block_count"]
    assert facts.n_embd == fields[f"{architecture}.embedding_length"]
    assert facts.n_ctx_train == fields[f"{architecture}.context_length"]
    assert facts.n_heads == fields[f"{architecture}.attention.head_count"]


def test_heads_by_layer_are_told_by_the_most():
    fields, tensors = MORE_MODELS["lfm2-1.2b"]()
    content = HeaderWriter().header(fields, tensors)
    assert first_facts(content[:FIRST_BYTES], len(content)).n_kv_heads == 8


@pytest.mark.parametrize("n_bytes", [0, 3, 8, 23, 24, 60, 200])
def test_facts_that_have_not_come_yet_are_unknown(small, n_bytes):
    content, size_bytes = small
    assert first_facts(content[:n_bytes], size_bytes).n_ctx_train is None


def test_the_first_facts_of_a_file_on_this_disk(tmp_path, small):
    path = tmp_path / "m.gguf"
    path.write_bytes(small[0])
    assert read_first_facts(path).name == "Small"


def test_other_first_bytes_are_no_model():
    with pytest.raises(BadFile, match="not a GGUF"):
        first_facts(b"<html>not found</html>", 22)


def test_every_shorter_prefix_asks_for_more(small):
    content, size_bytes = small
    end = header_end(content, size_bytes)
    for length in [*range(600), *range(600, end, 97)]:
        answer = header_of(content[:length], size_bytes)
        assert isinstance(answer, MoreNeeded)
        assert length < answer.at_least_bytes <= end


def test_a_growing_prefix_ends_in_the_same_header(tmp_path, small):
    content, size_bytes = small
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with path.open("ab") as file:
        file.truncate(size_bytes)
    have = 1024
    while isinstance(found := header_of(content[:have], size_bytes, "m.gguf"), MoreNeeded):
        have = max(2 * have, found.at_least_bytes)
    assert isinstance(found, Header)
    assert found == read_header(path)


def test_a_prefix_keeps_token_arrays_when_asked(small):
    content, size_bytes = small
    found = header_of(content, size_bytes, with_arrays=True)
    assert list(found.arrays["tokenizer.ggml.tokens"]) == TOKENS


def test_a_header_that_would_never_end_is_not_waited_for():
    endless = b"GGUF\3\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\3" + bytes(7) + b"a.b" + b"\x08\0\0\0"
    with pytest.raises(BadFile, match="a header of more than 268 MB"):
        header_of(endless + (1 << 38).to_bytes(8, "little"), 1 << 40)


def header_end(content, size_bytes):
    """Where the last tensor info ends, without the padding behind it."""
    whole = header_of(content, size_bytes)
    last = whole.tensors[-1]
    return content.rindex(last.name.encode()) + len(last.name) + 4 + 8 * len(last.shape) + 4 + 8
