"""The chat's presenter, without Qt: a recording view, the real store and runner, a fake engine over real HTTP."""

import queue
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import fake_engine

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, NoModel
from carryon.app.models import ModelFile, guide
from carryon.app.services import build
from carryon.base.errors import BadFile, ContextFull, EngineError
from carryon.chat.message import Role, State
from carryon.engine.client import EngineClient
from carryon.ui.chat.context_use import ContextUse
from carryon.ui.chat.presenter import ChatPresenter
from carryon.ui.chat.view import ChatList, Hint, Step

WAIT_S = 20.0


class Screen:
    """Remembers what it is told, as a page would show it."""

    def __init__(self):
        self.chats = ChatList()
        self.messages = ()
        self.is_answering = False
        self.draft = ""
        self.hint = Hint.NONE
        self.problem = None
        self.model = NoModel()
        self.use = ContextUse()
        self.reading = None
        self.dialogs = 0
        self.notices = []
        self.announced = []

    def show_list(self, chats):
        self.chats = chats

    def show_messages(self, messages):
        self.messages = messages

    def add_words(self, message_id, words):
        self.messages = tuple(_longer(one, words) if one.id == message_id else one for one in self.messages)

    def change_message(self, message):
        self.messages = tuple(message if one.id == message.id else one for one in self.messages)

    def show_reading(self, done, total):
        self.reading = (done, total)

    def show_answering(self, is_answering):
        self.is_answering = is_answering

    def show_draft(self, text):
        self.draft = text

    def show_hint(self, hint):
        self.hint = hint

    def show_problem(self, problem):
        self.problem = problem

    def show_model(self, state):
        self.model = state

    def show_context_use(self, use):
        self.use = use

    def load_dialog(self):
        self.dialogs += 1

    def notice(self, text, undo):
        self.notices.append((text, undo))

    def announce(self, state):
        self.announced.append(state)

    @property
    def last(self):
        return self.messages[-1]

    @property
    def titles(self):
        return [one.title for one in self.chats.conversations]


def _longer(message, words):
    return replace(message, text=message.text + words)


class Desk:
    """A presenter at its screen; calls from the working threads wait until somebody looks, as in the window."""

    def __init__(self, home, **engine):
        self._calls = queue.SimpleQueue()
        self.services = build(home, self._calls.put, fake_engine.command(**engine))
        self.screen = Screen()
        self.presenter = ChatPresenter(self.services)
        self.presenter.attach(self.screen)

    def until(self, is_so, wait_s=WAIT_S):
        end_s = time.monotonic() + wait_s
        while not is_so():
            assert time.monotonic() < end_s, "it never came to that"
            try:
                self._calls.get(timeout=0.02)()
            except queue.Empty:
                continue

    def load(self, *, is_guide=False, n_ctx=4096):
        file = guide() if is_guide else ModelFile(Path("/models/fake.gguf"), "Fake", "/models/fake.gguf")
        self.services.host.load(LoadWish(file, n_ctx, 0))
        self.until(lambda: not isinstance(self.screen.model, LoadingModel))

    def type(self, text):
        self.screen.draft = text
        self.presenter.set_draft(text)

    def ask(self, text):
        """Asks and waits for the end of the answer."""
        self.begin(text)
        self.until(lambda: not self.screen.is_answering)

    def begin(self, text):
        """Asks and waits until words come."""
        old = self.screen.messages
        self.type(text)
        self.presenter.send(text)
        self.until(lambda: self.screen.messages[-1:] != old[-1:])
        self.until(lambda: self.screen.last.text or not self.screen.is_answering)

    def end(self):
        self.services.end()


