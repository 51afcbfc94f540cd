"""What the person chose, kept in settings.toml; a damaged file is set aside, never a crash."""

import logging
import threading
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import tomli_w

from carryon.base.files import write_whole

log = logging.getLogger(__name__)
RECENT_MODELS_KEPT = 8
DOWNLOADS_AT_ONCE = (1, 6)
CONNECTIONS = (1, 8)  # of one download; more gain nothing and annoy the Hub


class Theme(StrEnum):
    """Which palette the window wears; SYSTEM follows the desktop."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True)
class RecentModel:
    """A model that was loaded, and how: the load dialog starts from it. `path` is a file or 'guide'."""

    path: str
    n_ctx: int
    n_gpu_layers: int
    n_cpu_experts: int = 0
    kv_type: str = "f16"
    n_ubatch: int = 512
    use_mmap: bool = True
    is_automatic: bool = False  # the plan chose layers and experts, and chooses anew the next time


@dataclass(frozen=True)
class Settings:
    """Every choice with its default. n_threads None means one per physical core."""

    theme: Theme = Theme.SYSTEM
    n_threads: int | None = None
    text_size_percent: int = 100
    was_welcomed: bool = False
    window_geometry: str = ""  # as the window's toolkit writes it, base64
    recent_models: tuple[RecentModel, ...] = ()
    is_offline: bool = False  # no request leaves this machine
    hub_mirror: str = ""  # the address of a mirror; "" is the Hub
    trusts_mirror: bool = False  # the mirror may see the token
    hub_proxy: str = ""  # "" is what the system says
    download_limit_bytes_per_s: int | None = None  # of all downloads together; None is no limit
    downloads_at_once: int = 2
    connections_per_download: int = 4
    model_folders: tuple[str, ...] = ()  # of other programs or of the person: looked into, never written to

    def with_recent(self, model: RecentModel) -> "Settings":
        """The settings with `model` first among the recent ones."""
        others = tuple(one for one in self.recent_models if one.path != model.path)
        return replace(self, recent_models=(model, *others)[:RECENT_MODELS_KEPT])

    def moved(self, old: str, new: str) -> "Settings":
        """The settings after a model's file got another path."""
        models = tuple(replace(one, path=new) if one.path == old else one for one in self.recent_models)
        return replace(self, recent_models=models)

    def recent(self, path: str) -> RecentModel | None:
        """How this model was loaded the last time."""
        return next((one for one in self.recent_models if one.path == path), None)


class SettingsFile:
    """The settings of this home: read once, written whole at every change, safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.was_damaged = False
        self._now = self._read()

    @property
    def now(self) -> Settings:
        return self._now

    def change(self, change: Callable[[Settings], Settings]) -> Settings:
        """Applies `change` to the settings, writes them and returns them. Raises NoRoom or BadFile."""
        with self._lock:
            changed = change(self._now)
            if changed != self._now:
                write_whole(self._path, tomli_w.dumps(_to_toml(changed)).encode())
                self._now = changed
            return changed

    def _read(self) -> Settings:
        try:
            return _from_toml(tomllib.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Settings()
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
            log.exception("settings are damaged and were set aside")
            self._set_aside()
            return Settings()

    def _set_aside(self) -> None:
        self.was_damaged = True
        try:
            self._path.replace(self._path.with_suffix(".toml.damaged"))
        except OSError:
            log.exception("damaged settings could not be set aside")


def _to_toml(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if value is not None}


def _from_toml(fields: dict[str, Any]) -> Settings:
    """Reads what it knows, checks every type, and ignores what a newer version may have added."""
    default = Settings()
    recent = tuple(_recent(one) for one in fields.get("recent_models", ()))
    n_threads = fields.get("n_threads")
    return Settings(
        theme=Theme(fields.get("theme", default.theme)),
        n_threads=None if n_threads is None else max(1, int(n_threads)),
        text_size_percent=min(200, max(80, int(fields.get("text_size_percent", default.text_size_percent)))),
        was_welcomed=bool(fields.get("was_welcomed", default.was_welcomed)),
        window_geometry=str(fields.get("window_geometry", default.window_geometry)),
        recent_models=recent[:RECENT_MODELS_KEPT],
        model_folders=tuple(str(one) for one in fields.get("model_folders", ())),
        is_offline=bool(fields.get("is_offline", default.is_offline)),
        hub_mirror=str(fields.get("hub_mirror", default.hub_mirror)),
        trusts_mirror=bool(fields.get("trusts_mirror", default.trusts_mirror)),
        hub_proxy=str(fields.get("hub_proxy", default.hub_proxy)),
        download_limit_bytes_per_s=_limit(fields.get("download_limit_bytes_per_s")),
        downloads_at_once=_within(DOWNLOADS_AT_ONCE, fields.get("downloads_at_once", default.downloads_at_once)),
        connections_per_download=_within(
            CONNECTIONS, fields.get("connections_per_download", default.connections_per_download)
        ),
    )


def _limit(told: Any) -> int | None:
    """None and everything below one byte a second are no limit."""
    return max(0, int(told or 0)) or None


def _within(bounds: tuple[int, int], told: Any) -> int:
    return min(bounds[1], max(bounds[0], int(told)))


def _recent(fields: dict[str, Any]) -> RecentModel:
    """Files from before the fit hold only the first three fields: those models were loaded by hand."""
    return RecentModel(
        path=str(fields["path"]),
        n_ctx=int(fields["n_ctx"]),
        n_gpu_layers=int(fields["n_gpu_layers"]),
        n_cpu_experts=max(0, int(fields.get("n_cpu_experts", 0))),
        kv_type=str(fields.get("kv_type", "f16")),
        n_ubatch=max(1, int(fields.get("n_ubatch", 512))),
        use_mmap=bool(fields.get("use_mmap", True)),
        is_automatic=bool(fields.get("is_automatic", False)),
    )
