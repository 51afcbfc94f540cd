"""The words of the Fit page that are not the plan's own (fit/words.py). No Qt."""

from dataclasses import dataclass, replace

from carryon.app.models import ModelFile
from carryon.base.units import bytes_text, context_text, memory_text
from carryon.fit import words
from carryon.fit.plan import Fit, Repair
from carryon.fit.room import Room, Rooms
from carryon.fit.training import Method, TrainingNeed, training_needs
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape
from carryon.gguf.sketch import Parameters, sketched
from carryon.hardware.machine import DeviceKind, Machine
from carryon.hub.names import Reference
from carryon.ui import quant_rows
from carryon.ui.fit.form import BuiltMachine, FileMachine, Form, Source
from carryon.ui.quant_rows import Row, row_of

TITLE = "Fit"
FOR = "for"
MODEL, CONTEXT, GPU_LAYERS, KV_CACHE, SLOTS = "&Model", "&Context", "&GPU layers", "&KV cache", "Parallel &slots"
OPEN_FILE, ASK_HUB, TYPE_SIZES = "Open file…", "Hub…", "Sizes…"
OPEN_FILE_TITLE, OPEN_FILE_FILTER = "Open a GGUF file", "GGUF models (*.gguf);;All files (*)"
NO_MODEL = "Choose a model"
EXPERTS = "&Experts kept in RAM"
LAYERS_AUTOMATIC = "GPU &layers automatic"
CPU_ONLY, ALL_ON_GPU, ALL_IN_RAM = "CPU only", "everything on GPU", "all in RAM"
AUTOMATIC = "Automatic"
RESET = "Back to automatic"
READING, ASKING_HUB = "Reading the file…", "Asking the Hub…"
LOOKING = "Looking at this machine…"
LOAD, COPY_COMMAND = "Load…", "Copy command"
COPIED = "The command is copied."
TRY = "Try:"
EMPTY_TITLE = "What fits, and how well?"
EMPTY_TEXT = (
    "Choose a model and see what it needs on every device of this machine, how fast it would answer, "
    "and which quant is best. Nothing is loaded for it: the file's header is enough."
)
USE_GUIDE = "Try it with the built-in guide"
FROM_THE_HUB = "A model on the Hub…"
HUB_TITLE, HUB_FIELD = "A model on the Hub", "&Repository"
HUB_NOTE = "Its headers are read, a few megabytes at most. Nothing is downloaded."
HUB_HINT = "owner/name, owner/name:Q4_K_M, or its address"
OPEN_A_FILE, TYPE_A_MODEL = "Open a GGUF file…", "Type a model's sizes…"
CHOOSE_ANOTHER, TRY_AGAIN = "Choose another file…", "Read it again"
MACHINE_MENU = "Plan for another machine"
THIS_MACHINE, ANOTHER_MACHINE, MACHINE_FILE = "This machine", "Another machine…", "Open a machine file…"
MACHINE_FILE_TITLE, MACHINE_FILE_FILTER = "Open a machine file", "Machine files (*.json);;All files (*)"
BACK_HERE = "Back to this machine"
GPU, COUNT, RAM = "&GPU", "C&ount", "&RAM"
NO_GPU = "No GPU"
SIZES_TITLE = "A model by its sizes"
SIZES_NOTE = (
    "For a model that does not exist yet, or whose file is not here. The first values are those of Llama 3.1 8B."
)
PLAN_FOR_IT, CANCEL = "Plan for it", "Cancel"
TRAINING = "What training would need"
TRAINING_NOTE = (
    "Mixed precision with AdamW, one text of 2,048 tokens at a time, gradient checkpointing and flash attention; "
    "the training program itself takes 1 to 2 GB more. Carryon does not train yet."
)


def source_text(source: Source) -> str:
    """An entry of the list of models."""
    match source:
        case ModelFile(name=name):
            return name
        case Reference(repo_id=repo_id, quant=quant, file=file):
            return " · ".join(one for one in (repo_id, quant or file) if one)
        case Parameters(name=name):
            return f"{name} (typed sizes)"


