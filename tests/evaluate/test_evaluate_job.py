"""An evaluation is a child process: what it measures, what it refuses, and that it ends at once."""

import hashlib
import time
from dataclasses import replace

import gguf
import numpy as np
import psutil
import pytest
from fakes import tiny_gguf
from fakes.guide_quants import guide_f16, quantized
from fakes.real_worker import is_gone, wait_until
from fakes.unsure_models import unsure_model

from carryon.base.errors import BadFile, BadInput, Unsupported
from carryon.base.jobs import drained
from carryon.evaluate.job import evaluating
from carryon.evaluate.request import EvaluateRequest


@pytest.fixture
def measure(tmp_path, text):
    """Measures as the window would, with small chunks."""

    def run(base, *others, news=lambda _: None, **more):
        asked = EvaluateRequest(base, others, text, n_ctx=64, n_threads=1, measures_speed=False)
        return drained(evaluating(replace(asked, **more), tmp_path / "evaluate.log"), news)

    return run


def test_a_file_equals_itself(measure, base):
    (other,) = measure(base, base, n_chunks=2).others
    assert (other.kl_divergence, other.kl_error, other.same_top, other.rms_probability_change) == (0, 0, 1, 0)
    assert other.perplexity_rise == 0


def test_the_base_is_compared_with_nothing(measure, base, text):
    found = measure(base, n_chunks=2)
    assert found.base.is_base
    assert (found.base.kl_divergence, found.base.same_top, found.base.perplexity_rise) == (None, None, None)
    assert found.others == ()
    assert found.base.n_tokens == 2 * 31
    assert found.base.size_bytes == base.stat().st_size
    assert found.base.text_sha256 == hashlib.sha256(text.read_bytes()).hexdigest()


def test_progress_is_in_tokens_with_the_running_figure(measure, base):
    news = []
    measure(base, base, n_chunks=2, news=lambda one: one and news.append(one))
    counted = [one for one in news if one.total]
    assert counted[-1].done == counted[-1].total == 2 * 64 * 2
    assert [one.done for one in counted] == sorted(one.done for one in counted)
    assert any(one.note.startswith("perplexity") and ", F16 " in one.note and "KL 0" in one.note for one in news)


def test_speed_and_memory_are_measured(measure, base):
    found = measure(base, n_chunks=2, measures_speed=True)
    assert found.base.prefill_tokens_per_s > found.base.decode_tokens_per_s > 0
    assert found.base.memory_bytes > base.stat().st_size
    assert found.base.engine_version.startswith("llama.cpp")


def test_chunks_longer_than_a_step_of_the_engine_give_finite_figures(measure, base, text):
    text.write_text(text.read_text("utf-8") * 5, "utf-8")
    found = measure(base, base, n_ctx=1024)
    assert found.base.n_tokens % 511 == 0
    assert found.others[0].kl_divergence == 0


@pytest.mark.slow
def test_quants_of_the_guide_lose_in_the_expected_order(measure, tmp_path):
    base = guide_f16(tmp_path / "guide.gguf")
    others = [quantized(base, quant) for quant in ("Q8_0", "Q4_K_M", "Q2_K")]
    found = measure(base, *others, text=None, n_ctx=256, n_chunks=4)
    lost = [one.kl_divergence for one in found.others]
    agreed = [one.same_top for one in found.others]
    assert 0 < lost[0] < 0.1 * lost[1] < lost[2]
    assert lost == sorted(lost)
    assert agreed == sorted(agreed, reverse=True)
    assert [one.quant for one in found.all] == ["F16", "Q8_0", "Q4_K_M", "Q2_K"]
    assert [one.size_bytes for one in found.all] == sorted((one.size_bytes for one in found.all), reverse=True)
    assert all(one.base == base and one.base_quant == "F16" for one in found.others)


def test_a_base_that_is_not_there_is_told(measure, tmp_path):
    with pytest.raises(BadFile, match=r"gone\.gguf is not there"):
        measure(tmp_path / "gone.gguf")


