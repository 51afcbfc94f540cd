"""The line that asks the command for what the Fit page shows. No Qt."""

import json
import shlex

from carryon.app.models import GUIDE, ModelFile
from carryon.base.units import MEMORY_GB
from carryon.hub.names import Reference
from carryon.ui.fit.form import BuiltMachine, FileMachine, Form, Source, Target

MACHINE_FILE = "machine.json"


def command_line(form: Form) -> str:
    """What was set by hand stands there, the rest is left to the plan again; empty where a command cannot ask it."""
    source = _source(form.source)
    if form.fit is None or not source:
        return ""
    words = ["carryon", "fit", source, "--quant", form.wishes.quant or "best", *_options(form), *_machine(form.target)]
    asked = shlex.join(words)
    return f"{_written(form.target)} && {asked}" if isinstance(form.target, BuiltMachine) else asked


def _source(source: Source | None) -> str:
    match source:
        case ModelFile():
            return GUIDE if source.is_guide else str(source.path)
        case Reference(repo_id=repo_id):
            return repo_id
        case _:
            return ""


def _options(form: Form) -> list[str]:
    assert form.fit
    wishes, options = form.wishes, ["--ctx", str(form.fit.placement.n_ctx)]
    if wishes.kv_type is not None:
        options += ["--kv", wishes.kv_type.value]
    if wishes.n_gpu_layers is not None:
        options += ["--gpu-layers", str(wishes.n_gpu_layers)]
    if wishes.n_cpu_experts is not None:
        options += ["--cpu-experts", str(wishes.n_cpu_experts)]
    if wishes.n_ubatch is not None:
        options += ["--ubatch", str(wishes.n_ubatch)]
    if wishes.n_parallel > 1:
        options += ["--parallel", str(wishes.n_parallel)]
    return options


def _machine(target: Target) -> list[str]:
    match target:
        case FileMachine(path):
            return ["--machine", str(path)]
        case BuiltMachine():
            return ["--machine", MACHINE_FILE]
        case _:
            return []


def _written(machine: BuiltMachine) -> str:
    """A machine made of parts has no file yet; app/machine_file.py reads this short form."""
    text = json.dumps({"gpus": list(machine.gpus), "ram_gb": round(machine.ram_bytes / MEMORY_GB)})
    return f"echo {shlex.quote(text)} > {MACHINE_FILE}"
