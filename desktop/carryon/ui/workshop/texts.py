"""The words of the Workshop page: states come in, words go out. No Qt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from carryon.app.workshop_list import (
    Converter,
    Finding,
    Level,
    Preflight,
    Source,
    SourceKind,
    Subject,
    Target,
)
from carryon.base.errors import AppError
from carryon.base.units import NOT_MEASURED, bytes_text, context_text, left_text, memory_text
from carryon.convert.upstream.component import fetching_words
from carryon.ui.quant_rows import Row, bare_row, row_of
from carryon.ui.workshop.form import Form, Matrix, ModelHere, Step

TITLE = "Workshop"
NOTHING_WRONG = AppError("")  # what a card of reasons says before there is one
STEPS = {Step.SOURCE: "Source", Step.PREFLIGHT: "Preflight", Step.TARGETS: "Targets", Step.RUN: "Run"}
STEP_BAR = "Steps"
BACK, BACK_TIP = "Back", "Back (Alt+Left)"
NEXT_TIP = "Alt+Right"

INTRO_TITLE = "From a model as it was published to the best file for this machine"
INTRO = (
    "The workshop checks a model before anything is downloaded or written, converts it, makes it smaller, "
    "and measures what that cost. Your files are never changed."
)
SOURCE, SOURCE_HINT = "&Model", "owner/name, owner/name@revision, or a folder"
CHECK, CHECK_IT = "Check", "Check this model"
CHOOSE_FOLDER, CHOOSE_FILE = "Choose a folder…", "Choose a GGUF file…"
DROP_NOTE = "Or drop a folder or a GGUF file anywhere on this page."
FOLDER_TITLE, FILE_TITLE, FILE_FILTER = "Choose a model folder", "Choose a GGUF file", "GGUF models (*.gguf)"
RECENT, LIBRARY = "Recent", "From the library"
NO_RECENT = "What you check here is listed, to come back to it."
NO_MODELS = "No GGUF model is on this disk yet."
LIBRARY_LINK = "Open the library"
ADAPTER, NO_ADAPTER_CHOSEN = "Merge a LoRA adapter into it", "none"
ADAPTER_NOTE = (
    "A folder of PEFT with adapter_config.json. It is merged into a folder or a repository, never into a GGUF file."
)
CHOOSE_ADAPTER, REMOVE_ADAPTER, ADAPTER_TITLE = "Choose the adapter…", "Leave the adapter out", "Choose a LoRA adapter"
NO_ADAPTER = (
    "This folder has no adapter_config.json, so it is no LoRA adapter.",
    "Choose the folder that training wrote: it holds adapter_config.json and adapter_model.safetensors.",
)
DROP_HERE = "Drop it to check this model"

INSPECTING = "Looking at the model: its settings, its vocabulary, the headers of its weights…"
INSPECTING_NOTE = "No weights are read or downloaded for this."
STOP, STOPPED, CHECK_AGAIN = "Stop", "The check was stopped.", "Check again"
ANOTHER_SOURCE, TRY_AGAIN = "Choose another source", "Try again"
REPORT, FACTS = "Report", "What it takes"
CHOOSE_TARGETS = "Choose what to make"
CONSENT_TITLE = "llama.cpp’s own converter is needed"
CONSENT = (
    "Carryon does not convert this architecture itself; llama.cpp’s converter does. It comes from the package index "
    f"that pip is set up with and is checked against a fixed checksum. {fetching_words()} No code of the model runs."
)
FETCH = "&Fetch it when the work begins"
CANNOT_GO_ON = "It cannot go on like this"

SUBJECTS = {
    Subject.WEIGHTS: "Weights",
    Subject.ARCHITECTURE: "Architecture",
    Subject.VOCABULARY: "Vocabulary",
    Subject.TEMPLATE: "Chat format",
    Subject.MEMORY: "Memory",
    Subject.DISK: "Disk",
    Subject.TIME: "Time",
}
LEVELS = {Level.GOOD: "Good", Level.NOTE: "Note", Level.BAD: "Problem"}
LEVEL_SIGNS = {
    Level.GOOD: ("ph.check-circle-fill", "good"),
    Level.NOTE: ("ph.warning-fill", "warn"),
    Level.BAD: ("ph.x-circle-fill", "bad"),
}
CONVERTERS = {
    Converter.OURS: "Carryon",
    Converter.UPSTREAM: "llama.cpp’s own",
    Converter.NONE: "not needed",
    Converter.IMPOSSIBLE: NOT_MEASURED,
}

TYPES = "Types that can be made"
TABLE_HELP = "The space bar ticks a type."
TICKED, NOT_TICKED = "ticked", "not ticked"
CONTEXT = "Verdicts for a &context of"
CONTEXTS = (None, 4096, 8192, 16384, 32768, 65536, 131072)
AUTO_CONTEXT = "what suits this machine"
WORKING_OUT = "working it out…"
MORE_TYPES, FEWER_TYPES = "More types", "Only the usual types"
NEEDS_MATRIX = "needs an importance matrix"
NAME, FOLDER, CHOOSE_OUTPUT = "&Name", "Folder", "Choose…"
OUTPUT_TITLE = "Choose where the files go"
OPTIONS = "How it is made"
KEEP_MIDDLE = "&Keep the unquantized file too"
MATRIX = "&Importance matrix"
MATRICES = {Matrix.NONE: "none", Matrix.TEXT: "made here from a text…", Matrix.FILE: "a file that exists…"}
MATRIX_TITLES = {Matrix.TEXT: "Choose a text to learn from", Matrix.FILE: "Choose an importance matrix"}
MATRIX_FILTERS = {
    Matrix.TEXT: "Texts (*.txt *.md);;All files (*)",
    Matrix.FILE: "Importance matrices (*.gguf *.dat *.imatrix);;All files (*)",
}
MATRIX_NOTE = "It tells which weights matter most, so small types keep more quality."
MEASURE = "&Measure what is lost"
MEASURE_NOTE = "Compares each file with the unquantized one: quality and speed. It takes some minutes a file."
TEXTS, TEXT_TITLE = ("the text that comes with Carryon", "a text of mine…"), "Choose a text to measure with"
TEXT_NAME = "Text to measure with"
REQUANTIZE = "&Quantize it again although it loses quality twice"
REQUANTIZE_NOTE = "This file is quantized already. Made from the original model, the same type would be better."
COPY_COMMAND, COPIED = "Copy the command", "The command is copied."
MAKE_BEST = "Make the best for this machine"

_KINDS = {
    SourceKind.FOLDER: "model folder",
    SourceKind.REPOSITORY: "repository on the Hub",
    SourceKind.GGUF: "GGUF file",
}
_SHORT_KINDS = {SourceKind.FOLDER: "folder", SourceKind.REPOSITORY: "Hub", SourceKind.GGUF: "GGUF"}
_LONGEST_NAME = 120
_FORBIDDEN = '/\\:*?"<>|'


def step_name(step: Step, *, is_current: bool, is_done: bool) -> str:
    """'Step 2 of 4: Preflight, done', for a screen reader."""
    state = ", current" if is_current else ", done" if is_done else ""
    return f"Step {step + 1} of {len(Step)}: {STEPS[step]}{state}"


# the source


def source_line(source: Source) -> str:
    """'SmolLM2-135M · Hub · HuggingFaceTB/SmolLM2-135M'."""
    return f"{source.name} · {_SHORT_KINDS[source.kind]} · {source.place}"


def source_kind(source: Source) -> str:
    """'model folder', with what is merged into it."""
    merged = f", with the adapter {source.adapter.name}" if source.adapter else ""
    return f"{_KINDS[source.kind]}{merged}"


def model_line(model: ModelHere) -> str:
    """'Qwen3-8B · Q4_K_M · 5.0 GB'."""
    return f"{model.name} · {model.quant or NOT_MEASURED} · {bytes_text(model.size_bytes)}"


# the preflight


@dataclass(frozen=True)
class Line:
    """One line of the report."""

    subject: str
    level: Level
    message: str
    hint: str

    @property
    def spoken(self) -> str:
        """The line for a screen reader."""
        return f"{LEVELS[self.level]}: {self.subject}. {self.message} {self.hint}".strip()


def lines(found: Preflight) -> tuple[Line, ...]:
    """The findings in the order of their subjects."""
    places = {subject: place for place, subject in enumerate(Subject)}
    ordered: Sequence[Finding] = sorted(found.findings, key=lambda one: places[one.subject])
    return tuple(Line(SUBJECTS[one.subject], one.level, one.message, one.hint) for one in ordered)


def summary(found: Preflight) -> str:
    """'Everything is good.', '2 things should be known.', '1 problem is in the way.'"""
    n_bad = sum(one.level is Level.BAD for one in found.findings)
    n_notes = sum(one.level is Level.NOTE for one in found.findings)
    if n_bad or found.converter is Converter.IMPOSSIBLE:
        return f"{n_bad} problems are in the way." if n_bad > 1 else "One problem is in the way."
    if n_notes:
        return f"It works. {n_notes} things should be known." if n_notes > 1 else "It works. One thing should be known."
    return "Everything is good."


def summary_level(found: Preflight) -> Level:
    """The worst of its findings."""
    levels = {one.level for one in found.findings}
    if not found.can_run:
        return Level.BAD
    return Level.NOTE if Level.NOTE in levels else Level.GOOD


def facts(found: Preflight) -> tuple[tuple[str, str], ...]:
    """Names and values: what the model is and what the work takes."""
    pairs = (
        ("Architecture", found.architecture or NOT_MEASURED),
        ("Parameters", parameters_text(found.n_parameters)),
        ("Weights", bytes_text(found.source_bytes) if found.source_bytes else NOT_MEASURED),
        ("To download", bytes_text(found.download_bytes) if found.download_bytes else "nothing"),
        ("Memory for the work", memory_text(found.ram_bytes) if found.ram_bytes else NOT_MEASURED),
        ("Time for one file", about_text(found.duration_s)),
        ("Converter", CONVERTERS[found.converter]),
    )
    revision = (("Revision", found.revision[:12]),) if found.revision else ()
    return pairs + revision


def parameters_text(count: int) -> str:
    """'8.2 B'."""
    for step, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= step:
            return f"{count / step:.1f} {name}"
    return f"{count}" if count else NOT_MEASURED


def about_text(duration_s: float | None) -> str:
    """'about 3 min'; a dash where nothing was measured."""
    return NOT_MEASURED if duration_s is None else f"about {left_text(duration_s).removesuffix(' left')}"


def blocked_preflight(form: Form) -> str:
    """Why one cannot choose what to make; empty where one can."""
    found = form.preflight
    if found is None or form.can_continue:
        return ""
    if not form.has_converter and found.can_run:
        return "Agree to fetch llama.cpp’s converter, or choose another source."
    if not found.can_run:
        return "What is marked as a problem has to be solved first."
    return "Nothing can be made of it."


# the targets


def rows(form: Form) -> tuple[Row, ...]:
    """The lines of the table."""
    best = form.best.quant if form.best else ""
    return tuple(_row(one, best, form) for one in form.shown_targets)


def _row(target: Target, best: str, form: Form) -> Row:
    """A target's own exact figures in the line that its fit has."""
    note = _note(target, form)
    if target.fit is None:
        made = bare_row(target.quant, target.size_bytes, note=note)
    else:
        made = row_of(target.fit, best, note)
    cells = (target.quant, bytes_text(target.size_bytes), f"{target.bits_per_weight:.2f}", *made.cells[3:])
    return replace(made, quant=target.quant, cells=cells, is_best=target.is_best, is_here=False)


