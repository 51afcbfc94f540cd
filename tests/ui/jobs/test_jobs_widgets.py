"""Ring, popover and page of the jobs, as a person uses them with mouse and keyboard."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.fake_downloads import FakeDownloads, download, one_of_each
from fakes.workbench import FakeWorkbench
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from carryon.app.download_list import Finished, Paused, Queued, Running
from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.jobs import rows as rows_module
from carryon.ui.jobs import texts
from carryon.ui.jobs.page import JobsList
from carryon.ui.jobs.popover import JobsPopover
from carryon.ui.jobs.ring import JobsRing
from carryon.ui.jobs.row import JobRow


@pytest.fixture
def queue():
    return FakeDownloads()


class Shell(QWidget):
    """A page with a ring under it, as the window has them."""

    def __init__(self, queue, bench):
        super().__init__()
        self.page = QWidget()
        self.ring = JobsRing(queue)
        self.ring.join(bench)
        column = QVBoxLayout(self)
        column.addWidget(self.page, 1)
        column.addWidget(self.ring, 0, Qt.AlignmentFlag.AlignRight)
        self.popover = JobsPopover(self.page, queue, bench)
        self.ring.clicked.connect(lambda: self.popover.open(self.ring))


@pytest.fixture
def bench():
    return FakeWorkbench()


@pytest.fixture
def shell(queue, bench, qtbot, qapp):
    made = Shell(queue, bench)
    made.resize(900, 700)
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(lambda: qapp.activeWindow() is made)
    return made


def pressable(where):
    return [one for one in where.findChildren(QAbstractButton) if one.isVisible() and one.isEnabled()]


def named(where, words):
    return next(one for one in pressable(where) if one.accessibleName().startswith(words))


def row(where, id):
    return where.findChild(rows_module.JobRows)._rows[id]


def test_the_ring_is_not_there_before_a_download(shell, queue):
    assert not shell.ring.isVisible()
    queue.show(download("a", Running(20e6, 60), 0.5))
    assert shell.ring.isVisible()
    assert shell.ring.text().strip() == "50 %"
    assert shell.ring.accessibleName() == "Downloading 1 model, 50 %, 20 MB/s, 2 min left"


def test_the_ring_keeps_its_width_while_the_number_grows(shell, queue):
    queue.show(download("a", Running(20e6, 60), 0.01))
    width = shell.ring.sizeHint().width()
    queue.show(download("a", Running(20e6, 60), 1.0))
    assert shell.ring.sizeHint().width() == width


def test_the_ring_opens_and_closes_the_popover(shell, queue, qtbot):
    queue.show(download("a", Running(), 0.5))
    shell.ring.click()
    assert shell.popover.isVisible()
    shell.ring.click()
    assert not shell.popover.isVisible()


def test_escape_closes_the_popover_and_gives_the_keyboard_back(shell, queue, qtbot, qapp):
    queue.show(download("a", Running(), 0.5))
    shell.ring.setFocus()
    qtbot.keyClick(shell.ring, Qt.Key.Key_Space)
    assert shell.popover.isAncestorOf(qapp.focusWidget())
    qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Escape)
    assert not shell.popover.isVisible()
    assert qapp.focusWidget() is shell.ring


def test_a_click_beside_the_popover_closes_it(shell, queue, qtbot):
    shell.popover.open(shell.ring)
    qtbot.mouseClick(shell.page, Qt.MouseButton.LeftButton, pos=shell.page.rect().topLeft())
    assert not shell.popover.isVisible()


def test_every_button_has_a_name_and_is_reached_by_tab(shell, queue, qtbot, qapp):
    queue.show(*one_of_each())
    shell.popover.open(shell.ring)
    buttons = pressable(shell.popover)
    assert all(one.accessibleName() for one in buttons)
    assert len({one.accessibleName() for one in buttons}) == len(buttons)
    seen = set()
    for _ in range(len(buttons) + 8):
        qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Tab)
        seen.add(qapp.focusWidget())
    assert set(buttons) <= seen


def test_a_row_shows_its_download(shell, queue):
    queue.show(download("a", Running(23.4e6, 158), 0.25))
    shell.popover.open(shell.ring)
    one = row(shell.popover, "a")
    assert "1.2 of 4.9 GB · 23 MB/s · 3 min left" in [each.text() for each in one.findChildren(QLabel)]
    assert one.findChild(QProgressBar).value() == 250
    assert "1.2 of 4.9 GB" in one.accessibleName()


def test_pause_becomes_resume_under_the_same_finger(shell, queue, qtbot, qapp):
    queue.show(download("a", Running(), 0.5))
    shell.popover.open(shell.ring)
    pause = named(shell.popover, texts.PAUSE + ":")
    pause.setFocus()
    qtbot.keyClick(pause, Qt.Key.Key_Space)
    queue.show(download("a", Paused(), 0.5))
    assert qapp.focusWidget() is pause
    assert pause.accessibleName().startswith(texts.RESUME)
    qtbot.keyClick(pause, Qt.Key.Key_Space)
    assert queue.asked == [("pause", "a"), ("resume", "a")]


@pytest.mark.parametrize(("answer", "keeps"), [(texts.KEEP_PART, True), (texts.DELETE_PART, False)])
def test_a_cancel_asks_what_becomes_of_the_part(shell, queue, qapp, answer, keeps):
    queue.show(download("a", Running(), 0.5))
    shell.popover.open(shell.ring)
    named(shell.popover, texts.CANCEL + ":").click()
    assert queue.asked == []
    assert qapp.focusWidget().accessibleName() == texts.KEEP_PART
    named(shell.popover, answer).click()
    assert queue.asked == [("cancel", "a", keeps)]


def test_escape_takes_the_question_back_first(shell, queue, qtbot, qapp):
    queue.show(download("a", Running(), 0.5))
    shell.popover.open(shell.ring)
    named(shell.popover, texts.CANCEL + ":").click()
    qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Escape)
    assert shell.popover.isVisible()
    assert not any(one.accessibleName() == texts.KEEP_PART for one in pressable(shell.popover))
    qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Escape)
    assert not shell.popover.isVisible()
    assert queue.asked == []


def test_a_question_goes_when_there_is_nothing_to_cancel_any_more(shell, queue):
    queue.show(download("a", Running(), 0.9))
    shell.popover.open(shell.ring)
    named(shell.popover, texts.CANCEL + ":").click()
    queue.show(download("a", Finished(), 1))
    assert not any(one.accessibleName() == texts.DELETE_PART for one in pressable(shell.popover))


def test_a_finished_model_is_used_in_a_chat(shell, queue, qtbot):
    queue.show(download("a", Finished(), 1))
    shell.popover.open(shell.ring)
    with qtbot.waitSignal(shell.popover.use_wanted) as told:
        named(shell.popover, texts.USE).click()
    assert told.args == [Path("/models/acme/model.gguf")]
    assert not shell.popover.isVisible()


def test_a_folder_that_cannot_be_shown_is_copied(shell, queue, qtbot, monkeypatch):
    monkeypatch.setattr(rows_module.QDesktopServices, "openUrl", lambda _url: False)
    queue.show(download("a", Finished(), 1))
    shell.popover.open(shell.ring)
    with qtbot.waitSignal(shell.popover.notice_wanted):
        named(shell.popover, texts.SHOW).click()
    assert Path(QGuiApplication.clipboard().text()) == Path("/models/acme")


def test_without_downloads_it_leads_to_the_models(shell, queue, qtbot):
    shell.popover.open(shell.ring)
    with qtbot.waitSignal(shell.popover.discover_wanted):
        named(shell.popover, texts.DISCOVER).click()


def test_buttons_for_all_are_there_when_they_have_something_to_do(shell, queue):
    queue.show(download("a", Finished(), 1))
    shell.popover.open(shell.ring)
    names = [one.accessibleName() for one in pressable(shell.popover)]
    assert texts.CLEAR in names
    assert texts.PAUSE_ALL not in names
    named(shell.popover, texts.CLEAR).click()
    assert queue.asked == [("forget_finished",)]


def test_an_end_is_said_once(shell, queue, qtbot):
    queue.show(download("a", Running(), 0.9))
    with qtbot.waitSignal(shell.ring.notice_wanted) as told:
        queue.show(download("a", Finished(), 1))
    assert "is downloaded" in told.args[0]
    with qtbot.assertNotEmitted(shell.ring.notice_wanted):
        queue.show(download("a", Finished(), 1), download("b", Finished(), 1))


def test_rows_keep_their_order_and_go_when_they_are_gone(shell, queue, qtbot):
    a, b, c = (download(id, Queued(), name=f"{id}-GGUF · Q4_0") for id in "abc")
    queue.show(a, c)
    shell.popover.open(shell.ring)
    queue.show(a, b, c)
    qtbot.waitUntil(lambda: row(shell.popover, "c").y() > row(shell.popover, "b").y() > row(shell.popover, "a").y())
    queue.show(b)
    qtbot.waitUntil(lambda: len(shell.popover.findChildren(JobRow)) == 1)


@pytest.mark.parametrize("size", [100, 200])
def test_the_popover_stays_within_its_page(shell, queue, qapp, size):
    theme.apply(qapp, Theme.DARK, size)
    queue.show(*one_of_each())
    shell.popover.open(shell.ring)
    assert shell.page.rect().contains(shell.popover.geometry())
    shell.resize(420, 360)
    qapp.processEvents()
    assert shell.page.rect().contains(shell.popover.geometry())


def test_names_of_models_are_words_and_never_markup(shell, queue):
    queue.show(download("a", Queued(), name="<b>bold</b>&co · Q4_0"))
    shell.popover.open(shell.ring)
    shown = [one for one in row(shell.popover, "a").findChildren(QLabel) if "bold" in one.text()]
    assert shown
    assert all(one.textFormat() is Qt.TextFormat.PlainText for one in shown)


def test_the_page_holds_the_same_list(queue, qtbot):
    page = JobsList(queue, FakeWorkbench())
    qtbot.addWidget(page)
    page.show()
    with qtbot.waitSignal(page.discover_wanted):
        named(page, texts.DISCOVER).click()
    queue.show(*one_of_each())
    qtbot.waitUntil(lambda: any(one.accessibleName().startswith(texts.USE) for one in pressable(page)))
    with qtbot.waitSignal(page.use_wanted):
        named(page, texts.USE).click()
    assert len(page.findChildren(JobRow)) == 7


def test_a_press_acts_on_what_the_row_shows_now(shell, queue):
    queue.show(download("a", Running(), 0.5))
    queue.show(replace(download("a", Running(), 0.5), done_bytes=0))
    shell.popover.open(shell.ring)
    named(shell.popover, texts.CANCEL + ":").click()
    assert queue.asked == [("cancel", "a", False)]
    assert not any(isinstance(one, QPushButton) and one.text() == texts.BACK for one in pressable(shell.popover))


def test_the_popover_leads_to_the_page(shell, qtbot):
    shell.popover.open(shell.ring)
    with qtbot.waitSignal(shell.popover.page_wanted):
        named(shell.popover, texts.OPEN_PAGE).click()
    assert not shell.popover.isVisible()


def test_the_keyboard_goes_back_to_where_it_was_though_there_is_no_ring(shell, qtbot, qapp):
    shell.page.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    shell.page.setFocus()
    shell.popover.open(shell.ring)
    qtbot.keyClick(qapp.focusWidget(), Qt.Key.Key_Escape)
    assert qapp.focusWidget() is shell.page


def test_a_ring_that_has_something_to_show_at_once_is_no_window_of_its_own(queue, bench, qtbot, qapp):
    queue.show(download("a", Running(), 0.5))
    before = set(qapp.topLevelWidgets())
    made = JobsRing(queue)
    assert not made.isVisible()
    shell = Shell(queue, bench)
    qtbot.addWidget(shell)
    qtbot.addWidget(made)
    shell.show()
    assert shell.ring.isVisible()
    assert [one for one in set(qapp.topLevelWidgets()) - before if one.isVisible()] == [shell]


def test_the_popover_is_as_high_as_its_rows(shell, queue, qtbot):
    one = download("a", Running(20e6, 60), 0.5)
    queue.show(one)
    shell.popover.open(shell.ring)
    height = shell.popover.height()
    named(shell.popover, texts.CANCEL + ":").click()
    assert shell.popover.height() > height
    named(shell.popover, texts.BACK).click()
    qtbot.waitUntil(lambda: shell.popover.height() == height)
    queue.show(one, download("b", Queued()))
    assert shell.popover.height() > height
    queue.show(one)
    qtbot.waitUntil(lambda: shell.popover.height() == height)


def test_a_number_that_changes_lays_nothing_out(shell, queue, qtbot):
    queue.show(download("a", Running(20e6, 60), 0.5))
    shell.popover.open(shell.ring)
    rows = shell.popover.findChild(rows_module.JobRows)
    with qtbot.assertNotEmitted(rows.rows_changed):
        queue.show(download("a", Running(21e6, 58), 0.51))
    assert "21 MB/s" in row(shell.popover, "a").accessibleName()
