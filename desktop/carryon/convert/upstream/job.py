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

from carryon.base.errors import Unsupported
from carryon.base.files import disk_errors, sync_folder
from carryon.base.jobs import Progress
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.forms import OutType
from carryon.convert.upstream.component import SPLITTING, Component
from carryon.convert.upstream.staging import staged

LAUNCHER = (sys.executable, "-I", "-X", "utf8", "-m", "carryon.worker.upstream")
_NEEDED = ("torch", "transformers")
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
_LOOK_EVERY_S = 0.1
_GRACE_S = 1.0
_WHY = re.compile(r"^(?:ERROR:[^:]*:|[A-Za-z_.]*(?:Error|Exception): ?)(?P<why>.+)$", re.MULTILINE)
_LOG_TAIL_BYTES = 20_000


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
    splitting: str = "",
    launcher: Sequence[str] = LAUNCHER,
) -> Generator[Progress | None, None, Path]:
    """Work that leaves the converted model in a `.part` beside `target` and returns its path: not checked yet.

    Progress is in bytes written, of about `expected_bytes`. `splitting` is our name for how the tokenizer cuts text
    (tokenizer.ggml.pre), for tokenizers that the converter does not know by their sum. Raises Unsupported with the
    converter's own reason.
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
            with _process(command, log_path, {SPLITTING: splitting}) as process:
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


def _refused(log_path: Path) -> Unsupported:
    with suppress(OSError), log_path.open("rb") as log:
        log.seek(max(0, log_path.stat().st_size - _LOG_TAIL_BYTES))
        reasons = [found["why"].strip() for found in _WHY.finditer(log.read().decode("utf-8", "replace"))]
        if reasons:
            return Unsupported(f"llama.cpp's converter does not take this model: {reasons[-1][:200]}", LOOK_FOR_GGUF)
    return Unsupported("llama.cpp's converter does not take this model; its log says more.", LOOK_FOR_GGUF)
