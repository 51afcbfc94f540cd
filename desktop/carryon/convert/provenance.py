"""Where a converted model came from, as its file says it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carryon.convert.write import Setting


@dataclass(frozen=True)
class Provenance:
    """A repository of the Hub, 'owner/name', and its revision; empty where it is not known."""

    repo: str = ""
    revision: str = ""

    def facts(self) -> Iterator[tuple[str, str]]:
        """The general.source.* keys of what is known."""
        for key, value in (("repository", self.repo), ("revision", self.revision)):
            if value:
                yield f"general.source.huggingface.{key}", value

    def settings(self) -> dict[str, Setting]:
        """The same as settings of a file."""
        return dict(self.facts())


def provenance_of(folder: Path) -> Provenance:
    """What the folder's own place tells: the Hub's cache keeps models--owner--name/snapshots/<revision>."""
    kind, *names = folder.parent.parent.name.split("--")
    if folder.parent.name == "snapshots" and kind == "models" and len(names) == 2:
        return Provenance("/".join(names), folder.name)
    return Provenance()