@pytest.fixture
def desk(carryon_home):
    made = []

    def make(**engine):
        made.append(Desk(carryon_home, **engine))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_the_presenter_and_all_that_it_uses_load_no_qt():
    code = "import sys, carryon.ui.chat.presenter, carryon.ui.markdown.growing; print('PySide6' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_a_question_is_answered_and_kept(desk):
    here = desk()
    here.load()
    here.ask("say: one two three")
    assert [(one.role, one.text, one.state) for one in here.screen.messages] == [
        (Role.USER, "say: one two three", State.WHOLE),
        (Role.ASSISTANT, "one two three", State.WHOLE),
    ]
    assert here.screen.last.figures.predicted_n == 3
    assert here.screen.draft == ""
    assert here.screen.announced == [State.WHOLE]
    assert here.services.store.messages(here.presenter.conversation_id) == here.screen.messages


def test_a_new_conversation_appears_in_the_list_under_its_question(desk):
    here = desk()
    here.load()
    here.ask("What is a quant?")
    here.until(lambda: here.screen.titles == ["What is a quant?"])
    assert here.screen.chats.current_id == here.presenter.conversation_id


def test_nothing_is_asked_for_an_empty_text_or_during_an_answer(desk):
    here = desk(delay_ms=20)
    here.load()
    here.presenter.send("  \n")
    assert not here.screen.is_answering
    here.begin("say: " + "word " * 50)
    here.presenter.send("another")
    assert len(here.screen.messages) == 2
    here.presenter.stop()


def test_stop_shows_at_once_and_keeps_the_words(desk):
    here = desk(delay_ms=10)
    here.load()
    here.begin("say: " + "word " * 500)
    here.presenter.stop()
    assert here.screen.last.state is State.STOPPED
    assert not here.screen.is_answering
    stored = here.services.store
    here.until(lambda: stored.messages(here.presenter.conversation_id)[-1].state is State.STOPPED)
    assert stored.messages(here.presenter.conversation_id)[-1].text.startswith("word")
    assert here.screen.announced == [State.STOPPED]


def test_what_is_shown_can_be_asked_for(desk):
    here = desk()
    here.load()
    here.ask("say: one")
    assert here.presenter.messages == here.screen.messages
    assert not here.presenter.is_answering
    here.presenter.set_draft(here.screen.draft)  # what the page sends back when it shows a draft
    assert here.screen.hint is Hint.NONE


def test_stop_without_an_answer_is_nothing(desk):
    here = desk()
    here.presenter.stop()
    assert here.screen.announced == []


def test_a_question_right_after_stop_waits_for_the_end_of_the_old_answer(desk):
    here = desk(delay_ms=10)
    here.load()
    here.begin("say: " + "word " * 500)
    here.presenter.stop()
    here.ask("say: next")
    assert [one.text for one in here.screen.messages][2:] == ["say: next", "next"]
    assert here.screen.messages[1].state is State.STOPPED


def test_stop_before_the_question_is_stored_leaves_it_in_the_composer(desk):
    here = desk()
    here.load()
    here.type("say: hello")
    here.presenter.send("say: hello")
    here.presenter.stop()
    assert not here.screen.is_answering
    here.until(lambda: here.presenter._chat.answer is None)
    kept = here.screen.draft or (here.screen.messages and here.screen.messages[0].text)
    assert kept == "say: hello"


def test_an_answer_can_be_had_again(desk):
    here = desk()
    here.load()
    here.ask("say: first")
    first = here.screen.last
    here.presenter.regenerate()
    here.until(lambda: not here.screen.is_answering)
    assert [one.text for one in here.screen.messages] == ["say: first", "first"]
    assert here.screen.last.id != first.id


def test_answering_again_needs_a_question_and_a_model(desk):
    here = desk()
    here.presenter.regenerate()
    assert here.screen.dialogs == 0
    here.load()
    here.ask("say: first")
    here.services.host.unload()
    here.presenter.regenerate()
    assert here.screen.dialogs == 1


def test_a_changed_question_replaces_what_followed(desk):
    here = desk()
    here.load()
    here.ask("say: one")
    here.ask("say: two")
    here.presenter.edit()
    assert (here.screen.draft, here.screen.hint) == ("say: two", Hint.EDITING)
    here.ask("say: three")
    assert [one.text for one in here.screen.messages] == ["say: one", "one", "say: three", "three"]
    assert here.services.store.messages(here.presenter.conversation_id) == here.screen.messages
    assert here.screen.hint is Hint.NONE


