"""The window: pages, keys, drops, the model's life and death, and a clean end."""

import os
import signal
from dataclasses import replace

import pytest
from fakes import machines, tiny_gguf
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from carryon.app.host import FailedModel, LoadedModel, LoadWish, NoModel
from carryon.app.models import guide
from carryon.base.settings import SettingsFile
from carryon.chat.message import State
from carryon.chat.store import Store
from carryon.ui import texts
from carryon.ui.loading.page import LoadDialog
from carryon.ui.loading.presenter import model_file
from carryon.ui.log_dialog import LogDialog
from carryon.ui.pages import PLACES, Page
from carryon.ui.shortcuts import ShortcutsDialog
from carryon.ui.widgets.memory_bar import MemoryBar
from carryon.ui.widgets.reason_card import ReasonCard

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def model(tmp_path):
    return model_file(tiny_gguf.random_model(tmp_path / "tiny.gguf"))


def load(window, model, qtbot, layers=0):
    host = window._services.host
    host.load(LoadWish(model, 4096, layers))
    qtbot.waitUntil(lambda: isinstance(host.state, LoadedModel))


def press(window, qtbot, key, modifiers=CONTROL):
    qtbot.keyClick(window, key, modifiers)


def open_dialog(kind):
    return next((one for one in QApplication.topLevelWidgets() if isinstance(one, kind) and one.isVisible()), None)


def visible_words(widget):
    return " ".join(one.text() for one in widget.findChildren(QLabel) if one.isVisible())


def buttons(widget, text):
    return [one for one in widget.findChildren(QPushButton) if one.text().strip() == text and one.isVisible()]


# pages and keys


def test_the_rail_opens_pages(make_window, qtbot):
    window = make_window()
    assert window.page == Page.CHAT
    window.rail._group.button(PLACES[Page.SETTINGS]).click()
    assert window.page == Page.SETTINGS
    window.rail._group.button(PLACES[Page.CHAT]).click()
    assert window.page == Page.CHAT


def test_only_pages_that_exist_are_on_the_rail(make_window):
    assert [one.text() for one in make_window().rail._group.buttons()] == [
        "Chat", "Discover", "Library", "Workshop", "Fit", "Settings",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "page"),
    [
        (Qt.Key.Key_2, Page.DISCOVER), (Qt.Key.Key_3, Page.LIBRARY), (Qt.Key.Key_4, Page.WORKSHOP),
        (Qt.Key.Key_5, Page.FIT),
        (Qt.Key.Key_6, Page.SETTINGS), (Qt.Key.Key_Comma, Page.SETTINGS),
        (Qt.Key.Key_1, Page.CHAT), (Qt.Key.Key_N, Page.CHAT),
    ],
)
def test_keys_open_pages(make_window, qtbot, key, page):
    window = make_window()
    window.show_page(Page.CHAT if page == Page.SETTINGS else Page.SETTINGS)
    press(window, qtbot, key)
    assert window.page == page


def test_ctrl_k_searches_chats_from_any_page(make_window, qtbot):
    window = make_window()
    window.show_page(Page.SETTINGS)
    press(window, qtbot, Qt.Key.Key_K)
    assert window.page == Page.CHAT
    assert window.focusWidget() is window.chat.conversations.search


def test_ctrl_l_opens_the_load_dialog(make_window, qtbot):
    window = make_window()
    press(window, qtbot, Qt.Key.Key_L)
    assert open_dialog(LoadDialog) is window.load_dialog


def test_what_the_fit_page_shows_is_what_the_load_dialog_begins_with(make_window, model, qtbot):
    window = make_window()
    window.begin()
    press(window, qtbot, Qt.Key.Key_5)
    page = window.fit
    page.presenter.choose(model)
    qtbot.waitUntil(lambda: page.presenter.form.plan is not None)
    page.presenter.choose_quant(page.presenter.form.subject.chosen)
    page.presenter.set_context(1024)
    page._answer.load.click()
    dialog = open_dialog(LoadDialog)
    qtbot.waitUntil(lambda: dialog.presenter.form.n_ctx == 1024)
    assert dialog.presenter.form.file.path == model.path
    dialog.reject()


