"""Training examples: short and longer chats made of known questions, in token ids, with the answers marked."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tokenizers import Tokenizer

from guide.phrasing import STRANGER_TOPIC, Phrasings
from guide.questions import Topic

_STRANGER_CARDS = 8  # one question in seventy is about an unknown thing, else the guide takes it for a known one
_SYSTEM_CHANCE = 0.08
_OPENING_TOKENS = (4, 16)
_LONG_TURNS = 10
_SYSTEM_TEXTS = (
    "You are Carryon's guide.", "You are a helpful assistant.",
    "You are the built-in guide of Carryon. Answer briefly.", "Answer in one or two sentences.",
    "You are a friendly assistant that explains the app.", "Be concise.",
)  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """What chats are made of: how many turns, how often each, and how often answers break off after their opening."""

    turns: tuple[int, ...] = (1, 2, 3, 5, 9)
    weights: tuple[int, ...] = (62, 22, 10, 4, 2)
    opening_chance: float = 0.0


@dataclass(frozen=True)
class Example:
    """One chat: `is_answer[i]` says that token i belongs to an answer and is to be learnt."""

    ids: tuple[int, ...]
    is_answer: tuple[bool, ...]


@dataclass(frozen=True)
class Turn:
    """One question and the topic whose answer it gets."""

    question: str
    topic: Topic


def chats(
    topics: tuple[Topic, ...], phrasings: Phrasings, seed: str, count: int, mix: Mix = Mix()
) -> Iterator[tuple[Turn, ...]]:
    """`count` chats, the same for the same seed; topics come from a shuffled deck, each as often."""
    rng = Random(seed)
    deck: list[Topic] = []
    for _ in range(count):
        turns = []
        for _ in range(rng.choices(mix.turns, mix.weights)[0]):
            deck = deck or _shuffled(topics, rng)
            topic = deck.pop()
            turns.append(Turn(phrasings.draw(topic, rng), topic))
        yield tuple(turns)


def _shuffled(topics: tuple[Topic, ...], rng: Random) -> list[Topic]:
    strangers = [one for one in topics if one.id == STRANGER_TOPIC] * (_STRANGER_CARDS - 1)
    return rng.sample([*topics, *strangers], len(topics) + len(strangers))


def examples(
    tokenizer: Tokenizer, chats_made: Iterator[tuple[Turn, ...]], seed: str, mix: Mix = Mix()
) -> Iterator[Example]:
    """Chats as token ids, some of them with a system message first, some with the openings of answers only."""
    rng = Random(seed)
    for turns in chats_made:
        system = rng.choice(_SYSTEM_TEXTS) if rng.random() < _SYSTEM_CHANCE else None
        can_break_off = mix.opening_chance > 0 and len(turns) < _LONG_TURNS
        is_opening = can_break_off and rng.random() < mix.opening_chance
        yield encoded(tokenizer, turns, system, rng.randint(*_OPENING_TOKENS) if is_opening else None)


def encoded(
    tokenizer: Tokenizer, turns: tuple[Turn, ...], system: str | None = None, opening_tokens: int | None = None
) -> Example:
    """A chat exactly as the chat template writes it; an answer ends with its end-of-turn token.

    With `opening_tokens` each answer breaks off after so many tokens: they decide which answer it is.
    """
    ids: list[int] = []
    is_answer: list[bool] = []
    for text, learn in _pieces(turns, system):
        piece = tokenizer.encode(text).ids
        learnt = len(piece) if learn else 0
        if learnt and opening_tokens and opening_tokens < learnt:
            piece, learnt = [*piece[:opening_tokens], piece[-1]], opening_tokens
        ids += piece
        is_answer += [True] * learnt + [False] * (len(piece) - learnt)
    return Example(tuple(ids), tuple(is_answer))


def _pieces(turns: tuple[Turn, ...], system: str | None) -> Iterator[tuple[str, bool]]:
    """The text in pieces that never split a token: each border touches a control token or a line end."""
    if system:
        yield f"<|im_start|>system\n{system}<|im_end|>\n", False
    for turn in turns:
        yield f"<|im_start|>user\n{turn.question.strip()}<|im_end|>\n", False
        yield "<|im_start|>assistant\n", False
        yield f"{turn.topic.answer}<|im_end|>", True
        yield "\n", False


def batches(made: list[Example], tokens_each: int, rng: Random) -> Iterator[list[Example]]:
    """Examples of like length together, about `tokens_each` tokens a batch with its padding, in random order."""
    found: list[list[Example]] = [[]]
    for example in sorted(made, key=lambda one: len(one.ids)):
        if found[-1] and (len(found[-1]) + 1) * len(example.ids) > tokens_each:
            found.append([])
        found[-1].append(example)
    rng.shuffle(found)
    yield from found