def test_a_change_can_be_given_up(desk):
    here = desk()
    here.load()
    here.ask("say: one")
    here.presenter.edit()
    here.presenter.keep()
    assert (here.screen.draft, here.screen.hint) == ("", Hint.NONE)
    here.ask("say: two")
    assert len(here.screen.messages) == 4


# no model


def test_without_a_model_the_text_stays_and_is_sent_when_one_is_ready(desk):
    here = desk()
    here.type("say: kept")
    here.presenter.send("say: kept")
    assert (here.screen.draft, here.screen.hint) == ("say: kept", Hint.NEEDS_MODEL)
    here.load()
    here.until(lambda: here.screen.messages and here.screen.last.state is State.WHOLE)
    assert (here.screen.last.text, here.screen.hint, here.screen.draft) == ("kept", Hint.NONE, "")


def test_a_text_sent_while_the_model_loads_waits(desk):
    here = desk(load_ms=300)
    here.services.host.load(LoadWish(guide(), 4096, 0))
    here.type("say: soon")
    here.presenter.send("say: soon")
    assert here.screen.hint is Hint.WAITS_FOR_MODEL
    here.until(lambda: here.screen.messages and here.screen.last.state is State.WHOLE)
    assert here.screen.last.text == "soon"


def test_a_text_that_waits_is_sent_even_if_another_chat_is_shown(desk):
    here = desk()
    other = conversation(here, "Another")
    here.type("say: kept")
    here.presenter.send("say: kept")
    here.presenter.open(other)
    here.load()
    here.until(lambda: here.screen.titles[:1] == ["say: kept"])
    assert [one.text for one in here.screen.messages] == ["words"]


@pytest.mark.parametrize("take_back", [lambda p: p.keep(), lambda p: p.set_draft("say: soon, or")])
def test_a_text_that_waits_can_be_taken_back(desk, take_back):
    here = desk(load_ms=200)
    here.services.host.load(LoadWish(guide(), 4096, 0))
    here.type("say: soon")
    here.presenter.send("say: soon")
    take_back(here.presenter)
    assert here.screen.hint is Hint.NONE
    here.until(lambda: isinstance(here.screen.model, LoadedModel))
    assert here.screen.messages == ()
    assert here.screen.draft.startswith("say: soon")


def test_the_guide_is_one_step_away_and_answers_with_its_likeliest_word(desk, monkeypatch):
    here = desk()
    asked = []
    chat = EngineClient.chat
    monkeypatch.setattr(EngineClient, "chat", lambda self, *turn: asked.append(turn) or chat(self, *turn))
    monkeypatch.setattr(here.services.host, "wish_for", lambda file: LoadWish(file, 2048, 0))
    here.type("What is VRAM?")
    here.presenter.send("What is VRAM?")
    here.presenter.take(Step.LOAD_GUIDE)
    here.until(lambda: here.screen.messages and here.screen.last.state is State.WHOLE)
    assert here.screen.model.wish.file.is_guide
    assert asked[0][1].temperature == 0


def test_a_guide_that_cannot_be_read_is_told(desk, monkeypatch):
    here = desk()

    def cannot(_):
        raise BadFile("The guide is not there.", "Install again.")

    monkeypatch.setattr(here.services.host, "wish_for", cannot)
    here.presenter.take(Step.LOAD_GUIDE)
    assert here.screen.problem.error.message == "The guide is not there."


def test_a_suggested_question_is_asked(desk):
    here = desk()
    here.load()
    here.presenter.ask_guide("What is VRAM?")
    here.until(lambda: len(here.screen.messages) == 2 and not here.screen.is_answering)
    assert here.screen.messages[0].text == "What is VRAM?"


def test_choosing_a_model_opens_the_dialog(desk):
    here = desk()
    for step in (Step.CHOOSE_MODEL, Step.LOAD_LONGER, Step.LOAD_AGAIN):
        here.presenter.take(step)
    assert here.screen.dialogs == 3


