"""The words of the load dialog. No Qt."""

from carryon.app.models import ModelFacts
from carryon.base.units import NOT_MEASURED, bytes_text, context_text, memory_text
from carryon.engine.protocol import KvType
from carryon.fit import words
from carryon.fit.plan import Fit, Plan, Repair, Verdict
from carryon.ui.loading.form import LARGEST_CONTEXT, SMALLEST_CONTEXT, Check, Entry, Form, NoOffload, Place

TITLE = "Load a model"
MODEL, CONTEXT, KV = "&Model", "&Context length", "&KV cache"
GPU_LAYERS, EXPERTS = "&GPU layers", "&Experts kept in RAM"
MODE, AUTOMATIC, MANUAL = "Layers", "&Automatic", "Ma&nual"
OPEN_FILE = "Open a GGUF file…"
LOAD, LOAD_ANYWAY, LOAD_FROM_DISK, LOAD_SURE = "Load", "Load anyway", "Load anyway, from disk", "Yes, load anyway"
CANCEL, STOP, HIDE = "Cancel", "Stop loading", "Hide"
REMEMBER, COPY_COMMAND, COPIED = "&Remember for this model", "Copy command line", "Copied"
TRAINED_MARK = " (trained maximum)"
SHOW_LOG = "Show log"
READING = "Reading the file…"
CPU_ONLY, ALL_ON_GPU = "CPU only", "everything on GPU"
ALL_ON_GPU_TOO, NONE_ON_GPU = "all on GPU", "all in RAM"
NOT_A_NUMBER = f"Type a number of tokens from {SMALLEST_CONTEXT} to {LARGEST_CONTEXT:,}, such as 8k or 8192."
CHOOSE_ANOTHER, TRY_AGAIN = "Choose another file…", "Read it again"
FIT_TITLE, REPAIRS = "On this machine", "What would help"

_KV_WORDS = {
    KvType.F16: "f16, full quality",
    KvType.Q8_0: "q8_0, half the memory",
    KvType.Q4_0: "q4_0, a quarter, less exact",
}


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


def kv_item(kv_type: KvType) -> str:
    """An entry of the list of KV types."""
    return _KV_WORDS.get(kv_type, kv_type.value)


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
    if form.facts and not trained:
        return f"The file does not say for how many tokens it was trained. {_longest_text(form)}".strip()
    return (_longest_text(form) or f"Trained maximum: {trained:,} tokens.") if trained else NOT_MEASURED


def _longest_text(form: Form) -> str:
    """How long a context would fit, and so why this one was chosen."""
    if form.most_context is None or form.n_ctx is None or not form.facts:
        return ""
    where = "in RAM" if form.n_gpu_layers == 0 else "with these layers"
    if form.most_context == 0:
        return f"Not even a short context fits {where}."
    if form.most_context >= (form.facts.n_ctx_train or form.most_context + 1):
        return f"Up to {form.most_context:,} tokens fit, all it was trained for."
    return f"Up to {context_text(form.most_context)} tokens fit {where}."


def layers_text(form: Form) -> str:
    """'28 of 33 layers'; the output layer counts as one."""
    if not form.facts:
        return NOT_MEASURED
    most = form.facts.n_gpu_layers_max
    if form.n_gpu_layers == 0:
        return f"0 of {most} layers: CPU only"
    if form.n_gpu_layers >= most:
        return f"all {most} layers" if form.n_cpu_experts else f"all {most} layers: everything on GPU"
    return f"{form.n_gpu_layers} of {most} layers"


def experts_text(form: Form) -> str:
    """'experts of 22 of 48 layers'."""
    if not form.facts:
        return NOT_MEASURED
    return f"those of {form.n_cpu_experts} of {form.facts.n_layers} layers"


def tick_text(form: Form) -> str:
    """What the slider's tick stands for."""
    if form.most_layers is None or not form.facts:
        return ""
    if form.most_layers >= form.facts.n_gpu_layers_max:
        return "all fit"
    return f"{form.most_layers} fit"


def fewest_text(form: Form) -> str:
    """What the tick of the second slider stands for."""
    return "" if form.fewest_experts is None else f"{form.fewest_experts} suffice"


