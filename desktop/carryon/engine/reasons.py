"""Why an engine would not load or died, in one sentence each, with the next step."""

import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from carryon.base.errors import EngineCrashed, EngineRefused
from carryon.base.units import bytes_text, memory_text
from carryon.engine.protocol import LoadRequest, Reason, Refused

_Words = tuple[str, str]


class Doing(StrEnum):
    """What an engine process was at when it died, as the end of a sentence."""

    LOADING = "while it loaded the model"
    WORKING = "while it was working"
    PLANNING = "while it worked out what the model needs"
    MAKING = "while it was making the file"


class Refusal(EngineRefused):
    """The engine's refusal in words; `refused` keeps the reason and its facts for the card."""

    def __init__(self, message: str, hint: str, refused: Refused) -> None:
        super().__init__(message, hint)
        self.refused = refused


class Crash(EngineCrashed):
    """The engine's death in words; `last_lines` are what it said last, for the log view."""

    def __init__(self, message: str, hint: str, exit_code: int | None, last_lines: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code
        self.last_lines = last_lines


def refusal(refused: Refused, request: LoadRequest) -> Refusal:
    """The sentence and the next step for this refusal."""
    message, hint = _REFUSALS[refused.reason](refused, Path(request.model_path).name)
    return Refusal(message, hint, refused)


def crash(exit_code: int | None, last_lines: tuple[str, ...], doing: Doing) -> Crash:
    """The sentence and the next step for a death with this exit code (negative: the signal's number)."""
    message = f"The engine {_death(exit_code)} {doing}. Carryon and your chats are not affected."
    return Crash(message, _after_death(exit_code, doing), exit_code, last_lines)


def _death(exit_code: int | None) -> str:
    if exit_code in (-signal.SIGKILL, 137):
        return "was ended by the system, most likely because memory ran out,"
    if exit_code == -signal.SIGABRT:
        return "gave up on a check of its own"
    if exit_code == -signal.SIGILL:
        return "used an instruction this processor does not have"
    return "crashed"


def _after_death(exit_code: int | None, doing: Doing) -> str:
    if exit_code in (-signal.SIGKILL, 137):
        if doing is Doing.MAKING:
            return "Close other programs and try again."
        return "Close other programs, or load it with a shorter context or a smaller model."
    if exit_code == -signal.SIGILL:
        return "Set the engine up again for this processor: python3 packaging/bootstrap.py --from-source."
    if doing is Doing.PLANNING:
        return "The instant estimate stands without it. If loading fails as well, get the file again."
    if doing is Doing.MAKING:
        return "Try again. If it happens twice, get the source again; the log of this run has what was said last."
    if doing is Doing.LOADING:
        return "Get the file again or from another source. If it worked before, try fewer GPU layers."
    return "Load the model again. If it happens twice, try fewer GPU layers or a fresh copy of the file."


def _missing(refused: Refused, name: str) -> _Words:
    """A model in several files may lack one that was not named."""
    missing = Path(refused.facts.get("path") or name).name
    if refused.facts.get("is_folder"):
        return f"{missing} is a folder, not a model.", "Choose a GGUF file in it."
    if missing == name:
        return f"{name} is not there any more.", "Choose where the file is now."
    return f"{missing} is missing, a part of the same model.", "Put all parts of the model into one folder."


def _truncated(refused: Refused, name: str) -> _Words:
    expected, actual = refused.facts.get("expected_bytes"), refused.facts.get("actual_bytes")
    missing = f": {bytes_text(expected - actual)} of {bytes_text(expected)} are missing" if expected and actual else ""
    return f"{name} is not complete{missing}.", "Download the file again, or let the download finish."


def _unsupported(refused: Refused, name: str) -> _Words:
    if why := refused.facts.get("cannot_chat"):  # known to the engine, and of no use here
        return f"{name} cannot chat: {why}.", "Choose a model that was made for chats."
    architecture = refused.facts.get("architecture") or "unknown"
    return (
        f"{name} has the architecture “{architecture}”, which this build of llama.cpp does not know.",
        "Update Carryon when a newer engine is out, or choose a model of another family.",
    )


def _out_of_memory(refused: Refused, name: str) -> _Words:
    device, wanted = refused.facts.get("device"), refused.facts.get("wanted_bytes")
    where = f" on {device}" if device and device != "CPU" else ""
    amount = f": it asked for {memory_text(wanted)} more" if wanted else ""
    return (
        f"{name} does not fit into the memory{where}{amount}.",
        "Choose a shorter context, fewer GPU layers or a smaller quant type.",
    )


def _rpc(refused: Refused, _name: str) -> _Words:
    endpoint = refused.facts.get("endpoint") or "The other machine"
    return f"{endpoint} does not answer as an RPC server.", "Start llama.cpp's RPC server there, or load without it."


def _port(refused: Refused, _name: str) -> _Words:
    return (
        f"Port {refused.facts.get('port', '')} is taken by another program.",
        "Choose another port, or 0 for any free one.",
    )


def _said(message: str, hint: str) -> Callable[[Refused, str], _Words]:
    return lambda _refused, name: (message.format(name=name), hint)


def _bad_request(refused: Refused, name: str) -> _Words:
    if "kv_type" in refused.facts:
        return _bad_cache(refused, name)
    return f"The engine cannot work with these settings: {refused.detail}.", "Change the settings in the load dialog."


def _bad_cache(refused: Refused, name: str) -> _Words:
    kv_type, block, head = (refused.facts.get(key) for key in ("kv_type", "block", "head_length"))
    if not kv_type:
        return (
            f"{name} cannot have a quantized KV cache here: that takes flash attention, which it cannot use.",
            "Choose f16 for the KV cache.",
        )
    return (
        f"{name} cannot have a KV cache of {kv_type}, which packs {block} numbers together: its heads have {head}.",
        "Choose f16 for the KV cache.",
    )


_REFUSALS: dict[Reason, Callable[[Refused, str], _Words]] = {
    Reason.MISSING_FILE: _missing,
    Reason.NOT_GGUF: _said(
        "{name} is not a GGUF file.", "Choose a file in the GGUF format; others must be converted first."
    ),
    Reason.TRUNCATED: _truncated,
    Reason.UNSUPPORTED_ARCHITECTURE: _unsupported,
    Reason.OUT_OF_MEMORY: _out_of_memory,
    Reason.RPC_UNREACHABLE: _rpc,
    Reason.PORT_TAKEN: _port,
    Reason.BAD_REQUEST: _bad_request,
    Reason.BAD_MODEL: _said(
        "{name} is damaged or was made by a program that llama.cpp does not follow.",
        "Get the file again or from another source.",
    ),
    Reason.NO_ACCOUNT: _said(
        "This build of the engine cannot say what {name} takes before it is loaded.",
        "The instant estimate stands; what it really takes is shown once it is loaded.",
    ),
    Reason.CRASHED: _said(
        "The engine crashed while it loaded {name}.", "Try fewer GPU layers or a fresh copy of the file."
    ),
    Reason.UNKNOWN: _said(
        "The engine could not load {name} and did not say a reason we know.",
        "Open the log in Settings and report it, please.",
    ),
}
