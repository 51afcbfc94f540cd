"""The Fit page for a model that is not here yet: by its headers on the Hub, for this machine or another."""

import pytest
from fakes import machines
from fakes.fakehub import FakeHub
from fakes.header_repos import add_header_repo
from PySide6.QtCore import Qt

from carryon.hub.names import Reference
from carryon.ui.fit.command import command_line
from carryon.ui.fit.hub_dialog import HubDialog
from carryon.ui.fit.page import FitPage

REPO, QUANTS = "acme/Qwen3-8B-GGUF", ("Q8_0", "Q5_K_M", "Q4_K_M")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        add_header_repo(hub, tmp_path / "models", REPO, "qwen3-8b", QUANTS)
        yield hub


@pytest.fixture
def page(hub, services, qtbot):
    made = FitPage(services)
    qtbot.addWidget(made)
    made.show()
    made.set_machine(machines.WITH_GPU)
    made.refresh()
    return made


def choose(page, qtbot, reference):
    page.presenter.choose(reference)
    qtbot.waitUntil(lambda: bool(page.presenter.form.plan or page.presenter.form.error), timeout=20_000)
    return page.presenter.form


def test_its_quants_are_planned_and_cannot_be_loaded(page, qtbot):
    form = choose(page, qtbot, Reference(REPO))
    assert {one.candidate.quant for one in form.plan.fits} == set(QUANTS)
    assert not form.can_load
    assert command_line(form).startswith(f"carryon fit {REPO} --quant best")


def test_what_another_machine_would_do_with_it(page, qtbot):
    here = choose(page, qtbot, Reference(REPO)).plan
    page.presenter.plan_for_parts(("GeForce RTX 4090",), 64 << 30)
    qtbot.waitUntil(lambda: page.presenter.form.plan is not here)
    assert page.presenter.form.plan.best.decode.middle > here.best.decode.middle


def test_a_named_quant_is_looked_at(page, qtbot):
    assert choose(page, qtbot, Reference(REPO, quant="Q5_K_M")).subject.chosen == "Q5_K_M"


def test_what_is_not_there_is_said_in_place(page, qtbot):
    form = choose(page, qtbot, Reference("acme/nothing"))
    assert "acme/nothing is not on" in form.error.message


def test_the_dialog_takes_names_and_addresses_and_explains_the_rest(hub, qtbot):
    dialog = HubDialog(lambda: ("huggingface.co",))
    qtbot.addWidget(dialog)
    dialog.show()
    taken = []
    dialog.named.connect(taken.append)
    qtbot.keyClicks(dialog.field, "just words")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert not taken
    assert "no name of a model" in dialog._said.text()
    dialog.field.setText("https://huggingface.co/acme/tiny/blob/main/m-Q4_K_M.gguf")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert taken == [Reference("acme/tiny", file="m-Q4_K_M.gguf")]
