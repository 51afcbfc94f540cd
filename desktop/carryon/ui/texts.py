"""The words of the shell: rail, status bar, memory panel, first run. No Qt; states come in, sentences go out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, ModelState, NoModel
from carryon.base.units import context_text, memory_pair_text, memory_text, seconds_text
from carryon.engine.protocol import DeviceKind, Ready
from carryon.hardware.machine import GpuUse, Machine, Memory
from carryon.ui.memory_facts import DeviceBar, PartKind, gpu_bytes, ram_bytes

if TYPE_CHECKING:
    from carryon.fit.plan import Fit

APP = "Carryon"
CHAT, DISCOVER, LIBRARY, WORKSHOP, FIT, SETTINGS = "Chat", "Discover", "Library", "Workshop", "Fit", "Settings"

PART_WORDS = {
    PartKind.WEIGHTS: "weights",
    PartKind.KV: "KV cache",
    PartKind.COMPUTE: "compute",
    PartKind.OTHER: "other programs",
    PartKind.RESERVE: "reserve",
}

SHORTCUTS: tuple[tuple[str, str], ...] = (
    ("Ctrl+N", "New chat"),
    ("Ctrl+K", "Search chats"),
    ("Ctrl+L", "Load a model"),
    ("Ctrl+O", "Open a GGUF file"),
    ("Ctrl+Shift+U", "Unload the model"),
    ("Esc", "Stop the answer"),
    ("Ctrl+R", "Answer again"),
    ("F2", "Rename the chat"),
    ("Del", "Move the chat to the trash (in the list of chats)"),
    ("Ctrl+B", "Show or hide the list of chats"),
    ("Ctrl+J", "Show or hide the jobs: downloads and the workshop's runs"),
    ("Ctrl+1", "Chat"),
    ("Ctrl+2", "Discover: find models on the Hub"),
    ("Ctrl+3", "Library: the models on this disk"),
    ("Ctrl+4", "Workshop: convert, quantize and measure"),
    ("Ctrl+5", "Fit: what this machine can run"),
    ("Alt+Left, Alt+Right", "A step back or on in the workshop"),
    ("Ctrl+6 or Ctrl+,", "Settings"),
    ("Ctrl+/", "This list"),
)


def layers_text(n_gpu_layers: int, n_layers: int, place: str = "GPU") -> str:
    """'28 of 33 layers on GPU'; the output layer counts as one more than the model has."""
    if n_gpu_layers <= 0:
        return "CPU only"
    if n_gpu_layers > n_layers:
        return f"all {n_layers + 1} layers on {place}"
    return f"{n_gpu_layers} of {n_layers + 1} layers on {place}"


def split_text(ready: Ready) -> str:
    """Where the layers of a loaded model are, the same words on every page."""
    return layers_text(ready.n_gpu_layers, ready.n_layers, place_text(ready))


def place_text(ready: Ready) -> str:
    """'GPU', or 'another machine' where a part of the model is on one."""
    is_away = any(one.kind is DeviceKind.RPC and one.weights_bytes for one in ready.memory)
    return "another machine" if is_away else "GPU"


def status_words(
    state: ModelState, gpus: Sequence[GpuUse], ram: Memory | None, tokens_per_s: float | None = None
) -> tuple[str, str]:
    """The model in the status bar: its name, which may be shortened, and ' · 28/33 on GPU · 6.1 of 8.0 GB · 41 t/s'."""
    match state:
        case NoModel():
            return "No model loaded", ""
        case LoadingModel(wish, fraction):
            return wish.file.name, " · loading…" if fraction is None else f" · loading… {fraction * 100:.0f} %"
        case FailedModel(wish, _):
            return wish.file.name, " · not loaded"
        case LoadedModel(wish, engine):
            facts = [_short_split_text(engine.ready), _held_text(engine.ready, gpus, ram)]
            if tokens_per_s:
                facts.append(f"{tokens_per_s:,.0f} t/s")
            return wish.file.name, "".join(f" · {fact}" for fact in facts)


def _short_split_text(ready: Ready) -> str:
    if ready.n_gpu_layers <= 0:
        return "CPU only"
    return f"{min(ready.n_gpu_layers, ready.n_layers + 1)}/{ready.n_layers + 1} on {place_text(ready)}"


def _held_text(ready: Ready, gpus: Sequence[GpuUse], ram: Memory | None) -> str:
    """What the model holds of the memory it mainly lives in."""
    if ready.n_gpu_layers > 0:
        total_bytes = sum(gpu.total_bytes or 0 for gpu in gpus)
        return _of_text(gpu_bytes(ready), total_bytes or None)
    return _of_text(ram_bytes(ready), ram.total_bytes if ram else None)


def _of_text(part_bytes: int, total_bytes: int | None) -> str:
    """'6.1 of 8.0 GB'; what is smaller keeps its own unit: '23 MB of 8.0 GB'."""
    part = memory_text(part_bytes)
    return f"{part.removesuffix(' GB')} of {memory_text(total_bytes)}" if total_bytes else part


def prediction_text(fit: "Fit | None", ready: Ready) -> str:
    """'Predicted 5.9 GB, holds 5.9 GB (0.4 % more)'; nothing where nothing was predicted."""
    if fit is None or not fit.need.total_bytes:
        return ""
    held_bytes = sum(one.total_bytes for one in ready.memory)
    predicted_bytes = fit.need.total_bytes
    off = f"{abs(held_bytes - predicted_bytes) / predicted_bytes * 100:.1f}"
    how_far = f"{off} % {'more' if held_bytes > predicted_bytes else 'less'}" if float(off) else "as predicted"
    return f"Predicted {memory_text(predicted_bytes)}, holds {memory_text(held_bytes)} ({how_far})"


def model_tooltip(state: ModelState) -> str:
    """What the model button in the status bar does."""
    if isinstance(state, LoadedModel):
        compared = prediction_text(state.wish.fit, state.engine.ready)
        return "\n".join(line for line in (compared, "Show what the model holds of each memory") if line)
    return "Load a model (Ctrl+L)"


def ram_text(ram: Memory) -> str:
    """'RAM 13.3 / 31.3 GB'."""
    return f"RAM {memory_pair_text(ram.used_bytes, ram.total_bytes)}"


def vram_text(gpu: GpuUse, index: int, count: int) -> str:
    """'VRAM 6.9 / 8.0 GB'; several GPUs are numbered."""
    name = "VRAM" if count == 1 else f"VRAM {index + 1}"
    return f"{name} {memory_pair_text(gpu.used_bytes, gpu.total_bytes)}"


def bar_headline(bar: DeviceBar) -> str:
    """'6.1 of 8.0 GB'."""
    return _of_text(bar.used_bytes, bar.total_bytes)


def bar_legend(bar: DeviceBar) -> tuple[tuple[PartKind | None, str], ...]:
    """The legend's entries with the part each belongs to; None is what is free, or what is missing."""
    parts = [(part.kind, f"{PART_WORDS[part.kind]} {memory_text(part.size_bytes)}") for part in bar.parts]
    if bar.over_bytes:
        return (*parts, (None, f"{memory_text(bar.over_bytes)} too much"))
    if bar.free_bytes is None:
        return tuple(parts)
    return (*parts, (None, f"free {memory_text(bar.free_bytes)}"))