def facts_text(form: Form) -> str:
    """'qwen3 · 36 layers · 8.2 B parameters · trained for 40k tokens'."""
    if form.is_reading:
        return ASKING_HUB if isinstance(form.source, Reference) else READING
    if form.subject is None:
        return ""
    shape = (form.fit.candidate if form.fit else form.subject.named).shape
    facts = [shape.architecture, f"{shape.n_layers} layers", words.parameters_text(shape.n_params)]
    if shape.is_moe:
        facts.append(f"{shape.n_experts_used} of {shape.n_experts} experts a token")
    facts.append(_trained_text(shape))
    return " · ".join(facts)


def _trained_text(shape: ModelShape) -> str:
    return f"trained for {context_text(shape.n_ctx_train)} tokens" if shape.n_ctx_train else "trained context unknown"


def machine_text(machine: Machine | None) -> str:
    """'RTX 4060 · 31.3 GB RAM'; equal GPUs are counted."""
    if machine is None:
        return LOOKING
    names = [words.short_name(one.description) for one in (machine.engine.gpus if machine.engine else ())]
    counted = [f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    ram = memory_text(machine.ram.total_bytes).replace(".0 ", " ")
    if machine.is_unified_memory:
        return " · ".join((*counted, f"{ram} unified memory"))
    return " · ".join((*(counted or ["no GPU"]), f"{ram} RAM"))


def target_text(form: Form) -> str:
    """What the machine's button says."""
    machine = machine_text(form.machine)
    match form.target:
        case BuiltMachine():
            return f"Another machine — {machine}"
        case FileMachine(path):
            return f"{path.name} — {machine}"
        case _:
            return f"{THIS_MACHINE} — {machine}" if form.machine else LOOKING


def elsewhere_text(form: Form) -> str:
    """What marks a plan that is not for this machine."""
    return "Planned for another machine: nothing is measured there, and nothing can be loaded from here."


def layers_text(form: Form) -> str:
    """'28 of 37 layers'."""
    if form.fit is None:
        return ""
    most, layers = form.fit.candidate.shape.n_gpu_layers_max, form.fit.placement.n_gpu_layers
    if not has_gpu(form):
        return "no GPU: all in RAM"
    if layers <= 0:
        return f"0 of {most} layers"
    return f"all {most} layers" if layers >= most else f"{layers} of {most} layers"


def tick_text(form: Form) -> str:
    """What stands at the slider's tick."""
    return f"{form.most_layers} fit" if form.most_layers is not None and has_gpu(form) else ""


def experts_text(fit: Fit) -> str:
    """'22 of 48 layers'."""
    n_layers = fit.candidate.shape.n_layers
    return f"{min(fit.placement.n_cpu_experts, n_layers)} of {n_layers} layers"


def has_gpu(form: Form) -> bool:
    """Whether the machine that is planned for can take layers."""
    return bool(form.plan and form.plan.rooms.gpus)


def kv_text(kv_type: KvType | None, chosen: KvType | None) -> str:
    """An entry of the list of cache types; None is the plan's choice."""
    if kv_type is None:
        return f"{AUTOMATIC} ({chosen.value})" if chosen else AUTOMATIC
    return kv_type.value


def context_note(form: Form) -> str:
    """What is to be said about the context; empty where it is nothing."""
    n_ctx = form.fit.placement.n_ctx if form.fit else 0
    if form.n_ctx_train and n_ctx > form.n_ctx_train:
        return f"The model was trained for {form.n_ctx_train:,} tokens. Beyond that it may lose the thread."
    if form.wishes.n_parallel > 1 and n_ctx:
        return f"{form.wishes.n_parallel} slots of {n_ctx // form.wishes.n_parallel:,} tokens each."
    return ""


def no_context(typed: str, least: int, most: int) -> str:
    """Why a typed context was not taken."""
    return f"The context cannot be “{typed}”. Type a number of tokens from {least} to {most:,}, such as 8k or 8192."


def basis_text(form: Form) -> str:
    """Where the figures come from."""
    fit = form.fit
    if fit is None:
        return ""
    if isinstance(form.source, Parameters):  # nothing was checked of a model that does not exist
        return words.basis_text(replace(fit, within=None)).replace("the file's header", "the typed sizes")
    said = words.basis_text(fit)
    return f"{said} · asking the engine…" if form.is_confirming else said


def memory_header(form: Form) -> str:
    """'Memory at 16k'."""
    return quant_rows.memory_header(form.fit.placement.n_ctx if form.fit else None)


def shown_fits(form: Form, *, shows_all: bool) -> tuple[Fit, ...]:
    """The usual quants, the files that are here, and what is recommended or looked at; or all of them."""
    if form.plan is None:
        return ()
    return quant_rows.shown_fits(form.plan.fits, form.best_quant, form.plan.best.candidate.quant, shows_all=shows_all)


def row(fit: Fit, form: Form) -> Row:
    """A fit as a line of the table."""
    return row_of(fit, form.best_quant)


def here_quant(form: Form) -> str | None:
    """The quant of a file that is here, where what is looked at is not."""
    if form.plan is None or not form.is_here or form.file:
        return None
    here = [one.candidate.quant for one in form.plan.fits if one.candidate.path]
    named = form.subject.chosen if form.subject else None  # the file that was opened, before those beside it
    return named if named in here else next(iter(here), None)


def not_here_text(form: Form) -> str:
    """Why there is nothing to load."""
    here = here_quant(form)
    return f"{form.fit.candidate.quant} is not on this disk. Look at {here}, which is." if form.fit and here else ""


def repair_text(repair: Repair, form: Form) -> str:
    """'KV cache q8_0: saves 1.4 GB, fits'."""
    return words.repair_text(repair, form.fit) if form.fit else ""


def best_text(form: Form) -> str:
    """Why a row is marked; on the marked row itself the reasons above say it."""
    if form.fit is None or form.best_quant in ("", form.fit.candidate.quant):
        return ""
    return f"{form.best_quant} is the best for this machine: of those that run well here it keeps most of the quality."


def pace_line(form: Form) -> str:
    """'38–46 tokens/s expected · from the parts' published figures · memory: the engine's own plan'."""
    if form.fit is None:
        return ""
    if form.fit.decode.high <= 0:
        said = basis_text(form)
        return said[:1].upper() + said[1:]
    return f"{words.raised(words.pace_text(form.fit.decode))} expected · {basis_text(form)}"


def reasons(form: Form) -> tuple[str, ...]:
    """The plan's reasons, without what the verdict says already."""
    if form.fit is None or form.plan is None:
        return ()
    return words.beside(words.verdict_sentence(form.fit, form.plan.rooms), form.plan.reasons)


def sketch_text(parameters: Parameters) -> str:
    """'8.0 B parameters · 16.1 GB as F16'."""
    shape = sketched(parameters)
    return f"{words.parameters_text(shape.n_params)} · {bytes_text(shape.size_bytes)} as F16"


METHODS = {Method.FULL: "Full fine-tuning", Method.LORA: "LoRA, rank 16", Method.QLORA: "QLoRA, 4 bits, rank 16"}


@dataclass(frozen=True)
class TrainingRow:
    """One way of training: its name, what it takes together, what that means here, and the parts."""

    method: str
    total: str
    place: str
    fits: bool
    parts: str


def training_rows(form: Form) -> list[TrainingRow]:
    """Every method with what it means for the GPU with most room."""
    if form.fit is None or form.plan is None:
        return []
    return [_training_row(one, form.plan.rooms) for one in training_needs(form.fit.candidate.shape)]


def _training_row(one: TrainingNeed, rooms: Rooms) -> TrainingRow:
    parts = (
        ("weights", one.weights_bytes), ("gradients", one.gradients_bytes), ("optimizer", one.optimizer_bytes),
        ("activations", one.activations_bytes),
    )  # fmt: skip
    room = max(rooms.gpus, key=lambda gpu: gpu.usable_bytes, default=rooms.ram)
    return TrainingRow(
        METHODS[one.method],
        memory_text(one.total_bytes),
        _training_place(one.total_bytes, room),
        one.total_bytes <= room.usable_bytes,
        " · ".join(f"{name} {memory_text(size_bytes)}" for name, size_bytes in parts),
    )


def _training_place(needed_bytes: int, room: Room) -> str:
    """'fits on the RTX 4090', 'too big by 3.1 GB for the RTX 4060'."""
    name = "RAM" if room.kind is DeviceKind.CPU else f"the {words.short_name(room.label)}"
    over_bytes = needed_bytes - room.usable_bytes
    if over_bytes > 0:
        return f"too big by {memory_text(over_bytes)} for {name}"
    return "fits in RAM, very slow" if room.kind is DeviceKind.CPU else f"fits on {name}"