def _note(target: Target, form: Form) -> str:
    if not form.can_make(target):
        return NEEDS_MATRIX
    count = len(target.fallbacks)
    return f"{count} stored larger" if count else ""


def n_folded(form: Form) -> int:
    """How many types are not shown."""
    return len(form.targets) - len(replace(form, shows_all=False).shown_targets)


def more_text(form: Form) -> str:
    """The link under the table."""
    return FEWER_TYPES if form.shows_all else f"{MORE_TYPES} ({n_folded(form)})"


def current_text(form: Form) -> str:
    """What should be known of the row that the keyboard is at."""
    target = next((one for one in form.targets if one.quant == form.current), None)
    if target is None:
        return ""
    if not form.can_make(target):
        return f"{target.quant} is made only with an importance matrix: choose one below."
    if not target.fallbacks:
        return f"{target.quant}: every tensor gets the type it should. The size is exact."
    return f"{target.quant}: {_fallback_text(target)} The size is exact."


def _fallback_text(target: Target) -> str:
    count, first = len(target.fallbacks), target.fallbacks[0]
    kinds = ", ".join(dict.fromkeys(f"{one.wanted} as {one.got}" for one in target.fallbacks))
    what = f"{count} tensors do" if count > 1 else f"one tensor ({first.tensor}) does"
    return f"{what} not fit the blocks of the type they should get and are stored larger ({kinds})."


