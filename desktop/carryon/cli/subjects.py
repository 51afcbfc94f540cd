"""What `carryon fit` is asked about: a file that is here, or a repository on the Hub whose headers are enough."""

import sys
from dataclasses import replace
from pathlib import Path

from carryon.app.discovery import Discovery, Look, Sureness
from carryon.app.fitting import Fitting, Subject
from carryon.app.hub_access import HubAccess
from carryon.app.models import find
from carryon.base.errors import BadFile, BadInput
from carryon.base.jobs import drained
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.hub.names import is_reference, reference_of

_ESTIMATED = {
    Sureness.START: "the first bytes of one of its files",
    Sureness.CONFIG: "its config.json, as if it were converted",
    Sureness.COUNT: "its number of parameters alone",
}


def subject_of(source: str, where: Home, fitting: Fitting) -> Subject:
    """The model that is meant: what is here comes first, then the Hub. Raises what reading and asking raise."""
    if source and Path(source).is_dir():
        raise BadInput(f"“{source}” is a folder.", "Name one GGUF file in it.")
    try:
        path = find(source, where).path
    except BadInput:
        if not is_reference(source) or source.lower().endswith(".gguf"):  # a file that is not there
            raise
        return _on_the_hub(source, where)
    return drained(fitting.reading(path))


def _on_the_hub(source: str, where: Home) -> Subject:
    access = HubAccess(where, SettingsFile(where.settings))
    reference = reference_of(source, access.site_without_token().hosts)
    look = drained(Discovery(where, access.site).looking_into(reference))
    if look.subject is None:
        raise look.error or BadFile(
            f"{reference.repo_id} does not say what it needs.", "Look for another repository of the same model."
        )
    _say_how_sure(look)
    return replace(look.subject, chosen=_quant(look, reference.quant or reference.file))


def _quant(look: Look, named: str) -> str | None:
    """The quant that is asked for; None lets the plan pick."""
    if not named:
        return None
    found = look.quant(named)
    if found:
        return found.quant
    known = ", ".join(one.quant or one.first.path for one in look.files.quants)
    raise BadInput(f"{look.repo.repo_id} has no {named}.", f"It has {known}." if known else "It has no GGUF file.")


def _say_how_sure(look: Look) -> None:
    if look.error:
        print(f"carryon: {look.error.message}", file=sys.stderr)
    if how := look.sureness and _ESTIMATED.get(look.sureness):
        print(f"carryon: an estimate, by {how}.", file=sys.stderr)
