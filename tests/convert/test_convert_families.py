"""Every family that is a table: converted to F32, the engine says what transformers says."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from family_models import CASES, N_VOCAB, build, logits_of

from carryon.base.jobs import Done, drive
from carryon.convert.forms import OutType
from carryon.convert.run import convert

N_IDS = 96  # longer than a window of 32 and a context once of 64
# What rounding alone leaves, as parts of the logits' spread and as divergence: ggml's GELU goes by a table of half
# floats. A wrong permutation, scale or norm is thousands of times larger.
EXACT, GELU = (2e-4, 1e-9), (2e-3, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", CASES)
def test_logits_are_equal(family, tmp_path, record_property):
    case = CASES[family]
    network = build(case, tmp_path / "hf")
    outcome = drive(convert(tmp_path / "hf", tmp_path / "m.gguf", OutType.F32), lambda _: None, lambda: False)
    assert isinstance(outcome, Done), outcome
    ids = [int(one) for one in np.random.default_rng(1).integers(10, 900, N_IDS)]
    theirs = logits_of(network, ids)
    ours = ask_engine(tmp_path, ids)[:, :N_VOCAB]
    error = np.abs(theirs - ours).max() / theirs.std()
    kl = divergence(theirs, ours)
    print(f"PARITY {family} | {error:.1e} | {kl:.1e}")
    most_error, most_kl = GELU if case.is_gelu else EXACT
    assert error <= most_error
    assert kl <= most_kl
    assert not outcome.result.warnings


def ask_engine(folder, ids):
    """The engine in a child of its own, as everywhere else."""
    (folder / "q.json").write_text(json.dumps({"ids": ids, "texts": []}), encoding="utf-8")
    script = Path(__file__).with_name("engine_answers.py")
    files = [str(folder / name) for name in ("m.gguf", "q.json", "a.npz")]
    subprocess.run([sys.executable, str(script), *files], check=True, timeout=120)
    return np.load(folder / "a.npz")["logits"]


def divergence(logits, others):
    """Mean Kullback-Leibler divergence over the positions, in nats."""
    ours, theirs = _log_softmax(logits), _log_softmax(others.astype(np.float64))
    return float((np.exp(ours) * (ours - theirs)).sum(-1).mean())


def _log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