def context_choice(n_ctx: int | None) -> str:
    """A choice of the context."""
    return AUTO_CONTEXT if n_ctx is None else f"{context_text(n_ctx)} tokens"


def middle_text(form: Form) -> str:
    """The words of the box that keeps the file between, with its size."""
    return f"{KEEP_MIDDLE} ({bytes_text(form.middle_bytes)})" if form.middle_bytes else KEEP_MIDDLE


def disk_text(form: Form) -> str:
    """'Needs 12.4 GB of the disk · 120 GB free'."""
    free = bytes_text(form.free_bytes)
    if form.missing_bytes:
        return f"Needs {bytes_text(form.needed_bytes)} of the disk · only {free} free"
    return f"Needs {bytes_text(form.needed_bytes)} of the disk · {free} free"


def blocked_text(form: Form) -> str:
    """Why the work cannot begin; empty where it can."""
    name = form.choices.name.strip()
    if not form.can_continue:
        return blocked_preflight(form) or "Check a model first."
    if not form.chosen:
        return "Tick what shall be made."
    return _blocked_name(name) or _blocked_source(form)


def _blocked_name(name: str) -> str:
    if not name:
        return "The files need a name."
    if any(sign in _FORBIDDEN or ord(sign) < 32 for sign in name) or name.startswith("."):
        return f"A name of a file cannot begin with a dot or have one of {' '.join(_FORBIDDEN)}"
    return "The name is too long." if len(name.encode()) > _LONGEST_NAME else ""


