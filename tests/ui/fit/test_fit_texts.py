"""The words of the Fit page."""

from dataclasses import replace

import pytest
from fakes import machines
from fakes.fits import GB, GPU_ROOM, NEED, RAM_ROOM, ROOMS, fit

from carryon.app.fitting import Subject
from carryon.app.models import ModelFile
from carryon.fit.memory import Placement
from carryon.fit.plan import Basis, Limit, Plan, Verdict, Wishes
from carryon.fit.room import Rooms
from carryon.fit.speed import Basis as PaceBasis
from carryon.fit.speed import Pace
from carryon.gguf.quants import KvType
from carryon.gguf.sketch import Parameters
from carryon.hardware.parts import machine_with
from carryon.ui import quant_rows
from carryon.ui.fit import texts
from carryon.ui.fit.form import BuiltMachine, FileMachine, Form

BEST = fit("Q5_K_M")
FITS = (fit("F16", Verdict.SPLIT), fit("Q6_K"), BEST, fit("Q4_0"), fit("Q4_1", path="/m/x.gguf"))


def form(best=BEST, fits=FITS, rooms=ROOMS, wishes=Wishes(), **changes):  # noqa: B008
    plan = Plan(rooms, wishes, best, fits, Limit.VRAM, ("First.", "Second."), ())
    return replace(Form(plan=plan, best_quant="Q5_K_M", wishes=wishes, here=machines.WITH_GPU), **changes)


@pytest.mark.parametrize(
    ("n_params", "words"),
    [(8_190_735_360, "8.2 B parameters"), (135_000_000, "135 M parameters"), (2_400_000, "2.4 M parameters")],
)
def test_parameters_are_counted_as_people_do(n_params, words):
    assert texts.words.parameters_text(n_params) == words


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (None, texts.LOOKING),
        (machines.WITH_GPU, "RTX 4060 · 31.3 GB RAM"),
        (machines.CPU_ONLY, "no GPU · 31.3 GB RAM"),
        (machine_with(["GeForce RTX 3090"] * 2, 64 * GB), "2 × RTX 3090 · 64 GB RAM"),
    ],
)
def test_a_machine_in_a_few_words(machine, words):
    assert texts.machine_text(machine) == words


def test_unified_memory_is_called_so():
    machine = machine_with(["M4 Pro"], 48 * GB)
    assert texts.machine_text(machine).endswith("48 GB unified memory")


def test_another_machine_is_never_called_this_one(tmp_path):
    assert texts.target_text(form(machine=machines.WITH_GPU)).startswith("This machine — RTX 4060")
    other = form(machine=machines.CPU_ONLY, target=BuiltMachine((), GB))
    assert texts.target_text(other) == "Another machine — no GPU · 31.3 GB RAM"
    other = form(machine=machines.CPU_ONLY, target=FileMachine(tmp_path / "box.json"))
    assert texts.target_text(other).startswith("box.json — ")


def test_a_row_has_a_cell_for_every_column_and_is_read_as_one():
    row = texts.row(BEST, form())
    assert len(row.cells) == len(quant_rows.COLUMNS)
    assert row.spoken.startswith("Q5_K_M, best for you, Size 5.4 GB, Bits/weight ")
    assert row.cells[-1] == "very good"
    assert texts.row(FITS[-1], form()).tags == ("here",)


def test_a_split_is_told_in_numbers():
    split = fit(verdict=Verdict.SPLIT, placement=Placement(8192, n_gpu_layers=28))
    assert quant_rows.verdict_text(split) == "Fits, split 28 + 5"
    assert quant_rows.verdict_text(BEST) == "Fits on the GPU"


def test_only_usual_quants_files_that_are_here_and_what_is_looked_at_are_shown_first():
    shown = [one.candidate.quant for one in texts.shown_fits(form(), shows_all=False)]
    assert shown == ["F16", "Q6_K", "Q5_K_M", "Q4_1"]
    assert len(texts.shown_fits(form(), shows_all=True)) == len(FITS)


