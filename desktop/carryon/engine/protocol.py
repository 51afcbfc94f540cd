"""What the app and its engine process say to each other beside HTTP: values and their JSON lines.

app    -> engine, stdin:  one LoadRequest line; then the pipe stays open, and its end ends the engine
engine -> app, stdout:    Loading ... Loading, then Ready or Refused; nothing else is ever written there

A planning process takes any number of LoadRequest lines and answers each with Planned or Refused.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from carryon.base.errors import EngineError
from carryon.gguf.quants import KvType as KvType
from carryon.hardware.machine import DeviceKind as DeviceKind


@dataclass(frozen=True)
class LoadRequest:
    """Everything an engine needs to load one model and to serve it."""

    model_path: str
    n_ctx: int = 4096  # context length in tokens; the engine pads it to 256
    n_gpu_layers: int = 0  # 0 = CPU only; n_layers + 1 = everything (the output layer counts and goes first)
    n_cpu_experts: int = 0  # the experts of so many layers, counted from the first, stay in RAM
    gpus: tuple[str, ...] = ()  # the engine's names of the GPUs that take layers; empty: all of them
    split: tuple[float, ...] = ()  # the share of layers of each of them; empty: by their free memory
    n_ubatch: int = 512  # tokens that are computed together when a prompt is read
    n_parallel: int = 1  # sequences; only a dry run plans for several, our engine serves one at a time
    n_threads: int | None = None  # None = physical cores
    kv_type: KvType = KvType.F16
    use_mmap: bool = True
    rpc_endpoints: tuple[str, ...] = ()  # "host:port" of llama.cpp RPC servers, added as devices
    host: str = "127.0.0.1"
    port: int = 0  # 0 = any free port
    api_key: str | None = None  # None = a fresh random token
    model_name: str | None = None  # how the model is called in /v1/models; None = from the file


@dataclass(frozen=True)
class DeviceMemory:
    """What one device really holds of a loaded model, in bytes."""

    name: str  # the engine's name: CPU, CUDA0, Metal, Vulkan0, RPC0 ...
    description: str
    kind: DeviceKind
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    output_bytes: int
    # Of the weights those that are pages of the file, which the system may drop and read again; 0 in a plan, for
    # whether the processor gets a copy in its own order is settled when a model is loaded.
    mapped_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.output_bytes


@dataclass(frozen=True)
class Loading:
    """How much of the weights is loaded, 0 to 1."""

    fraction: float


@dataclass(frozen=True)
class Ready:
    """The engine serves on this port; what it really allocated stands in `memory`."""

    port: int
    token: str
    model_name: str
    architecture: str
    n_layers: int
    n_gpu_layers: int  # what was really offloaded, output layer included
    n_ctx: int  # after padding
    n_ctx_train: int
    has_chat_template: bool
    memory: tuple[DeviceMemory, ...]
    load_ms: float
    notices: tuple[str, ...] = ()  # whatever differs from what was asked, in sentences: nothing falls back silently


class Reason(StrEnum):
    """Why a model cannot be loaded."""

    MISSING_FILE = "missing_file"
    NOT_GGUF = "not_gguf"
    TRUNCATED = "truncated"
    UNSUPPORTED_ARCHITECTURE = "unsupported_architecture"
    OUT_OF_MEMORY = "out_of_memory"
    RPC_UNREACHABLE = "rpc_unreachable"
    PORT_TAKEN = "port_taken"
    BAD_REQUEST = "bad_request"
    BAD_MODEL = "bad_model"
    NO_ACCOUNT = "no_account"  # only of a plan: this build of the engine cannot say beforehand what a load takes
    CRASHED = "crashed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Refused:
    """The engine cannot load the model; `detail` is for the log and the curious, never the explanation itself.

    `facts` carries the numbers and names that the explanation needs, by reason:
    truncated {"expected_bytes", "actual_bytes"}, unsupported_architecture {"architecture"},
    out_of_memory {"device", "wanted_bytes"}, rpc_unreachable {"endpoint"}, port_taken {"port"},
    missing_file {"path", "is_folder"},
    bad_request {"gpus"} (not there) or {"kv_type", "block", "head_length"} (kv_type None: no flash attention).
    """

    reason: Reason
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """What a load would take on each device, by the engine's own planning run."""

    engine: str  # which engine and which version, as in EngineDevices
    n_ctx: int  # after padding
    memory: tuple[DeviceMemory, ...]  # every device the engine sees, zeros where nothing would lie


Event = Loading | Ready | Refused
_EVENTS: dict[str, type] = {"loading": Loading, "ready": Ready, "refused": Refused}


def encode_event(event: Event) -> bytes:
    """One line of JSON, newline included."""
    name = type(event).__name__.lower()
    return json.dumps({"event": name, **asdict(event)}).encode() + b"\n"


def decode_event(line: bytes) -> Event:
    """Raises EngineError when the line is not an event: the other side is then not our engine."""
    try:
        fields = json.loads(line)
        kind = _EVENTS[fields.pop("event")]
        if kind is Ready:
            return Ready(memory=_memory(fields.pop("memory")), notices=tuple(fields.pop("notices")), **fields)
        if kind is Refused:
            return _refused(fields)
        return Loading(float(fields["fraction"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_understood() from error


def encode_answer(answer: Planned | Refused) -> bytes:
    """One line of JSON, newline included."""
    return json.dumps({"event": type(answer).__name__.lower(), **asdict(answer)}).encode() + b"\n"


def decode_answer(line: bytes) -> Planned | Refused:
    """Raises EngineError when the line is no answer of a planning process."""
    try:
        fields = json.loads(line)
        if fields["event"] == "refused":
            return _refused(fields)
        return Planned(str(fields["engine"]), int(fields["n_ctx"]), _memory(fields["memory"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_understood() from error


def encode_request(request: LoadRequest) -> bytes:
    """One line of JSON, newline included."""
    return json.dumps(asdict(request)).encode() + b"\n"


def decode_request(line: bytes) -> LoadRequest:
    """Raises ValueError, KeyError or TypeError when the line is not a LoadRequest."""
    fields = json.loads(line)
    fields["kv_type"] = KvType(fields.get("kv_type", KvType.F16))
    for name in ("rpc_endpoints", "gpus", "split"):
        fields[name] = tuple(fields.get(name, ()))
    return LoadRequest(**fields)


def _memory(listed: list[dict[str, Any]]) -> tuple[DeviceMemory, ...]:
    return tuple(DeviceMemory(**{**one, "kind": DeviceKind(one["kind"])}) for one in listed)


def _refused(fields: dict[str, Any]) -> Refused:
    return Refused(Reason(fields["reason"]), fields["detail"], fields["facts"])


def _not_understood() -> EngineError:
    return EngineError("The engine process said something that is not understood.", "Reinstall Carryon.")