def test_ctrl_slash_lists_the_keys(make_window, qtbot):
    window = make_window()
    press(window, qtbot, Qt.Key.Key_Slash)
    dialog = open_dialog(ShortcutsDialog)
    for keys, what in texts.SHORTCUTS:
        assert keys in visible_words(dialog) or keys in [one.text() for one in dialog.findChildren(QLabel)], what
    dialog.close()


def test_ctrl_shift_u_unloads(make_window, model, qtbot):
    window = make_window()
    load(window, model, qtbot)
    press(window, qtbot, Qt.Key.Key_U, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert isinstance(window._services.host.state, NoModel)


# the first run


@pytest.fixture
def new_window(make_services, make_window):
    services = make_services()
    services.settings.change(lambda now: replace(now, was_welcomed=False))
    return make_window(services)


def test_the_first_run_shows_the_machine_and_one_way_to_start(new_window, qtbot):
    new_window.begin()
    assert new_window.page == Page.WELCOME
    qtbot.waitUntil(lambda: "AMD Ryzen 7 5800X" in visible_words(new_window.welcome))
    assert buttons(new_window, texts.WELCOME_GUIDE)[0].objectName() == "primary"


def test_skipping_the_first_run_is_remembered(new_window, carryon_home, qtbot):
    buttons(new_window, texts.WELCOME_SKIP)[0].click()
    assert new_window.page == Page.CHAT
    assert SettingsFile(carryon_home.settings).now.was_welcomed


def test_looking_at_the_machine_first_does_not_end_the_first_run(new_window, carryon_home):
    buttons(new_window, texts.WELCOME_MACHINE)[0].click()
    assert new_window.page == Page.SETTINGS
    assert not SettingsFile(carryon_home.settings).now.was_welcomed


def test_the_guide_is_loaded_with_one_click(new_window, monkeypatch, model, qtbot):
    monkeypatch.setattr("carryon.ui.window.guide", lambda: replace(model, name="Carryon guide", reference="guide"))
    buttons(new_window, texts.WELCOME_GUIDE)[0].click()
    assert new_window.page == Page.CHAT
    qtbot.waitUntil(lambda: isinstance(new_window._services.host.state, LoadedModel))
    assert new_window._services.settings.now.was_welcomed


def test_a_guide_that_is_missing_is_a_sentence(new_window, monkeypatch, tmp_path, qtbot):
    monkeypatch.setattr("carryon.ui.window.guide", lambda: replace(guide(), path=tmp_path / "gone.gguf"))
    buttons(new_window, texts.WELCOME_GUIDE)[0].click()
    assert "gone.gguf" in new_window.banners.findChild(ReasonCard).accessibleName()
    buttons(new_window.banners, texts.CLOSE)[0].click()
    assert not new_window.banners.isVisible()


# models


def test_the_status_bar_tells_the_model_and_its_split(make_window, model, qtbot):
    window = make_window(machine=machines.WITH_GPU)
    window.begin()
    load(window, model, qtbot, layers=28)
    qtbot.waitUntil(lambda: "of 7.6 GB" in window.status.model_button.accessibleName())
    assert "tiny · 28/33 on GPU · 4.6 of 7.6 GB" in window.status.model_button.accessibleName()


def test_meters_show_ram_and_vram(make_window, qtbot):
    window = make_window()
    window.begin()
    qtbot.waitUntil(lambda: "VRAM 6.4 / 7.6 GB" in visible_words(window.status))
    assert "RAM 11.7 / 31.3 GB" in visible_words(window.status)


def test_the_speed_of_the_latest_answer_joins_the_status(make_window, model, qtbot):
    window = make_window(text="One two three four five")
    load(window, model, qtbot)
    ask(window, "How fast?")
    qtbot.waitUntil(lambda: " t/s" in window.status.model_button.accessibleName())


def test_the_models_button_shows_what_it_really_holds(make_window, model, qtbot):
    window = make_window(machine=machines.WITH_GPU)
    window.begin()
    load(window, model, qtbot, layers=28)
    window.status.model_button.click()
    assert window.memory.isVisible()
    assert [bar._bar.name for bar in window.memory.findChildren(MemoryBar)] == ["Fake GPU", "RAM"]
    assert "28 of 33 layers on GPU" in visible_words(window.memory)
    press(window, qtbot, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    assert not window.memory.isVisible()


def test_without_a_model_the_button_leads_to_the_load_dialog(make_window, qtbot):
    window = make_window()
    window.status.model_button.click()
    assert open_dialog(LoadDialog)


def test_unloading_from_the_panel(make_window, model, qtbot):
    window = make_window()
    load(window, model, qtbot)
    window.status.model_button.click()
    buttons(window.memory, texts.UNLOAD)[0].click()
    assert isinstance(window._services.host.state, NoModel)
    assert not window.memory.isVisible()


def test_what_a_load_did_differently_is_shown_until_it_is_closed(make_window, model, qtbot):
    window = make_window(notice="The context was padded to 4,096 tokens.")
    load(window, model, qtbot)
    assert "padded to 4,096" in visible_words(window.banners)
    window.show_page(Page.SETTINGS)
    assert "padded to 4,096" in visible_words(window.banners)
    window.banners.close_notice()
    window.show_page(Page.CHAT)
    assert not window.banners.isVisible()
    window.status.model_button.click()
    assert "padded to 4,096" in visible_words(window.memory)


@pytest.mark.parametrize("kind", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_the_window_lives_through_the_death_of_its_engine(make_window, model, qtbot, kind):
    window = make_window()
    load(window, model, qtbot)
    window.show_page(Page.SETTINGS)
    os.kill(window._services.host.state.engine.pid, getattr(signal, kind))
    qtbot.waitUntil(lambda: isinstance(window._services.host.state, FailedModel))
    card = window.banners.findChild(ReasonCard)
    assert card.isVisible()
    assert window.isVisible()
    buttons(card, texts.LOAD_AGAIN)[0].click()
    qtbot.waitUntil(lambda: isinstance(window._services.host.state, LoadedModel))
    assert not window.banners.isVisible()


def test_the_failure_is_told_once_on_the_chat_page(make_window, model, qtbot):
    window = make_window(crash_loading="SIGSEGV")
    window._services.host.load(LoadWish(model, 4096, 0))
    qtbot.waitUntil(lambda: isinstance(window._services.host.state, FailedModel))
    assert len([one for one in window.findChildren(ReasonCard) if one.isVisible()]) == 1


def test_a_failure_leads_to_the_settings_and_to_the_log(make_window, model, qtbot):
    window = make_window(crash_loading="SIGSEGV")
    window._services.host.load(LoadWish(model, 4096, 0))
    qtbot.waitUntil(lambda: isinstance(window._services.host.state, FailedModel))
    window.show_page(Page.SETTINGS)
    buttons(window.banners, texts.SHOW_LOG)[0].click()
    log = open_dialog(LogDialog)
    assert "dying by SIGSEGV" in log._text.toPlainText()
    log.close()
    buttons(window.banners, texts.CHANGE_SETTINGS)[0].click()
    qtbot.waitUntil(lambda: bool(window.load_dialog.presenter.form.facts))
    assert window.load_dialog.presenter.form.file == model


# files


def test_a_model_dropped_anywhere_opens_the_load_dialog(make_window, model, qtbot):
    window = make_window()
    field = window.chat.composer.field
    mime = urls(model.path)
    assert enter(field.viewport(), mime).isAccepted()  # Qt asks the parents, up to the window
    assert window._drop_sign.isVisible()
    drop(window, mime)
    assert not window._drop_sign.isVisible()
    qtbot.waitUntil(lambda: bool(window.load_dialog.presenter.form.facts))
    assert window.load_dialog.presenter.form.file == model
    assert field.toPlainText() == ""


def test_a_model_dropped_on_the_fit_page_is_planned_for(make_window, model, qtbot):
    window = make_window()
    window.show_page(Page.FIT)
    mime = urls(model.path)
    assert enter(window.fit._elsewhere._parts, mime).isAccepted()
    assert window._drop_sign.text() == texts.DROP_TO_FIT
    drop(window, mime)
    qtbot.waitUntil(lambda: window.fit.presenter.form.subject is not None)
    assert window.fit.presenter.form.source.path == model.path
    assert not window.load_dialog.isVisible()


def test_other_files_are_not_taken(make_window, tmp_path):
    window = make_window()
    assert not enter(window, urls(tmp_path / "picture.png")).isAccepted()
    assert not window._drop_sign.isVisible()


def test_the_sign_goes_when_the_file_is_taken_away_again(make_window, model):
    window = make_window()
    enter(window, urls(model.path))
    window.dragLeaveEvent(QDragLeaveEvent())
    assert not window._drop_sign.isVisible()


def test_a_file_that_the_start_names_is_opened(make_window, model, qtbot):
    window = make_window()
    window.open_path(model.path)
    qtbot.waitUntil(lambda: bool(window.load_dialog.presenter.form.facts))
    assert open_dialog(LoadDialog)


def test_a_second_start_without_a_file_only_brings_it_forward(make_window):
    window = make_window()
    window.showMinimized()
    window.open_path(None)
    assert not window.isMinimized()
    assert open_dialog(LoadDialog) is None


# the end


def test_the_window_comes_back_where_it_was(make_window, make_services, carryon_home):
    first = make_window()
    first.resize(700, 560)
    first.close()
    assert SettingsFile(carryon_home.settings).now.window_geometry
    second = make_window(make_services())
    assert (second.width(), second.height()) == (700, 560)


def test_a_damaged_place_is_ignored(make_services, make_window):
    services = make_services()
    services.settings.change(lambda now: replace(now, window_geometry="not base64 at all"))
    assert make_window(services).isVisible()


def test_closing_while_an_answer_streams_ends_cleanly_and_keeps_the_words(make_window, make_services, model, qtbot):
    window = make_window(delay_ms=20, text="word " * 500)
    services = window._services
    load(window, model, qtbot)
    ask(window, "Tell me much")
    qtbot.waitUntil(lambda: bool(streamed(services)) and len(streamed(services)[-1].text) > 20)
    engine = services.host.state.engine
    window.close()
    make_services.end()
    assert not engine._child.is_alive
    store = Store(services.home.chats)
    answer = store.messages(store.conversations()[0].id)[-1]
    store.close()
    assert answer.state is State.STOPPED
    assert answer.text.startswith("word word")


def test_settings_that_cannot_be_written_do_not_keep_the_window_open(make_window, carryon_home):
    window = make_window()
    carryon_home.settings.unlink()
    carryon_home.settings.mkdir()
    assert window.close()


def test_a_restored_chat_is_in_the_list_again(make_window, qtbot):
    window = make_window()
    store = window._services.store
    chat = store.begin("Trip to Lisbon")
    store.move_to_trash(chat.id)
    window.show_page(Page.SETTINGS)
    window.settings._trash._button.click()
    qtbot.waitUntil(lambda: any(one.title == "Trip to Lisbon" for one in window.chat.presenter._listing.conversations))


def test_a_notice_can_be_taken_back(make_window, qtbot):
    window = make_window()
    undone = []
    window.say("Moved to the trash.", lambda: undone.append(True))
    assert window._toast.isVisible()
    buttons(window._toast, texts.UNDO)[0].click()
    assert undone == [True]
    assert not window._toast.isVisible()


def ask(window, text):
    window.chat.composer.set_text(text)
    window.chat.composer.send_wanted.emit(text)


def streamed(services):
    chats = services.store.conversations()
    return services.store.messages(chats[0].id)[1:] if chats else ()


def urls(path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    return mime


def enter(widget, mime):
    event = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    event.ignore()
    QApplication.sendEvent(widget, event)
    return event


def drop(window, mime):
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(window, event)


def test_a_name_with_an_ampersand_is_shown_whole(make_window, tmp_path, qtbot):
    window = make_window()
    load(window, model_file(tiny_gguf.random_model(tmp_path / "R&D <b>.gguf")), qtbot)
    shown = window.status.model_button
    qtbot.waitUntil(lambda: shown.text().strip().startswith("R&&D <b>"))  # the layout gives the button its room
    assert "R&amp;D &lt;b&gt;" in shown.toolTip()


def test_looking_at_the_machine_again_is_confirmed(make_window, qtbot):
    window = make_window()
    window.begin()
    qtbot.waitUntil(lambda: window.machine.machine is not None)
    window.show_page(Page.SETTINGS)
    window.settings.machine._again.click()
    qtbot.waitUntil(lambda: texts.LOOKED_AGAIN in visible_words(window._toast))


def test_a_model_that_was_loaded_counts_as_used(make_window, qtbot):
    window = make_window()
    services = window._services
    services.home.models.mkdir(parents=True)
    path = tiny_gguf.random_model(services.home.models / "tiny.gguf")
    load(window, model_file(path), qtbot)
    services.library.refresh()
    qtbot.waitUntil(lambda: bool(services.library.entries))
    (entry,) = services.library.entries
    assert entry.last_used_s is not None
