"""The settings page as a person uses it."""

import pytest
from fakes import machines
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLineEdit, QToolButton

from carryon.base.settings import SettingsFile, Theme
from carryon.ui.settings import texts
from carryon.ui.settings.page import SettingsPage
from carryon.ui.widgets.machine_card import MachineCard


@pytest.fixture
def page(services, qtbot):
    made = SettingsPage(services)
    qtbot.addWidget(made)
    made.show()
    return made


def kept(services):
    return SettingsFile(services.home.settings).now


def test_choosing_a_theme_asks_for_it_and_keeps_it(page, services, qtbot):
    with qtbot.waitSignal(page.appearance_wanted):
        page._themes.button(list(Theme).index(Theme.DARK)).click()
    assert kept(services).theme is Theme.DARK


def test_a_typed_text_size_counts_when_it_is_whole(page, services, qtbot):
    page._text_size.selectAll()
    qtbot.keyClicks(page._text_size, "150")
    assert kept(services).text_size_percent == 100
    qtbot.keyClick(page._text_size, Qt.Key.Key_Return)
    assert kept(services).text_size_percent == 150


def test_threads_show_automatic_and_take_a_number(page, services):
    assert page._threads.text() == "Automatic"
    page._threads.setValue(6)
    assert kept(services).n_threads == 6
    page._threads.setValue(0)
    assert kept(services).n_threads is None


def test_drawing_the_settings_changes_none(page, services):
    services.settings.change(lambda now: now)
    before = services.settings.now
    page.refresh()
    assert services.settings.now == before


def test_the_machine_card_shows_everything_and_copies_it(page):
    page.set_machine(machines.WITH_GPU)
    card = page.findChild(MachineCard)
    words = " ".join(one.text() for one in card.findChildren(type(page._about[0])))
    for expected in ("AMD Ryzen 7 5800X", "8 physical", "AVX2", "RTX 4060", "570.86", "8.9", "firefox", "CUDA0", "RPC"):
        assert expected in words
    card._copy.click()
    assert "RTX 4060" in QGuiApplication.clipboard().text()


def test_problems_of_the_machine_are_seen(page):
    page.set_machine(machines.BROKEN)
    card = page.findChild(MachineCard)
    problem = next(one for one in card.findChildren(type(page._about[0])) if one.objectName() == "warn")
    assert "cannot be loaded" in problem.text()


def test_looking_again_is_asked_for(page, qtbot):
    page.set_machine(machines.CPU_ONLY)
    with qtbot.waitSignal(page.machine_look_wanted):
        page.findChild(MachineCard)._again.click()


def test_the_trash_gives_a_chat_back(page, services, qtbot):
    chat = services.store.begin("Trip to Lisbon")
    services.store.move_to_trash(chat.id)
    page.refresh()
    with qtbot.waitSignals([page.chats_restored, page.notice_wanted]):
        page._trash._button.click()
    assert services.store.trash() == ()
    assert page._trash._empty.isVisibleTo(page)


def test_folders_can_be_copied(page, services, qtbot):
    copy = next(one for one in page.findChildren(QToolButton) if one.accessibleName() == texts.copy_path("Models"))
    with qtbot.waitSignal(page.notice_wanted):
        copy.click()
    assert QGuiApplication.clipboard().text() == str(services.home.models)
    shown = [one.text() for one in page.findChildren(QLineEdit) if one.isReadOnly()]
    assert str(services.home.root) in shown


def test_what_goes_wrong_is_told_in_a_sentence(page, services, qtbot):
    services.settings._path.unlink()
    services.settings._path.mkdir()
    with qtbot.waitSignal(page.notice_wanted) as told:
        page._threads.setValue(3)
    assert str(services.home.settings) in told.args[0]
    assert page._threads.value() == 0
