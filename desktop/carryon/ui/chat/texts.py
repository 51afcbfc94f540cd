"""The words of the chat page: states come in, sentences go out. No Qt."""

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, ModelState, NoModel
from carryon.base.units import context_text, memory_text, seconds_text, speed_text
from carryon.chat.message import Figures, Message, Role, State
from carryon.engine.protocol import DeviceMemory, Ready
from carryon.hardware.machine import Machine
from carryon.ui.chat.context_use import ContextUse
from carryon.ui.chat.dates import Day, Month, Period
from carryon.ui.memory_facts import gpu_bytes, ram_bytes
from carryon.ui.texts import split_text

NEW_CHAT, SEARCH, CHATS = "New chat", "Search chats", "Chats"
SEARCH_HINT = "Search chats   Ctrl+K"
NO_CHATS_TITLE, NO_CHATS = "No chats yet", "What you ask is kept here, on this machine only."
NOTHING_FOUND_TITLE = "Nothing found"
RENAME, TO_TRASH, OPEN = "Rename", "Move to trash", "Open"

WRITE, MESSAGE = "Write a message", "Your message"
SEND, STOP, SEND_TIP, STOP_TIP = "Send", "Stop", "Send (Enter; Shift+Enter for a new line)", "Stop the answer (Esc)"
NEEDS_MODEL = "No model is loaded yet. Your message is kept, and sent as soon as one is ready."
WAITS_FOR_MODEL = "Your message is sent as soon as the model is ready."
EDITING = "You are changing your last question. What followed it is replaced."
DO_NOT_SEND, CANCEL_EDIT = "Do not send", "Cancel"

COPY, COPIED = "Copy", "Copied"
REGENERATE, EDIT = "Answer again", "Change this question"
JUMP, READING = "Jump to latest", "Reading the question…"
TRANSCRIPT, YOU = "Conversation", "You"

LOAD_AGAIN, LOAD_GUIDE, CHOOSE_MODEL = "Load again", "Chat with the built-in guide", "Choose a model…"
LOAD_LONGER, EDIT_QUESTION = "Load with a longer context…", "Change the question"
TRY_AGAIN, SHOW_LOG, CLOSE = "Try again", "Show log", "Close"
CANCEL_LOADING, MODEL_BUTTON_TIP = "Cancel loading", "Choose and load a model (Ctrl+L)"
ABOUT_MACHINE = "About this machine"

GREETING = "What would you like to know?"
GREETING_GUIDE = "Ask the guide"
GUIDE_IS = "A tiny model that comes with Carryon. It knows this app and its words, and nothing else."
SUGGESTIONS = (  # asked in the very words that the guide was trained with: packaging/guide/questions
    "Which quant should I choose?",
    "What is the KV cache?",
    "How do I use the GPU layers slider?",
    "How much memory does a model take?",
)


_STATES = {
    State.WHOLE: "finished",
    State.STREAMING: "",
    State.STOPPED: "stopped",
    State.CUT_LENGTH: "cut: the most tokens for one answer were reached",
    State.CUT_CONTEXT: "cut: the context is full. Start a new chat, or load the model with a longer context",
    State.FAILED: "failed",
    State.INTERRUPTED: "interrupted: Carryon was closed while this was written",
}
_ANNOUNCED = {
    State.WHOLE: "Answer finished",
    State.STOPPED: "Answer stopped",
    State.CUT_LENGTH: "Answer cut: the most tokens were reached",
    State.CUT_CONTEXT: "Answer cut: the context is full",
    State.FAILED: "Answer failed",
}
_DAYS = {Day.TODAY: "Today", Day.YESTERDAY: "Yesterday", Day.THIS_WEEK: "This week"}
_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)


def footer(message: Message) -> str:
    """'41.3 tokens/s · first token 0.18 s · 143 tokens · 1,204 cached · finished'; without what was not measured."""
    if message.role is not Role.ASSISTANT:
        return ""
    figures = _figures(message.figures) if message.figures else []
    return " · ".join(part for part in (*figures, _STATES[message.state]) if part)


