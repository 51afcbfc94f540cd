"""Runs llama.cpp's own converter in a process and an environment of its own, on a folder without programs."""

import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from carryon.base.errors import AppError, Unsupported
from carryon.base.files import disk_errors, sync_folder
from carryon.base.jobs import Progress
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.config import read_optional_json
from carryon.convert.forms import OutType
from carryon.convert.upstream.component import SPLITTING, Component
from carryon.convert.upstream.staging import staged
from carryon.convert.vocabularies.splitting import splitting_of

LAUNCHER = (sys.executable, "-I", "-X", "utf8", "-m", "carryon.worker.upstream")
_NEEDED = ("torch", "transformers")
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
_LOOK_EVERY_S = 0.1
_GRACE_S = 1.0
_WHY = re.compile(r"^(?P<kind>ERROR:[^:]*:|[A-Za-z_.]*(?:Error|Exception): ?)(?P<why>.+)$", re.MULTILINE)
_LOG_TAIL_BYTES = 20_000


def known_cuts(model: Path) -> str:
    """Our name for how a model's tokenizer cuts text, by the rules in its files; '' where they give none."""
    try:
        tokenizer, config = read_optional_json(model / "tokenizer.json"), read_optional_json(model / "config.json")
        found = splitting_of(tokenizer, str(config.get("model_type", "")))
    except AppError:
        return ""
    return found.names[0] if found.is_known else ""


def missing_libraries() -> tuple[str, ...]:
    """What it needs and is not installed here: PyTorch is no part of the base install."""
    return tuple(name for name in _NEEDED if importlib.util.find_spec(name) is None)


def converting_upstream(
    component: Component,
    source: Path,
    target: Path,
    out_type: OutType,
    name: str,
    expected_bytes: int,
    log_path: Path,
    splitting: str | None = None,
    launcher: Sequence[str] = LAUNCHER,
) -> Generator[Progress | None, None, Path]:
    """Work that leaves the converted model in a `.part` beside `target` and returns its path: not checked yet.

    Progress is in bytes written, of about `expected_bytes`. `splitting` is a name for how the tokenizer cuts text
    (tokenizer.ggml.pre) where the converter does not know it by its sum; None: ours, by the rules in its files.
    Raises Unsupported with the converter's own reason.
    """
    if lacking := missing_libraries():
        raise Unsupported(
            f"llama.cpp's converter needs {' and '.join(lacking)}, which are not installed beside Carryon.",
            "Install them with: pip install 'carryon[torch]'. Or look for a GGUF copy of this model.",
        )
    part = target.with_name(target.name + ".part")
    is_whole = False
    try:
        with disk_errors(target), staged(source, target.parent) as stage:
            words = (component.script.name, str(stage), "--outfile", str(part), "--outtype", out_type.value)
            command = [*launcher, str(component.folder), *words, "--model-name", name or source.name]
            with _process(
                command, log_path, {SPLITTING: known_cuts(source) if splitting is None else splitting}
            ) as process:
                while process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_LOOK_EVERY_S)
                    yield Progress(min(_size(part), expected_bytes), expected_bytes)
            if process.returncode != 0 or not part.is_file():
                raise _refused(log_path)
        sync_folder(target.parent)
        is_whole = True
    finally:
        if not is_whole:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    return part


@contextmanager
def _process(
    command: Sequence[str], log_path: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Its stdin ends with us, and it with its stdin."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=log, stderr=log,
            env={**os.environ, **_ENVIRONMENT, **environment},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        killer = threading.Timer(_GRACE_S, process.kill)
        killer.start()
        process.wait()
        killer.cancel()


def _size(part: Path) -> int:
    with suppress(OSError):
        return part.stat().st_size
    return 0


def _reason(found: re.Match[str]) -> str:
    why = found["why"].strip()
    return f"it misses {why} in config.json" if found["kind"].startswith("KeyError") else why


def _refused(log_path: Path) -> Unsupported:
    with suppress(OSError), log_path.open("rb") as log:
        log.seek(max(0, log_path.stat().st_size - _LOG_TAIL_BYTES))
        reasons = [_reason(found) for found in _WHY.finditer(log.read().decode("utf-8", "replace"))]
        if reasons:
            return Unsupported(f"llama.cpp's converter does not take this model: {reasons[-1][:200]}", LOOK_FOR_GGUF)
    return Unsupported("llama.cpp's converter does not take this model; its log says more.", LOOK_FOR_GGUF)