def mode_note(form: Form) -> str:
    """Who decides where the layers go."""
    if form.no_offload is not None:
        return ""
    if form.is_manual:
        return "As you set it. Nothing is changed for you."
    return "As many layers on the GPU as fit, chosen anew at each load."


def offload_note(form: Form) -> str:
    """Why the slider is switched off, or where the layers go."""
    machine = form.machine
    match form.no_offload:
        case None:
            gpus = machine.engine.gpus if machine and machine.engine else ()
            names = " and ".join(dict.fromkeys(one.description or one.name for one in gpus))
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


def no_plan_text(form: Form) -> str:
    """Why nothing is said about the fit."""
    if form.facts is None:
        return "" if form.error else READING
    if form.no_plan:
        return f"{form.no_plan.message} {form.no_plan.hint}"
    if form.candidate is None:
        return "What this model needs can only be seen by loading it: its architecture is new to Carryon."
    if form.no_offload is NoOffload.LOOKING:
        return "Looking at this machine…"
    return NOT_MEASURED


def verdict_text(made: Plan) -> str:
    """The verdict in a sentence."""
    return words.verdict_sentence(made.best, made.rooms)


def pace_text(fit: Fit) -> str:
    """'About 38–46 tokens/s', 'Up to 0.5 tokens/s'."""
    spoken = words.pace_text(fit.decode)
    return f"About {spoken}" if spoken[:1].isdigit() else words.raised(spoken)


def basis_text(fit: Fit) -> str:
    """Where the figures come from."""
    spoken = words.basis_text(fit)
    return f"{spoken[:1].upper()}{spoken[1:]}"


def reason_lines(made: Plan) -> tuple[str, ...]:
    """Why it is so; what the verdict has said already is not said again."""
    return words.beside(verdict_text(made), made.reasons)


def repair_words(repair: Repair, made: Plan) -> tuple[str, str]:
    """The change in a few words, and what it would do."""
    what, _, effect = words.repair_text(repair, made.best).partition(": ")
    return what, effect


def load_text(form: Form) -> str:
    """What the button says; it is always there."""
    if form.check is Check.SURE:
        return LOAD_SURE
    match form.fit.verdict if form.fit else None:
        case Verdict.DISK:
            return LOAD_FROM_DISK
        case Verdict.TOO_BIG:
            return LOAD_ANYWAY
    return LOAD


def foot_text(form: Form) -> str:
    """What will happen, where it is not simply a load."""
    if form.loading:
        return loading_text(form)
    match form.check:
        case Check.MEMORY:
            return "Reading how much memory is free…"
        case Check.CHANGED:
            return "Free memory has changed since this was shown, and so has the answer. Look at it, then load."
        case Check.SURE:
            return _overflow_text(form)
    match form.fit.verdict if form.fit else None:
        case Verdict.DISK:
            return "It will work, slowly: the weights are read from the disk again and again."
        case Verdict.TOO_BIG:
            return "The engine will try, and say so if the memory does not suffice. Nothing else is affected."
    return ""


def short_text(form: Form) -> str:
    """The answer in a line, for where the card that has it may be out of sight."""
    if form.fit is None:
        return ""
    return f"{words.verdict_text(form.fit)} · {words.pace_text(form.fit.decode)}"


def _overflow_text(form: Form) -> str:
    ram = form.plan.rooms.ram if form.plan else None
    free = f" than the {memory_text(ram.free_bytes)} that are free" if ram else ""
    return (
        f"This surely needs more RAM{free}: the computer will swap, or end programs to save itself. "
        "Save your work before you go on."
    )


def loading_text(form: Form) -> str:
    """'Loading Carryon guide… 42 %'."""
    if form.loading is None:
        return ""
    name, fraction = form.loading.wish.file.name, form.loading.fraction
    return f"Loading {name}…" if fraction is None else f"Loading {name}… {fraction * 100:.0f} %"


def rung_text(repair: Repair, made: Plan) -> str:
    """The first button of the card after a load that ran out of memory."""
    return f"Load with this change: {repair_words(repair, made)[0]}"