def test_a_text_that_is_not_there_is_told(measure, base, tmp_path):
    with pytest.raises(BadFile, match=r"gone\.txt is not there"):
        measure(base, text=tmp_path / "gone.txt")


def test_a_text_that_is_no_text_is_told(measure, base, text):
    text.write_bytes(b"\xff\xfe\x00" * 400)
    with pytest.raises(BadFile, match="no plain text"):
        measure(base)


@pytest.mark.parametrize("content", ["", "Too short."])
def test_a_short_text_is_told(measure, base, text, content):
    text.write_text(content, "utf-8")
    with pytest.raises(BadInput, match=r"text\.txt has \d+ tokens for this model; two chunks of 64"):
        measure(base)


def test_another_vocabulary_is_told(measure, base, tmp_path):
    other = unsure_model(tmp_path / "other.gguf", words=[" heron", " ditch"])
    with pytest.raises(BadInput, match=r"other\.gguf has another vocabulary than base\.gguf"):
        measure(base, other)


def test_a_vocabulary_of_the_same_size_that_cuts_otherwise_is_told(measure, base, tmp_path):
    words = [" heron", " ditch", *(f" none{index}" for index in range(len(tiny_gguf.COUNTING) - 2))]
    with pytest.raises(BadInput, match="another vocabulary"):
        measure(base, unsure_model(tmp_path / "other.gguf", words=words))


@pytest.mark.parametrize("n_ctx", [0, -1, 31, 1 << 21])
def test_senseless_chunks_are_refused_before_anything_starts(measure, base, n_ctx):
    with pytest.raises(BadInput, match="make no sense"):
        measure(base, n_ctx=n_ctx)


def test_no_chunks_are_refused(measure, base):
    with pytest.raises(BadInput, match="At least one chunk"):
        measure(base, n_chunks=0)


def test_a_model_that_reads_both_ways_is_refused(measure, tmp_path):
    model = unsure_model(tmp_path / "both.gguf", extra=lambda writer: writer.add_causal_attention(False))
    with pytest.raises(Unsupported, match=r"both\.gguf cannot be measured like this: it reads"):
        measure(model)


def test_a_model_that_gives_embeddings_is_refused(measure, tmp_path):
    pooled = unsure_model(tmp_path / "pool.gguf", extra=lambda one: one.add_pooling_type(gguf.PoolingType.LAST))
    with pytest.raises(Unsupported, match="gives embeddings"):
        measure(pooled)


def test_a_vocabulary_that_ends_every_text_is_refused(measure, tmp_path):
    model = unsure_model(tmp_path / "ends.gguf", extra=lambda writer: writer.add_add_eos_token(True))
    with pytest.raises(Unsupported, match="puts an end after every text"):
        measure(model)


def test_a_model_that_computes_no_numbers_is_told(measure, base, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(base.read_bytes())
    norm = next(one for one in gguf.GGUFReader(broken).tensors if one.name == "output_norm.weight")
    with broken.open("r+b") as file:
        file.seek(norm.data_offset)
        file.write(np.full(256, np.nan, np.float32).tobytes())
    with pytest.raises(BadFile, match=r"broken\.gguf computes values that are no numbers"):
        measure(base, broken)


def test_a_cut_file_is_told(measure, base, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(base.read_bytes()[:-4096])
    with pytest.raises(BadFile, match="not whole"):
        measure(base, cut)


def test_chunks_beyond_the_trained_context_are_said(measure, tmp_path):
    short = unsure_model(tmp_path / "short.gguf", context=32)
    (notice,) = measure(short, n_chunks=2).notices
    assert "short.gguf was trained with 32 tokens" in notice


def test_closing_it_ends_the_child_in_the_middle_of_the_text(base, text, tmp_path):
    text.write_text(text.read_text("utf-8") * 60, "utf-8")
    work = evaluating(EvaluateRequest(base, (base,), text, n_threads=1), tmp_path / "evaluate.log")
    before = {one.pid for one in psutil.Process().children()}
    assert wait_until(lambda: (news := next(work)) is not None and news.done > 0, 60)
    (child,) = {one.pid for one in psutil.Process().children()} - before
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 2
    assert is_gone(child)
