"""The guide in every K-quant: sizes as the dry run says, and a loss that grows from each type to the next smaller."""

import tomllib
from pathlib import Path

import pytest

from carryon.app.models import guide
from carryon.base.jobs import drained
from carryon.convert.forms import OutType
from carryon.convert.run import convert
from carryon.evaluate.job import evaluating
from carryon.evaluate.request import EvaluateRequest
from carryon.quantize.job import quantizing
from carryon.quantize.request import QuantizeRequest, Wish
from carryon.quantize.sizes import sizing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUESTIONS = Path(__file__).parents[2] / "packaging" / "guide" / "questions"
K_QUANTS = ("Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K")
LADDER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q3_K_S", "Q2_K")  # each loses more than the one before
N_CHUNKS = 6


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide as F16, and every K-quant of it."""
    folder = tmp_path_factory.mktemp("shelf")
    drained(convert(guide().path.parent, folder / "F16.gguf", OutType.F16))
    for quant in ("Q8_0", *K_QUANTS):
        drained(quantizing(QuantizeRequest(folder / "F16.gguf", folder / f"{quant}.gguf", quant), folder / "log"))
    return folder


def test_sizes_are_what_the_dry_run_says(shelf: Path) -> None:
    said = drained(sizing(shelf / "F16.gguf", [Wish(quant) for quant in K_QUANTS]))
    assert [one.quant for one in said] == list(K_QUANTS)
    assert {one.quant: one.size_bytes for one in said} == {
        quant: (shelf / f"{quant}.gguf").stat().st_size for quant in K_QUANTS
    }
    assert not any(one.fallbacks for one in said)  # the guide's widths are multiples of 256


def test_the_loss_grows_down_the_ladder(shelf: Path) -> None:
    """On what the guide knows: its own answers. On other texts it is at a loss in every type alike.

    The loss is KL divergence: so small a model's perplexity moves less from type to type than its own error of 3 %.
    """
    topics = [topic for file in sorted(QUESTIONS.glob("*.toml")) for topic in tomllib.loads(file.read_text())["topic"]]
    (shelf / "answers.txt").write_text("\n".join(topic["answer"] for topic in topics), "utf-8")
    others = tuple(shelf / f"{quant}.gguf" for quant in LADDER)
    request = EvaluateRequest(
        shelf / "F16.gguf", others, shelf / "answers.txt", n_chunks=N_CHUNKS, measures_speed=False
    )
    found = drained(evaluating(request, shelf / "log"))
    losses = [one.kl_divergence for one in found.others]
    assert losses == sorted(losses)
    assert losses[0] > 0
    agreeing = [one.same_top for one in found.others]
    assert agreeing == sorted(agreeing, reverse=True)
