"""Where things are kept: one folder by the platform's convention, moved as a whole by CARRYON_HOME."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True)
class Home:
    """The one folder the app writes to, and the places inside it."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "settings.toml"

    @property
    def chats(self) -> Path:
        return self.root / "chats.sqlite"

    @property
    def library(self) -> Path:
        """What is known of models and of this machine: the index, measurements, what was learnt."""
        return self.root / "library.sqlite"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        return self.root / "logs"


def home(environment: Mapping[str, str] = os.environ) -> Home:
    """The app's folder; nothing is created by asking."""
    moved = environment.get("CARRYON_HOME")
    if moved:
        return Home(Path(moved).expanduser().absolute())
    return Home(Path(platformdirs.user_data_dir("carryon", appauthor=False)))
