"""What the files of a model say: at a glance by their first bytes, surely by their whole headers; kept as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from carryon.base.errors import AppError
from carryon.gguf.cursor import shown
from carryon.gguf.header import FirstFacts, Header, read_first_facts
from carryon.gguf.quant_name import quant_of
from carryon.gguf.split import read_model
from carryon.hub.library.entry import Kind, Known, Trouble
from carryon.hub.quants import nearest_type, quant_named

_LONGEST_TEXT = 120
# general.type, as gguf-py/gguf/constants.py names them (GGUFType)
_KINDS = {"model": Kind.MODEL, "adapter": Kind.ADAPTER, "mmproj": Kind.PROJECTOR}
_PROJECTOR_ARCHITECTURE, _PROJECTOR_NAME = "clip", "mmproj"
_TEMPLATE = "tokenizer.chat_template"


class Passing(Exception):
    """The disk would not let the file be read: nothing that is to be remembered of the file."""

    def __init__(self, known: Known) -> None:
        super().__init__(known.trouble)
        self.known = known


def at_a_glance(path: Path) -> Known:
    """By the first 64 KiB. What is wrong with a file is part of the answer. Raises Passing."""
    try:
        facts = read_first_facts(path)
    except AppError as error:
        return _in_trouble(Known(_kind("", "", path), quant=quant_named(path.name)), error)
    return _by_facts(facts, path)


def by_headers(parts: Sequence[Path]) -> Known:
    """By the headers of all parts. What is wrong with a file is part of the answer. Raises Passing."""
    glance = at_a_glance(parts[0])
    if glance.trouble:
        return replace(glance, is_checked=True)
    try:
        headers = read_model(parts[0])
    except AppError as error:
        return _in_trouble(glance, error)
    return _by_headers(headers, glance, parts[0])


def as_json(known: Known) -> str:
    """For the index."""
    return json.dumps({name: value for name, value in asdict(known).items() if value not in (None, "")})


def from_json(text: str) -> Known | None:
    """The same read; None where it is of another version, or nonsense."""
    try:
        told: dict[str, Any] = json.loads(text)
        trouble = told.pop("trouble", None)
        kind = Kind(told.pop("kind"))
        return Known(kind=kind, trouble=Trouble(**trouble) if trouble else None, **told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _in_trouble(known: Known, error: AppError) -> Known:
    troubled = replace(known, trouble=Trouble(error.message, error.hint), is_checked=True)
    if isinstance(error.__cause__, OSError):
        raise Passing(troubled) from error
    return troubled


def _by_facts(facts: FirstFacts, path: Path) -> Known:
    return Known(
        kind=_kind(facts.kind, facts.architecture, path),
        architecture=shown(facts.architecture),
        title=shown(facts.name, _LONGEST_TEXT),
        quant=_quant(facts.quant, path),
        n_ctx_train=facts.n_ctx_train or None,
        licence=shown(facts.licence, _LONGEST_TEXT),
    )


def _by_headers(headers: Sequence[Header], glance: Known, path: Path) -> Known:
    first, tensors = headers[0], [tensor for header in headers for tensor in header.tensors]
    return replace(
        glance,
        quant=_quant(quant_of(first, [tensors]), path) or glance.quant,
        n_ctx_train=first.n_ctx_train or None,
        n_params=sum(one.n_elements for one in tensors) or None,
        has_template=bool(first.fields.get(_TEMPLATE)),
        is_checked=True,
    )


def _quant(said: str, path: Path) -> str:
    """What the file says, or its name where that says more: “UD-Q4_K_XL” is a mix that has no number of its own."""
    named = quant_named(path.name)
    if not said:
        return named
    return named if nearest_type(named) == said and len(named) > len(said) else said


def _kind(said: str, architecture: str, path: Path) -> Kind:
    if architecture == _PROJECTOR_ARCHITECTURE or _PROJECTOR_NAME in path.name.lower():
        return Kind.PROJECTOR
    return _KINDS.get(said, Kind.OTHER) if said else Kind.MODEL
