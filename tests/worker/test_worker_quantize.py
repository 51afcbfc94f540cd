"""What the workers note and hear: products of matrices against our own arithmetic, the quantizer's log, the layouts."""

import json
import subprocess
import sys

import gguf
import numpy as np
import pytest
from fakes import tiny_gguf, tiny_moe

from carryon.base.errors import AppError, BadFile
from carryon.base.jobs import Progress, drained
from carryon.quantize.imatrix_file import read_importance
from carryon.quantize.job import making_imatrix
from carryon.quantize.request import ImatrixRequest

N_CTX = 64


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(" one two three four five six seven eight nine ten." * 60, encoding="utf-8")
    return path


@pytest.fixture
def made(tmp_path, text):
    """Makes an importance matrix and gives the work's end and what was told on the way."""

    def run(model, **more):
        news = []
        asked = {"n_chunks": 2, "n_ctx": N_CTX, "n_threads": 1, **more}
        request = ImatrixRequest(model, asked.pop("text", text), tmp_path / "m.imatrix", **asked)
        return drained(making_imatrix(request, tmp_path / "log"), news.append), news

    return run


def tokens_of(text, n_tokens, adds_bos):
    """Greedy by hand: the tiny vocabulary knows ten words and single bytes. A chunk begins with bos where wanted."""
    vocabulary = tiny_gguf.Vocabulary(tiny_gguf.COUNTING)
    words = {word: vocabulary.ids[word] for word in tiny_gguf.COUNTING}
    found, rest = [], text
    while rest and len(found) < n_tokens:
        word = next((one for one in words if rest.startswith(one)), None)
        found.append(words[word] if word else rest.encode()[0])
        rest = rest[len(word) if word else 1 :]
    if adds_bos:
        found = [vocabulary.ids["<|endoftext|>"], *found[: n_tokens - 1]]
        found[N_CTX::N_CTX] = [vocabulary.ids["<|endoftext|>"]] * len(found[N_CTX::N_CTX])
    return found


@pytest.mark.parametrize("adds_bos", [False, True])
def test_the_first_layer_meets_the_words_as_we_reckon(tmp_path, made, text, adds_bos):
    """Queries, keys and values of the first layer are products with the normed embeddings of the text's words."""
    model = tiny_gguf.random_model(tmp_path / "m.gguf", add_bos=adds_bos)
    end, _ = made(model)
    found = read_importance(end.path)
    said = {one.name: one.data for one in gguf.GGUFReader(model).tensors}
    rows = said["token_embd.weight"].astype(np.float64)[tokens_of(text.read_text("utf-8"), 2 * N_CTX, adds_bos)]
    normed = rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-5)
    for name in ("attn_q", "attn_k", "attn_v"):
        entry = found.entries[f"blk.0.{name}.weight"]
        assert entry.counts == [2 * N_CTX]
        np.testing.assert_allclose(entry.sums[0], (normed**2).sum(axis=0), rtol=1e-3)


def test_the_last_layer_sees_every_token(tmp_path, made):
    """The engine skips the last layer for tokens whose output nobody wants."""
    end, _ = made(tiny_gguf.random_model(tmp_path / "m.gguf"))
    found = read_importance(end.path).entries
    assert {float(one.counts[0]) for one in found.values()} == {2.0 * N_CTX}
    assert {name.split(".")[1] for name in found} == {"0", "1"}
    assert "output.weight" not in found


def test_experts_are_counted_by_the_tokens_sent_to_them(tmp_path, made):
    end, _ = made(tiny_moe.expert_model(tmp_path / "m.gguf", layers=2))
    found = read_importance(end.path).entries
    for layer in range(2):
        kinds = [found[f"blk.{layer}.ffn_{kind}_exps.weight"] for kind in ("gate", "up", "down")]
        for one in kinds:
            assert one.counts.sum() == 2 * N_CTX * tiny_moe.N_USED
            np.testing.assert_array_equal(one.counts, kinds[0].counts)
            assert ((one.sums.sum(axis=1) > 0) == (one.counts > 0)).all()
        assert kinds[2].sums.shape == (tiny_moe.N_EXPERTS, 512)
        # what goes into all experts together is what the router saw, once for each expert that was used
        np.testing.assert_allclose(
            kinds[0].sums.sum(axis=0), tiny_moe.N_USED * found[f"blk.{layer}.ffn_gate_inp.weight"].sums[0], rtol=1e-3
        )


