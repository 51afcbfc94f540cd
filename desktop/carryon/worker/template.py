"""From a conversation to prompt tokens by the model's own template; what people wrote never becomes a control token.

The rendering itself happens in a child (render.py). Here is what must not be left to a stranger's template: every
control text inside a message is broken by a mark that nobody can guess, and the rendered prompt is cut at the marks
before it is tokenized, so the tokenizer never sees such a text whole.
"""

import json
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from carryon.worker.vocabulary import Vocabulary

# What is used where a file has no template of its own: readable for any model, and said in the notices.
PLAIN = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor %}Assistant:"
)
PLAIN_STOPS = ("\nUser:",)
# A mark is made of these and nothing else, so no template splits, trims or changes it; eight are a hundred bits.
_PRIVATE_USE = range(0xE000, 0xF900)
_MARK_LENGTH = 8


@dataclass(frozen=True)
class Message:
    """One turn: who speaks, and what."""

    role: str
    content: str


class TemplateRefused(Exception):
    """The template will not have this conversation; the text is its own explanation."""


class TemplateBroken(Exception):
    """The template cannot be run; the text says how it failed."""


class Renderer:
    """The child that renders; started at once, and anew whenever a template has killed it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = _start_child()
        self._lock = threading.Lock()

    def render(self, template: str, messages: Sequence[Message], bos: str, eos: str) -> str:
        """The prompt text. Blocks for up to render.DEADLINE_S. Raises TemplateRefused and TemplateBroken."""
        said_so_far = [vars(message) for message in messages]
        asked = {"template": template, "messages": said_so_far, "bos_token": bos, "eos_token": eos}
        said = self._exchange(json.dumps(asked).encode() + b"\n")
        if "refusal" in said:
            raise TemplateRefused(said["refusal"])
        if "error" in said:
            raise TemplateBroken(said["error"])
        return said["text"]

    def _exchange(self, line: bytes) -> dict[str, str]:
        with self._lock:
            if self._child is not None and self._child.poll() is not None:
                self._bury()  # it died for a reason that has nothing to do with this conversation
            self._child = self._child or _start_child()
            assert self._child.stdin is not None
            assert self._child.stdout is not None
            with suppress(BrokenPipeError):  # it died: then nothing comes back either
                self._child.stdin.write(line)
                self._child.stdin.flush()
            answer = self._child.stdout.readline()
            if not answer:
                self._bury()
                raise TemplateBroken("it did not come to an end")
            said: dict[str, str] = json.loads(answer)
            return said

    def _bury(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


class ChatTemplate:
    """How one model wants to be talked to."""

    def __init__(self, source: str, vocabulary: Vocabulary, renderer: Renderer) -> None:
        self.source = source
        self._vocabulary = vocabulary
        self._renderer = renderer

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, up to where the answer begins. Raises TemplateRefused and TemplateBroken."""
        shield = Shield(self._control)
        shielded = [Message(message.role, shield.marked(message.content)) for message in messages]
        text = self._renderer.render(self.source, shielded, self._bos, self._eos)
        tokens = [token for part in shield.parts(text) for token in self._vocabulary.tokens(part, parse_special=True)]
        return self._with_bos(tokens)

    def _with_bos(self, tokens: list[int]) -> list[int]:
        """Most templates write it themselves; where they do not, the tokenizer would."""
        bos = self._vocabulary.bos
        if bos is None or not self._vocabulary.adds_bos or tokens[:1] == [bos.token]:
            return tokens
        return [bos.token, *tokens]

    @cached_property
    def _control(self) -> "ControlTexts":
        return ControlTexts(self._vocabulary.control_texts)

    @cached_property
    def _bos(self) -> str:
        return self._vocabulary.bos.text if self._vocabulary.bos else ""

    @cached_property
    def _eos(self) -> str:
        return self._vocabulary.eos.text if self._vocabulary.eos else ""


class ControlTexts:
    """The texts of a vocabulary's control tokens, and where they stand in other texts.

    Gemma has six thousand of them, so they are looked up by length and not tried one by one. A text of a single
    character cannot be broken and is left out; no known vocabulary has one.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._known = frozenset(text for text in texts if len(text) > 1)
        self._lengths = sorted({len(text) for text in self._known})
        first_letters = "".join(sorted({text[0] for text in self._known}))
        self._first_letter = re.compile(f"[{re.escape(first_letters)}]" if first_letters else r"(?!)")
        self._beginnings = {text[:size] for text in self._known for size in range(1, len(text))}
        self._endings = {text[size:] for text in self._known for size in range(1, len(text))}
        self.longest = max(self._lengths, default=0)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of every control text, overlapping ones too."""
        for match in self._first_letter.finditer(text):
            start = match.start()
            for length in self._lengths:
                if text[start : start + length] in self._known:
                    yield start, start + length

    def may_begin_at_the_end_of(self, text: str) -> bool:
        return any(text[-size:] in self._beginnings for size in range(1, min(self.longest, len(text) + 1)))

    def may_end_at_the_start_of(self, text: str) -> bool:
        return any(text[:size] in self._endings for size in range(1, min(self.longest, len(text) + 1)))

    def joins(self, left: str, right: str) -> bool:
        """Whether some control text would stand across the seam of the two."""
        reach = self.longest - 1
        if reach < 1:
            return False
        left = left[-reach:]
        return any(start < len(left) < end for start, end in self.places(left + right[:reach]))


class Shield:
    """Breaks control texts in the messages of one conversation, and cuts the rendered prompt at the breaks."""

    def __init__(self, control: ControlTexts) -> None:
        self._control = control
        self._mark = "".join(chr(secrets.choice(_PRIVATE_USE)) for _ in range(_MARK_LENGTH))

    def marked(self, content: str) -> str:
        """The content with a mark inside each control text, and at an edge where one could arise with what follows.

        Templates trim, so the edges are looked at with and without their white space. Contents without any of this,
        nearly all, stay as they are.
        """
        cuts = {start + 1 for start, _ in self._control.places(content)} | self._edges(content)
        bounds = [0, *sorted(cuts), len(content)]
        return self._mark.join(content[start:end] for start, end in pairwise(bounds))

    def parts(self, rendered: str) -> Iterator[str]:
        """The prompt in parts to be tokenized one by one; a mark that guards nothing leaves no trace."""
        part, *rest = rendered.split(self._mark)
        for piece in rest:
            if self._control.joins(part, piece):
                yield part
                part = piece
            else:
                part += piece
        yield part

    def _edges(self, content: str) -> set[int]:
        first = len(content) - len(content.lstrip())
        last = len(content.rstrip())
        starts = {start for start in (0, first) if self._control.may_end_at_the_start_of(content[start:])}
        ends = {end for end in (last, len(content)) if self._control.may_begin_at_the_end_of(content[:end])}
        return starts | ends


def _start_child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "carryon.worker.render"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
