"""Runs of the workshop in the ring, the popover and the page, as a person uses them with mouse and keyboard."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.fake_downloads import FakeDownloads, download
from fakes.workbench import REPOSITORY, FakeWorkbench, run
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel, QMenu, QProgressBar, QVBoxLayout, QWidget

from carryon.app.download_list import Running
from carryon.app.workshop_list import Order
from carryon.base.errors import NoRoom
from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.jobs import texts
from carryon.ui.jobs.page import JobsList
from carryon.ui.jobs.popover import JobsPopover
from carryon.ui.jobs.ring import JobsRing
from carryon.ui.jobs.row import JobRow
from carryon.ui.jobs.rows import JobRows

ORDER = Order(REPOSITORY, ("Q4_K_M", "Q6_K"), Path("/out"), "SmolLM2-1.7B-Instruct")
NO_ROOM = NoRoom("The disk is full: 1.2 GB are missing.", "Free some room, then try again.")


@pytest.fixture
def queue():
    return FakeDownloads()


@pytest.fixture
def bench():
    return FakeWorkbench()


@pytest.fixture
def shell(queue, bench, qtbot, qapp):
    """A page with a ring under it, as the window has them."""
    made = QWidget()
    made.page, made.ring = QWidget(), JobsRing(queue)
    made.ring.join(bench)
    column = QVBoxLayout(made)
    column.addWidget(made.page, 1)
    column.addWidget(made.ring, 0, Qt.AlignmentFlag.AlignRight)
    made.popover = JobsPopover(made.page, queue, bench)
    made.ring.clicked.connect(lambda: made.popover.open(made.ring))
    made.resize(900, 700)
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(lambda: qapp.activeWindow() is made)
    return made


def working(bench, id="a", done=125, total=290, order=ORDER):
    bench.show(*bench.now, run(id, order))
    bench.work(id, 2, done, total, 130.0)


def named(where, words):
    buttons = [one for one in where.findChildren(QAbstractButton) if one.isVisible()]
    return next(one for one in buttons if one.accessibleName().startswith(words))


def words_of(where):
    return [one.text() for one in where.findChildren(QLabel) if one.isVisible()]


def test_a_run_that_joins_later_is_in_the_ring(queue, bench, qtbot):
    ring = JobsRing(queue)
    around = QWidget()
    ring.setParent(around)
    qtbot.addWidget(around)
    around.show()
    working(bench)
    assert not ring.isVisible()
    ring.join(bench)
    assert ring.isVisible()
    assert ring.text().strip() == "60 %"  # two of four stages, and 43 % of the third
    assert ring.accessibleName() == "Workshop: quantizing to Q4_K_M, 43 %, 2 min left"


def test_the_ring_counts_both_kinds(shell, queue, bench):
    queue.show(download("a", Running(20e6, 60), 0.5))
    working(bench)
    assert shell.ring.text().strip().startswith("2 · 55 %")


def test_a_row_shows_its_run(shell, bench):
    working(bench)
    shell.popover.open(shell.ring)
    row = shell.popover.findChild(JobRow)
    assert "Quantizing to Q4_K_M · 43 % · 2 min left · step 3 of 4" in words_of(row)
    assert row.findChild(QProgressBar).value() == 431
    assert row.accessibleName().startswith("SmolLM2-1.7B-Instruct · Q4_K_M, Q6_K. Quantizing to Q4_K_M")


def test_stop_asks_and_becomes_resume_under_the_same_finger(shell, bench, qtbot, qapp):
    working(bench)
    shell.popover.open(shell.ring)
    stop = named(shell.popover, texts.STOP + ":")
    stop.setFocus()
    qtbot.keyClick(stop, Qt.Key.Key_Space)
    assert bench.asked == []
    assert qapp.focusWidget().accessibleName() == texts.BACK  # the answer that loses nothing
    named(shell.popover, texts.STOP_RUN).click()
    assert bench.asked == [("cancel", "a")]
    assert qapp.focusWidget() is stop
    assert stop.accessibleName().startswith(texts.RESUME)
    qtbot.keyClick(stop, Qt.Key.Key_Space)
    assert bench.asked[-1] == ("resume", "a")


def test_escape_takes_the_question_back_and_nothing_stops(shell, bench, qtbot, qapp):
    working(bench)
    shell.popover.open(shell.ring)
    named(shell.popover, texts.STOP + ":").click()
    qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Escape)
    assert shell.popover.isVisible()
    assert texts.STOP_TITLE not in words_of(shell.popover)
    assert bench.asked == []


def test_a_question_goes_when_the_run_is_ready_meanwhile(shell, bench):
    working(bench)
    shell.popover.open(shell.ring)
    named(shell.popover, texts.STOP + ":").click()
    bench.finish("a")
    assert texts.STOP_TITLE not in words_of(shell.popover)


def test_one_question_after_another_has_its_own_answers(shell, bench):
    working(bench)
    shell.popover.open(shell.ring)
    named(shell.popover, texts.STOP + ":").click()
    named(shell.popover, texts.STOP_RUN).click()
    named(shell.popover, texts.FORGET + ":").click()
    assert texts.REMOVE_TITLE in words_of(shell.popover)
    named(shell.popover, texts.REMOVE_RUN).click()
    assert bench.asked == [("cancel", "a"), ("forget", "a")]
    assert shell.popover.findChild(JobRows)._rows == {}


def test_a_failed_run_says_why_and_goes_on(shell, bench):
    working(bench)
    bench.fail("a", NO_ROOM)
    shell.popover.open(shell.ring)
    assert NO_ROOM.message in words_of(shell.popover)
    assert NO_ROOM.hint in words_of(shell.popover)
    named(shell.popover, texts.RETRY).click()
    assert bench.asked == [("resume", "a")]


def test_one_file_is_used_at_once(shell, bench, qtbot):
    working(bench, order=replace(ORDER, quants=("Q4_K_M",)))
    bench.finish("a")
    shell.popover.open(shell.ring)
    with qtbot.waitSignal(shell.popover.use_wanted) as told:
        named(shell.popover, texts.USE).click()
    assert told.args == [Path("/out/SmolLM2-1.7B-Instruct-Q4_K_M.gguf")]
    assert not shell.popover.isVisible()


def test_of_several_files_one_is_chosen(shell, bench, qtbot):
    working(bench)
    bench.finish("a")
    shell.popover.open(shell.ring)
    named(shell.popover, texts.USE).click()
    menu = shell.popover.findChild(QMenu)
    assert [one.text() for one in menu.actions()] == [
        "SmolLM2-1.7B-Instruct-Q4_K_M.gguf", "SmolLM2-1.7B-Instruct-Q6_K.gguf",
    ]  # fmt: skip
    with qtbot.waitSignal(shell.popover.use_wanted) as told:
        menu.actions()[1].trigger()
    assert told.args == [Path("/out/SmolLM2-1.7B-Instruct-Q6_K.gguf")]
    menu.close()


def test_log_and_workshop_are_a_press_away(shell, bench, qtbot):
    working(bench)
    shell.popover.open(shell.ring)
    with qtbot.waitSignal(shell.popover.log_wanted) as told:
        named(shell.popover, texts.LOG).click()
    assert told.args == [Path("/logs/a.log")]
    with qtbot.waitSignal(shell.popover.workshop_wanted):
        named(shell.popover, texts.OPEN).click()
    assert not shell.popover.isVisible()


def test_an_end_is_said_once(shell, bench, qtbot):
    working(bench)
    with qtbot.waitSignal(shell.ring.notice_wanted) as told:
        bench.finish("a")
    assert told.args[0] == "“SmolLM2-1.7B-Instruct · Q4_K_M, Q6_K” is ready."
    with qtbot.assertNotEmitted(shell.ring.notice_wanted):
        bench.show(*bench.now)


def test_a_run_that_is_made_once_more_stands_last(shell, bench, qtbot):
    working(bench)
    working(bench, "b")
    shell.popover.open(shell.ring)
    rows = shell.popover.findChild(JobRows)._rows
    bench.show(bench.now[1], bench.now[0])
    qtbot.waitUntil(lambda: rows["run a"].y() > rows["run b"].y())


def test_every_button_has_a_name_and_is_reached_by_tab(shell, queue, bench, qtbot, qapp):
    queue.show(download("a", Running(), 0.5))
    working(bench)
    working(bench, "b")
    bench.finish("b")
    shell.popover.open(shell.ring)
    buttons = [one for one in shell.popover.findChildren(QAbstractButton) if one.isVisible()]
    assert all(one.accessibleName() for one in buttons)
    seen = set()
    for _ in range(len(buttons) + 8):
        qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Tab)
        seen.add(qapp.focusWidget())
    assert set(buttons) <= seen


@pytest.mark.parametrize("size", [100, 200])
def test_the_popover_stays_within_its_page(shell, queue, bench, qapp, size):
    theme.apply(qapp, Theme.DARK, size)
    queue.show(download("a", Running(), 0.5))
    for id in "abcd":
        working(bench, id)
    bench.fail("b", NO_ROOM)
    bench.finish("c")
    shell.popover.open(shell.ring)
    assert shell.page.rect().contains(shell.popover.geometry())
    shell.resize(420, 360)
    qapp.processEvents()
    assert shell.page.rect().contains(shell.popover.geometry())


def test_a_number_that_changes_lays_nothing_out(shell, bench, qtbot):
    working(bench)
    shell.popover.open(shell.ring)
    with qtbot.assertNotEmitted(shell.popover.findChild(JobRows).rows_changed):
        bench.work("a", 2, 128, 290, 128.0, "blk.3.ffn_down.weight")
    assert "44 %" in shell.popover.findChild(JobRow).accessibleName()


def test_the_page_holds_the_same_list(queue, bench, qtbot):
    page = JobsList(queue, bench)
    qtbot.addWidget(page)
    page.show()
    working(bench)
    with qtbot.waitSignal(page.log_wanted):
        named(page, texts.LOG).click()
    with qtbot.waitSignal(page.workshop_wanted):
        named(page, texts.OPEN).click()


def test_the_answers_of_a_question_are_seen(shell, bench, qtbot, qapp):
    for id in "abc":
        working(bench, id)
    shell.resize(500, 420)
    shell.popover.open(shell.ring)
    [*shell.popover.findChild(JobRows)._rows.values()][-1]._toggle._button.click()
    answer = qapp.focusWidget()
    assert answer.accessibleName() == texts.BACK
    qtbot.waitUntil(lambda: not answer.visibleRegion().isEmpty())
    assert answer.visibleRegion().boundingRect().height() == answer.height()
