"""The planning process: says what loads would take, to the byte and without taking it, until its parent's pipe ends.

    stdin   LoadRequest lines, as many as one likes; the end ends this process
    stdout  for each of them one Planned or Refused line (carryon.engine.protocol), nothing else
    stderr  the engine's log

A file that is only a header with a sparse tail is enough. Several contexts of one model cost little, for it stays.
"""

import os
import queue
import sys
import threading
from pathlib import Path

import psutil

from carryon.engine.protocol import LoadRequest, Planned, Reason, Refused, decode_request, encode_answer
from carryon.worker import asked, tie
from carryon.worker.capi import L, version
from carryon.worker.devices import Device
from carryon.worker.engine_log import EngineLog
from carryon.worker.llama import Context, LoadFailed, Model
from carryon.worker.memory import has_account, memory_per_device
from carryon.worker.parameters import Placing, Sizing
from carryon.worker.pipeline import SPLIT_LINES, tell_splits, without_forgotten_norms
from carryon.worker.plan import CELL_BYTES, kv_bound_bytes
from carryon.worker.refusals import LoadRefused, refusal_of_load

_LONGEST_LINE = 1 << 20
_ANOTHER_NETWORK = "one planning process knows the RPC servers of its first request only"
_NO_ACCOUNT = "this build of the engine does not tell how it shares out memory"


class Planner:
    """Plans one request after the other; the model of the last one is kept."""

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._endpoints: tuple[str, ...] | None = None
        self._devices: list[Device] = []
        self._model: Model | None = None
        self._key: object = None

    def plan(self, request: LoadRequest) -> Planned:
        """Raises LoadRefused."""
        asked.check(request)
        if not has_account():
            raise LoadRefused(Refused(Reason.NO_ACCOUNT, _NO_ACCOUNT))
        self._look_around(request)
        placing, _ = asked.placing(request, self._devices)
        files = asked.model_files(request)
        try:
            return self._planned(self._model_of(files, placing), asked.sizing(request))
        except LoadFailed as error:
            raise LoadRefused(refusal_of_load(files, self._log)) from error

    def _look_around(self, request: LoadRequest) -> None:
        """Devices once for all requests: an RPC server that is registered twice is two devices."""
        if self._endpoints is None:
            self._devices = asked.found_devices(request)
            self._endpoints = request.rpc_endpoints
        elif self._endpoints != request.rpc_endpoints:
            raise LoadRefused(Refused(Reason.BAD_REQUEST, _ANOTHER_NETWORK))

    def _model_of(self, files: tuple[Path, ...], placing: Placing) -> Model:
        """The engine is not asked to open the same files in the same way again."""
        key = (placing, *((path, status.st_size, status.st_mtime_ns) for path in files if (status := path.stat())))
        if self._model is not None and self._key == key:
            return self._model
        if self._model is not None:
            self._model.free()
            self._model = None
        self._log.lines.clear()
        self._model, self._key = Model.load(str(files[0]), placing, is_plan=True), key
        return self._model

    def _planned(self, model: Model, sizing: Sizing) -> Planned:
        _check_cells(model, sizing)
        self._log.lines.clear()
        context = Context(model, sizing)
        try:
            lines = self._log.texts()
            memory = memory_per_device(model, context, self._devices, lines)
            memory = without_forgotten_norms(memory, self._devices, lines, _norm_bytes(model, context, sizing))
            return Planned(f"llama.cpp {version()}", context.n_ctx, memory)
        finally:
            context.free()


def main() -> None:
    """Never returns while the parent lives."""
    out = tie.take_stdout()
    tie.die_quietly()
    lines = _lines()
    tell_splits()
    log = EngineLog(also=SPLIT_LINES)
    log.attach()
    L.llama_backend_init()
    planner = Planner(log)
    while True:
        out.write(encode_answer(_answer(planner, lines.get())))


def _lines() -> "queue.SimpleQueue[bytes]":
    """The requests as they come; the parent's end ends this process at once, whatever it is doing."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        while line := sys.stdin.buffer.readline(_LONGEST_LINE):
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, name="parent", daemon=True).start()
    return lines


def _answer(planner: Planner, line: bytes) -> Planned | Refused:
    try:
        return planner.plan(decode_request(line))
    except LoadRefused as refusal:
        return refusal.refused
    except OSError as error:
        return Refused(Reason.MISSING_FILE, str(error))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Refused(Reason.BAD_REQUEST, f"the request is not understood: {error}")


def _norm_bytes(model: Model, context: Context, sizing: Sizing) -> int:
    """A float for each number of each token; every sequence has as many tokens of the batch."""
    n_tokens = -(-context.chunk // sizing.n_parallel) * sizing.n_parallel
    return 4 * model.n_embd * n_tokens


def _check_cells(model: Model, sizing: Sizing) -> None:
    """A plan keeps its books for every token of the context in real memory."""
    wanted, free = sizing.n_ctx * CELL_BYTES, psutil.virtual_memory().available
    if wanted > free // 2:
        facts = {"device": "CPU", "wanted_bytes": max(wanted, kv_bound_bytes(model, sizing))}
        raise LoadRefused(Refused(Reason.OUT_OF_MEMORY, f"{free} bytes of memory are free", facts))


if __name__ == "__main__":
    main()
