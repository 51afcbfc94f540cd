"""A few well-known models that Carryon names by itself: for the first run, and for days without a network."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from carryon.hub.names import repo_id_of
from carryon.hub.repo import Format, FoundModel

_FILE = "catalog.json"


@dataclass(frozen=True)
class Starter:
    """A model, and in a few words what it is good for."""

    found: FoundModel
    good_for: str


def starters() -> tuple[Starter, ...]:
    """The smallest first."""
    told = json.loads(resources.files("carryon.resources").joinpath(_FILE).read_text(encoding="utf-8"))
    return tuple(_starter(one) for one in told["models"])


def _starter(told: dict[str, Any]) -> Starter:
    found = FoundModel(
        repo_id=repo_id_of(told["repo"]),
        formats=frozenset([Format.GGUF]),
        task=told["task"],
        licence=told["licence"],
        architecture=told["architecture"],
        n_params=told["params"],
        n_ctx_train=told["context"],
    )
    return Starter(found, told["good_for"])
