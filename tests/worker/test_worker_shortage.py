"""A model that "runs from disk" really does: where memory is short, its weights stay pages of the file."""

import subprocess
import sys

import psutil
import pytest
from fakes import real_loader
from fakes.quantized_models import quantized_model
from fakes.real_worker import limiting

from carryon.base.jobs import drained
from carryon.engine.dryrun import dry_runs
from carryon.engine.protocol import LoadRequest, Reason
from carryon.worker.shortage import RUNS_FROM_DISK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process takes of its own")

MB = 10**6
SHORT_BYTES = 300 * MB  # a worker has 100 MB before it loads anything
N_LAYERS, LAYER_BYTES = 20, 16_515_072  # four matrices of 1024 x 1024 and three of 1024 x 8192, 144 bytes for each 256

# Loads, and says how many words it could go on with; the engine takes what the kernel lets it.
_ANSWERING = """
import sys
from carryon.worker.capi import L
from carryon.worker.llama import Context, Model
from carryon.worker.parameters import Placing, Sizing
L.llama_backend_init()
model = Model.load(sys.argv[1], Placing(repack=sys.argv[2] == "repack"))
context = Context(model, Sizing(512, 1))
assert context.decode(range(40, 60), 0, wants_logits=True) == 0
print("words:", sum(context.decode_one(token, 20 + token) == 0 for token in range(4)))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """330 MB of weights that the processor likes to repack."""
    return quantized_model(tmp_path_factory.mktemp("large") / "large.gguf", N_LAYERS)


@pytest.fixture(scope="module")
def roomy_worker(start_worker, large):
    return start_worker(large, n_ctx=512)


@pytest.fixture(scope="module")
def short_worker(start_worker, large):
    return start_worker(large, n_ctx=512, most_own_bytes=SHORT_BYTES)


def answering(model, how):
    return subprocess.run(
        [sys.executable, "-c", _ANSWERING, str(model), how],
        capture_output=True, text=True, timeout=120, preexec_fn=limiting(SHORT_BYTES),
    )  # fmt: skip


def own_bytes(worker):
    """Memory of a worker that is no file's, by the kernel."""
    held = psutil.Process(worker.process.pid).memory_info()
    return held.rss - held.shared


@pytest.mark.slow
def test_a_repacked_copy_does_not_fit_where_the_file_alone_does(large):
    """The experiment behind it: the same limit, the same model."""
    repacked, plain = answering(large, "repack"), answering(large, "plain")
    assert repacked.returncode != 0
    assert "CPU_REPACK" in repacked.stderr
    assert (plain.returncode, plain.stdout) == (0, "words: 4\n")


@pytest.mark.slow
def test_a_model_larger_than_the_memory_answers_from_its_file(short_worker):
    assert short_worker.ready.notices == (RUNS_FROM_DISK,)
    assert len(short_worker.says("tell me", max_tokens=3).split())
    assert own_bytes(short_worker) < N_LAYERS * LAYER_BYTES


@pytest.mark.slow
def test_what_is_mapped_is_told(roomy_worker, short_worker):
    (roomy,), (short,) = roomy_worker.ready.memory, short_worker.ready.memory
    assert roomy.weights_bytes == short.weights_bytes == short.mapped_bytes
    assert roomy.mapped_bytes == roomy.weights_bytes - N_LAYERS * LAYER_BYTES
    assert roomy_worker.ready.notices == ()


@pytest.mark.slow
def test_the_kernel_counts_what_is_not_mapped(roomy_worker, short_worker):
    """What beside the model is the same in both workers; it differs by what one of them repacked."""
    (roomy,), (short,) = roomy_worker.ready.memory, short_worker.ready.memory
    expected = (roomy.total_bytes - roomy.mapped_bytes) - (short.total_bytes - short.mapped_bytes)
    assert expected == N_LAYERS * LAYER_BYTES
    assert own_bytes(roomy_worker) - own_bytes(short_worker) == pytest.approx(expected, rel=0.03)


@pytest.mark.slow
def test_a_plan_is_the_load_whether_it_is_repacked_or_not(large, roomy_worker, short_worker, without_mapped):
    (plan,) = drained(dry_runs([LoadRequest(str(large), n_ctx=512)]))
    assert plan.devices == without_mapped(roomy_worker) == without_mapped(short_worker)


@pytest.mark.slow
def test_without_mmap_it_is_refused(start_worker, large):
    """Pages of the file are no way out where none are wanted."""
    refused = start_worker(large, use_mmap=False, most_own_bytes=SHORT_BYTES).refused
    assert refused.reason is Reason.OUT_OF_MEMORY
    assert refused.facts["wanted_bytes"] == large.stat().st_size


def test_little_memory_is_told_and_takes_nothing_of_the_answer(start_worker, models, speaker):
    worker = start_worker(models / "speaker.gguf", most_own_bytes=SHORT_BYTES)
    assert worker.ready.notices == (RUNS_FROM_DISK,)
    assert worker.says("count") == speaker.says("count")


def test_a_limit_that_is_far_away_changes_nothing(start_worker, models):
    assert start_worker(models / "speaker.gguf", most_own_bytes=4000 * MB).ready.notices == ()


@pytest.mark.slow
def test_the_log_tells_nearly_the_same(large, roomy_worker):
    (told,) = drained(dry_runs([LoadRequest(str(large), n_ctx=512)], real_loader.BY_THE_LOG))
    (cpu,), (exact,) = told.devices, roomy_worker.ready.memory
    assert cpu.weights_bytes == pytest.approx(exact.weights_bytes, rel=0.001)
    assert cpu.mapped_bytes == pytest.approx(exact.mapped_bytes, abs=0.3 * MB)
    assert cpu.kv_bytes == exact.kv_bytes
