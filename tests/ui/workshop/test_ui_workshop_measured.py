"""The points of a run's chart, from what was kept of its files."""

from pathlib import Path

import pytest

from carryon.app.evaluations import Evaluations
from carryon.app.workshop_list import FinishedRun, Interrupted, Order, Run, Source, SourceKind
from carryon.base.jobs import drained
from carryon.evaluate.chart import Point
from carryon.evaluate.result import Evaluation, Measured
from carryon.ui.workshop.chart import _named_below
from carryon.ui.workshop.measured import charting


def measured(path, quant, loss=None, base=None):
    return Measured(
        path, quant, path.stat().st_size, 8.0, 10.0, 0.1, loss, None, None, None, None, 20.0, 0, 512, "0" * 64, "1",
        1.0, 512, base, "BF16" if base else "", 9.0 if base else None,
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    kept = Evaluations(tmp_path / "library.sqlite")
    yield kept
    kept.close()


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / name for name in ("BF16.work", "Q8_0.gguf", "Q4_K_M.gguf")]
    for index, file in enumerate(made):
        file.write_bytes(bytes([index]) * 100 * (3 - index))
    return made


def run(state):
    order = Order(Source(SourceKind.FOLDER, "/m"), ("Q8_0", "Q4_K_M"), Path("/out"), "m", measures=True)
    return Run("a", order, (), state, Path("/a.log"))


def test_the_base_is_there_although_its_file_is_gone(kept, files):
    base, large, small = files
    others = measured(large, "Q8_0", 0.001, base), measured(small, "Q4_K_M", 0.03, base)
    kept.keep(Evaluation(measured(base, "BF16"), others))
    base.unlink()
    found = drained(charting(run(FinishedRun((large, small))), lambda: kept))
    assert [(one.quant, one.loss, one.is_base) for one in found] == [
        ("BF16", 0.0, True), ("Q8_0", 0.001, False), ("Q4_K_M", 0.03, False),
    ]  # fmt: skip


def test_without_figures_or_an_end_there_are_no_points(kept, files):
    assert drained(charting(run(FinishedRun(tuple(files))), lambda: kept)) == ()
    assert drained(charting(run(Interrupted()), lambda: kept)) == ()


def test_names_of_dots_that_are_near_do_not_lie_over_each_other():
    dots = (("Q4_K_M", 3_500, 0.05), ("Q5_0", 4_000, 0.018), ("Q5_K_M", 4_070, 0.015), ("Q8_0", 6_000, 0.001))
    front = [Point(Path(quant), quant, size, loss, 20.0, False, True) for quant, size, loss in dots]
    assert [one.quant for one in _named_below(front, front)] == ["Q4_K_M", "Q5_0", "Q8_0"]
    assert _named_below(front[:1], front[:1]) == front[:1]
