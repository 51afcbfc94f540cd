"""Who may speak when: requests wait in line, and one thread, which owns every call of the engine, answers them."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from carryon.worker.capi import L
from carryon.worker.llama import ABORTED, NO_ROOM, Context, Model
from carryon.worker.news import Broken, Ended, Finish, Outbox, PromptProgress, Text
from carryon.worker.sampling import Chain, Sampling
from carryon.worker.spoken import Spoken

log = logging.getLogger(__name__)
# Text leaves at most 60 times a second: more would only cost the engine the interpreter lock.
_GATHER_S = 0.016
_NEVER_BEGUN = Ended(
    Finish.CANCELLED, is_context_full=False, n_prompt=0, n_cached=0, n_predicted=0, prompt_ms=0.0, predicted_ms=0.0
)
_COMPUTE_FAILED = (
    "The engine could not compute the answer (code {code}). Try again; if it happens again, reload the model."
)


@dataclass(frozen=True)
class Ask:
    """What one answer is to be made of; the prompt is shorter than the context."""

    prompt: Sequence[int]
    sampling: Sampling
    max_tokens: int | None = None         # None = until the context is full
    stops: tuple[str, ...] = ()


@dataclass(eq=False)
class Generation:
    """One answer on its way: what was asked, where its words go, and whether anybody still wants them."""

    ask: Ask
    outbox: Outbox
    is_cancelled: bool = False


class Pace:
    """How many prompt tokens to decode at once: as many as the context takes, fewer on a slow machine.

    The CPU looks at the abort flag between two nodes of the graph. The largest node, a feed-forward matrix, is about
    a quarter of a layer (Llama 3 8B: 59 of 218 million weights), so a chunk of 0.3 s a layer has none above 80 ms;
    and whoever waits sees that the prompt is being read. Below 128 tokens reading itself gets slower.
    The first chunk of all is small, for the speed is not known yet.
    """

    def __init__(self, largest: int, n_layers: int) -> None:
        self._largest = largest
        self._longest_s = min(8.0, 0.3 * n_layers)
        self.n_tokens = min(64, largest)

    def timed(self, n_tokens: int, decode: Callable[[], int]) -> int:
        """Decodes a chunk and learns from it."""
        started = time.perf_counter()
        code = decode()
        if code == 0 and n_tokens >= 32:  # a few tokens say nothing about many
            wished = n_tokens * self._longest_s / max(time.perf_counter() - started, 1e-6)
            self.n_tokens = min(self._largest, max(128, int(wished) // 32 * 32))
        return code


@dataclass
class Slot:
    """One sequence of the context, the tokens that it holds, and the pace at which it reads."""

    context: Context
    pace: Pace
    tokens: list[int] = field(default_factory=list)

    def reuse(self, prompt: Sequence[int]) -> int:
        """Keeps what the prompt shares with what is held; at least one token stays to be decoded."""
        shared = min(_shared_prefix(self.tokens, prompt), len(prompt) - 1)
        kept = self.context.keep_prefix(shared, len(self.tokens))
        del self.tokens[kept:]
        return kept

    def recount(self) -> None:
        """After a decode that did not finish, what the memory holds is what counts."""
        del self.tokens[self.context.n_cached() :]

    def forget(self) -> None:
        self.context.clear()
        self.tokens.clear()


class Scheduler:
    """Takes questions from any thread; `run` answers them, one after the other, on the thread that calls it."""

    def __init__(self, model: Model, context: Context) -> None:
        self._model = model
        self._context = context
        self._slot = Slot(context, Pace(context.chunk, model.n_layers))
        self._waiting: queue.SimpleQueue[Generation] = queue.SimpleQueue()
        self._speaking: Generation | None = None
        self._lock = threading.Lock()

    def submit(self, generation: Generation) -> None:
        """Puts a question in line."""
        self._waiting.put(generation)

    def cancel(self, generation: Generation) -> None:
        """Nobody wants this answer any more: ends it, in line or in the middle of a decode."""
        with self._lock:
            generation.is_cancelled = True
            if self._speaking is generation:
                self._context.abort.set()
                return
        generation.outbox.put(_NEVER_BEGUN)  # whoever still listens need not wait for a turn that will not come

    def run(self) -> None:
        """Never returns."""
        while True:
            generation = self._waiting.get()
            if self._takes_the_floor(generation):
                self._answer(generation)

    def _takes_the_floor(self, generation: Generation) -> bool:
        """The flag is cleared under the lock, so a late cancel of the one before cannot hit this one."""
        with self._lock:
            self._speaking = generation
            self._context.abort.clear()
            return not generation.is_cancelled

    def _answer(self, generation: Generation) -> None:
        try:
            Answer(self._model, self._slot, generation).speak()
        except DecodeFailed as failed:
            self._slot.forget()
            generation.outbox.put(Broken(_COMPUTE_FAILED.format(code=failed.code)))
        except Exception:
            log.exception("an answer failed in a way nobody foresaw")
            self._slot.forget()
            generation.outbox.put(Broken("Something went wrong inside the engine; its log has the details."))


class DecodeFailed(Exception):
    """llama_decode answered with a code that nothing can be done about."""

    def __init__(self, code: int) -> None:
        super().__init__(f"llama_decode: {code}")
        self.code = code


class Answer:
    """The making of one answer: read the prompt, then word after word."""

    def __init__(self, model: Model, slot: Slot, generation: Generation) -> None:
        self._vocabulary = model.vocabulary
        self._slot = slot
        self._context = slot.context
        self._generation = generation
        self._ask = generation.ask
        self._outbox = generation.outbox
        self._n_predicted = 0
        self._is_context_full = False

    def speak(self) -> None:
        """From the question to the last figure. Raises DecodeFailed."""
        started = time.perf_counter()
        n_cached = self._slot.reuse(self._ask.prompt)
        finish = self._read_prompt(n_cached)
        read = time.perf_counter()
        n_read = len(self._slot.tokens) - n_cached
        if finish is None:
            chain = Chain(self._ask.sampling, self._vocabulary, self._ask.prompt)
            try:
                finish = self._say_words(chain)
            finally:
                chain.free()
        self._outbox.put(Ended(
            finish, self._is_context_full, n_read, n_cached, self._n_predicted,
            prompt_ms=(read - started) * 1000, predicted_ms=(time.perf_counter() - read) * 1000,
        ))

    def _read_prompt(self, n_cached: int) -> Finish | None:
        """In chunks, with a look at the flag between two, because GPUs cannot be interrupted; None when all is read."""
        prompt, tokens = self._ask.prompt, self._slot.tokens
        while (start := len(tokens)) < len(prompt):
            if self._generation.is_cancelled:
                return Finish.CANCELLED
            self._outbox.put(PromptProgress(start, len(prompt)))
            part = prompt[start : start + self._slot.pace.n_tokens]
            code = self._slot.pace.timed(len(part), lambda: self._read(part))  # noqa: B023 - called before the next turn
            if code:
                return self._interrupted(code)
        return None

    def _read(self, part: Sequence[int]) -> int:
        tokens = self._slot.tokens
        is_last = len(tokens) + len(part) == len(self._ask.prompt)
        code = self._context.decode(part, len(tokens), wants_logits=is_last)
        L.llama_synchronize(self._context.handle)  # a GPU is still at work when llama_decode returns
        tokens.extend(part)
        return code

    def _say_words(self, chain: Chain) -> Finish:
        """The loop that runs for every token: a few microseconds of Python, the same for the first and the last."""
        sample, sampler, context = L.llama_sampler_sample, chain.handle, self._context
        spell, decode, tokens = self._vocabulary.piece, context.decode_one, self._slot.tokens
        spoken = Spoken(self._ask.stops)
        voice = _Voice(self._outbox)
        limit = self._ask.max_tokens or context.n_ctx
        finish = Finish.LENGTH
        while True:
            token = sample(sampler, context.handle, -1)
            piece = spell(token)
            if piece is None:
                finish = Finish.STOP
                break
            self._n_predicted += 1
            voice.say(spoken.add(piece))
            if spoken.is_stopped:
                finish = Finish.STOP
                break
            if self._n_predicted >= limit:
                break
            if len(tokens) >= context.n_ctx:
                self._is_context_full = True
                break
            if self._generation.is_cancelled:
                finish = Finish.CANCELLED
                break
            code = decode(token, len(tokens))
            tokens.append(token)
            if code:
                finish = self._interrupted(code)
                break
        voice.say(spoken.end())
        voice.pause()
        return finish

    def _interrupted(self, code: int) -> Finish:
        """What a decode that did not finish means. Raises DecodeFailed."""
        if code == ABORTED:
            self._slot.recount()
            return Finish.CANCELLED
        if code == NO_ROOM:
            self._slot.recount()
            self._is_context_full = True
            return Finish.LENGTH
        raise DecodeFailed(code)


class _Voice:
    """Gathers words: the first leaves at once, then what has come since the last time, at most every 16 ms."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._words: list[str] = []
        self._next = 0.0

    def say(self, text: str) -> None:
        if not text:
            return
        self._words.append(text)
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + _GATHER_S
            self.pause()

    def pause(self) -> None:
        if self._words:
            self._outbox.put(Text("".join(self._words)))
            self._words.clear()


def _shared_prefix(held: Sequence[int], wanted: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their start."""
    shared = 0
    for one, other in zip(held, wanted, strict=False):
        if one != other:
            break
        shared += 1
    return shared