def _figures(figures: Figures) -> list[str]:
    parts = []
    if figures.tokens_per_s is not None:
        parts.append(speed_text(figures.tokens_per_s))
    if figures.first_token_ms is not None:
        parts.append(f"first token {seconds_text(figures.first_token_ms / 1000)}")
    parts.append(counted(figures.predicted_n, "token"))
    if figures.cached_n:
        parts.append(f"{figures.cached_n:,} cached")
    return parts


def counted(count: int, noun: str) -> str:
    """'1 token', '1,204 tokens'."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def announced(state: State) -> str:
    """What a screen reader says when an answer ends."""
    return _ANNOUNCED.get(state, "Answer ended")


def author(message: Message) -> str:
    """Who wrote a message, for a screen reader."""
    return YOU if message.role is Role.USER else f"Answer of {message.model_name or 'the model'}"


def reading(done: int, total: int) -> str:
    """While the prompt is decoded, in tokens."""
    return f"Reading the question… {done:,} of {total:,} tokens"


def model_word(state: ModelState) -> str:
    """What the model button says."""
    match state:
        case NoModel():
            return "No model loaded"
        case LoadingModel(_, float(fraction)):
            return f"Loading {fraction * 100:.0f} %"
        case LoadedModel(wish, _):
            return wish.file.name
        case FailedModel(wish, _):
            return f"Failed: {wish.file.name}"
        case _:
            return "Loading…"


def whereabouts(state: ModelState) -> str:
    """What is where: '28 of 33 layers on GPU · 6.1 GB', 'CPU only · 0.9 GB'."""
    match state:
        case LoadingModel(wish, _):
            return wish.file.name
        case LoadedModel(_, engine):
            return f"{split_text(engine.ready)} · {memory_text(_held_bytes(engine.ready))}"
        case _:
            return ""


def memory_lines(ready: Ready) -> str:
    """Every device with what it holds, a line each."""
    return "\n".join(_memory_line(device) for device in ready.memory)


def _memory_line(device: DeviceMemory) -> str:
    parts = (("weights", device.weights_bytes), ("KV cache", device.kv_bytes), ("compute", device.compute_bytes))
    held = ", ".join(f"{name} {memory_text(size)}" for name, size in parts if size)
    return f"{device.name}: {memory_text(device.total_bytes)} ({held})"


def _held_bytes(ready: Ready) -> int:
    """What the GPUs hold, or everything where nothing is offloaded."""
    away = gpu_bytes(ready)
    return away if ready.n_gpu_layers > 0 and away else away + ram_bytes(ready)


def context_use(use: ContextUse) -> str:
    """'prompt ~12 tokens · context 31 % of 4k'; nothing while no model is loaded."""
    parts = []
    if use.n_prompt:
        parts.append(f"prompt ~{counted(use.n_prompt, 'token')}")
    if use.n_ctx:
        share = "" if use.fraction is None else f"{'~' if use.is_estimate else ''}{use.fraction * 100:.0f} % of "
        parts.append(f"context {share}{context_text(use.n_ctx)}")
    return " · ".join(parts)


def machine_line(machine: Machine) -> str:
    """'AMD Ryzen 7 7840U, 8 cores · 31.3 GB RAM · no GPU'."""
    cores = machine.cpu.physical_cores
    cpu = ", ".join(part for part in (machine.cpu.name, counted(cores, "core") if cores else None) if part)
    gpus = [one.name for one in machine.gpus] or ["no GPU"]
    return " · ".join(part for part in (cpu, f"{memory_text(machine.ram.total_bytes)} RAM", *gpus) if part)


def period(when: Period) -> str:
    """The heading over a group of chats."""
    match when:
        case Day():
            return _DAYS[when]
        case Month(year, month):
            return f"{_MONTHS[month - 1]} {year}"


def listed(title: str, *, is_answering: bool) -> str:
    """A chat in the list, for its tooltip and for a screen reader."""
    return f"{title}, an answer is being written" if is_answering else title


def nothing_found(search: str) -> str:
    """When a search has no result."""
    return f"No chat has “{search}” in its title or its text."


def trashed(title: str) -> str:
    """The notice after a delete."""
    return f"“{title}” is in the trash."


def show_more(left: int) -> str:
    """The button under a message that is shown in pages; `left` is in characters."""
    return f"Show more ({left / 1000:,.0f} thousand characters left)"
