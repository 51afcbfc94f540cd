"""The Fit page as a person uses it: keys, clicks, and what stands there."""

import json
import time
from dataclasses import asdict

import pytest
from fakes import machines
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from carryon.base.settings import Theme
from carryon.fit.plan import Verdict
from carryon.gguf.quants import KvType
from carryon.gguf.sketch import Parameters
from carryon.ui import theme
from carryon.ui.fit import texts
from carryon.ui.fit.command import command_line
from carryon.ui.fit.form import BuiltMachine
from carryon.ui.fit.sizes_dialog import SizesDialog
from carryon.ui.quant_rows import COLUMNS
from carryon.ui.widgets.memory_bar import MemoryBar
from carryon.ui.widgets.verdict import VerdictLabel
from carryon.ui.window import Page

FRAME_S = 0.016
QWEN3_8B = Parameters(
    n_layers=36, n_embd=4096, n_heads=32, n_kv_heads=8, head_length=128, n_ff=12288, n_vocab=151936, n_ctx_train=40960
)
IDLE_LOOP_S = 0.030  # a million additions on an idle machine of 2020; several times that on one that is busy


def said(page):
    """Every word that stands on the page now."""
    words = [one.text() for one in page.findChildren(QLabel) if one.isVisible()]
    return "\n".join([*words, *(one.text() for one in page.findChildren(QPushButton) if one.isVisible())])


def press(page, text):
    next(one for one in page.findChildren(QPushButton) if one.isVisible() and one.text().strip() == text).click()


def quants(page):
    return [row.quant for row in page._table._quants.rows]


# what is shown when


def test_without_a_model_the_page_says_what_it_is_for(make_page):
    page = make_page()
    assert texts.EMPTY_TITLE in said(page)
    assert not page._answer.isVisible()
    assert not page._table.isVisible()


def test_the_guide_is_one_click_away(make_page, qtbot):
    page = make_page()
    press(page, texts.USE_GUIDE)
    qtbot.waitUntil(lambda: page.presenter.form.plan is not None)
    assert page._choices._models.currentText() == "Carryon guide"
    assert texts.EMPTY_TITLE not in said(page)


def test_the_keyboard_stays_on_the_page_when_the_pressed_button_goes(make_window, qtbot):
    window = make_window()
    window.begin()
    window.show_page(Page.FIT)
    page = window.fit
    button = next(one for one in page.findChildren(QPushButton) if one.text().strip() == texts.USE_GUIDE)
    button.setFocus()
    button.click()
    qtbot.waitUntil(lambda: page.presenter.form.plan is not None)
    assert window.focusWidget() is page._choices._models


