"""A child that renders chat templates: they come from strangers' files, so they run where nothing can be lost.

    engine -> child, stdin:   {"template", "messages", "bos_token", "eos_token"}  one line a conversation
    child -> engine, stdout:  {"text"} or {"refusal"} (the template's own words) or {"error"}

jinja2's sandbox keeps a template from the system, but not from running for ever; a watchdog of the C runtime, which
needs no interpreter lock, ends this process when one conversation takes too long.
"""

import datetime
import faulthandler
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jinja2
import jinja2.ext
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from carryon.worker import tie

DEADLINE_S = 4.0
LONGEST_TEXT = 32 << 20       # characters; the longest contexts are a few million
_MOST_MEMORY_BYTES = 2 << 30


class Refused(Exception):
    """The template itself said no, with raise_exception."""


class _Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %} marks the answer for training; here it is only its content."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own name and type

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> None:
    raise Refused(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None,
    separators: tuple[str, str] | None = None, sort_keys: bool = False,
) -> str:
    """transformers' filter: jinja2's own would escape HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment() -> jinja2.Environment:
    """Where templates run: transformers' dialect, sandboxed."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = _to_json
    made.filters["from_json"] = lambda text: json.loads(text) if isinstance(text, str) else text
    made.globals.update(
        raise_exception=_refuse,
        strftime_now=lambda form: datetime.datetime.now().strftime(form),
    )
    return made


def render(template: jinja2.Template, values: dict[str, Any]) -> str:
    """The prompt text. Raises Refused and whatever a broken template raises."""
    parts, length = [], 0
    for part in template.generate(add_generation_prompt=True, **values):
        parts.append(part)
        length += len(part)
        if length > LONGEST_TEXT:
            raise ValueError("it writes without end")
    return "".join(parts)


def answer(compile_template: Callable[[str], jinja2.Template], request: dict[str, Any]) -> dict[str, str]:
    """What one line asks, as one line says it."""
    try:
        template = compile_template(request.pop("template"))
        return {"text": render(template, request)}
    except Refused as refusal:
        return {"refusal": str(refusal)}
    except Exception as error:  # a stranger's template may raise anything
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Renders line after line until stdin ends."""
    tie.die_quietly()
    compile_template = _remembering(environment().from_string)
    _bound_memory()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device, not a path
        for line in sys.stdin.buffer:
            faulthandler.dump_traceback_later(DEADLINE_S, exit=True, file=nowhere)
            said = answer(compile_template, json.loads(line))
            faulthandler.cancel_dump_traceback_later()
            sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
            sys.stdout.buffer.flush()


def _remembering(compile_template: Callable[[str], jinja2.Template]) -> Callable[[str], jinja2.Template]:
    known: dict[str, jinja2.Template] = {}

    def compiled(source: str) -> jinja2.Template:
        if source not in known:
            known.clear()
            known[source] = compile_template(source)
        return known[source]

    return compiled


def _bound_memory() -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))


if __name__ == "__main__":
    main()
