"""`carryon evaluate` as a person types it: the table, the JSON, what is kept, and the refusals."""

import json

import pytest
from fakes.evaluated import BASE, MEASURED
from fakes.guide_quants import quantized
from fakes.unsure_models import unsure_model

from carryon.app.evaluations import Evaluations
from carryon.cli import evaluate, main
from carryon.evaluate.result import Evaluation


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    base = unsure_model(tmp_path_factory.mktemp("pair") / "base.gguf")
    return base, quantized(base, "Q8_0")


@pytest.fixture
def carryon(monkeypatch):
    """Runs the command in this process."""
    monkeypatch.setattr(main, "_COMMANDS", tuple({*main._COMMANDS, "evaluate"}))
    return lambda *words: main.run(["evaluate", *map(str, words), "--threads", "1"])


def test_it_measures_prints_and_keeps(carryon, pair, capsys, carryon_home):
    base, other = pair
    assert carryon(base, other, "--ctx", "64", "--chunks", "3") == 0
    said = capsys.readouterr()
    head, first, second, scored = said.out.splitlines()
    assert head.split()[0] == "File"
    assert first.startswith("base.gguf (base)")
    assert second.startswith("base-Q8_0.gguf")
    assert scored == "93 tokens scored, in chunks of 64; ± is one standard deviation."
    assert "Measuring 2 files" in said.err
    kept = Evaluations(carryon_home.library)
    assert kept.measured_quality(other).kl_divergence > 0
    kept.close()


def test_json_has_every_figure(carryon, pair, capsys):
    base, other = pair
    assert carryon(base, other, "--ctx", "64", "--chunks", "2", "--json", "--no-speed") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["base"]["quant"] == "F16"
    assert told["base"]["kl_divergence"] is None
    (one,) = told["others"]
    assert one["path"] == str(other)
    assert 0 < one["kl_divergence"] < 0.1
    assert 0 < one["same_top"] <= 1
    assert one["tokens_per_s"] is None
    assert (told["ctx"], len(told["text_sha256"])) == (64, 64)


def test_a_text_of_ones_own_is_read(carryon, pair, capsys, tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text("short", encoding="utf-8")
    assert carryon(pair[0], "--text", text) == 2
    assert "mine.txt has 5 tokens for this model" in capsys.readouterr().err


def test_a_file_named_twice_is_refused(carryon, pair, capsys):
    assert carryon(pair[0], pair[0]) == 2
    assert "named twice" in capsys.readouterr().err


def test_a_model_nobody_knows_is_refused(carryon, capsys):
    assert carryon("nothing-like-this") == 2
    assert "There is no model “nothing-like-this”" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--ctx", "0"), ("--chunks", "-1"), ("--gpu-layers", "some")])
def test_senseless_options_are_refused(carryon, pair, option):
    with pytest.raises(SystemExit) as ended:
        carryon(pair[0], *option)
    assert ended.value.code == 2


def test_a_narrow_terminal_loses_the_speeds_first_then_cuts_names():
    evaluation = Evaluation(BASE, (MEASURED,), ("A notice.",))
    wide, narrow = evaluate.as_text(evaluation, 1000), evaluate.as_text(evaluation, 90)
    assert "Writes" in wide
    assert "Reads" not in narrow
    assert "KL divergence" in narrow
    assert wide.endswith("A notice.")
    assert "…" in evaluate.as_text(evaluation, 70)


def test_the_help_says_what_the_shipped_text_is_not(carryon, capsys):
    with pytest.raises(SystemExit):
        carryon("--help")
    assert "know them by heart" in " ".join(capsys.readouterr().out.split())


def test_the_error_of_a_missing_text_is_ours(carryon, pair, tmp_path, capsys):
    assert carryon(pair[0], "--text", tmp_path / "gone.txt") == 2
    assert "gone.txt is not there" in capsys.readouterr().err
