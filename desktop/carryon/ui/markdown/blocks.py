"""What a message consists of, as values: paragraphs, headings, code, tables, rules; knows nothing of Qt."""

from dataclasses import dataclass
from enum import Enum, Flag


class Look(Flag):
    """How a piece of text looks."""

    PLAIN = 0
    BOLD = 1
    ITALIC = 2
    CODE = 4
    STRIKE = 8


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text with one look; `link` is a checked address or None."""

    text: str
    look: Look = Look.PLAIN
    link: str | None = None


Spans = tuple[Span, ...]


class Nest(Enum):
    """What a block can stand in."""

    LIST = "list"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: inside of what, from the outside in, and the mark of the list item that it opens."""

    nest: tuple[Nest, ...] = ()
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; "\\n" in it is a line break."""

    spans: Spans
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 6."""

    level: int
    spans: Spans
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code; the language is what the fence says, "" if nothing."""

    language: str
    text: str
    place: Place = Place()


class Side(Enum):
    """How a column is set."""

    LEFT = "left"
    RIGHT = "right"
    CENTRE = "center"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, the header first; every row has as many cells as `sides`."""

    sides: tuple[Side, ...]
    rows: tuple[tuple[Spans, ...], ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""

    place: Place = Place()


Block = Paragraph | Heading | Code | Table | Rule
