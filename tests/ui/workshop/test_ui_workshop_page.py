"""The Workshop page as a person uses it: by mouse, by keyboard alone, with errors, stops and restarts."""

from pathlib import Path

import pytest
from fakes import workbench
from fakes.workbench import FOLDER, GB, GGUF_FILE, MB, REPOSITORY
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QTableView,
    QWidget,
)

from carryon.app.workshop_list import Converter, Finding, Level, Order, Source, SourceKind, Subject
from carryon.base.errors import NoRoom, Offline
from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.log_dialog import LogDialog
from carryon.ui.widgets.quant_table import QUANT
from carryon.ui.workshop import run_texts, texts
from carryon.ui.workshop.chart import TradeOff
from carryon.ui.workshop.form import Matrix, Step
from carryon.ui.workshop.run_card import RunCard
from carryon.ui.workshop.sources import models_in

ORDER = Order(FOLDER, ("Q4_K_M", "Q6_K"), Path("/out"), "Smol", measures=True)


def said(page):
    """Every word that stands on the page now."""
    words = [one.text() for one in page.findChildren(QLabel) if one.isVisible()]
    buttons = [one.text().strip() for one in page.findChildren(QAbstractButton) if one.isVisible()]
    return "\n".join([*words, *buttons])


def button(page, text):
    return next(
        one for one in page.findChildren(QAbstractButton)
        if one.isVisible() and one.isEnabled() and one.text().strip().replace("&", "").startswith(text)
    )  # fmt: skip


def step(page):
    """The step that is drawn."""
    return page._drawn_step


def quants(page):
    return [row.quant for row in page.targets.table._ticks.rows]


