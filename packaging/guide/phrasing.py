"""New ways to ask a known question: every frame that people use is tried on every subject we have."""

import re
from collections.abc import Iterable
from random import Random

from guide import frames
from guide.noise import typed, worded
from guide.questions import Topic, held_out_phrasings, normalised

STRANGER_TOPIC = "off-general"  # things the guide has never heard of teach it to say so

_MEANING_OF = re.compile(r"what(?: is|'s| are) (.+?)\??", re.IGNORECASE)
_DOING_OF = re.compile(r"how (?:do|can) i (.+?)\??", re.IGNORECASE)
_COMPARING_OF = re.compile(r"(?:what is the difference between )?(.+?) (?:vs|versus|or|and) (.+?)\??", re.IGNORECASE)
_QUESTION_WORDS = (
    "what", "how", "why", "which", "where", "when", "who", "is", "are", "can", "does", "do", "should", "will",
)  # fmt: skip


class Phrasings:
    """Draws questions for topics. None of them is ever a held-out one, nor a question that belongs to another topic."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        topics = tuple(topics)
        self._held_out = held_out_phrasings(topics)
        self._owner = {normalised(ask): topic.id for topic in topics for ask in topic.asks}

    def draw(self, topic: Topic, rng: Random) -> str:
        """A phrasing of `topic`: as written, in another frame, or as somebody might have typed either."""
        written = rng.choice(topic.asks)
        if rng.random() < 0.2:
            return written
        text = self._checked(self._framed(written, topic, rng), written, topic)
        # Checked at each step: nothing may be wrapped around a held-out question either.
        text = self._checked(worded(text, rng), text, topic)
        return self._checked(typed(text, rng), text, topic)

    def _framed(self, written: str, topic: Topic, rng: Random) -> str:
        if topic.id == STRANGER_TOPIC and rng.random() < 0.8:
            return rng.choice(frames.STRANGE_FRAMES).format(stranger(rng))
        return reframed(written, rng) if rng.random() < 0.45 else written

    def _checked(self, text: str, otherwise: str, topic: Topic) -> str:
        return text if self._is_allowed(text, topic) else otherwise

    def _is_allowed(self, text: str, topic: Topic) -> bool:
        key = normalised(text)
        return bool(key) and key not in self._held_out and self._owner.get(key, topic.id) == topic.id


def stranger(rng: Random) -> str:
    """A thing of the wide world, or a word that does not exist."""
    if rng.random() < 0.6:
        return rng.choice(frames.STRANGE_THINGS)
    return "".join(rng.choice(frames.SOUNDS) for _ in range(rng.randint(2, 4)))


def reframed(text: str, rng: Random) -> str:
    """The same question in other words, by its kind: what is, how do I, this or that, and the rest."""
    if (pair := _COMPARING_OF.fullmatch(text)) and _is_short(pair):
        a, b = rng.sample(pair.groups(), 2)
        return rng.choice(frames.COMPARING).format(a=a, b=b)
    if subject := _MEANING_OF.fullmatch(text):
        return rng.choice(frames.MEANING).format(subject[1])
    if action := _DOING_OF.fullmatch(text):
        return rng.choice(frames.DOING).format(action[1])
    if text.lower().startswith(_QUESTION_WORDS):
        return rng.choice(frames.ANY).format(text[:1].lower() + text[1:])
    return text


def _is_short(pair: re.Match[str]) -> bool:
    """Only names are compared: `Q4_K_M or Q5_K_M`, not two halves of a longer sentence."""
    return all(len(part.split()) <= 2 for part in pair.groups()) and not pair[1].lower().startswith(_QUESTION_WORDS)