def test_loading_can_be_given_up(desk):
    here = desk(hang_loading=1)
    here.presenter.cancel_loading()
    here.services.host.load(LoadWish(guide(), 4096, 0))
    here.until(lambda: isinstance(here.screen.model, LoadingModel) and here.screen.model.fraction)
    here.presenter.cancel_loading()
    assert isinstance(here.screen.model, NoModel)


# what can go wrong


def test_a_crash_in_mid_answer_keeps_the_words_and_offers_to_load_again(desk, tmp_path):
    here = desk(crash_after=3, crash_once=str(tmp_path / "crashed"))
    here.load()
    here.ask("say: one two three four five")
    here.until(lambda: isinstance(here.screen.model, FailedModel))
    assert (here.screen.last.text, here.screen.last.state) == ("one two three", State.FAILED)
    assert here.screen.problem.steps[0] is Step.LOAD_AGAIN
    assert "crashed" in here.screen.problem.error.message
    assert here.screen.announced == [State.FAILED]
    here.presenter.take(Step.LOAD_AGAIN)
    here.until(lambda: isinstance(here.screen.model, LoadedModel))
    assert here.screen.problem is None
    here.presenter.take(Step.TRY_AGAIN)
    here.until(lambda: not here.screen.is_answering)
    assert here.screen.last.text == "one two three four five"


def test_a_model_that_cannot_be_loaded_is_told_and_the_card_can_be_closed(desk):
    here = desk(refuse="not_gguf")
    here.load()
    assert here.screen.problem.steps == (Step.LOAD_AGAIN, Step.CHOOSE_MODEL)
    here.presenter.close_problem()
    assert here.screen.problem is None
    here.presenter.new_chat()
    assert here.screen.problem is None
    here.load()
    assert here.screen.problem is not None


def test_closing_no_card_is_nothing(desk):
    here = desk()
    here.presenter.close_problem()
    assert here.screen.problem is None


def test_a_full_context_tells_the_numbers_and_keeps_the_question(desk):
    here = desk()
    here.load(n_ctx=256)
    here.ask("word " * 300)
    error = here.screen.problem.error
    assert isinstance(error, ContextFull)
    assert (error.n_prompt, error.n_ctx) == (301, 256)
    assert here.screen.problem.steps == (Step.NEW_CHAT, Step.LOAD_LONGER, Step.EDIT_QUESTION)
    here.presenter.take(Step.EDIT_QUESTION)
    assert here.screen.draft == "word " * 300
    here.ask("say: shorter")
    assert [one.text for one in here.screen.messages] == ["say: shorter", "shorter"]
    assert here.screen.problem is None


def test_a_full_context_can_be_left_for_a_new_chat(desk):
    here = desk()
    here.load(n_ctx=256)
    here.ask("word " * 300)
    here.presenter.take(Step.NEW_CHAT)
    assert (here.screen.messages, here.screen.problem) == ((), None)


def test_an_answer_cut_by_the_context_offers_more_of_it(desk):
    here = desk(ending="context")
    here.load()
    here.ask("say: cut")
    assert here.screen.last.state is State.CUT_CONTEXT
    assert here.screen.problem.steps == (Step.NEW_CHAT, Step.LOAD_LONGER)


def test_a_context_as_long_as_the_model_was_trained_for_cannot_be_longer(desk):
    here = desk(ending="context")
    here.load(n_ctx=32768)
    here.ask("say: cut")
    assert here.screen.problem.steps == (Step.NEW_CHAT,)


def test_an_answer_cut_by_its_length_says_so_and_needs_no_card(desk):
    here = desk(ending="length")
    here.load()
    here.ask("say: cut")
    assert (here.screen.last.state, here.screen.problem) == (State.CUT_LENGTH, None)