def test_where_the_figures_come_from_is_said_and_that_the_engine_is_asked():
    assert "calculated from the file's header" in texts.basis_text(form())
    assert texts.basis_text(form(is_confirming=True)).endswith("asking the engine…")
    confirmed = fit("Q5_K_M", basis=Basis.DRY_RUN, within=0.018)
    assert "the engine's own plan, checked on this machine: within 2 %" in texts.basis_text(form(confirmed))


def test_a_speed_nobody_knows_is_left_out():
    assert texts.pace_line(form()).startswith("38–46 tokens/s expected · ")
    slow = replace(BEST, decode=Pace(0.0, 0.2, PaceBasis.GUESSED))
    assert texts.pace_line(form(slow)).startswith("Up to 0.2 tokens/s expected · ")
    unknown = replace(BEST, decode=Pace(0.0, 0.0, PaceBasis.GUESSED))
    assert "expected" not in texts.pace_line(form(unknown))


def test_the_reasons_do_not_say_the_verdict_twice():
    too_big = fit("Q5_K_M", Verdict.TOO_BIG, missing_bytes=GB)
    asked = form(too_big)
    verdict = texts.words.verdict_sentence(too_big, ROOMS)
    asked = replace(asked, plan=replace(asked.plan, reasons=("First.", verdict)))
    assert texts.reasons(asked) == ("First.",)


def test_the_automatic_choice_of_a_cache_type_says_what_it_is():
    assert texts.kv_text(None, KvType.Q8_0) == "Automatic (q8_0)"
    assert texts.kv_text(None, None) == "Automatic"
    assert texts.kv_text(KvType.Q4_0, None) == "q4_0"


def test_slots_share_the_context():
    assert texts.context_note(form(wishes=Wishes(n_parallel=4))) == "4 slots of 2,048 tokens each."
    assert texts.context_note(form()) == ""


def test_a_file_that_is_here_is_offered_where_the_best_is_not():
    assert texts.not_here_text(form()) == "Q5_K_M is not on this disk. Look at Q4_1, which is."
    assert texts.not_here_text(form(target=BuiltMachine((), GB))) == ""


def test_of_several_files_the_one_that_was_opened_is_offered():
    fits = (fit("Q8_0", path="/m/x-Q8_0.gguf"), BEST, fit("Q4_1", path="/m/x.gguf"))
    opened = Subject("x", tuple(one.candidate for one in fits), "Q4_1")
    assert texts.here_quant(form(fits=fits)) == "Q8_0"
    assert texts.here_quant(form(fits=fits, subject=opened)) == "Q4_1"


def test_why_another_row_is_the_best():
    assert texts.best_text(form()) == ""
    assert texts.best_text(form(FITS[1])).startswith("Q5_K_M is the best for this machine")


def test_a_model_that_does_not_exist_was_never_checked():
    typed = form(replace(BEST, within=0.02), source=Parameters(1, 64, 1, 64, 100, 100))
    assert texts.basis_text(typed).endswith("memory calculated from the typed sizes")
    assert "within 2 %" in texts.basis_text(form(replace(BEST, within=0.02)))


def test_typed_models_are_told_from_files(tmp_path):
    assert texts.source_text(ModelFile(tmp_path, "A", "A")) == "A"
    assert texts.source_text(Parameters(1, 64, 1, 64, 100, 100, name="A")) == "A (typed sizes)"


@pytest.mark.parametrize(
    ("room", "needed_bytes", "words"),
    [
        (GPU_ROOM, GB, "fits on the RTX 4060"),
        (GPU_ROOM, 10 * GB, "too big by 3.5 GB for the RTX 4060"),
        (RAM_ROOM, GB, "fits in RAM, very slow"),
        (RAM_ROOM, 20 * GB, "too big by 1.0 GB for RAM"),
    ],
)
def test_training_is_judged_by_the_roomiest_place(room, needed_bytes, words):
    assert texts._training_place(needed_bytes, room) == words


def test_without_a_gpu_no_layer_can_go_anywhere():
    alone = form(fit("Q5_K_M", Verdict.RAM, replace(NEED, gpus=())), rooms=Rooms(RAM_ROOM))
    assert texts.layers_text(alone) == "no GPU: all in RAM"
    assert not texts.has_gpu(alone)
    assert texts.tick_text(replace(alone, most_layers=3)) == ""
