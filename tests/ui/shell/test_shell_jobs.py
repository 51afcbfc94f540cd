"""The window and the workshop: its key, the ways into it, and its runs in the ring, over a restart too."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.model_shelves import tiny_model
from fakes.workbench import FakeWorkbench, run
from fakes.workshop_bench import bench_of, folder_source, order_of
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QPlainTextEdit

from carryon.app.services import Late
from carryon.app.workshop_list import Order, Source, SourceKind, StageKind, Working
from carryon.app.workshop_places import id_of, stages_of
from carryon.ui.jobs import texts
from carryon.ui.log_dialog import LogDialog
from carryon.ui.pages import Page
from carryon.ui.workshop.form import Step

CONTROL = Qt.KeyboardModifier.ControlModifier
ORDER = Order(Source(SourceKind.REPOSITORY, "acme/smol"), ("Q4_K_M",), Path("/out"), "smol")


class Bench(FakeWorkbench):
    """The workshop of a window, which begins and ends it."""

    def begin(self):
        self.asked.append(("begin",))

    def end(self):
        self.asked.append(("end",))


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def window(make_services, make_window, bench, qtbot):
    """Begun, as after its first frame, with the workshop joined."""
    made = make_window(replace(make_services(), late_workshop=Late(lambda: bench)))
    made.begin()
    qtbot.waitUntil(lambda: ("begin",) in bench.asked, timeout=20_000)
    return made


def named(where, words):
    buttons = [one for one in where.findChildren(QAbstractButton) if one.isVisible()]
    return next(one for one in buttons if one.accessibleName().startswith(words))


def test_the_workshop_does_not_delay_the_first_frame(make_services, make_window, bench):
    services = replace(make_services(), late_workshop=Late(lambda: bench))
    make_window(services)
    assert services.late_workshop.if_made is None


def test_ctrl_4_opens_the_workshop(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_4, CONTROL)
    assert window.page is Page.WORKSHOP
    assert window.pages.workshop.isVisible()


def test_a_run_stands_in_the_ring_and_is_told_when_it_is_ready(window, bench, qtbot, tmp_path):
    bench.show(run("a", ORDER))
    bench.work("a", 2, 1, 4)
    assert window.status.jobs_button.isVisible()
    assert window.status.jobs_button.accessibleName() == "Workshop: quantizing to Q4_K_M, 25 %"
    bench.finish("a", tmp_path)
    assert window._toast._words.text() == "“smol · Q4_K_M” is ready."


def test_ctrl_j_leads_to_the_runs_and_to_a_log(window, bench, qtbot, tmp_path):
    log = tmp_path / "run.log"
    log.write_text("== 12:00:00 quantize Q4_K_M\nllama.cpp says so\n")
    bench.show(replace(run("a", ORDER), log_path=log))
    bench.work("a", 2, 1, 4)
    qtbot.keyClick(window, Qt.Key.Key_J, CONTROL)
    assert window.jobs_panel.isVisible()
    named(window.jobs_panel, texts.LOG).click()
    dialog = window.findChild(LogDialog)
    assert "llama.cpp says so" in dialog.findChild(QPlainTextEdit).toPlainText()
    dialog.close()
    named(window.jobs_panel, texts.OPEN).click()
    assert window.page is Page.WORKSHOP
    assert window.pages.workshop.presenter.form.step is Step.RUN
    assert not window.jobs_panel.isVisible()


def test_the_page_of_jobs_holds_both(window, bench):
    bench.show(run("a", ORDER))
    window.show_page(Page.DOWNLOADS)
    named(window.pages.jobs, texts.STOP).click()
    assert ("cancel", "a") in bench.asked
    named(window.pages.jobs, texts.OPEN).click()
    assert window.page is Page.WORKSHOP


@pytest.mark.parametrize("measures", [False, True])
def test_a_model_goes_from_the_library_to_the_workshop(window, bench, carryon_home, qtbot, measures):
    path = tiny_model(carryon_home.models / "m-F16.gguf", quant_type=1)
    window.show_page(Page.LIBRARY)
    page = window.pages.library
    qtbot.waitUntil(lambda: bool(page.presenter.form.rows))
    page.presenter.select(path)
    qtbot.waitUntil(lambda: page._detail._quantize.isVisible())
    (page._detail._measure if measures else page._detail._quantize).click()
    workshop = window.pages.workshop.presenter
    qtbot.waitUntil(lambda: workshop.form.preflight is not None)
    assert window.page is Page.WORKSHOP
    assert workshop.form.source == Source(SourceKind.GGUF, str(path))
    assert workshop.form.choices.measures is measures


def test_a_repository_goes_from_discover_to_the_workshop(window, bench, qtbot):
    source = Source(SourceKind.REPOSITORY, "acme/smol@main")
    window.pages.discover.workshop_wanted.emit(source)
    assert window.page is Page.WORKSHOP
    qtbot.waitUntil(lambda: window.pages.workshop.presenter.form.preflight is not None)
    assert bench.asked[-1][:2] == ("inspect", source)


def test_what_a_killed_carryon_left_is_shown_with_resume_and_tidied(
    make_window, make_services, carryon_home, tmp_path, qtbot
):
    order = order_of(folder_source(), tmp_path / "out", "Q4_K_M", name="guide")
    id = id_of(order)
    with bench_of(carryon_home) as before:
        before.store.add(id, order)
        before.store.finish(id, stages_of(order)[0])
        before.store.set_state(id, Working(stages_of(order)[1]))
    half = tmp_path / "out" / ".carryon" / id / "Q4_K_M.work.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    window = make_window(make_services())
    window.begin()
    qtbot.waitUntil(lambda: window.status.jobs_button.accessibleName() == "Workshop: 1 stopped", timeout=20_000)
    qtbot.waitUntil(lambda: not half.exists())
    window.show_downloads()
    assert named(window.jobs_panel, texts.RESUME).isVisible()
    (told,) = window._services.workshop.now
    assert [one.is_done for one in told.stages if one.kind is StageKind.CONVERT] == [True]
