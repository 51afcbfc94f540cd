"""The questions and answers as values: reads questions/*.toml and finds what is wrong with them."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "questions"


@dataclass(frozen=True)
class Topic:
    """One thing the guide knows: an answer, the ways to ask for it, and ways that training never sees."""

    id: str
    answer: str
    keywords: tuple[str, ...]
    asks: tuple[str, ...]
    held_out: tuple[str, ...]

    def is_proven_by(self, text: str) -> bool:
        """Whether `text` holds every keyword, so that it can only be this topic's answer."""
        return all(word.lower() in text.lower() for word in self.keywords)


def load(folder: Path = FOLDER) -> tuple[Topic, ...]:
    """All topics of all files, in the order of file names; raises KeyError or TOMLDecodeError on a broken file."""
    return tuple(_topic(fields) for path in sorted(folder.glob("*.toml")) for fields in _fields(path))


def normalised(text: str) -> str:
    """Lower case, no punctuation, single blanks: two phrasings that agree in this are the same question."""
    return " ".join(re.findall(r"\w+", text.lower()))


def problems(topics: Iterable[Topic]) -> Iterator[str]:
    """Sentences about everything that would spoil training or make a test worthless; none means all is well."""
    topics = tuple(topics)
    yield from (f"the id {name} is used {count} times" for name, count in _repeated(one.id for one in topics))
    yield from (f"the answer {text!r} stands {count} times" for text, count in _repeated(one.answer for one in topics))
    for topic in topics:
        yield from _problems_of(topic)
    yield from _clashes(topics)


def held_out_phrasings(topics: Iterable[Topic]) -> frozenset[str]:
    """Every phrasing that training must never see, normalised."""
    return frozenset(normalised(one) for topic in topics for one in topic.held_out)


def _fields(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(path.read_text(encoding="utf-8"))["topic"]
    return found


def _topic(fields: dict[str, object]) -> Topic:
    return Topic(
        id=str(fields["id"]),
        answer=str(fields["answer"]).strip(),
        keywords=_strings(fields["keywords"]),
        asks=_strings(fields["ask"]),
        held_out=_strings(fields["held_out"]),
    )


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list of strings was expected, not {value!r}")
    return tuple(str(one) for one in value)


def _problems_of(topic: Topic) -> Iterator[str]:
    if not topic.keywords or not topic.is_proven_by(topic.answer):
        yield f"{topic.id}: the answer lacks a keyword of {topic.keywords}"
    if len(topic.asks) < 5:
        yield f"{topic.id}: only {len(topic.asks)} phrasings"
    if not topic.held_out:
        yield f"{topic.id}: no phrasing is held out"


def _clashes(topics: tuple[Topic, ...]) -> Iterator[str]:
    """A question must lead to one answer, and a held-out one must lead nowhere in training."""
    asked = [normalised(one) for topic in topics for one in topic.asks]
    held = [normalised(one) for topic in topics for one in topic.held_out]
    yield from (f"{text!r} is asked {count} times" for text, count in _repeated(asked))
    yield from (f"{text!r} is held out {count} times" for text, count in _repeated(held))
    yield from (f"{text!r} is held out and trained" for text in sorted(set(asked) & set(held)))


def _repeated(values: Iterable[str]) -> list[tuple[str, int]]:
    return [(value, count) for value, count in Counter(values).items() if count > 1]