def bar_spoken(bar: DeviceBar) -> str:
    """The bar for a screen reader."""
    return f"{bar.name}: {bar_headline(bar)} used; {', '.join(text for _, text in bar_legend(bar))}"


def loaded_facts(ready: Ready) -> str:
    """'llama, 6 layers · CPU only · context 4k tokens · loaded in 0.31 s'."""
    return " · ".join(
        (
            f"{ready.architecture}, {ready.n_layers} layers",
            split_text(ready),
            f"context {context_text(ready.n_ctx)} tokens",
            f"loaded in {seconds_text(ready.load_ms / 1000)}",
        )
    )


def machine_summary(machine: Machine | None) -> tuple[tuple[str, str], ...]:
    """Processor, memory and graphics in one line each, for the first-run card."""
    if machine is None:
        return (("Processor", "looking…"), ("Memory", "looking…"), ("Graphics", "looking…"))
    return (
        ("Processor", _cpu_line(machine)),
        ("Memory", f"{memory_text(machine.ram.total_bytes)}, {memory_text(machine.ram.available_bytes)} free"),
        ("Graphics", _graphics_line(machine)),
    )


def _cpu_line(machine: Machine) -> str:
    name = machine.cpu.name or "unknown processor"
    cores = machine.cpu.physical_cores
    return f"{name}, {cores} core{'s' if cores != 1 else ''}" if cores else name


def _graphics_line(machine: Machine) -> str:
    usable = machine.engine.gpus if machine.engine else ()
    if usable:
        return ", ".join(f"{one.description}, {memory_text(one.total_bytes)}" for one in usable)
    if machine.gpus:
        return f"{', '.join(one.name for one in machine.gpus)} — the engine cannot use it yet"
    return "no GPU found; models run on the processor"


WELCOME_TITLE = "Chat with a model on this machine"
WELCOME_TEXT = (
    "Everything runs here: no account, no cloud, and nothing leaves this machine unless you ask for it. "
    "A tiny built-in model explains the app and its words, so you can start without a download."
)
WELCOME_GUIDE = "Chat with the built-in guide"
WELCOME_DISCOVER = "Find a model"
WELCOME_OPEN = "Open a GGUF file…"
WELCOME_MACHINE = "Everything about this machine"
WELCOME_SKIP = "Not now"

OPEN_FILE_TITLE = "Open a GGUF file"
OPEN_FILE_FILTER = "GGUF models (*.gguf);;All files (*)"
DROP_HERE, DROP_TO_FIT = "Drop the model to load it", "Drop the model to see how it fits"

LOAD_AGAIN, CHANGE_SETTINGS, SHOW_LOG, CLOSE = "Load again", "Change settings…", "Show log", "Close"
UNLOAD, UNDO = "Unload", "Undo"
NOTICE_TITLE = "Loaded, but not quite as asked"
MEMORY_TITLE = "What the model holds"
MEMORY_NOTE = "Measured by the engine after loading. Weights in RAM are mapped from the file and can be dropped."
SHORTCUTS_TITLE = "Keyboard shortcuts"
BUG = "Something went wrong inside Carryon. The log in Settings has the details."
MACHINE_TITLE = "This machine"
LOOKING = "Looking at this machine…"
COPY_REPORT, LOOK_AGAIN = "Copy report", "Look again"
LOG_TITLE, COPY = "Log", "Copy"
NO_LOG, EMPTY_LOG = "There is no log yet.", "The engine wrote nothing to its log."
LOOKED_AGAIN = "Looked at the machine again."