def test_a_disk_that_fails_leaves_the_question_in_the_composer(desk, monkeypatch):
    here = desk()
    here.load()

    def cannot(*_):
        raise BadFile("The disk is full.", "Free some space.")

    monkeypatch.setattr(here.services.store, "begin", cannot)
    here.type("say: hello")
    here.presenter.send("say: hello")
    here.until(lambda: here.screen.problem is not None)
    assert (here.screen.draft, here.screen.messages) == ("say: hello", ())
    assert here.screen.problem.steps == ()


def test_taking_the_model_away_in_mid_answer_is_no_problem_to_tell(desk):
    here = desk(delay_ms=20)
    here.load()
    here.begin("say: " + "word " * 200)
    here.services.host.unload()
    here.until(lambda: not here.screen.is_answering)
    assert here.screen.problem is None
    assert here.screen.last.text.startswith("word")


def test_a_chat_that_cannot_be_read_is_told(desk, monkeypatch):
    here = desk()

    def cannot(_):
        raise BadFile("Unreadable.", "Look at the disk.")

    monkeypatch.setattr(here.services.store, "messages", cannot)
    here.presenter.open(7)
    assert here.screen.problem.error.message == "Unreadable."


def test_an_engine_error_of_another_chat_is_gone_when_a_model_is_loaded(desk, tmp_path):
    here = desk(crash_after=1, crash_once=str(tmp_path / "crashed"))
    here.load()
    here.ask("say: one two")
    broken = here.presenter.conversation_id
    here.until(lambda: isinstance(here.screen.model, FailedModel))
    here.presenter.new_chat()
    assert isinstance(here.screen.problem.error, EngineError)
    here.presenter.take(Step.LOAD_AGAIN)
    here.until(lambda: isinstance(here.screen.model, LoadedModel))
    here.presenter.open(broken)
    assert here.screen.problem is None


# several conversations


def test_an_answer_goes_on_while_another_chat_is_shown(desk):
    here = desk(delay_ms=10)
    here.load()
    here.begin("say: " + "word " * 60)
    first = here.presenter.conversation_id
    here.presenter.new_chat()
    assert (here.screen.messages, here.screen.is_answering) == ((), False)
    here.until(lambda: first in here.screen.chats.answering)
    here.presenter.open(first)
    assert here.screen.is_answering
    seen = len(here.screen.last.text)
    assert seen
    here.until(lambda: not here.screen.is_answering)
    assert here.screen.last.text == ("word " * 60).removesuffix(" ") + " "
    assert here.screen.last.state is State.WHOLE


def test_an_answer_that_ends_unseen_is_there_on_return(desk):
    here = desk(delay_ms=5)
    here.load()
    here.begin("say: " + "word " * 20)
    first = here.presenter.conversation_id
    here.presenter.new_chat()
    here.until(lambda: first in here.screen.chats.answering)
    here.until(lambda: first not in here.screen.chats.answering)
    assert here.screen.announced == []
    here.presenter.open(first)
    assert here.screen.last.state is State.WHOLE


def test_every_chat_keeps_its_draft(desk):
    here = desk()
    here.load()
    here.ask("say: one")
    first = here.presenter.conversation_id
    here.type("a draft in the first")
    here.presenter.new_chat()
    assert here.screen.draft == ""
    here.type("a draft in the new one")
    here.presenter.open(first)
    assert here.screen.draft == "a draft in the first"
    here.presenter.new_chat()
    assert here.screen.draft == "a draft in the new one"


def test_what_is_typed_while_the_question_is_stored_stays(desk):
    here = desk()
    here.load()
    here.type("say: hello")
    here.presenter.send("say: hello")
    here.type("and another thing")
    here.until(lambda: len(here.screen.messages) == 2)
    assert here.screen.draft == "and another thing"


# the list


def conversation(here, title, text="words"):
    made = here.services.store.begin(title)
    here.services.store.add(made.id, Role.USER, text)
    return made.id


