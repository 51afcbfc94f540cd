"""A conversion in a process of its own, so that no window stutters: written there, verified there, then named."""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carryon.base.errors import EngineCrashed
from carryon.base.jobs import Progress
from carryon.convert.forms import OutType
from carryon.convert.provenance import Provenance
from carryon.convert.run import Converted, part_of
from carryon.convert.stamp import stamp_of
from carryon.engine.task import Request, Result, command_of, running


@dataclass(frozen=True)
class ConvertRequest:
    """What to make of which model. `name` is what the model is called inside; empty: as its folder."""

    source: Path
    target: Path
    out_type: OutType
    name: str = ""
    adapter: Path | None = None  # a PEFT folder that shall be merged into the model
    provenance: Provenance | None = None  # None: what the folder's own place tells


@dataclass(frozen=True)
class VerifyRequest:
    """A GGUF file that somebody else wrote, and the model folder it was made from."""

    written: Path
    n_tensors: int
    folder: Path


def converting(request: ConvertRequest, log_path: Path) -> Generator[Progress | None, None, Converted]:
    """Work that converts; progress is in bytes, then it has the note CHECKING. Closing it leaves nothing behind.

    The target appears after its header was read again, its tensors counted, its tokens compared with those of the
    source, and one token decoded. Raises BadFile, Unsupported, NoRoom and EngineError.
    """
    stamp = stamp_of(*(folder for folder in (request.source, request.adapter) if folder))
    try:
        result = yield from running(command_of("convert"), encode_request(request), log_path)
    except EngineCrashed:
        stamp.check()  # a file that is cut off while it is mapped ends its reader without a word
        raise
    finally:
        with suppress(OSError):
            part_of(request.target).unlink(missing_ok=True)
    return decode_result(result)


def verifying(request: VerifyRequest, log_path: Path) -> Generator[Progress | None, None, tuple[str, ...]]:
    """Work that looks at a file as `converting` does; returns what a person should know of it.

    Raises BadFile saying what is wrong, and EngineError.
    """
    told = {"written": str(request.written), "n_tensors": request.n_tensors, "folder": str(request.folder)}
    result = yield from running(command_of("convert"), told, log_path)
    return tuple(result["warnings"])


def encode_request(request: ConvertRequest) -> Request:
    """For the pipe."""
    origin = request.provenance
    return {
        "source": str(request.source.absolute()),
        "target": str(request.target.absolute()),
        "out_type": request.out_type.value,
        "name": request.name,
        "adapter": str(request.adapter.absolute()) if request.adapter else None,
        "provenance": [origin.repo, origin.revision] if origin else None,
    }


def decode_request(told: Request) -> ConvertRequest:
    """The same read by the child."""
    adapter, origin = told["adapter"], told["provenance"]
    return ConvertRequest(
        Path(told["source"]),
        Path(told["target"]),
        OutType(told["out_type"]),
        told["name"],
        Path(adapter) if adapter else None,
        Provenance(*origin) if origin else None,
    )


def encode_result(converted: Converted) -> Result:
    """What the child tells when the file has its name."""
    told: dict[str, Any] = {**vars(converted), "path": str(converted.path), "out_type": converted.out_type.value}
    return told


def decode_result(told: Result) -> Converted:
    """The same read by the parent."""
    return Converted(
        Path(told["path"]), told["size_bytes"], told["n_tensors"], OutType(told["out_type"]), tuple(told["warnings"])
    )
