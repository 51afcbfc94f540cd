"""The words of the load dialog. No Qt."""

from carryon.app.models import ModelFacts
from carryon.base.units import NOT_MEASURED, bytes_text, context_text
from carryon.hardware.machine import Machine
from carryon.ui.loading.presenter import Entry, Form, NoOffload, Place

TITLE = "Load a model"
MODEL, CONTEXT, GPU_LAYERS = "&Model", "&Context length", "&GPU layers"
OPEN_FILE = "Open a GGUF file…"
LOAD, CANCEL, STOP, HIDE = "Load", "Cancel", "Stop loading", "Hide"
TRAINED_MARK = " (trained maximum)"
SHOW_LOG = "Show log"
READING = "Reading the file…"
CPU_ONLY, ALL_ON_GPU = "CPU only", "everything on GPU"
NOT_A_NUMBER = "Type a number of tokens, such as 8k or 8192; at least 256."
CHOOSE_ANOTHER, TRY_AGAIN = "Choose another file…", "Read it again"


def entry_text(entry: Entry) -> str:
    """What stands under the model's name."""
    match entry.place:
        case Place.GUIDE if entry.recent is None:
            return "built in, knows this app"
        case Place.GUIDE | Place.RECENT if entry.recent:
            how = f"{context_text(entry.recent.n_ctx)} context · {_layers(entry.recent.n_gpu_layers)}"
            return f"built in · {how}" if entry.place is Place.GUIDE else how
        case Place.OPENED:
            return "opened now"
        case _:
            return "in your models folder"


def _layers(n_gpu_layers: int) -> str:
    return f"{n_gpu_layers} layers on GPU" if n_gpu_layers else CPU_ONLY


def facts_text(facts: ModelFacts) -> str:
    """'llama · 32 layers · 4.9 GB · trained for 32k tokens'."""
    known = facts.n_ctx_train
    trained = f"trained for {context_text(known)} tokens" if known else "trained context unknown"
    return f"{facts.architecture} · {facts.n_layers} layers · {bytes_text(facts.size_bytes)} · {trained}"


def context_item(n_ctx: int, n_ctx_train: int) -> str:
    """An entry of the context list."""
    return f"{context_text(n_ctx)}{TRAINED_MARK}" if n_ctx == n_ctx_train else context_text(n_ctx)


def context_note(form: Form) -> str:
    """What is to be said about the context: a mistake, a warning, or how far the model was trained."""
    trained = form.facts.n_ctx_train if form.facts else 0
    if form.facts and form.n_ctx is None:
        return NOT_A_NUMBER
    if form.is_above_trained:
        return (
            f"The model was trained for {trained:,} tokens. It can be loaded with more, "
            "but far back it may lose the thread or repeat itself."
        )
    if trained:
        return f"Trained maximum: {trained:,} tokens. A longer context needs more memory."
    return "The file does not say for how many tokens it was trained." if form.facts else NOT_MEASURED


def layers_text(form: Form) -> str:
    """'28 of 33 layers'; the output layer counts as one."""
    if not form.facts:
        return NOT_MEASURED
    most = form.facts.n_gpu_layers_max
    if form.n_gpu_layers == 0:
        return f"0 of {most} layers: CPU only"
    if form.n_gpu_layers >= most:
        return f"all {most} layers: everything on GPU"
    return f"{form.n_gpu_layers} of {most} layers"


def offload_note(form: Form, machine: Machine | None = None) -> str:
    """Why the slider is switched off, or where the layers go."""
    match form.no_offload:
        case None:
            names = " and ".join(dict.fromkeys(form.gpu_names))
            return f"Layers go to {names}. What stays in RAM is slower."
        case NoOffload.LOOKING:
            return "Still looking for GPUs…"
        case NoOffload.NO_GPU:
            return "No GPU was found, so all layers run on the processor."
        case NoOffload.NO_GPU_SUPPORT:
            found = machine.gpus[0].name if machine and machine.gpus else "A GPU"
            return (
                f"{found} is there, but the installed engine was built without support for it. "
                "Run python3 packaging/bootstrap.py again: it sets up an engine that has it."
            )
        case NoOffload.ENGINE_SILENT:
            return "The engine did not say which devices it can use. Settings, This machine, says why."


def loading_text(form: Form) -> str:
    """'Loading Carryon guide… 42 %'."""
    if form.loading is None:
        return ""
    name, fraction = form.loading.wish.file.name, form.loading.fraction
    return f"Loading {name}…" if fraction is None else f"Loading {name}… {fraction * 100:.0f} %"