def test_progress_is_in_tokens_and_tells_the_perplexity(tmp_path, made):
    end, news = made(tiny_gguf.speaking_model(tmp_path / "m.gguf", then=" one"), n_chunks=4)
    told = [one for one in news if isinstance(one, Progress) and one.total]
    assert {one.total for one in told} <= {4 * N_CTX}
    assert (end.n_chunks, end.n_tokens) == (4, 4 * N_CTX)
    assert end.perplexity > 1
    assert "only 4 chunks long" in end.notices[0]


def test_the_whole_text_is_read_where_nothing_else_is_said(tmp_path, made, text):
    end, _ = made(tiny_gguf.random_model(tmp_path / "m.gguf"), n_chunks=None)
    assert end.n_chunks == len(tokens_of(text.read_text("utf-8"), 10**6, False)) // N_CTX


def short(folder):
    (folder / "short.txt").write_text("one two", encoding="utf-8")
    return {"text": folder / "short.txt"}


@pytest.mark.parametrize(("asked", "words"), [
    (short, "The text has only 4 tokens, and one chunk takes 64"),
    (lambda folder: {"text": folder / "none.txt"}, "none.txt is not there"),
    (lambda folder: {"n_ctx": 5}, "A chunk can have 64 to 32,768 tokens, not 5"),
    (lambda folder: {"n_chunks": 0}, "At least one chunk"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused(tmp_path, made, asked, words):
    model = tiny_gguf.random_model(tmp_path / "m.gguf")
    with pytest.raises(AppError) as error:
        made(model, **asked(tmp_path))
    assert words in error.value.message
    assert not (tmp_path / "m.imatrix").exists()


def test_a_file_that_is_no_model_is_refused(tmp_path, made):
    (tmp_path / "m.gguf").write_bytes(b"hello")
    with pytest.raises(AppError, match=r"m\.gguf is not a GGUF file"):
        made(tmp_path / "m.gguf")


def test_a_text_that_is_no_text_is_refused(tmp_path, made):
    (tmp_path / "odd.txt").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(BadFile, match=r"odd\.txt is no plain text"):
        made(tiny_gguf.random_model(tmp_path / "m.gguf"), text=tmp_path / "odd.txt")


def test_a_model_that_computes_no_numbers_leaves_no_importance_matrix(tmp_path, made):
    """The quantizer would refuse it much later."""
    model = tiny_gguf.random_model(tmp_path / "m.gguf")
    norm = next(one for one in gguf.GGUFReader(model).tensors if one.name == "output_norm.weight")
    with model.open("r+b") as file:
        file.seek(norm.data_offset)
        file.write(np.full(norm.n_elements, np.nan, np.float32).tobytes())
    with pytest.raises(BadFile, match=r"m\.gguf computes values that are no numbers"):
        made(model)
    assert not (tmp_path / "m.imatrix").exists()


def test_the_text_is_never_the_target(tmp_path, text):
    before = text.read_bytes()
    work = making_imatrix(ImatrixRequest(tiny_gguf.random_model(tmp_path / "m.gguf"), text, text), tmp_path / "log")
    with pytest.raises(AppError, match="it would be destroyed"):
        drained(work)
    assert text.read_bytes() == before


@pytest.mark.slow
def test_stopped_it_leaves_nothing(tmp_path, text):
    model, target = tiny_gguf.random_model(tmp_path / "m.gguf"), tmp_path / "out" / "m.imatrix"
    long = tmp_path / "long.txt"
    long.write_text(text.read_text("utf-8") * 20, encoding="utf-8")  # it is not over before it is stopped
    work = making_imatrix(ImatrixRequest(model, long, target, n_ctx=64, n_threads=1), tmp_path / "log")
    while not (news := next(work)) or not news.total:
        pass
    work.close()
    assert list(target.parent.iterdir()) == []


LAYOUTS = """
import json, sys
from carryon.worker import ggml_tensor, quantizing
from carryon.worker.ggml_tensor import Tensor
found = [ggml_tensor.layout_complaint(), quantizing.layout_complaint()]
Tensor.__dict__  # the same with a field too many
import ctypes
class Other(ctypes.Structure): pass
Other._fields_ = [("new", ctypes.c_int64), *((name, kind if name != "src" else ctypes.POINTER(Other) * 10)
                                              for name, kind in Tensor._fields_)]
ggml_tensor.Tensor = Other
found.append(ggml_tensor.layout_complaint())
sys.stdout.write(json.dumps(found))
"""


def test_another_layout_of_tensors_would_be_noticed():
    told = subprocess.run([sys.executable, "-c", LAYOUTS], capture_output=True, text=True, check=True).stdout
    tensor, parameters, changed = json.loads(told)
    assert tensor is None
    assert parameters is None
    assert "laid out differently" in changed
