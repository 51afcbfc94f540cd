"""What an evaluation is made of: results, the chart, the table, the text, fingerprints, and rows that anybody wrote."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.evaluated import BASE, MEASURED
from hypothesis import given
from hypothesis import strategies as st

from carryon.base.errors import BadFile, BadInput
from carryon.evaluate import texts
from carryon.evaluate.chart import points
from carryon.evaluate.figures import Answer, Comparison, Figures
from carryon.evaluate.figures import decode as decode_answer
from carryon.evaluate.figures import encode as encode_answer
from carryon.evaluate.fingerprint import fingerprint
from carryon.evaluate.kept import as_json, from_json
from carryon.evaluate.request import Task, decode, encode
from carryon.evaluate.result import Evaluation
from carryon.evaluate.text import LARGEST_BYTES, read_text, shipped_text


def test_the_rise_of_perplexity_is_a_share_of_the_base():
    assert MEASURED.perplexity_rise == pytest.approx(0.012)
    assert BASE.perplexity_rise is None
    assert (BASE.is_base, MEASURED.is_base) == (True, False)
    assert Evaluation(BASE, (MEASURED,)).all == (BASE, MEASURED)


def test_a_task_and_its_answer_pass_the_pipe_unchanged():
    task = Task(("a", "b"), ("F16", "Q8_0"), "t.txt", 512, None, 2, -1, True)
    answer = Answer((Figures(6.2, 0.1, 100, 5), Figures(6.3, 0.1, 100, 4, 1.0, 2.0, Comparison(0.1, 0.2, 0.9, 0.01))),
                    "ab", "llama.cpp 1", ("notice",))  # fmt: skip
    assert decode(json.loads(json.dumps(encode(task)))) == task
    assert decode_answer(json.loads(json.dumps(encode_answer(answer)))) == answer


def small(quant, size_bytes, kl):
    return replace(MEASURED, quant=quant, size_bytes=size_bytes, kl_divergence=kl)


def test_the_chart_begins_with_the_largest_and_knows_the_base():
    made = points((small("Q2_K", 10, 0.5), BASE, small("Q8_0", 50, 0.001)))
    assert [(one.quant, one.is_base) for one in made] == [("F16", True), ("Q8_0", False), ("Q2_K", False)]
    assert made[0].loss == 0
    assert made[1].tokens_per_s == MEASURED.decode_tokens_per_s


def test_on_the_front_is_what_no_other_beats_in_both():
    made = points(
        (BASE, small("Q8_0", 50, 0.001), small("bad", 60, 0.01), small("Q4_0", 30, 0.07), small("IQ4", 29, 0.04))
    )
    assert {one.quant: one.is_on_front for one in made} == {
        "F16": True, "bad": False, "Q8_0": True, "Q4_0": False, "IQ4": True
    }  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=1, max_size=12))
def test_a_front_is_never_empty_and_nothing_off_it_is_better_than_it(pairs):
    made = points([small("x", size, loss) for size, loss in pairs])
    front = [one for one in made if one.is_on_front]
    assert front
    assert all(any(f.size_bytes <= one.size_bytes and f.loss <= one.loss for f in front) for one in made)


def test_a_file_without_a_quant_goes_by_its_name_and_rounding_loses_nothing():
    (point,) = points((replace(MEASURED, quant="", kl_divergence=-1e-9),))
    assert (point.quant, point.loss) == (MEASURED.path.stem, 0)


def test_the_table_has_a_cell_for_each_column():
    assert dict(zip(texts.COLUMNS, texts.row(MEASURED), strict=True)) == {
        "File": "m-Q4_K_M.gguf", "Size": "4.9 GB", "Bits/weight": "4.90", "Perplexity": "6.308 ± 0.040",
        "KL divergence": "0.013", "Same top": "93.00 %", "RMS Δp": "3.10 %", "Reads": "41.0 t/s",
        "Writes": "9.1 t/s", "Memory": "5.0 GB",
    }  # fmt: skip
    assert texts.row(BASE)[0] == "m-F16.gguf (base)"
    assert texts.row(BASE)[4:7] == ("—", "—", "—")


@pytest.mark.parametrize(
    ("divergence", "said"),
    [(0.0, "0"), (-1e-9, "0"), (0.00042, "0.00042"), (0.0067842, "0.0068"), (0.0130, "0.013"), (1.39, "1.390")],
)
def test_divergences_in_words(divergence, said):
    assert texts.divergence_text(divergence) == said


def test_running_figures_in_words():
    assert texts.running_text(12.3412) == "perplexity 12.341"
    assert texts.running_text(12.3412, "Q4_K_M", 12.6, 0.0213) == "perplexity 12.341, Q4_K_M 12.600, KL 0.021"


def test_the_text_that_comes_with_carryon_is_long_enough_for_every_usual_model():
    content = read_text(shipped_text()).content
    assert len(content.split()) > 3000
    assert not content.endswith("\n")


def test_a_text_is_read_without_its_mark_and_its_last_line_break(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfa\nb\n\n")
    assert read_text(path).content == "a\nb\n"


def test_a_huge_text_is_refused_unread(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(BadInput, match="more than a measurement needs"):
        read_text(path)


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(BadFile):
        read_text(tmp_path)


def test_a_fingerprint_follows_the_content_and_not_the_name(tmp_path):
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    content = bytearray(b"weights " * 200_000)
    one.write_bytes(content)
    other.write_bytes(content)
    assert fingerprint(one) == fingerprint(other)
    content[-1] ^= 1
    other.write_bytes(content)
    assert fingerprint(one) != fingerprint(other)
    other.write_bytes(content[:-1])
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize("size", [0, 1, 70_000, 300_000])
def test_small_files_have_fingerprints_too(tmp_path, size):
    path = tmp_path / "small.gguf"
    path.write_bytes(bytes(size))
    assert len(fingerprint(path)) == 64


def test_parts_count_together(tmp_path):
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, part in enumerate(parts):
        part.write_bytes(bytes(100 + number))
    assert fingerprint(parts[0]) == fingerprint(parts[1])
    parts[1].unlink()
    with pytest.raises(BadFile):
        fingerprint(parts[0])


@pytest.mark.parametrize("one", [BASE, MEASURED])
def test_what_is_kept_is_read_back(one):
    assert from_json(as_json(one)) == one


ODD = [None, "", "x" * 300, "\0", -1, 2**70, 1.5, True, [], {}, math.nan, math.inf, -math.inf]


@given(st.sampled_from(sorted(vars(MEASURED))), st.sampled_from(ODD))
def test_a_changed_value_is_refused_or_harmless(name, value):
    told = json.loads(as_json(MEASURED))
    told[name] = value
    read = from_json(json.dumps(told))
    if read is not None:
        assert texts.row(read)
        assert points((read,))
        assert math.isfinite(read.perplexity)


@pytest.mark.parametrize("text", [None, 5, b"{}", "", "[]", "{}", "null", "[" * 5000, '{"path": 1}', "x" * 20_000])
def test_nonsense_is_not_read(text):
    assert from_json(text) is None


def test_a_row_of_another_version_is_not_read():
    told = json.loads(as_json(MEASURED))
    assert from_json(json.dumps({**told, "new": 1})) is None
    del told["quant"]
    assert from_json(json.dumps(told)) is None


def test_paths_stay_paths():
    assert isinstance(from_json(as_json(MEASURED)).base, Path)