def click_row(page, qtbot, quant):
    table = page.targets.table
    place = table.visualRect(table._ticks.index(quants(page).index(quant), QUANT)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def go_to_targets(page, until, source=FOLDER):
    page.open_source(source)
    until(lambda: page.presenter.form.can_continue)
    page.presenter.go(Step.TARGETS)
    until(lambda: step(page) is Step.TARGETS)


def press(qtbot, key, modifier=Qt.KeyboardModifier.NoModifier):
    """A key goes to whatever has the keyboard."""
    qtbot.keyClick(QApplication.focusWidget(), key, modifier)


def tab_to(qtbot, target, most=40):
    """Only with the Tab key."""
    for _ in range(most):
        if QApplication.focusWidget() is target:
            return
        press(qtbot, Qt.Key.Key_Tab)
    raise AssertionError(f"{target.accessibleName()} is not reached by Tab")


# the whole way


def test_from_a_repository_to_a_file_in_the_chat_by_mouse(make_page, bench, qtbot, until, tmp_path):
    page = make_page()
    qtbot.mouseClick(page.source.field, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(page.source.field, REPOSITORY.place)
    qtbot.mouseClick(page.foot.check, Qt.MouseButton.LeftButton)
    until(lambda: page.foot.next.isVisible() and page.foot.next.isEnabled())
    assert "Everything is good." in said(page)
    qtbot.mouseClick(page.foot.next, Qt.MouseButton.LeftButton)
    until(lambda: step(page) is Step.TARGETS)
    click_row(page, qtbot, "Q4_K_M")
    until(lambda: page.foot.make.isVisible())
    assert page.foot.make.text() == "Make 2 files"
    qtbot.mouseClick(page.foot.make, Qt.MouseButton.LeftButton)
    until(lambda: step(page) is Step.RUN)
    assert bench.orders()[0].quants == ("Q6_K", "Q4_K_M")
    bench.finish("run0", tmp_path)
    until(lambda: run_texts.USE in said(page))
    with qtbot.waitSignal(page.use_wanted) as used:
        qtbot.mouseClick(button(page, run_texts.USE), Qt.MouseButton.LeftButton)
    assert used.args == [tmp_path / "SmolLM2-1.7B-Instruct-Q6_K.gguf"]


def test_from_a_repository_to_a_file_in_the_chat_by_keyboard_alone(make_page, bench, qtbot, until, tmp_path):
    page = make_page()
    until(lambda: page.source.field.hasFocus())
    for letter in REPOSITORY.place:
        press(qtbot, letter)
    press(qtbot, Qt.Key.Key_Return)
    until(lambda: page.foot.next.isVisible() and page.foot.next.isEnabled())
    press(qtbot, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    until(lambda: page.targets.table.hasFocus())
    press(qtbot, Qt.Key.Key_Up)
    press(qtbot, Qt.Key.Key_Up)
    press(qtbot, Qt.Key.Key_Space)
    until(lambda: page.foot.make.isVisible())
    tab_to(qtbot, page.foot.make)
    press(qtbot, Qt.Key.Key_Space)
    until(lambda: step(page) is Step.RUN)
    assert bench.orders()[0].quants == ("Q6_K", "Q4_K_M")
    bench.finish("run0", tmp_path)
    until(lambda: run_texts.USE in said(page))
    tab_to(qtbot, page.runs.cards["run0"]._uses[1])
    with qtbot.waitSignal(page.use_wanted) as used:
        press(qtbot, Qt.Key.Key_Space)
    assert used.args == [tmp_path / "SmolLM2-1.7B-Instruct-Q4_K_M.gguf"]


def test_one_button_makes_the_best_and_uses_it(make_page, bench, qtbot, until, tmp_path):
    page = make_page()
    page.open_source(FOLDER)
    until(lambda: texts.MAKE_BEST in said(page))
    qtbot.mouseClick(page.foot.best, Qt.MouseButton.LeftButton)
    until(lambda: step(page) is Step.RUN)
    assert bench.orders()[0].quants == ("Q6_K",)
    box = page.runs.cards["run0"]._opens
    assert box.isChecked()
    bench.finish("run0", tmp_path)
    assert page.used == [tmp_path / "SmolLM2-1.7B-Instruct-Q6_K.gguf"]


def test_a_file_that_shall_not_be_used_at_once_waits(make_page, bench, qtbot, until, tmp_path):
    page = make_page()
    page.open_source(FOLDER)
    until(lambda: page.foot.best.isVisible())
    page.foot.best.click()
    until(lambda: step(page) is Step.RUN)
    page.runs.cards["run0"]._opens.click()
    bench.finish("run0", tmp_path)
    assert page.used == []


def test_a_page_that_nobody_sees_does_not_open_the_chat(make_page, bench, until, tmp_path):
    page = make_page()
    page.open_source(FOLDER)
    until(lambda: page.foot.best.isVisible())
    page.foot.best.click()
    page.hide()
    bench.finish("run0", tmp_path)
    assert page.used == []


def test_alt_and_arrows_lead_back_and_on(make_page, qtbot, until):
    page = make_page()
    go_to_targets(page, until)
    alt = Qt.KeyboardModifier.AltModifier
    for wanted in (Step.PREFLIGHT, Step.SOURCE):
        press(qtbot, Qt.Key.Key_Left, alt)
        until(lambda wanted=wanted: step(page) is wanted)
    assert page.source.text == FOLDER.place
    for wanted in (Step.PREFLIGHT, Step.TARGETS):
        press(qtbot, Qt.Key.Key_Right, alt)
        until(lambda wanted=wanted: step(page) is wanted)


def test_the_bar_leads_to_every_step_that_is_open(make_page, qtbot, until):
    page = make_page()
    assert [one.isEnabled() for one in page.steps.buttons] == [True, False, False, False]
    go_to_targets(page, until)
    assert page.steps.buttons[Step.TARGETS].accessibleName() == "Step 3 of 4: Targets, current"
    assert page.steps.buttons[Step.SOURCE].accessibleName() == "Step 1 of 4: Source, done"
    qtbot.mouseClick(page.steps.buttons[Step.SOURCE], Qt.MouseButton.LeftButton)
    until(lambda: step(page) is Step.SOURCE)
    assert [one.isChecked() for one in page.steps.buttons] == [True, False, False, False]


# the source


def test_an_empty_page_says_what_the_workshop_is_for(make_page):
    page = make_page()
    assert texts.INTRO in said(page)
    assert texts.NO_RECENT in said(page)
    assert not page.foot.check.isEnabled()


def test_a_mistyped_source_is_told_at_once_and_kept_to_be_mended(make_page, qtbot, until):
    page = make_page()
    qtbot.keyClicks(page.source.field, "/nothing/here")
    press(qtbot, Qt.Key.Key_Return)
    until(lambda: "There is no “/nothing/here” on this disk." in said(page))
    assert page.source.text == "/nothing/here"


def test_a_folder_can_be_dropped_anywhere(make_page, bench, until, tmp_path):
    page = make_page()
    (tmp_path / "config.json").write_text("{}")
    what = QMimeData()
    what.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.dropEvent(QDropEvent(QPointF(20, 20), copy, what, left, none))
    until(lambda: bench.asked)
    assert bench.asked[0][1] == Source(SourceKind.FOLDER, str(tmp_path))
    assert page.source.text == str(tmp_path)


def test_a_recent_source_and_a_file_of_the_library_are_a_click_away(make_page, bench, qtbot, until):
    bench.show(workbench.run("old", Order(REPOSITORY, ("Q8_0",), Path("/out"), "x")))
    page = make_page()
    until(lambda: page.source.recent.count() == 1)
    place = page.source.recent.visualItemRect(page.source.recent.item(0)).center()
    qtbot.mouseClick(page.source.recent.viewport(), Qt.MouseButton.LeftButton, pos=place)
    until(lambda: step(page) is Step.PREFLIGHT)
    assert bench.asked[0][1] == REPOSITORY


def test_the_library_is_listed_and_enter_checks_a_file(make_page, bench, qtbot, until, tmp_path, carryon_home):
    from fakes.model_shelves import tiny_model

    path = carryon_home.models / "acme" / "tiny-GGUF" / "tiny-Q8_0.gguf"
    path.parent.mkdir(parents=True)
    tiny_model(path, quant_type=7)
    page = make_page()
    until(lambda: page.source.models.isVisible() and page.source.models.count() == 1)
    page.source.models.setFocus()
    page.source.models.setCurrentRow(0)
    press(qtbot, Qt.Key.Key_Return)
    until(lambda: bench.asked)
    assert bench.asked[0][1] == Source(SourceKind.GGUF, str(path))


def test_a_chosen_adapter_is_shown_and_can_be_left_out(make_page, until, tmp_path):
    page = make_page()
    (tmp_path / "adapter_config.json").write_text("{}")
    page.source.adapter_dialog_wanted.emit()
    dialog = next(one for one in page.findChildren(QFileDialog))
    dialog.fileSelected.emit(str(tmp_path))
    dialog.close()
    until(lambda: page.source._remove.isVisible())
    assert page.source._adapter.accessibleName() == str(tmp_path)
    page.source._remove.click()
    until(lambda: not page.source._remove.isVisible())


# the preflight


def test_a_check_that_goes_on_can_be_stopped_with_escape(make_page, bench, qtbot, until):
    bench.may_answer.clear()
    page = make_page()
    page.open_source(REPOSITORY)
    until(lambda: texts.INSPECTING in said(page))
    until(lambda: QApplication.focusWidget() is page.preflight._stop)
    press(qtbot, Qt.Key.Key_Escape)
    until(lambda: texts.STOPPED in said(page))
    until(lambda: QApplication.focusWidget() is page.preflight._restart)
    bench.may_answer.set()
    press(qtbot, Qt.Key.Key_Space)
    until(lambda: page.presenter.form.can_continue)


def test_when_the_report_is_there_the_keyboard_is_at_what_comes_next(make_page, bench, qtbot, until):
    bench.may_answer.clear()
    page = make_page()
    page.open_source(REPOSITORY)
    until(lambda: QApplication.focusWidget() is page.preflight._stop)
    bench.may_answer.set()
    until(lambda: QApplication.focusWidget() is page.foot.next)


def test_an_error_has_its_next_step(make_page, bench, qtbot, until):
    bench.answers[REPOSITORY.place] = Offline("The Hub does not answer.", "Check the connection.")
    page = make_page()
    page.open_source(REPOSITORY)
    until(lambda: "The Hub does not answer." in said(page))
    assert "Check the connection." in said(page)
    del bench.answers[REPOSITORY.place]
    button(page, texts.TRY_AGAIN).click()
    until(lambda: "Everything is good." in said(page))


def test_a_problem_closes_the_way_and_says_why(make_page, bench, until):
    bench.answers[FOLDER.place] = workbench.preflight(findings=(workbench.BAD, *workbench.GOOD[1:]))
    page = make_page()
    page.open_source(FOLDER)
    until(lambda: "One problem is in the way." in said(page))
    for words in ("Problem", "Weights", "14 bytes shorter", "Download that file again."):
        assert words in said(page)
    assert not page.foot.next.isEnabled()
    assert not page.foot.best.isVisible()
    assert "has to be solved first" in said(page)


def test_levels_are_told_in_words_and_to_screen_readers(make_page, bench, until):
    bench.answers[FOLDER.place] = workbench.preflight(findings=(*workbench.GOOD[:2], workbench.NOTE))
    page = make_page()
    page.open_source(FOLDER)
    until(lambda: "One thing should be known." in said(page))
    assert {"Good", "Note"} <= set(said(page).split("\n"))
    names = [one.accessibleName() for one in page.preflight.findChildren(QWidget)]
    assert any(name.startswith("Note: Vocabulary. Three added tokens") for name in names)


def test_the_converter_needs_consent(make_page, bench, until):
    bench.answers[FOLDER.place] = workbench.preflight(converter=Converter.UPSTREAM)
    page = make_page()
    page.open_source(FOLDER)
    until(lambda: texts.CONSENT_TITLE in said(page))
    assert not page.foot.next.isEnabled()
    page.preflight.fetch.click()
    until(lambda: page.foot.next.isEnabled())


# the targets


def test_what_is_ticked_is_told_and_the_best_stands_out(make_page, until):
    page = make_page()
    go_to_targets(page, until)
    assert quants(page) == ["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]
    model = page.targets.table._ticks
    spoken = [model.data(model.index(row, QUANT), Qt.ItemDataRole.AccessibleTextRole) for row in range(4)]
    assert [text.rsplit(", ", 1)[1] for text in spoken] == ["not ticked", "not ticked", "ticked", "not ticked"]
    assert "best for you" in spoken[2]
    states = [model.data(model.index(row, QUANT), Qt.ItemDataRole.CheckStateRole) for row in range(4)]
    assert states[2] == Qt.CheckState.Checked
    assert page.foot.best.objectName() == "primary"
    assert not page.foot.make.isVisible()


def test_more_types_unfold(make_page, until):
    page = make_page()
    go_to_targets(page, until)
    assert page.targets.more.text() == "More types (6)"
    page.targets.more.click()
    until(lambda: len(quants(page)) == 10)
    assert page.targets.more.text() == texts.FEWER_TYPES


def test_a_type_without_its_matrix_cannot_be_ticked_and_says_why(make_page, qtbot, until):
    page = make_page()
    go_to_targets(page, until)
    page.targets.more.click()
    until(lambda: "IQ2_XS" in quants(page))
    click_row(page, qtbot, "IQ2_XS")
    until(lambda: page.targets._about_row.text().startswith("IQ2_XS is made only with"))
    assert page.presenter.form.choices.quants == {"Q6_K"}
    page.presenter.set_matrix(Matrix.FILE, Path("/m.gguf"))
    until(lambda: page.targets._matrix_path.isVisible())
    click_row(page, qtbot, "IQ2_XS")
    assert page.presenter.form.choices.quants == {"Q6_K", "IQ2_XS"}


def test_a_matrix_dialog_that_is_given_up_changes_nothing(make_page, until):
    page = make_page()
    go_to_targets(page, until)
    page.targets._matrix.setCurrentIndex(1)
    page.targets._matrix.activated.emit(1)
    dialog = next(one for one in page.findChildren(QFileDialog))
    dialog.reject()
    until(lambda: page.targets._matrix.currentIndex() == 0)
    assert page.presenter.form.choices.matrix is Matrix.NONE


def test_a_full_disk_is_told_before_it_is_written_to(make_page, until, monkeypatch):
    import carryon.ui.workshop.presenter as presenter

    monkeypatch.setattr(presenter, "free_bytes_at", lambda _: 2 * GB)
    page = make_page()
    go_to_targets(page, until)
    assert "only 2.0 GB free" in said(page)
    assert page.targets._disk.objectName() == "bad"
    assert "The disk needs 2.8 GB more." in said(page)
    assert not page.foot.best.isEnabled()
    monkeypatch.setattr(presenter, "free_bytes_at", lambda _: 20 * GB)
    page.presenter.refresh()  # as the timer does
    until(lambda: page.foot.best.isEnabled())


def test_a_file_that_is_there_is_not_overwritten(make_page, until, tmp_path):
    page = make_page()
    go_to_targets(page, until)
    (tmp_path / "SmolLM2-1.7B-Instruct-Q6_K.gguf").touch()
    assert models_in(tmp_path) == {"SmolLM2-1.7B-Instruct-Q6_K.gguf"}
    page.presenter.choose(folder=tmp_path)
    until(lambda: "is in that folder already" in said(page))
    assert not page.foot.best.isEnabled()
    page.targets.name.clear()
    page.targets.name.textEdited.emit("")
    until(lambda: "The files need a name." in said(page))
    page.targets.name.setText("mine")
    page.targets.name.textEdited.emit("mine")
    until(lambda: page.foot.best.isEnabled())


def test_a_refused_order_is_told_in_its_step(make_page, bench, until):
    bench.refuses = NoRoom("The disk is full.", "Free some room.")
    page = make_page()
    go_to_targets(page, until)
    page.foot.best.click()
    until(lambda: "The disk is full." in said(page))
    assert step(page) is Step.TARGETS


def test_a_quantized_file_asks_before_it_is_quantized_again(make_page, bench, until):
    bench.answers[GGUF_FILE.place] = workbench.preflight(source_bytes=1820 * MB, converter=Converter.NONE)
    page = make_page()
    go_to_targets(page, until, GGUF_FILE)
    assert texts.REQUANTIZE_NOTE in said(page)
    assert not page.foot.best.isEnabled()
    page.targets.requantize.click()
    until(lambda: page.foot.best.isEnabled())
    assert not page.targets.keep.isVisible()
    page.foot.best.click()
    assert bench.orders()[0].requantizes


def test_the_command_is_copied(make_page, until):
    page = make_page()
    go_to_targets(page, until)
    page.targets.command.click()
    assert QGuiApplication.clipboard().text().startswith(f"carryon convert {FOLDER.place} --to q6_k --out ")
    assert page.said == [texts.COPIED]


def test_another_context_works_the_verdicts_out_anew(make_page, bench, until):
    page = make_page()
    go_to_targets(page, until)
    bench.may_answer.clear()
    page.targets._context.activated.emit(4)
    until(lambda: page.targets._working.isVisible())
    assert quants(page)  # the table stays
    bench.may_answer.set()
    until(lambda: not page.targets._working.isVisible())
    assert bench.asked[-1] == ("inspect", FOLDER, 32768)
    assert page.targets._context.currentText() == "32k tokens"


# the runs


def test_a_run_shows_its_stages_and_how_far_it_is(make_page, bench, until):
    page = make_page()
    bench.show(workbench.run("a", ORDER))
    page.presenter.go(Step.RUN)
    bench.work("a", 1, 145, 290, 30.0)
    until(lambda: "Quantizing Q4_K_M: 145 of 290 tensors · 30 s left" in said(page))
    bar = page.runs.cards["a"].findChildren(QProgressBar)[0]
    assert bar.value() == 500
    assert page.runs.cards["a"]._stages.accessibleName() == (
        "Convert: done, Quantize Q4_K_M: at work, Quantize Q6_K: to come, Measure: to come"
    )


def test_a_run_is_stopped_and_resumed(make_page, bench, qtbot, until):
    page = make_page()
    bench.show(workbench.run("a", ORDER))
    bench.work("a", 1, 1, 290)
    page.presenter.go(Step.RUN)
    until(lambda: step(page) is Step.RUN)
    until(lambda: QApplication.focusWidget() is page.runs.cards["a"]._cancel)
    press(qtbot, Qt.Key.Key_Space)
    until(lambda: "Stopped. 1 of 4 stages are done" in said(page))
    until(lambda: QApplication.focusWidget() is page.runs.cards["a"]._resume)  # the keyboard is not lost
    press(qtbot, Qt.Key.Key_Space)
    until(lambda: "Waits for its turn" in said(page))
    assert [asked[0] for asked in bench.asked] == ["cancel", "resume"]


def test_what_was_interrupted_by_a_restart_is_shown_and_goes_on(make_page, bench, until):
    bench.show(workbench.run("a", ORDER))
    bench.cancel("a")
    page = make_page()
    assert page.steps.buttons[Step.RUN].isEnabled()
    page.steps.buttons[Step.RUN].click()
    until(lambda: step(page) is Step.RUN)
    button(page, run_texts.RESUME).click()
    assert bench.asked[-1] == ("resume", "a")


def test_a_failed_run_says_why_and_what_to_do(make_page, bench, until, tmp_path):
    page = make_page()
    bench.show(workbench.run("a", ORDER))
    bench.fail("a", NoRoom("The disk is full.", "Free some room, then resume."))
    page.presenter.go(Step.RUN)
    until(lambda: "The disk is full." in said(page))
    assert "Free some room, then resume." in said(page)
    button(page, run_texts.FORGET).click()
    until(lambda: step(page) is Step.SOURCE)
    assert page.runs.cards == {} or not page.runs.isVisible()


def test_the_log_of_a_run_can_be_read(make_page, bench, until, tmp_path):
    from dataclasses import replace

    log = tmp_path / "a.log"
    log.write_text("what the process said")
    page = make_page()
    bench.show(replace(workbench.run("a", ORDER), log_path=log))
    page.presenter.go(Step.RUN)
    until(lambda: step(page) is Step.RUN)
    page.runs.cards["a"]._log.click()
    dialog = next(one for one in page.findChildren(LogDialog))
    assert dialog._text.toPlainText() == "what the process said"
    dialog.close()


def test_news_do_not_rebuild_the_cards(make_page, bench, until):
    page = make_page()
    bench.show(workbench.run("a", ORDER))
    page.presenter.go(Step.RUN)
    until(lambda: step(page) is Step.RUN)
    card = page.runs.cards["a"]
    for done in range(10):
        bench.work("a", 1, done, 290)
    until(lambda: "9 of 290" in said(page))
    assert page.runs.cards["a"] is card
    assert len(page.runs.findChildren(RunCard)) == 1


def test_what_was_measured_is_a_chart_and_a_table(make_page, bench, until, tmp_path):
    page = make_page(points=workbench.points(("Q4_K_M", "Q5_0", "Q6_K")))
    bench.show(workbench.run("a", ORDER))
    bench.finish("a", tmp_path)
    page.presenter.go(Step.RUN)
    until(lambda: page.runs.findChildren(TradeOff))
    (trade,) = page.runs.findChildren(TradeOff)
    assert "Q5_0: 1.3 GB, lost 0.021" in trade._plot.accessibleName()
    table = trade.table
    assert [table.item(row, 0).text() for row in range(table.rowCount())] == ["Q4_K_M", "Q5_0", "Q6_K", "BF16"]
    assert [table.item(row, 4).text() for row in range(4)] == ["on the line", "beaten", "on the line", "the base"]


def test_the_chart_is_drawn_as_it_was_measured(qtbot):
    import pyqtgraph

    from carryon.ui.workshop.chart import draw, plot_of

    points = workbench.points(("Q4_K_M", "Q5_0", "Q6_K"))
    plot = plot_of(points)
    qtbot.addWidget(plot)
    draw(plot, points)
    (line,) = plot.listDataItems()[:1]
    assert list(line.getData()[0]) == [1.056, 1.406, 3.424]
    assert list(line.getData()[1]) == [0.0312, 0.0048, 0.0]
    dots = [item.data for item in plot.items() if isinstance(item, pyqtgraph.ScatterPlotItem) and len(item.data)]
    drawn = {(one["x"][0], one["y"][0]) for one in dots}
    assert {(one.size_bytes / 1e9, one.loss) for one in points} <= drawn


def test_without_anything_to_compare_there_is_no_chart(make_page, bench, until, tmp_path):
    page = make_page(points=workbench.points(()))
    bench.show(workbench.run("a", ORDER))
    bench.finish("a", tmp_path)
    page.presenter.go(Step.RUN)
    until(lambda: page.presenter.form.charts)
    until(lambda: run_texts.USE in said(page))
    assert not page.runs.findChildren(TradeOff)


# how it looks and sounds


def states(page, bench, until, tmp_path):
    """Brings the page into each of its steps, full of words."""
    long = "a-very-long-name.of_a_model-" * 4
    wordy = Finding(Subject.WEIGHTS, Level.NOTE, "What should be known of it. " * 6, "And what to do. " * 6)
    source = Source(SourceKind.FOLDER, f"/models/{long}")
    bench.answers[source.place] = workbench.preflight(findings=(wordy, *workbench.GOOD[1:]), revision="0" * 40)
    yield
    page.open_source(source)
    until(lambda: page.foot.next.isVisible() and page.foot.next.isEnabled())
    yield
    page.presenter.go(Step.TARGETS)
    page.presenter.show_all(True)
    page.presenter.choose(measures=True, folder=Path("/a/rather/deep") / long, name=long)
    until(lambda: step(page) is Step.TARGETS)
    yield
    bench.show(workbench.run("a", Order(source, ("Q4_K_M", "Q6_K", "Q8_0"), tmp_path, long), notices=("Known. " * 30,)))
    bench.fail("a", NoRoom("It is full. " * 12, "Free some. " * 12))
    page.presenter.go(Step.RUN)
    until(lambda: step(page) is Step.RUN)
    yield


@pytest.mark.parametrize("percent", [100, 200])
def test_nothing_is_cut_off_to_the_side(make_page, bench, until, tmp_path, qapp, percent):
    theme.apply(qapp, Theme.LIGHT, percent)
    page = make_page(size=(1180 - theme.px(84), 720))
    for _ in states(page, bench, until, tmp_path):
        QApplication.processEvents()
        for view in (page.source, page.preflight, page.targets, page.runs):
            if view.isVisible():
                assert view.horizontalScrollBar().maximum() == 0
        for one in page.findChildren(QAbstractButton):
            if one.isVisible():
                assert one.width() >= min(one.sizeHint().width(), one.minimumSizeHint().width()), one.text()
                right = one.mapTo(page, QPoint(one.width(), 0)).x()
                assert right <= page.width(), f"{one.text()} ends at {right} of {page.width()}"


def test_everything_that_takes_the_keyboard_has_a_name(make_page, bench, until, tmp_path):
    page = make_page()
    kinds = (QAbstractButton, QLineEdit, QComboBox, QCheckBox, QListWidget, QTableView, QProgressBar)
    for _ in states(page, bench, until, tmp_path):
        for one in page.findChildren(QWidget):
            if one.isVisible() and isinstance(one, kinds) and one.objectName() != "qt_edit":
                name = one.accessibleName() or (one.text() if hasattr(one, "text") else "")
                is_part = one.parent() is not None and isinstance(one.parent(), QLineEdit | QTableView)
                assert name or is_part, f"{type(one).__name__} has no name"


def test_the_window_does_not_import_the_chart_at_its_start():
    import subprocess
    import sys

    code = "import sys, carryon.ui.workshop.page; print('pyqtgraph' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"