def test_search_finds_titles_and_texts(desk):
    here = desk()
    conversation(here, "Trip to Lisbon")
    conversation(here, "Letter", "about the parser")
    here.presenter.search("parser")
    here.until(lambda: here.screen.chats.search == "parser")
    assert here.screen.titles == ["Letter"]
    here.presenter.search("")
    here.until(lambda: len(here.screen.titles) == 2)


def test_only_the_latest_search_counts(desk):
    here = desk()
    conversation(here, "Trip to Lisbon")
    here.presenter.search("nothing like it")
    here.presenter.search("Lisbon")
    here.until(lambda: here.screen.titles == ["Trip to Lisbon"])
    assert here.screen.chats.search == "Lisbon"


def test_a_chat_is_renamed_and_an_empty_name_changes_nothing(desk):
    here = desk()
    number = conversation(here, "Old")
    here.presenter.rename(number, "  ")
    here.presenter.rename(number, "New")
    here.until(lambda: here.screen.titles == ["New"])


def test_a_deleted_chat_can_be_had_back(desk):
    here = desk()
    number = conversation(here, "Precious")
    other = conversation(here, "Other")
    here.presenter.search("")
    here.until(lambda: len(here.screen.titles) == 2)
    here.presenter.open(number)
    here.presenter.move_to_trash(number)
    assert here.screen.titles == ["Other"]
    assert here.presenter.conversation_id == other
    here.until(lambda: here.screen.notices)
    text, undo = here.screen.notices[0]
    assert text == "“Precious” is in the trash."
    assert [one.id for one in here.services.store.trash()] == [number]
    undo()
    here.until(lambda: len(here.screen.titles) == 2)
    assert here.presenter.conversation_id == number


def test_deleting_the_last_chat_leaves_a_new_one(desk):
    here = desk(delay_ms=10)
    here.load()
    here.begin("say: " + "word " * 100)
    here.until(lambda: here.screen.titles)
    here.presenter.move_to_trash(here.presenter.conversation_id)
    assert (here.presenter.conversation_id, here.screen.messages) == (None, ())
    here.until(lambda: here.screen.notices)


def test_deleting_a_chat_that_is_not_in_the_list_says_so_in_general_words(desk):
    here = desk()
    number = conversation(here, "Found nowhere")
    here.presenter.search("something else")
    here.until(lambda: here.screen.chats.search == "something else")
    here.presenter.move_to_trash(number)
    here.until(lambda: here.screen.notices)
    assert here.screen.notices[0][0] == "“New chat” is in the trash."


def test_a_list_that_cannot_be_written_says_why(desk, monkeypatch):
    here = desk()

    def cannot(*_):
        raise BadFile("The disk is full.", "Free some space.")

    monkeypatch.setattr(here.services.store, "rename", cannot)
    here.presenter.rename(1, "Name")
    here.until(lambda: here.screen.notices)
    assert here.screen.notices == [("The disk is full. Free some space.", None)]


# context


def test_the_use_of_the_context_is_measured(desk):
    here = desk()
    here.load(n_ctx=1024)
    here.ask("say: one two three")  # 4 tokens of prompt, 3 of answer
    here.presenter.count("and four more words")
    here.until(lambda: here.screen.use.n_prompt == 4)
    assert here.screen.use == ContextUse(4, 7, 1024, is_estimate=False)


def test_what_was_not_measured_is_counted_and_called_an_estimate(desk):
    here = desk(delay_ms=5)
    here.load()
    here.begin("say: " + "word " * 100)
    here.presenter.stop()
    here.until(lambda: here.screen.use.is_estimate)
    used = here.screen.use.n_used
    assert used >= 2
    here.presenter.count("one more")
    here.until(lambda: here.screen.use.n_prompt == 2)
    assert here.screen.use.n_used == used


def test_without_a_model_nothing_is_measured(desk):
    here = desk()
    here.presenter.count("words")
    assert here.screen.use == ContextUse()


def test_reading_a_long_prompt_is_shown(desk):
    here = desk(first_token_ms=350)
    here.load()
    here.ask("say: slowly now")
    assert here.screen.reading == (2, 3)
