"""What the chat page does, without Qt: conversations, drafts, answers that stream, and what to do when one fails."""

from collections.abc import Generator
from typing import Any

from carryon.app import models
from carryon.app.host import FailedModel, LoadedModel, LoadingModel, ModelState, NoModel
from carryon.app.services import Services
from carryon.base.errors import AppError, ContextFull, EngineError
from carryon.base.jobs import Done, Failed, Lane, Outcome
from carryon.chat.message import Message, Role, State
from carryon.chat.store import Store
from carryon.chat.turn import Asked, Said, regenerate
from carryon.engine.client import EngineClient, PromptProgress
from carryon.ui.chat import texts
from carryon.ui.chat.context_use import ContextUse, measured
from carryon.ui.chat.listing import Listing
from carryon.ui.chat.talk import Answer, Begun, Chat, asking, sampling_for
from carryon.ui.chat.view import ChatList, Hint, Problem, Step, View


class ChatPresenter:
    """One page's state; every method is called on the main thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store: Store = services.store
        self._view: View | None = None
        self._fresh = self._chat = Chat()
        self._chats: dict[int, Chat] = {}
        self._messages: tuple[Message, ...] = ()
        self._listing = Listing(services.store, services.runner, self._show_list, self._list_failed)
        self._closed_problem: AppError | None = None
        self._unmeasured: tuple[EngineClient | None, str, int] = (None, "", 0)  # what was counted last, in tokens

    def attach(self, view: View) -> None:
        """Shows everything in this view from now on."""
        self._view = view
        self._show_chat()
        self._services.host.listen(self._model_changed)
        self._listing.refresh()

    @property
    def view(self) -> View:
        assert self._view, "attach a view first"
        return self._view

    @property
    def conversation_id(self) -> int | None:
        """The conversation that is shown; None is a new chat."""
        return self._chat.id

    @property
    def is_answering(self) -> bool:
        return self._chat.is_answering

    @property
    def messages(self) -> tuple[Message, ...]:
        return self._messages

    # the list

    def search(self, text: str) -> None:
        """Lists only conversations that hold this text."""
        self._listing.search(text)

    def rename(self, conversation_id: int, title: str) -> None:
        """Gives a conversation another title; an empty one changes nothing."""
        self._listing.rename(conversation_id, title)

    def move_to_trash(self, conversation_id: int) -> None:
        """Takes a conversation off the list and shows its neighbour; the notice can undo it."""
        title = self._listing.title_of(conversation_id) or texts.NEW_CHAT
        if chat := self._chats.get(conversation_id):
            self._stop(chat)
        if conversation_id == self._chat.id:
            neighbour = self._listing.neighbour_of(conversation_id)
            self.new_chat() if neighbour is None else self.open(neighbour)

        def undo() -> None:
            self._listing.restore(conversation_id, lambda: self.open(conversation_id))

        self._listing.move_to_trash(conversation_id, lambda: self.view.notice(texts.trashed(title), undo))

    # conversations

    def new_chat(self) -> None:
        """Shows an empty conversation, with what was typed there; nothing is stored until something is asked."""
        if self._fresh.id is not None:
            self._fresh = Chat()
        self._chat = self._fresh
        self._show_chat()
        self._show_list()

    def open(self, conversation_id: int) -> None:
        """Shows a conversation; an answer under way in it goes on where it is."""
        self._chat = self._chats.setdefault(conversation_id, Chat(conversation_id))
        self._show_chat()
        self._show_list()

    # the draft

    def set_draft(self, text: str) -> None:
        """The person types: a text that waited for a model waits no longer."""
        if text == self._chat.draft:
            return
        self._chat.draft = text
        self._chat.is_waiting = False
        self._show_hint()

    def send(self, text: str) -> None:
        """Asks; without a model the text stays and is sent when one is ready."""
        chat = self._chat
        if not text.strip() or chat.is_answering:
            return
        chat.draft = text
        chat.is_waiting = True
        self._send_waiting(chat)
        self._show_hint()

    def keep(self) -> None:
        """The text that waits is not to be sent; the question that was changed stays as it was."""
        if self._chat.edited:
            self._chat.edited, self._chat.draft = None, ""
            self.view.show_draft("")
        self._chat.is_waiting = False
        self._show_hint()

    def edit(self) -> None:
        """Puts the last question into the composer; sending it replaces what was there."""
        question = self._last_question()
        if question and not self._chat.is_answering:
            self._chat.edited, self._chat.draft = question, question.text
            self.view.show_draft(question.text)
            self._show_hint()

    def count(self, text: str) -> None:
        """Measures the context that the conversation and this draft take, if a model is loaded."""
        state = self._services.host.state
        if not isinstance(state, LoadedModel):
            self.view.show_context_use(ContextUse())
            return
        client, n_ctx, chat = state.engine.client, state.engine.ready.n_ctx, self._chat
        n_used, unmeasured = measured(self._messages)

        def counting() -> Generator[None, None, ContextUse]:
            yield None
            n_prompt = len(client.tokenize(text)) if text.strip() else None
            if unmeasured and self._unmeasured[:2] != (client, unmeasured):  # not with every word that is typed
                self._unmeasured = client, unmeasured, len(client.tokenize(unmeasured))
            n_more = self._unmeasured[2] if unmeasured else 0
            return ContextUse(n_prompt, n_used + n_more, n_ctx, is_estimate=bool(n_more))

        def counted(outcome: Outcome) -> None:
            if isinstance(outcome, Done) and chat is self._chat:
                self.view.show_context_use(outcome.result)

        self._services.runner.start(counting(), on_end=counted)

    # answers

    def stop(self) -> None:
        """Stops the answer that is shown; the page says so at once, the engine follows within 0.1 s."""
        self._stop(self._chat)

    def regenerate(self) -> None:
        """Answers the last question again; the old answer stays in the store."""
        chat, question, state = self._chat, self._last_question(), self._services.host.state
        if question is None or chat.answer:
            return
        if not isinstance(state, LoadedModel):
            self.view.load_dialog()
            return
        work = regenerate(self._store, state.engine.client, question, state.wish.file.name, sampling_for(state.wish))
        self._start(chat, Answer(""), work)

    def take(self, step: Step) -> None:
        """Does what a card or a button offers."""
        match step:
            case Step.LOAD_AGAIN:
                self._load_again()
            case Step.LOAD_GUIDE:
                self._load_guide()
            case Step.CHOOSE_MODEL | Step.LOAD_LONGER:
                self.view.load_dialog()
            case Step.NEW_CHAT:
                self.new_chat()
            case Step.EDIT_QUESTION:
                self.edit()
            case Step.TRY_AGAIN:
                self.regenerate()

    def ask_guide(self, text: str) -> None:
        """Sends a suggested question."""
        self.view.show_draft(text)
        self.send(text)

    def cancel_loading(self) -> None:
        """Gives the loading up."""
        if isinstance(self._services.host.state, LoadingModel):
            self._services.host.unload()

    def close_problem(self) -> None:
        """The person has read the card."""
        shown = self._problem()
        self._chat.problem = None
        self._closed_problem = shown.error if shown else None
        self.view.show_problem(None)

    def _load_again(self) -> None:
        state = self._services.host.state
        if isinstance(state, FailedModel | LoadedModel):
            self._services.host.load(state.wish)
        else:
            self.view.load_dialog()

    def _load_guide(self) -> None:
        try:
            self._services.host.load(self._services.host.wish_for(models.guide()))
        except AppError as error:
            self._chat.problem = Problem(error, (Step.CHOOSE_MODEL,))
            self.view.show_problem(self._problem())

    def _send_waiting(self, chat: Chat) -> None:
        """Sends a text that waits, once a model is there and the last answer has ended."""
        state = self._services.host.state
        if not chat.is_waiting or chat.answer or not isinstance(state, LoadedModel):
            return
        chat.is_waiting = False
        answer = Answer(chat.draft, chat.edited)
        self._start(chat, answer, asking(self._store, state.engine.client, chat.id, answer, state.wish))

    def _start(self, chat: Chat, answer: Answer, work: Generator[Any, None, Any]) -> None:
        chat.answer, chat.problem = answer, None
        if chat is self._chat:
            self.view.show_answering(True)
            self.view.show_problem(self._problem())
        answer.job = self._services.runner.start(
            work,
            on_news=lambda news: self._heard(chat, answer, news),
            on_end=lambda outcome: self._ended(chat, answer, outcome),
            lane=Lane.NETWORK,
        )

    def _heard(self, chat: Chat, answer: Answer, news: Any) -> None:
        match news:
            case Begun(conversation):
                chat.id = conversation.id
                self._chats[conversation.id] = chat
            case Asked(question, message):
                self._asked(chat, answer, question, message)
            case Said(_, words) if not answer.is_stopped:
                answer.words.append(words)
                if chat is self._chat and answer.message:
                    self.view.add_words(answer.message.id, words)
            case PromptProgress(done, total) if chat is self._chat and not answer.is_stopped:
                self.view.show_reading(done, total)

    def _asked(self, chat: Chat, answer: Answer, question: Message, message: Message) -> None:
        """The question is on the disk: now the composer may let go of it."""
        answer.message = message
        if chat.draft == answer.text:
            chat.draft, chat.edited = "", None
        if chat is self._chat:
            first_new = answer.edited or question
            before = (one for one in self._messages if one.id < first_new.id)
            self._messages = (*before, question, answer.now() or message)
            self.view.show_messages(self._messages)
            self.view.show_draft(chat.draft)
            self._show_hint()
        self._listing.refresh()

    def _stop(self, chat: Chat) -> None:
        answer = chat.answer
        if answer is None or answer.is_stopped:
            return
        answer.is_stopped = True
        if answer.job:
            answer.job.cancel()
        if chat is self._chat:
            if message := answer.now():
                self._change(message)
            self.view.show_answering(False)
            self.view.announce(State.STOPPED)

    def _ended(self, chat: Chat, answer: Answer, outcome: Outcome) -> None:
        chat.answer = None
        stored = self._store.message(answer.message.id) if answer.message else None
        chat.problem = self._problem_of(outcome, stored)
        if chat is self._chat:
            if stored:
                self._change(stored)
            self.view.show_answering(False)
            self.view.show_problem(self._problem())
            if stored and not answer.is_stopped:
                self.view.announce(stored.state)
            self.count(chat.draft)
        self._show_list()
        self._send_waiting(chat)

    def _problem_of(self, outcome: Outcome, stored: Message | None) -> Problem | None:
        match outcome:
            case Failed(ContextFull() as error):
                return Problem(error, (Step.NEW_CHAT, *self._longer(), Step.EDIT_QUESTION))
            case Failed(EngineError()) if isinstance(self._services.host.state, NoModel | LoadingModel):
                return None  # the model was taken away by the person
            case Failed(EngineError() as error):
                return Problem(error, (Step.LOAD_AGAIN, Step.CHOOSE_MODEL))
            case Failed(error):
                return Problem(error, (Step.TRY_AGAIN,) if stored else ())
            case _ if stored and stored.state is State.CUT_CONTEXT:
                return Problem(_full(self._services.host.state), (Step.NEW_CHAT, *self._longer()))
            case _:
                return None

    def _longer(self) -> tuple[Step, ...]:
        """A longer context, if the model was trained for one."""
        state = self._services.host.state
        is_possible = isinstance(state, LoadedModel) and state.engine.ready.n_ctx < state.engine.ready.n_ctx_train
        return (Step.LOAD_LONGER,) if is_possible else ()

    # the model

    def _model_changed(self, state: ModelState) -> None:
        if isinstance(state, LoadedModel):
            for chat in {id(one): one for one in (self._fresh, *self._chats.values())}.values():
                if chat.problem and isinstance(chat.problem.error, EngineError):
                    chat.problem = None
                self._send_waiting(chat)
        self.view.show_model(state)
        self.view.show_problem(self._problem())
        self._show_hint()
        if not isinstance(state, LoadingModel):
            self.count(self._chat.draft)

    def _problem(self) -> Problem | None:
        """What the card says: of a dead engine what its end told, which is more than that the line broke."""
        state, own = self._services.host.state, self._chat.problem
        if isinstance(state, FailedModel) and (own is None or isinstance(own.error, EngineError)):
            if state.error is self._closed_problem:
                return None
            return Problem(state.error, (Step.LOAD_AGAIN, Step.CHOOSE_MODEL))
        return own

    # showing

    def _show_chat(self) -> None:
        chat = self._chat
        self._messages = self._read(chat)
        self.view.show_messages(self._messages)
        self.view.show_answering(chat.is_answering)
        self.view.show_draft(chat.draft)
        self.view.show_problem(self._problem())
        self._show_hint()
        self.count(chat.draft)

    def _read(self, chat: Chat) -> tuple[Message, ...]:
        """The conversation as stored, its streaming answer as far as it is known here."""
        if chat.id is None:
            return ()
        try:
            messages = self._store.messages(chat.id)
        except AppError as error:
            chat.problem = Problem(error, ())
            return ()
        live = chat.answer.now() if chat.answer else None
        return tuple(live if live and one.id == live.id else one for one in messages)

    def _change(self, message: Message) -> None:
        self._messages = tuple(message if one.id == message.id else one for one in self._messages)
        self.view.change_message(message)

    def _show_list(self) -> None:
        answering = frozenset(number for number, chat in self._chats.items() if chat.is_answering)
        self.view.show_list(ChatList(self._listing.conversations, self._listing.sought, self._chat.id, answering))

    def _show_hint(self) -> None:
        self.view.show_hint(self._hint())

    def _hint(self) -> Hint:
        if self._chat.is_waiting and not self._chat.answer:
            is_coming = isinstance(self._services.host.state, LoadingModel)
            return Hint.WAITS_FOR_MODEL if is_coming else Hint.NEEDS_MODEL
        return Hint.EDITING if self._chat.edited else Hint.NONE

    def _last_question(self) -> Message | None:
        return next((one for one in reversed(self._messages) if one.role is Role.USER), None)

    def _list_failed(self, error: AppError) -> None:
        self.view.notice(f"{error.message} {error.hint}".strip(), None)


def _full(state: ModelState) -> ContextFull:
    n_ctx = state.engine.ready.n_ctx if isinstance(state, LoadedModel) else 0
    return ContextFull(
        "The answer was cut: the context is full.",
        "Start a new chat, or load the model with a longer context.",
        n_prompt=n_ctx,
        n_ctx=n_ctx,
    )
