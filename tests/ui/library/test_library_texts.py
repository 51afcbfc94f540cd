"""The words of the library: counts, days, places; nothing that a file says can spoil a line."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from carryon.app.library import LibraryState
from carryon.app.made_here import Making, Story
from carryon.base.units import NOT_MEASURED
from carryon.fit.quality import Grade, Quality, measured_quality
from carryon.hub.library.duplicates import Copies
from carryon.hub.library.entry import Entry, Kind, Known, Trouble
from carryon.hub.library.scanning import Looked, Scan
from carryon.hub.library.shelves import Program, Shelf
from carryon.hub.library.words import parameters_of, path_text, quant_text, when_text, where_text
from carryon.hub.origin import Origin
from carryon.ui.library import texts
from carryon.ui.library.detail import breakable
from carryon.ui.library.form import Form

NOW_S = time.mktime((2026, 9, 20, 12, 0, 0, 0, 0, -1))
DAY_S = 86400


def entry(name="m", program=Program.CARRYON, root="/r", **known):
    return Entry(name, Shelf(program, Path(root)), (Path(root) / f"{name}.gguf",), 10**9, 0.0, Known(**known))


def form(*entries, **state):
    return Form(LibraryState(scan=Scan(tuple(entries)), **state))


@pytest.mark.parametrize(
    ("ago_s", "expected"),
    [(0, "today"), (11 * 3600, "today"), (13 * 3600, "yesterday"), (2 * DAY_S, "2 days ago"),
     (29 * DAY_S, "29 days ago"), (184 * DAY_S, "20 Mar 2026"), (-DAY_S, "today")],
)  # fmt: skip
def test_days_as_people_say_them(ago_s, expected):
    assert when_text(NOW_S - ago_s, NOW_S) == expected


def test_what_was_never_used_has_a_dash():
    assert when_text(None) == NOT_MEASURED


@pytest.mark.parametrize(
    ("count", "expected"), [(None, NOT_MEASURED), (8.19e9, "8.2 B"), (135e6, "135.0 M"), (4711, "4,711")]
)
def test_parameters(count, expected):
    assert parameters_of(entry(n_params=count)) == expected


def test_what_is_no_model_says_what_it_is():
    assert quant_text(entry(kind=Kind.ADAPTER, quant="F16")) == "LoRA"
    assert quant_text(entry(trouble=Trouble("x"), quant="F16")) == "broken"
    assert quant_text(entry()) == NOT_MEASURED


def test_an_added_folder_is_called_by_its_name():
    assert where_text(entry(program=Program.FOLDER, root="/big/my models")) == "my models"
    assert where_text(entry(program=Program.FOLDER, root="/")) == "/"


def test_a_path_is_shown_whatever_bytes_it_has():
    assert "\udcff" not in path_text(Path("/a/\udcff.gguf"))
    assert "\x1b" not in path_text(Path("/a/\x1b[31m.gguf"))


def test_counts_in_singular_and_plural():
    assert texts.total_text(form(entry())) == "1 model · 1.0 GB"
    assert texts.total_text(form(entry("a"), entry("b"))) == "2 models · 2.0 GB"
    assert texts.total_text(Form()) == texts.LOOKING


def test_what_goes_on_in_the_background():
    assert texts.progress_text(form(is_scanning=True, n_found=120)) == "Looking… 120 models so far"
    assert texts.progress_text(form(n_unchecked=32)) == "Reading headers: 32 left"
    assert texts.progress_text(form()) == ""


def test_which_folders_were_looked_at():
    looked = [Looked(Shelf(program, Path("/x")), program is Program.OLLAMA) for program in Program]
    said = texts.looked_text(Form(LibraryState(scan=Scan((), tuple(looked)))))
    assert said.startswith("Looked into: Ollama. Not on this computer: Hugging Face, LM Studio, Jan, GPT4All")


def test_folders_that_could_not_be_read_are_named():
    looked = (Looked(Shelf(Program.JAN, Path("/x")), True, Trouble("One folder in /x could not be read.", "Do it.")),)
    assert texts.troubles(Form(LibraryState(scan=Scan((), looked)))) == ("One folder in /x could not be read. Do it.",)


def test_the_space_to_win():
    assert texts.copies_text(()) == texts.NO_DUPLICATES
    one = Copies((entry("a"), entry("b")), 10**9)
    assert texts.copies_text((one,)) == "1 model lies here more than once. One copy of it would leave 1.0 GB more room."
    assert texts.copies_text((one, one)).endswith("One copy of each would leave 2.0 GB more room.")


def test_only_what_is_known_is_listed():
    assert [name for name, _ in texts.facts(entry())] == ["Size", "Kept by", "File"]


def test_a_long_word_may_break_and_loses_nothing():
    sha256 = "0123456789abcdef" * 4
    assert breakable(sha256, 8).replace("\u200b", "") == sha256
    assert all(len(piece) <= 8 for piece in breakable(sha256, 8).split("\u200b"))


@pytest.mark.parametrize("words", ["", "in the file", "Qwen3-8B-Q4_K_M", "none: answers may be poor in a chat"])
def test_short_words_stay_whole(words):
    assert breakable(words) == words


# how it was made, and what was measured


MADE = Making(
    "acme/Smol", "a" * 40, "0.4.0", "Carryon 0.4.0 (llama.cpp 1)", "Smol-BF16.work", "BF16", "", "smol.imatrix",
    "/home/ada/wiki.txt", "b" * 64,
)  # fmt: skip


def test_a_model_that_was_made_here_says_from_what_and_how():
    told = dict(texts.facts(entry("Smol-Q4_K_M"), Story(MADE)))
    assert told["Made from"] == "acme/Smol at aaaaaaaaaaaa"
    assert told["Converted by"] == "Carryon 0.4.0"
    assert told["Quantized by"] == "Carryon 0.4.0 (llama.cpp 1)"
    assert told["Quantized from"] == "Smol-BF16"
    assert told["Importance matrix"] == "smol.imatrix, made from wiki.txt (SHA-256 bbbbbbbbbbbb…)"
    assert "Recipe" not in told


def test_a_type_that_the_name_does_not_tell_stands_behind_it():
    told = dict(texts.facts(entry(), Story(replace(MADE, quantized_from="x.gguf", recipe="output=Q8_0"))))
    assert told["Quantized from"] == "x.gguf (BF16)"
    assert told["Recipe"] == "output=Q8_0"
    assert dict(texts.facts(entry(), Story(replace(MADE, quantized_from=""))))["Quantized from"] == "BF16"


def test_a_repository_that_is_proved_is_not_told_twice():
    proved = replace(entry(), origin=Origin("acme/Smol", "m.gguf", "a" * 40, None, 1, ""), repo_id="acme/Smol")
    told = dict(texts.facts(proved, Story(MADE)))
    assert told["Repository"] == "acme/Smol"
    assert told["Revision"] == "a" * 40
    assert "Made from" not in told


def test_a_model_of_others_says_nothing_of_its_making():
    assert texts.facts(entry(), Story()) == texts.facts(entry())
    matrix = Making(imatrix_name="bartowski.imatrix", imatrix_text="calibration_datav3.txt")
    assert dict(texts.facts(entry(), Story(matrix)))["Importance matrix"] == (
        "bartowski.imatrix, made from calibration_datav3.txt"
    )


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (None, ""),
        (Quality(Grade.GOOD, 0.02, None), ""),
        (measured_quality(0.012, 0.0131, "BF16"), "very good: perplexity +1.2 %, KL 0.013 against BF16"),
        (measured_quality(None, 0.3, "F16"), "poor: KL 0.300 against F16"),
        (measured_quality(-0.001, 0.00042, "F16"), "near lossless: perplexity -0.1 %, KL 0.00042 against F16"),
    ],
)
def test_what_was_measured_is_told_in_figures(quality, words):
    assert texts.measured_text(quality) == words
    assert dict(texts.facts(entry(), Story(quality=quality))).get("Measured", "") == words