def _blocked_source(form: Form) -> str:
    if form.choices.matrix is not Matrix.NONE and form.choices.matrix_path is None:
        return "Choose the file for the importance matrix."
    if form.is_quantized_already and not form.choices.requantizes:
        return "This file is quantized already: agree to quantize it again, or take the original model."
    if form.in_the_way:
        return f"{form.in_the_way} is in that folder already and is not overwritten: choose another name or folder."
    if form.missing_bytes:
        return f"The disk needs {bytes_text(form.missing_bytes)} more. Free some, or choose another folder."
    return ""


def blocked_best(form: Form) -> str:
    """Why the best cannot be made with one button; empty where it can."""
    best = form.best
    if best is None:
        return "No type fits this machine." if form.can_continue else blocked_text(form)
    ticked = replace(form, choices=replace(form.choices, quants=frozenset([best.quant])))
    return blocked_text(ticked)


def make_text(form: Form) -> str:
    """The words of the button that begins."""
    count = len(form.chosen)
    if count == 1:
        return f"Make {form.chosen[0].quant}"
    return f"Make {count} files" if count else "Make the files"


def short_best_text(form: Form) -> str:
    """'Make the best (Q5_K_M)', where there is little room."""
    return f"Make the best ({form.best.quant})" if form.best else MAKE_BEST


def best_text(form: Form) -> str:
    """'Make the best for this machine (Q5_K_M, 5.8 GB)'."""
    best = form.best
    return f"{MAKE_BEST} ({best.quant}, {bytes_text(best.size_bytes)})" if best else MAKE_BEST