def test_a_model_shows_bars_verdict_reasons_and_every_usual_quant(make_page, header_model):
    page = make_page(header_model())
    assert [one._bar.name for one in page.findChildren(MemoryBar)] == ["NVIDIA GeForce RTX 4060", "RAM"]
    assert page.findChild(VerdictLabel).accessibleName().startswith("Fits on the GPU")
    assert "is recommended" in said(page)
    assert "36 layers · 8.2 B parameters · trained for 40k tokens" in said(page)
    assert {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"} <= set(quants(page))


def test_while_a_file_is_read_the_page_says_so(make_page, header_model):
    page = make_page()
    page.presenter.choose_path(header_model())
    assert texts.READING in said(page)


def test_a_file_that_is_no_model_is_told_in_place_with_the_next_step(make_page, tmp_path, header_model, qtbot):
    path = tmp_path / "notes.gguf"
    path.write_text("hello")
    page = make_page(path)
    assert "notes.gguf is not a GGUF file." in said(page)
    assert texts.CHOOSE_ANOTHER in said(page)
    page.presenter.choose_path(header_model())
    qtbot.waitUntil(lambda: page.presenter.form.plan is not None)
    assert "notes.gguf is not a GGUF file." not in said(page)


def test_a_model_too_big_for_everything_says_by_how_much_and_marks_the_bar(make_page, header_model):
    page = make_page(header_model("dsv3"))
    assert page.presenter.form.fit.verdict is Verdict.TOO_BIG
    assert "Too big by" in page.findChild(VerdictLabel).accessibleName()
    over = next(one for one in page.findChildren(MemoryBar) if one._bar.over_bytes)
    assert over.accessibleName().endswith("too much")


# the choices


def test_the_context_slider_moves_by_round_steps_and_everything_follows(make_page, header_model, qtbot):
    page = make_page(header_model())
    context = page._choices._context
    context.slider.setFocus()
    before = page.findChild(MemoryBar).accessibleName()
    qtbot.keyClick(context.slider, Qt.Key.Key_Right)
    n_ctx = page.presenter.form.fit.placement.n_ctx
    assert context.number.value() == n_ctx == page.presenter.form.wishes.n_ctx
    assert page.findChild(MemoryBar).accessibleName() != before
    assert page._table._quants.headerData(3, Qt.Orientation.Horizontal) == texts.memory_header(page.presenter.form)


def test_a_context_can_be_typed(make_page, header_model, qtbot):
    page = make_page(header_model())
    number = page._choices._context.number
    number.selectAll()
    qtbot.keyClicks(number, "5000")
    qtbot.keyClick(number, Qt.Key.Key_Return)
    assert page.presenter.form.wishes.n_ctx == 5000


def test_a_context_beyond_the_training_is_allowed_and_warned_of(make_page, header_model):
    page = make_page(header_model())
    page._choices._context.number.setValue(50_000)
    assert "trained for 40,960 tokens" in said(page)
    assert page.presenter.form.plan


def test_layers_are_automatic_until_somebody_moves_them(make_page, header_model):
    page = make_page(header_model())
    choices = page._choices
    assert choices._automatic.isChecked()
    choices._layers.slider.setValue(10)
    assert not choices._automatic.isChecked()
    assert page.presenter.form.fit.placement.n_gpu_layers == 10
    choices._automatic.click()
    assert page.presenter.form.wishes.n_gpu_layers is None


def test_experts_have_a_slider_of_their_own(make_page, header_model):
    page = make_page(header_model("qwen3-30b-a3b"))
    assert page._choices._experts.isVisible()
    page._choices._experts.slider.setValue(48)
    assert page.presenter.form.fit.placement.n_cpu_experts == 48
    assert not page._choices._automatic.isChecked()


def test_without_a_gpu_there_is_nothing_to_move(make_page, header_model):
    page = make_page(header_model(), machine=machines.CPU_ONLY)
    assert not page._choices._layers.isEnabled()
    assert not page._choices._automatic.isVisible()
    assert [one._bar.name for one in page.findChildren(MemoryBar)] == ["RAM"]


def test_the_cache_type_is_the_plans_until_one_is_chosen(make_page, header_model):
    page = make_page(header_model())
    combo = page._choices._kv
    assert combo.currentText() == "Automatic (f16)"
    combo.setCurrentIndex(2)
    combo.activated.emit(2)
    assert page.presenter.form.fit.placement.kv_type is KvType.Q8_0
    assert combo.itemText(0) == "Automatic"


def test_one_click_leaves_everything_to_the_plan_again(make_page, header_model):
    page = make_page(header_model())
    page._choices._slots.setValue(3)
    assert page.presenter.form.fit.placement.n_parallel == 3
    press(page, texts.RESET)
    assert page.presenter.form.is_automatic
    assert not page._choices._reset.isVisible()


# the table


def test_the_best_row_is_chosen_and_marked(make_page, header_model):
    page = make_page(header_model())
    row = page._table._quants.rows[page._table.currentIndex().row()]
    assert row.is_best
    assert "best for you" in row.spoken


def test_arrow_keys_look_at_other_rows_and_the_answer_follows(make_page, header_model, qtbot):
    page = make_page(header_model())
    page._table.setFocus()
    place = page._table.currentIndex().row()
    qtbot.keyClick(page._table, Qt.Key.Key_Up)
    looked_at = quants(page)[place - 1]
    assert page.presenter.form.fit.candidate.quant == looked_at
    assert page.presenter.form.fit.placement.n_ctx == page.presenter.form.plan.fits[0].placement.n_ctx
    qtbot.keyClick(page._table, Qt.Key.Key_End)
    assert page._table.currentIndex().row() == len(quants(page)) - 1
    qtbot.keyClick(page._table, Qt.Key.Key_Left)
    assert page._table.currentIndex().row() == len(quants(page)) - 1


def test_a_row_below_what_is_seen_is_scrolled_to(make_page, header_model, qtbot):
    page = make_page(header_model(), size=(900, 420))
    qtbot.wait(50)
    page._table.setFocus()
    qtbot.keyClick(page._table, Qt.Key.Key_End)
    rect = page._table.visualRect(page._table.currentIndex())
    top = page._table.viewport().mapTo(page.viewport(), rect.topLeft()).y()
    assert 0 <= top < page.viewport().height()


def test_all_quants_are_one_click_away(make_page, header_model):
    page = make_page(header_model())
    few = len(quants(page))
    press(page, page._more.text())
    assert len(quants(page)) == len(page.presenter.form.plan.fits) > few
    press(page, page._more.text())
    assert len(quants(page)) == few


def test_the_files_quant_is_offered_where_the_best_is_not_here(make_page, header_model):
    page = make_page(header_model(quant="Q2_K"))
    assert not page._answer.load.isVisible()
    page._answer._not_here._links[0].click()
    assert page.presenter.form.fit.candidate.quant == "Q2_K"
    assert page._answer.load.isVisible()


@pytest.mark.parametrize("percent", [100, 200])
def test_no_word_of_the_table_is_cut(make_page, header_model, qapp, qtbot, percent):
    theme.apply(qapp, Theme.LIGHT, percent)
    page = make_page(header_model())
    table = page._table
    qtbot.wait(50)
    for column in range(len(COLUMNS)):
        assert table.columnWidth(column) >= table._wanted(column) + 2 * table.padding - 2
    assert table.height() >= table.rowHeight(0) * len(quants(page))


@pytest.mark.parametrize("typed", ["0", "1000000000000", "nonsense", "255", "-8"])
def test_a_context_that_cannot_be_is_refused_in_place(make_page, header_model, qtbot, typed):
    page = make_page(header_model())
    before = page.presenter.form.fit.placement.n_ctx
    type_context(qtbot, page, typed)
    assert page._choices._context.number.value() == before == page.presenter.form.fit.placement.n_ctx
    assert page._choices._context_note.isVisible()
    assert f"“{typed}”" in page._choices._context_note.text()
    assert "from 256 to 16,777,216" in page._choices._context_note.text()
    type_context(qtbot, page, "12k")
    assert page.presenter.form.fit.placement.n_ctx == 12288
    assert not page._choices._context_note.isVisible()


def type_context(qtbot, page, text):
    number = page._choices._context.number
    number.selectAll()
    qtbot.keyClicks(number, text)
    qtbot.keyClick(number, Qt.Key.Key_Return)


def test_the_sliders_stay_where_they_are_when_the_first_of_them_is_moved(make_page, header_model, qtbot):
    """The way back appears beside the facts, and the handle must not leave the mouse that holds it."""
    page = make_page(header_model())
    slider = page._choices._context.slider
    before = place_at_rest(qtbot, page, slider)
    slider.setValue(slider.value() - 1)
    assert page._choices._reset.isVisible()
    assert place_at_rest(qtbot, page, slider) == before


def test_no_room_is_kept_where_there_is_nothing_to_go_back_from(make_page):
    assert make_page()._choices._facts_row.isHidden()


def place_at_rest(qtbot, page, widget):
    """Where it stands once nothing moves any more."""
    places = []
    while len(places) < 3 or len(set(places[-3:])) > 1:
        qtbot.wait(50)
        places.append(widget.mapTo(page, widget.rect().topLeft()).toTuple())
    return places[-1]


def test_a_window_of_900_pixels_shows_the_page_whole_at_200_percent(make_page, header_model, qapp, qtbot):
    theme.apply(qapp, Theme.LIGHT, 200)
    page = make_page(header_model("qwen3-30b-a3b"), size=(730, 560))
    page.presenter.plan_for_parts(("GeForce RTX 4060",), 32 << 30)
    page.presenter.set_context(4096)
    qtbot.wait(50)
    assert page.horizontalScrollBar().maximum() == 0


# doing something


def test_load_hands_over_exactly_what_is_shown(make_page, header_model, qtbot):
    page = make_page(header_model())
    page.presenter.choose_quant("Q4_K_M")
    page._choices._context.number.setValue(4096)
    with qtbot.waitSignal(page.load_wanted) as wanted:
        page._answer.load.click()
    (wish,) = wanted.args
    assert (wish.file.path, wish.n_ctx) == (header_model(), 4096)


def test_the_command_is_copied(make_page, header_model, qtbot):
    page = make_page(header_model())
    with qtbot.waitSignal(page.notice_wanted):
        press(page, texts.COPY_COMMAND)
    assert QGuiApplication.clipboard().text() == command_line(page.presenter.form)


def test_a_repair_is_a_link_that_does_it_once_the_person_rests(make_page, header_model, qtbot):
    page = make_page(header_model())
    page._choices._context.number.setValue(40_960)
    page.presenter.choose_quant("Q8_0")
    qtbot.waitUntil(lambda: page._answer._offered == page.presenter.form.plan.repairs)
    repair = page.presenter.form.plan.repairs[0]
    press(page, texts.repair_text(repair, page.presenter.form))
    assert page.presenter.form.fit.placement == repair.fit.placement


def test_training_is_told_when_somebody_asks(make_page, header_model, qtbot):
    page = make_page(header_model())
    assert "QLoRA" not in said(page)
    page._training._heading.click()
    qtbot.waitUntil(lambda: "QLoRA, 4 bits, rank 16" in said(page))
    assert "too big by" in said(page._training)
    page._training._heading.click()
    assert "QLoRA" not in said(page)


# another machine


def test_another_machine_is_marked_and_nothing_can_be_loaded_there(make_page, header_model):
    page = make_page(header_model())
    page._machine.menu().actions()[2].trigger()
    assert isinstance(page.presenter.form.target, BuiltMachine)
    assert page._elsewhere.isVisible()
    assert page._machine.accessibleName().endswith("Another machine — RTX 4090 · 64 GB RAM")
    assert not page._answer.load.isVisible()
    press(page, texts.BACK_HERE)
    assert not page._elsewhere.isVisible()


def test_any_part_of_a_gpus_name_finds_it(make_page, header_model, qtbot):
    page = make_page(header_model())
    page._machine.menu().actions()[2].trigger()
    line = page._elsewhere._gpu.lineEdit()
    line.selectAll()
    qtbot.keyClicks(line, "3090")
    page._elsewhere._gpu.completer().popup().hide()
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert "3090" in page.presenter.form.target.gpus[0]
    page._elsewhere._count.setValue(2)
    assert len(page.presenter.form.plan.rooms.gpus) == 2
    line.selectAll()
    qtbot.keyClicks(line, "no such gpu")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert "3090" in line.text()


def test_the_fields_say_what_is_planned_for(make_page, header_model):
    page = make_page(header_model())
    page.presenter.plan_for_parts(("GeForce RTX 3060",) * 2, 48 * 2**30)
    card = page._elsewhere
    assert (card._gpu.currentText(), card._count.value(), card._ram.value()) == ("GeForce RTX 3060", 2, 48)


def test_what_shares_the_processors_memory_comes_alone(make_page, header_model, qtbot):
    page = make_page(header_model())
    page._begin_another()
    page._elsewhere._count.setValue(2)
    page._elsewhere._gpu.setCurrentText("M4 Pro")
    page._elsewhere._gpu._take()
    qtbot.waitUntil(lambda: page.presenter.form.target.gpus == ("M4 Pro",))
    assert page.presenter.form.machine_error is None
    assert not page._elsewhere._count.isEnabled()
    assert [one._bar.name for one in page.findChildren(MemoryBar)] == ["Unified memory"]


def test_a_machine_without_a_gpu_can_be_planned_for(make_page, header_model):
    page = make_page(header_model())
    page._begin_another()
    page._elsewhere._gpu.setCurrentText(texts.NO_GPU)
    page._elsewhere._gpu._take()
    assert page.presenter.form.plan.rooms.gpus == ()


def test_a_machine_file_is_named_and_a_bad_one_is_told(make_page, header_model, tmp_path, qtbot):
    page = make_page(header_model())
    good, bad = tmp_path / "server.json", tmp_path / "bad.json"
    good.write_text(json.dumps(asdict(machines.CPU_ONLY)))
    bad.write_text("{")
    page.presenter.plan_for_file(good)
    qtbot.waitUntil(lambda: page._elsewhere.isVisible())
    assert page._machine.accessibleName().split(": ")[1].startswith("server.json — no GPU")
    page.presenter.plan_for_file(bad)
    qtbot.waitUntil(lambda: "bad.json is not JSON." in said(page))


# typed sizes


@pytest.fixture
def sizes(qtbot):
    dialog = SizesDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def test_the_first_sizes_are_those_of_a_known_model(sizes):
    assert sizes.parameters == Parameters(32, 4096, 32, 14336, 128256, 131072, 8, 128, name="My model")
    assert sizes._said.text() == "8.0 B parameters · 16.1 GB as F16"


def test_sizes_that_do_not_go_together_are_said_and_cannot_be_planned(sizes):
    sizes._fields["n_kv_heads"].setValue(7)
    assert "cannot share" in sizes._said.text()
    assert not sizes._plan.isEnabled()
    sizes._fields["n_kv_heads"].setValue(8)
    assert sizes._plan.isEnabled()


def test_typed_sizes_are_planned_like_any_model(make_page, qtbot):
    page = make_page()
    page.type_sizes()
    dialog = next(one for one in QApplication.topLevelWidgets() if isinstance(one, SizesDialog) and one.isVisible())
    dialog._name.setText("Mine")
    dialog._plan.click()
    assert page._choices._models.currentText() == "Mine (typed sizes)"
    qtbot.waitUntil(lambda: page.presenter.form.plan is not None)
    assert not page._answer.load.isVisible()
    assert not page._answer._copy.isVisible()
    assert "memory calculated from the typed sizes" in said(page)


# speed


def test_a_movement_of_the_slider_is_planned_and_drawn_within_a_frame(make_page, header_model, qapp):
    """The best of three rounds: what disturbs a round is not ours. benchmarks/bench_fit_slider.py has more models."""
    page = make_page(header_model())
    slider = page._choices._context.slider
    rounds = [sorted(moved_s(qapp, slider, index) for index in range(20)) for _ in range(3)]
    assert min(times[len(times) // 2] for times in rounds) < FRAME_S * slowness()


def moved_s(qapp, slider, index):
    """In time of this thread: what else runs on the machine does not count."""
    began_s = time.thread_time()
    slider.setValue(index % (slider.maximum() + 1))
    qapp.processEvents()
    return time.thread_time() - began_s


def slowness():
    """How much slower than idle this processor is at the moment: neighbours share its caches and its clock."""
    began_s, total = time.thread_time(), 0
    for number in range(1_000_000):
        total += number
    return max(1.0, (time.thread_time() - began_s) / IDLE_LOOP_S)


def test_reasons_that_grow_by_a_line_have_room_for_it(make_window, qtbot):
    """A card that was laid out for three reasons, out of sight, and is shown again with four."""
    window = make_window()
    window.begin()
    qtbot.waitUntil(lambda: window.machine.machine is not None)
    window.resize(1280, 1290)
    page = window.fit
    for _ in range(3):
        window.show_page(Page.FIT)
        page.presenter.plan_for_parts(("GeForce RTX 4060",), 32 << 30)
        page.presenter.choose(QWEN3_8B)
        qtbot.waitUntil(lambda: page.presenter.form.plan is not None)
        qtbot.wait(50)
        reasons = page._answer._reasons
        assert reasons.height() == reasons.heightForWidth(reasons.width())
        page.presenter.plan_here()
        window.resize(1280, 840)
        window.show_page(Page.CHAT)
        window.resize(1280, 1290)
