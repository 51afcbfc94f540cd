"""Settings: each change counts at once and is kept, and what cannot be kept is said."""

from dataclasses import replace

import pytest
from fakes import machines

from carryon.base.errors import BadFile
from carryon.base.settings import SettingsFile, Theme
from carryon.chat.message import Conversation
from carryon.chat.store import Store
from carryon.ui.settings import texts
from carryon.ui.settings.presenter import SettingsPresenter, about


class Page:
    """A view that remembers what it was shown."""

    def __init__(self):
        self.settings = self.trash = self.error = None
        self.appearances = self.chat_changes = 0

    def show_settings(self, settings):
        self.settings = settings

    def show_trash(self, trash):
        self.trash = trash

    def show_error(self, error):
        self.error = error

    def appearance_changed(self):
        self.appearances += 1

    def chats_changed(self):
        self.chat_changes += 1


@pytest.fixture
def store(carryon_home):
    made = Store(carryon_home.chats)
    yield made
    made.close()


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def presenter(carryon_home, store, page):
    return SettingsPresenter(carryon_home, SettingsFile(carryon_home.settings), store, page, environment={})


def kept(home):
    """What another start of the app would read."""
    return SettingsFile(home.settings).now


def test_a_theme_is_worn_at_once_and_kept(presenter, page, carryon_home):
    presenter.set_theme(Theme.DARK)
    assert page.appearances == 1
    assert page.settings.theme is Theme.DARK
    assert kept(carryon_home).theme is Theme.DARK


@pytest.mark.parametrize(("wanted", "worn"), [(150, 150), (50, 80), (900, 200)])
def test_a_text_size_stays_within_its_bounds(presenter, page, carryon_home, wanted, worn):
    presenter.set_text_size(wanted)
    assert page.appearances == 1
    assert kept(carryon_home).text_size_percent == worn


@pytest.mark.parametrize(("wanted", "threads"), [(0, None), (6, 6), (-3, None), (9999, 512)])
def test_threads_are_automatic_or_a_number(presenter, carryon_home, wanted, threads):
    presenter.set_threads(wanted)
    assert kept(carryon_home).n_threads == threads


def test_a_chat_comes_back_from_the_trash(presenter, page, store):
    chat = store.begin("Trip to Lisbon")
    store.move_to_trash(chat.id)
    presenter.refresh()
    assert [one.title for one in page.trash] == ["Trip to Lisbon"]
    presenter.restore(page.trash[0])
    assert page.trash == ()
    assert page.chat_changes == 1
    assert [one.title for one in store.conversations()] == ["Trip to Lisbon"]


def test_what_cannot_be_written_is_said_and_not_pretended(presenter, page, carryon_home):
    carryon_home.settings.mkdir(parents=True)
    presenter.set_theme(Theme.DARK)
    assert isinstance(page.error, BadFile)
    assert page.settings.theme is Theme.SYSTEM


def test_a_trash_that_cannot_be_read_is_said(presenter, page, store, monkeypatch):
    def broken():
        raise BadFile("The chats cannot be read.")

    monkeypatch.setattr(store, "trash", broken)
    presenter.refresh()
    assert page.error.message == "The chats cannot be read."


def test_a_folder_is_made_before_it_is_opened(presenter, carryon_home):
    models = presenter.folders[1]
    assert presenter.ready_folder(models) == carryon_home.models
    assert carryon_home.models.is_dir()


def test_a_folder_that_cannot_be_made_is_said(presenter, page, carryon_home):
    carryon_home.models.parent.mkdir(parents=True, exist_ok=True)
    carryon_home.models.write_text("a file in the way")
    assert presenter.ready_folder(presenter.folders[1]) is None
    assert str(carryon_home.models) in page.error.message


@pytest.mark.parametrize(
    ("environment", "is_moved"), [({}, False), ({"CARRYON_HOME": "/x"}, True), ({"CARRYON_HOME": ""}, False)]
)
def test_it_knows_whether_the_home_was_moved(carryon_home, store, page, environment, is_moved):
    made = SettingsPresenter(carryon_home, SettingsFile(carryon_home.settings), store, page, environment)
    assert made.is_home_moved is is_moved
    assert "CARRYON_HOME" in texts.folders_note(is_moved=is_moved)


def test_about_names_the_engine_once_it_is_known():
    unknown, known = dict(about(None, "Qt 6.11.3")), dict(about(machines.WITH_GPU, "Qt 6.11.3"))
    assert unknown["Engine"] == "not known yet"
    assert "llama.cpp" in known["Engine"]
    assert "Qt 6.11.3" in known["Runs on"]
    assert "MIT" in known["Licence"]
    assert dict(about(replace(machines.BROKEN), ""))["Engine"] == "not known yet"


def test_the_words_around_it():
    assert "(8 here)" in texts.threads_note(8)
    assert "here" not in texts.threads_note(None)
    assert texts.open_folder("Data") == "Open the data folder"
    assert texts.copy_path("Logs") == "Copy the path of the logs folder"
    assert "Lisbon" in texts.restored(Conversation(1, "Lisbon", 0, 0))
