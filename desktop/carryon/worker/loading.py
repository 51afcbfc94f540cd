"""From a LoadRequest to a model that is ready to speak, or to the reason why not."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from carryon.engine.protocol import LoadRequest, Reason, Refused
from carryon.worker import asked, shortage
from carryon.worker.devices import Device
from carryon.worker.engine_log import EngineLog
from carryon.worker.llama import Context, LoadFailed, Model
from carryon.worker.refusals import LoadRefused, refusal_of_load, says_no_flash_attention

_BEYOND_TRAINING = (
    "The context of {asked:,} tokens is longer than the {trained:,} this model was trained on; "
    "its answers can get worse beyond that."
)
_ONE_AT_A_TIME = "This engine answers one chat at a time, so the {asked} parallel slots asked for are one."
_NO_EXPERTS = "This model has no experts, so none of them stay in RAM."
_NO_FLASH_ATTENTION = "Flash attention does not work for this model on these devices; it needs more memory without."


@dataclass(frozen=True)
class Loaded:
    """A model with its context, and what came out differently from what was asked."""

    model: Model
    context: Context
    devices: list[Device]
    load_ms: float
    notices: tuple[str, ...]


def load(request: LoadRequest, log: EngineLog, on_progress: Callable[[float], None]) -> Loaded:
    """Blocks until the model is loaded. Raises LoadRefused."""
    started = time.perf_counter()
    asked.check(request)
    found = asked.found_devices(request)
    placing, notices = asked.placing(request, found)
    sizing = replace(asked.sizing(request), n_parallel=1)
    files = asked.model_files(request)
    placing = shortage.placed(files, placing, sizing, log)
    try:
        model = Model.load(str(files[0]), placing, on_progress=on_progress)
        _check_kind(model)
        shortage.check_context(str(files[0]), model, sizing, log)
        context = Context(model, sizing)
    except LoadFailed as error:
        raise LoadRefused(refusal_of_load(files, log)) from error
    notices += tuple(_notices(request, model, log))
    return Loaded(model, context, found, (time.perf_counter() - started) * 1000, notices)


def _check_kind(model: Model) -> None:
    if why := model.why_it_cannot_chat():
        facts = {"architecture": model.architecture, "cannot_chat": why}
        raise LoadRefused(Refused(Reason.UNSUPPORTED_ARCHITECTURE, why, facts))


def _notices(request: LoadRequest, model: Model, log: EngineLog) -> Iterator[str]:
    """Whatever differs from what was asked: nothing falls back silently."""
    if 0 < model.n_ctx_train < request.n_ctx:
        yield _BEYOND_TRAINING.format(asked=request.n_ctx, trained=model.n_ctx_train)
    if request.n_parallel > 1:
        yield _ONE_AT_A_TIME.format(asked=request.n_parallel)
    if not model.placing.repack:
        yield shortage.RUNS_FROM_DISK
    if request.n_cpu_experts and not model.n_experts:
        yield _NO_EXPERTS
    if says_no_flash_attention(log.texts()):
        yield _NO_FLASH_ATTENTION
