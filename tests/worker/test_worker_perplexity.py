"""Perplexity and divergence equal the plain formulas, in double precision, on logits that were got another way."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from fakes import tiny_gguf, tiny_moe
from fakes.guide_quants import quantized
from fakes.unsure_models import unsure_model

from carryon.base.errors import BadInput
from carryon.base.jobs import drained
from carryon.evaluate import texts
from carryon.evaluate.figures import decode
from carryon.evaluate.job import evaluating
from carryon.evaluate.request import EvaluateRequest, Task, encode
from carryon.worker import evaluate as worker
from carryon.worker.evaluate import chunks_of, grouped
from carryon.worker.perplexity import Rows, Scores
from carryon.worker.reader import pieces

N_CTX, N_CHUNKS = 32, 3
TEXT = "".join(f"Line {index}: the heron two stood five in the ninth ditch.\n" for index in range(12))


@pytest.fixture(scope="module")
def rows():
    made = Rows(2)
    yield made
    made.close()


def log_softmax(logits):
    """In double precision, as it stands in books."""
    wide = logits.astype(np.float64)
    return (
        wide - np.log(np.exp(wide - wide.max(-1, keepdims=True)).sum(-1, keepdims=True)) - wide.max(-1, keepdims=True)
    )


def logits(seed, shape=(37, 5001), spread=4.0):
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(np.float32)


def test_log_sums_are_those_of_a_softmax(rows):
    asked, tokens = logits(1), np.arange(37)
    found = rows.normed(asked)
    assert found.log_p(asked, tokens) == pytest.approx(log_softmax(asked)[tokens, tokens], abs=2e-6)
    assert (found.best == asked.argmax(1)).all()


def test_log_sums_survive_large_logits(rows):
    asked = logits(2) + 5000
    assert np.isfinite(rows.normed(asked).log_sums).all()


def test_the_divergence_is_the_formula(rows):
    base, other = logits(3), logits(3) + logits(4, spread=0.1)
    found = rows.divergences(base, rows.normed(base), other, rows.normed(other))
    p, q = log_softmax(base), log_softmax(other)
    expected = np.where(p > -16, np.exp(p) * (p - q), 0).sum(1)
    assert found == pytest.approx(expected, abs=1e-6)  # single precision; the least lossy quant has 0.001


def test_what_is_the_same_diverges_by_nothing(rows):
    base = logits(5)
    assert (rows.divergences(base, rows.normed(base), base.copy(), rows.normed(base.copy())) == 0).all()


@pytest.mark.parametrize("shape", [(1, 7), (3, 1 << 18), (700, 3)])
def test_rows_of_every_shape_are_shared_out(rows, shape):
    asked = logits(6, shape)
    exact = np.log(np.exp(asked.astype(np.float64)).sum(1))
    assert rows.normed(asked).log_sums == pytest.approx(exact, abs=1e-5)


def test_scores_have_the_tools_mean_and_error():
    values, scores = np.random.default_rng(7).exponential(2.0, 500), Scores()
    for part in np.split(values, 5):
        scores.add(-part)
    error = values.std() / np.sqrt(499)
    assert scores.n_tokens == 500
    assert scores.perplexity == pytest.approx(np.exp(values.mean()))
    assert scores.perplexity_error == pytest.approx(scores.perplexity * error)
    assert scores.comparison is None


def test_scores_compare():
    scores = Scores()
    scores.add_comparison(np.array([0.1, 0.3]), np.array([True, False]), np.array([0.3, -0.4]))
    compared = scores.comparison
    assert (compared.kl_divergence, compared.same_top) == (pytest.approx(0.2), 0.5)
    assert compared.rms_probability_change == pytest.approx(np.sqrt(0.125))
    assert compared.kl_error == pytest.approx(0.1)


@pytest.mark.parametrize("n_ctx", [32, 33, 512, 700, 1024, 2048])
def test_pieces_cover_a_chunk_and_score_its_second_half(n_ctx):
    made = list(pieces(n_ctx))
    assert (made[0].start, made[-1].stop) == (0, n_ctx)
    assert all(one.stop == other.start for one, other in pairwise(made))
    scored = [position for one in made for position in range(one.first_scored, one.last_scored)]
    assert scored == list(range(n_ctx // 2, n_ctx - 1))
    assert all(one.stop - one.start <= 512 for one in made)


def test_only_whole_chunks_count():
    task = Task(("m",), ("m",), "t.txt", 32, None, 1, 0, False)
    assert [len(one) for one in chunks_of(range(100), task)] == [32, 32, 32]


def test_a_text_of_less_than_two_chunks_is_refused():
    task = Task(("m",), ("m",), "t.txt", 32, None, 1, 0, False)
    with pytest.raises(BadInput, match=r"t\.txt has 63 tokens"):
        chunks_of(range(63), task)


GB = 1 << 30


def test_what_has_room_is_loaded_together():
    assert grouped([4 * GB, 2 * GB, GB], 16 * GB, one_by_one=False) == [[1, 2]]


def test_what_has_no_room_comes_later_and_nothing_is_left_out():
    assert grouped([4 * GB, 4 * GB, 3 * GB, 20 * GB], 12 * GB, one_by_one=False) == [[1], [2], [3]]
    assert grouped([9 * GB, 2 * GB], 4 * GB, one_by_one=False) == [[1]]


def test_with_a_gpu_they_come_one_by_one():
    assert grouped([1, 1, 1], 64 * GB, one_by_one=True) == [[1], [2]]


def test_a_base_alone_is_one_reading():
    assert grouped([GB], 64 * GB, one_by_one=False) == [[]]


@pytest.fixture(scope="module", params=[False, True], ids=["", "adds bos"])
def pair(request, tmp_path_factory):
    """A random model and a quant of it."""
    folder = tmp_path_factory.mktemp("pair")
    base = unsure_model(folder / "base.gguf", add_bos=request.param)
    return base, quantized(base, "Q2_K"), request.param


def plain_chunks(adds_bos):
    """The tokens of the text: a byte each, but for the words that the vocabulary knows."""
    vocabulary, tokens, rest = tiny_gguf.Vocabulary(tiny_gguf.COUNTING), [], TEXT.removesuffix("\n")
    bos = vocabulary.ids["<|endoftext|>"]
    letters = tiny_gguf.byte_alphabet()
    while rest:
        word = next((one for one in tiny_gguf.COUNTING if rest.startswith(one)), rest[0])
        tokens.append(vocabulary.ids[word if len(word) > 1 else letters[ord(word)]])
        rest = rest[len(word) :]
    tokens = [bos] * adds_bos + tokens
    chunks = [tokens[start : start + N_CTX] for start in range(0, N_CTX * N_CHUNKS, N_CTX)]
    return [[bos, *chunk[1:]] if adds_bos else chunk for chunk in chunks], chunks


def measured(base, others, folder):
    text = folder / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    asked = EvaluateRequest(base, others, text, N_CTX, N_CHUNKS, n_threads=1, measures_speed=False)
    return drained(evaluating(asked, folder / "log"))


def plain_logits(model, chunks, folder, step):
    """So many tokens at a time, in a process of its own."""
    asked, target = folder / "chunks.json", folder / f"{model.stem}.npz"
    asked.write_text(json.dumps(chunks), encoding="utf-8")
    script = Path(__file__).with_name("plain_logits.py")
    subprocess.run([sys.executable, script, model, asked, target, str(step)], check=True, capture_output=True)
    return np.load(target)["logits"][:, N_CTX // 2 : N_CTX - 1].reshape(N_CHUNKS * (N_CTX // 2 - 1), -1)


@pytest.mark.slow
def test_token_by_token_the_perplexity_is_the_same(pair, tmp_path):
    base, _, adds_bos = pair
    told, chunks = plain_chunks(adds_bos)
    targets = np.array([chunk[N_CTX // 2 + 1 :] for chunk in chunks]).ravel()
    p = log_softmax(plain_logits(base, told, tmp_path, 1))
    found = measured(base, (), tmp_path)
    assert found.base.perplexity == pytest.approx(np.exp(-p[np.arange(len(targets)), targets].mean()), rel=2e-3)


@pytest.mark.slow
def test_the_figures_equal_a_plain_computation(pair, tmp_path):
    base, other, adds_bos = pair
    found = measured(base, (other,), tmp_path)
    told, chunks = plain_chunks(adds_bos)
    targets = np.array([chunk[N_CTX // 2 + 1 :] for chunk in chunks]).ravel()
    # a chunk at once, as we read it: token by token other kernels compute, whose digits differ from the third on
    p = log_softmax(plain_logits(base, told, tmp_path, N_CTX))
    q = log_softmax(plain_logits(other, told, tmp_path, N_CTX))
    places = np.arange(len(targets))
    kl = np.where(p > -16, np.exp(p) * (p - q), 0).sum(1)
    change = np.exp(q[places, targets]) - np.exp(p[places, targets])

    assert found.base.n_tokens == len(targets)
    assert found.base.perplexity == pytest.approx(np.exp(-p[places, targets].mean()), rel=1e-4)
    (compared,) = found.others
    assert compared.perplexity == pytest.approx(np.exp(-q[places, targets].mean()), rel=1e-4)
    assert compared.base_perplexity == found.base.perplexity
    assert compared.kl_divergence == pytest.approx(kl.mean(), rel=1e-4)
    assert compared.kl_error == pytest.approx(kl.std() / np.sqrt(len(kl) - 1), rel=1e-3)
    assert compared.rms_probability_change == pytest.approx(np.sqrt(np.square(change).mean()), rel=1e-3)
    assert compared.same_top == pytest.approx((p.argmax(1) == q.argmax(1)).mean(), abs=0.03)


def test_where_memory_is_short_the_base_reads_again_and_the_figures_are_the_same(tmp_path, monkeypatch):
    base = unsure_model(tmp_path / "base.gguf")
    others = [unsure_model(tmp_path / f"{seed}.gguf", seed=seed) for seed in (2, 3)]
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    paths = tuple(map(str, (base, *others)))
    task = Task(paths, ("F16", "a", "b"), str(text), N_CTX, 2, 1, 0, measures_speed=False)
    news = []
    together = decode(drained(worker.evaluate(encode(task)), news.append))
    monkeypatch.setattr(worker, "_usable_bytes", lambda: 0)
    apart = decode(drained(worker.evaluate(encode(task)), news.append))
    assert apart.models == together.models
    assert together.notices == ()
    assert apart.notices == (texts.READINGS.format(n=2),)
    assert (news[-1].done, news[-1].total) == (2 * N_CTX * 4, 2 * N_CTX * 4)


@pytest.mark.parametrize("made", [tiny_gguf.windowed_model, tiny_gguf.recurrent_model, tiny_moe.expert_model])
def test_other_kinds_of_models_are_measured_too(tmp_path, made):
    path, text = made(tmp_path / "model.gguf"), tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    paths = (str(path), str(path))
    task = Task(paths, ("F16", "again"), str(text), 64, 2, 1, 0, measures_speed=False)
    base, again = decode(drained(worker.evaluate(encode(task)))).models
    assert 1 < base.perplexity == again.perplexity
    assert again.comparison.kl_divergence == 0
