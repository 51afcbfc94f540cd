"""What `carryon fit` is asked about: a file that is here, or a repository on the Hub whose headers are enough."""

import sys
from pathlib import Path

from carryon.app.discovery import Discovery, Look, Sureness
from carryon.app.fitting import Fitting, Subject
from carryon.app.hub_access import HubAccess
from carryon.app.models import find
from carryon.base.errors import BadInput
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
    look = drained(Discovery(where, access.site).weighing(reference))
    _say_how_sure(look)
    assert look.subject is not None
    return look.subject


def _say_how_sure(look: Look) -> None:
    if look.error:
        print(f"carryon: {look.error.message}", file=sys.stderr)
    if how := look.sureness and _ESTIMATED.get(look.sureness):
        print(f"carryon: an estimate, by {how}.", file=sys.stderr)
