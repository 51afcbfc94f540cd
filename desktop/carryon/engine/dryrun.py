"""The engine's own figures: what a load would take on each device, planned by a child process and kept on disk."""

import logging
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import AppError, EngineSilent
from carryon.engine.child import Child
from carryon.engine.plans import Plans
from carryon.engine.protocol import DeviceMemory, LoadRequest, Planned, Refused, decode_answer, encode_request
from carryon.engine.reasons import Doing, refusal
from carryon.hardware.machine import EngineDevices

log = logging.getLogger(__name__)
PLANNER = (sys.executable, "-P", "-m", "carryon.worker.dryrun")
PATIENCE_S = 60.0  # a plan takes 0.1 s; a vocabulary of 260,000 words on a busy disk takes some seconds


@dataclass(frozen=True)
class DryRun:
    """What the engine plans, in bytes."""

    devices: tuple[DeviceMemory, ...]  # every device that the engine sees, the CPU first; zeros where nothing would lie
    n_ctx: int  # after padding
    was_cached: bool


def dry_running(
    request: LoadRequest,
    cache: Path,
    seen: EngineDevices | None = None,
    command: Sequence[str] = PLANNER,
    timeout_s: float = PATIENCE_S,
) -> Generator[None, None, DryRun]:
    """Work that asks the engine what this load would take; closing it ends the child.

    With `seen` (what the engine told about this machine) a plan in the folder `cache` is found without a child.
    Raises Refusal, Crash or EngineSilent.
    """
    plans = Plans(cache)
    if seen is not None and (plan := plans.kept(request, seen)):
        return DryRun(plan.memory, plan.n_ctx, was_cached=True)
    (answer,) = yield from _planning([request], command, timeout_s)
    if isinstance(answer, AppError):
        raise answer
    plans.keep(request, answer)
    return DryRun(answer.memory, answer.n_ctx, was_cached=False)


def dry_runs(
    requests: Iterable[LoadRequest], command: Sequence[str] = PLANNER, timeout_s: float = PATIENCE_S
) -> Generator[None, None, list[DryRun | AppError]]:
    """Work that asks for many, in their order, an error in the place of each that failed; nothing is cached.

    One child answers all that name the same RPC servers; neighbours that differ only in their context cost 10 to 50 ms.
    """
    answers = yield from _planning(requests, command, timeout_s)
    return [one if isinstance(one, AppError) else DryRun(one.memory, one.n_ctx, was_cached=False) for one in answers]


def _planning(
    requests: Iterable[LoadRequest], command: Sequence[str], timeout_s: float
) -> Generator[None, None, list[Planned | AppError]]:
    """The child is started when the first is asked, and again after its death or for other RPC servers."""
    answers: list[Planned | AppError] = []
    planner: _Planner | None = None
    try:
        for request in requests:
            if planner and not planner.can_take(request):
                planner.end()
                planner = None
            planner = planner or _Planner(command, request.rpc_endpoints)
            answers.append((yield from planner.answer(request, timeout_s)))
    finally:
        if planner:
            planner.end()
    return answers


class _Planner:
    """A planning child and the temporary folder of its log."""

    def __init__(self, command: Sequence[str], endpoints: tuple[str, ...]) -> None:
        self._endpoints = endpoints
        self._waits = True  # it lives and waits for a request
        self._folder = tempfile.TemporaryDirectory(prefix="carryon-", ignore_cleanup_errors=True)
        self._child = Child(command, Path(self._folder.name) / "plan.log", Doing.PLANNING)

    def can_take(self, request: LoadRequest) -> bool:
        return self._waits and request.rpc_endpoints == self._endpoints

    def answer(self, request: LoadRequest, timeout_s: float) -> Generator[None, None, Planned | AppError]:
        """The plan, or the refusal, death or silence in words."""
        self._waits = False
        try:
            answer = decode_answer((yield from self._line(request, timeout_s)))
        except AppError as error:
            log.warning("no plan for %s: %s", request.model_path, error)
            return error
        self._waits = True
        if isinstance(answer, Refused):
            log.info("no plan for %s: %s", request.model_path, answer)
            return refusal(answer, request)
        return answer

    def _line(self, request: LoadRequest, timeout_s: float) -> Generator[None, None, bytes]:
        end_s = time.monotonic() + timeout_s
        self._child.send(encode_request(request))
        while not (line := self._child.next_line()):
            if time.monotonic() > end_s:
                raise _too_late(request, timeout_s)
            yield None
        return line

    def end(self) -> None:
        self._child.end()
        self._folder.cleanup()


def _too_late(request: LoadRequest, timeout_s: float) -> EngineSilent:
    return EngineSilent(
        f"The engine did not work out within {timeout_s:.0f} s what {Path(request.model_path).name} needs.",
        "Try again when the computer is less busy; until then the instant estimate stands.",
    )
