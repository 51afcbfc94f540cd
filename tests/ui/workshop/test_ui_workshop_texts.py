"""The words of the Workshop page, its command lines, and what a chart says."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import workbench
from fakes.workbench import FOLDER, GB, GGUF_FILE, MB, REPOSITORY

from carryon.app.workshop_list import (
    Converter,
    FailedRun,
    FinishedRun,
    Interrupted,
    Level,
    Order,
    Stage,
    StageKind,
    Waiting,
    Working,
)
from carryon.base.errors import NoRoom
from carryon.cli import convert, merge, quantize
from carryon.ui.quant_rows import COLUMNS
from carryon.ui.workshop import run_texts, texts
from carryon.ui.workshop.command import command_line
from carryon.ui.workshop.form import Choices, Form, Matrix, Step

FORM = Form(
    Step.TARGETS, FOLDER, preflight=workbench.preflight(),
    choices=Choices(frozenset(["Q6_K"]), Path("/out"), "Smol"), free_bytes=100 * GB, current="Q6_K",
)  # fmt: skip


def with_choices(form=FORM, **changes):
    return replace(form, choices=replace(form.choices, **changes))


# the preflight


def test_a_report_says_how_bad_it_is_in_words_too():
    assert texts.summary(workbench.preflight()) == "Everything is good."
    noted = workbench.preflight(findings=(workbench.NOTE,))
    assert (texts.summary(noted), texts.summary_level(noted)) == ("It works. One thing should be known.", Level.NOTE)
    bad = workbench.preflight(findings=(workbench.BAD, workbench.NOTE))
    assert (texts.summary(bad), texts.summary_level(bad)) == ("One problem is in the way.", Level.BAD)
    impossible = workbench.preflight(converter=Converter.IMPOSSIBLE)
    assert texts.summary_level(impossible) is Level.BAD


def test_the_lines_come_in_the_order_of_their_subjects():
    found = workbench.preflight(findings=(workbench.NOTE, workbench.BAD))
    assert [line.subject for line in texts.lines(found)] == ["Weights", "Vocabulary"]
    assert texts.lines(found)[0].spoken.startswith("Problem: Weights. model-00002")


def test_what_is_not_known_is_a_dash():
    facts = dict(texts.facts(workbench.preflight(architecture="", n_parameters=0, ram_bytes=0, duration_s=None)))
    assert [facts[name] for name in ("Architecture", "Parameters", "Memory for the work", "Time for one file")] == [
        "—", "—", "—", "—",
    ]  # fmt: skip
    assert facts["To download"] == "nothing"
    assert texts.about_text(190.0) == "about 3 min"


def test_every_closed_step_has_its_reason():
    assert texts.blocked_preflight(FORM) == ""
    assert "problem" in texts.blocked_preflight(replace(FORM, preflight=workbench.preflight(findings=(workbench.BAD,))))
    upstream = replace(FORM, preflight=workbench.preflight(converter=Converter.UPSTREAM))
    assert "Agree" in texts.blocked_preflight(upstream)
    assert texts.blocked_preflight(replace(upstream, may_fetch=True)) == ""
    nothing = replace(FORM, preflight=workbench.preflight(targets=()))
    assert texts.blocked_preflight(nothing) == "Nothing can be made of it."


# the targets


def test_a_row_has_the_targets_own_figures():
    row = next(row for row in texts.rows(FORM) if row.quant == "Q6_K")
    assert len(row.cells) == len(COLUMNS)
    assert row.cells[:3] == ("Q6_K", "1.4 GB", "6.57")
    assert row.cells[4] == "Fits on the GPU"
    assert row.is_best
    assert "best for you" in row.spoken


def test_a_row_says_what_is_stored_larger_and_what_needs_a_matrix():
    rows = {row.quant: row for row in texts.rows(replace(FORM, shows_all=True))}
    assert rows["Q4_K_M"].tags == ("2 stored larger",)
    assert rows["IQ2_XS"].tags == (texts.NEEDS_MATRIX,)
    matrix = with_choices(replace(FORM, shows_all=True), matrix=Matrix.FILE, matrix_path=Path("/m.gguf"))
    assert {row.quant: row for row in texts.rows(matrix)}["IQ2_XS"].tags == ()
    assert "2 tensors do not fit the blocks" in texts.current_text(replace(FORM, current="Q4_K_M"))
    assert "Q4_K as Q5_0" in texts.current_text(replace(FORM, current="Q4_K_M"))
    assert "only with an importance matrix" in texts.current_text(replace(FORM, current="IQ2_XS"))


def test_without_a_machine_a_row_has_its_size_alone():
    bare = tuple(replace(one, fit=None) for one in workbench.targets())
    row = texts.rows(replace(FORM, preflight=workbench.preflight(targets=bare)))[0]
    assert row.cells[1] == "1.1 GB"
    assert row.verdict is None


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (with_choices(quants=frozenset()), "Tick"),
        (with_choices(quants=frozenset(["IQ2_XS"])), "Tick"),
        (with_choices(name="  "), "need a name"),
        (with_choices(name="a/b"), "cannot begin with a dot or have"),
        (with_choices(name=".hidden"), "cannot begin with a dot"),
        (with_choices(name="x" * 130), "too long"),
        (with_choices(name="ä" * 70), "too long"),
        (with_choices(matrix=Matrix.TEXT), "Choose the file"),
        (replace(FORM, free_bytes=GB), "more. Free some"),
        (replace(FORM, taken=frozenset(["Smol-Q6_K.gguf"])), "Smol-Q6_K.gguf is in that folder already"),
        (replace(FORM, source=GGUF_FILE, preflight=workbench.preflight(source_bytes=1820 * MB)), "quantized already"),
    ],
)
def test_why_the_work_cannot_begin(form, words):
    assert words in texts.blocked_text(form)


def test_nothing_is_in_the_way():
    assert texts.blocked_text(FORM) == ""
    assert texts.blocked_text(replace(FORM, free_bytes=None)) == ""
    again = replace(FORM, source=GGUF_FILE, preflight=workbench.preflight(source_bytes=1820 * MB))
    assert texts.blocked_text(with_choices(again, requantizes=True)) == ""


def test_the_best_can_be_made_whatever_is_ticked():
    assert texts.blocked_best(with_choices(quants=frozenset())) == ""
    assert texts.best_text(FORM) == "Make the best for this machine (Q6_K, 1.4 GB)"
    none = replace(FORM, preflight=workbench.preflight(targets=workbench.targets("")))
    assert texts.blocked_best(none) == "No type fits this machine."


def test_the_disk_says_what_is_needed_and_what_is_free():
    assert texts.disk_text(FORM) == "Needs 4.8 GB of the disk · 100 GB free"
    assert "only 1.0 GB free" in texts.disk_text(replace(FORM, free_bytes=GB))
    assert "— free" in texts.disk_text(replace(FORM, free_bytes=None))


# the command


def test_the_command_makes_the_same_files():
    two = with_choices(quants=frozenset(["Q6_K", "Q8_0"]), keeps_middle=True, measures=True)
    words = shlex.split(command_line(two))
    assert words[:6] == ["carryon", "convert", FOLDER.place, "--to", "q8_0", "q6_k"]
    assert words[6:] == ["--out", "/out", "--name", "Smol", "--keep-middle", "--measure"]
    text = with_choices(replace(FORM, may_fetch=True), matrix=Matrix.TEXT, matrix_path=Path("/t.txt"))
    assert command_line(text).endswith("--name Smol --imatrix-text /t.txt --fetch-converter")


def test_the_commands_know_every_word_of_the_line():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command")
    for command in (convert, merge, quantize):
        command.add_parser(commands)
    matrix = with_choices(matrix=Matrix.FILE, matrix_path=Path("/m.gguf"), keeps_middle=True, measures=True)
    merged = replace(FORM, source=replace(FOLDER, adapter=Path("/lora")))
    again = with_choices(replace(matrix, source=GGUF_FILE), requantizes=True)
    for form in (replace(matrix, may_fetch=True), merged, again):
        parser.parse_args(shlex.split(command_line(form))[1:])


def test_an_adapter_is_merged_file_by_file():
    merged = replace(FORM, source=replace(FOLDER, adapter=Path("/lora")))
    form = with_choices(merged, quants=frozenset(["Q6_K", "Q8_0"]))
    first, second = command_line(form).split(" && ")
    assert first == f"carryon merge {FOLDER.place} /lora --to q8_0 --out /out/Smol-Q8_0.gguf"
    assert second.endswith("--to q6_k --out /out/Smol-Q6_K.gguf")


def test_a_file_is_quantized_and_names_with_spaces_are_quoted():
    form = with_choices(
        replace(FORM, source=GGUF_FILE), matrix=Matrix.FILE, matrix_path=Path("/a b/m.gguf"), requantizes=True
    )
    assert command_line(form) == (
        f"carryon quantize {GGUF_FILE.place} /out/Smol-Q6_K.gguf Q6_K --imatrix '/a b/m.gguf' --requantize"
    )
    assert command_line(with_choices(quants=frozenset())) == ""


# the runs


ORDER = Order(REPOSITORY, ("Q4_K_M",), Path("/out"), "Smol")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Waiting(), "Waits for its turn"),
        (Working(Stage(StageKind.DOWNLOAD), GB, 4 * GB, left_s=75.0), "Downloading: 1.0 of 4.0 GB · 1 min left"),
        (Working(Stage(StageKind.CONVERT)), "Converting…"),
        (Working(Stage(StageKind.QUANTIZE, "Q4_K_M"), 3, 290), "Quantizing Q4_K_M: 3 of 290 tensors"),
        (Working(Stage(StageKind.MEASURE), 512, 8192, "KL 0.02"), "Measuring: 512 of 8,192 tokens · KL 0.02"),
        (Interrupted(), "Stopped. 0 of 3 stages are done and kept; it goes on with the next one."),
        (FailedRun(NoRoom("x")), "It could not go on"),
        (FinishedRun((Path("/nothing/here.gguf"),)), "Ready: 1 file"),
    ],
)
def test_a_run_says_how_far_it_is(state, words):
    run = workbench.run("a", ORDER, state)
    assert run_texts.state_text(run) == words
    assert run_texts.run_name(run) == f"Smol · Q4_K_M. {words}"


def test_a_part_is_never_more_than_the_whole():
    over = Working(Stage(StageKind.CONVERT), 5, 4)
    assert run_texts.fraction(workbench.run("a", ORDER, over)) == 1.0
    assert run_texts.fraction(workbench.run("a", ORDER, Working(Stage(StageKind.CONVERT), 5, 0))) is None
    assert run_texts.fraction(workbench.run("a", ORDER)) is None


def test_the_chart_is_told_in_words_and_figures():
    rows = run_texts.chart_rows(workbench.points(("Q4_K_M", "Q5_0")))
    assert rows == (
        ("Q4_K_M", "1.1 GB", "0.031", "34.0", "on the line"),
        ("Q5_0", "1.3 GB", "0.021", "28.9", "beaten"),
        ("BF16", "3.4 GB", "none", "11.2", "the base"),
    )
    assert "Q4_K_M: 1.1 GB, lost 0.031, 34.0 tokens/s" in run_texts.chart_spoken(workbench.points())


def test_sizes_have_the_unit_of_the_largest():
    assert run_texts.size_unit(workbench.points()) == (1e9, "Size, GB")
    small = tuple(replace(one, size_bytes=one.size_bytes // 1000) for one in workbench.points())
    assert run_texts.size_unit(small) == (1e6, "Size, MB")
    assert run_texts.size_unit([replace(small[0], size_bytes=900)]) == (1.0, "Size, bytes")


def test_a_speed_that_was_not_measured_is_a_dash():
    slow = (*workbench.points(), replace(workbench.points()[0], tokens_per_s=None, quant="Q2_K", loss=1.0))
    assert any(row[3] == "—" for row in run_texts.chart_rows(slow))
