"""The words of the Library page that are not shared with the commands (hub/library/words.py). No Qt."""

from dataclasses import dataclass
from pathlib import Path

from carryon.app.fits_here import FitHere, Judged
from carryon.app.made_here import NOTHING_TOLD, Making, Story
from carryon.base.units import NOT_MEASURED, bytes_text
from carryon.fit.plan import Verdict
from carryon.fit.quality import Quality
from carryon.fit.words import GRADES, divergence_text
from carryon.gguf.cursor import shown
from carryon.hub.library.duplicates import Copies
from carryon.hub.library.entry import Entry, Kind
from carryon.hub.library.shelves import Program
from carryon.hub.library.words import (
    KINDS,
    PROGRAMS,
    context_of,
    parameters_of,
    path_text,
    quant_text,
    template_text,
    when_text,
    where_text,
)
from carryon.ui.library.form import Form, Place

TITLE = "Library"
SEARCH, SEARCH_HINT = "Search the models on this disk", "Search name, quant, repository…"
PLACES, EVERYWHERE = "Where the models lie", "Everywhere"
ADD_FOLDER, LOOK_AGAIN, FIND_DUPLICATES = "Add a folder…", "Look again", "Find duplicates…"
DISCOVER = "Discover models"
COLUMNS = ("Name", "Quant", "Size", "Context", "Where", "Last used", "Fit here")
WIDEST_VERDICTS = ("Runs from disk, slow", "Too big by 88.8 GB")
MODELS, HEADER = "Models on this disk", "What the columns are"
USE, FIT, RENAME, SHOW_FOLDER, COPY_PATH = "Use in chat", "Fit", "Rename", "Show in folder", "Copy path"
QUANTIZE, MEASURE = "Quantize…", "Measure…"
QUANTIZE_TIP, MEASURE_TIP = (
    "Make smaller files of this model in the Workshop", "Find out in the Workshop what smaller files of it would lose",
)  # fmt: skip
METADATA, TO_TRASH = "All fields…", "Move to trash"
COPIED_FACTS = ("Repository", "Revision", "SHA-256", "File")  # they get a button that copies them
COPIED = "Copied."
SORT_BY = "Sort by"
EMPTY_TRASH, STOP_LOOKING = "Empty the trash…", "Look there no more"
CLEAR_SEARCH = "Show all models"
NOTHING_CHOSEN = "Choose a model to see what it is, where it came from and how it would run here."
LOADED = "This model is loaded. Unload it first (Ctrl+Shift+U)."
NO_FILE_MANAGER = "No program shows folders here. The path is copied instead."
FOLDER_TITLE = "Choose a folder with GGUF files"
BROKEN, CANNOT_RUN = "broken", "cannot run here"
LOOKING, JUDGING = "Looking at the disk…", "working it out…"
EMPTY_TITLE = "No models on this disk yet"
EMPTY_TEXT = (
    "Get one from Discover, or show Carryon a folder that has GGUF files. "
    "Models stay where they are: nothing is copied."
)
DUPLICATES_TITLE = "Duplicates"
NO_DUPLICATES = "No model lies on this disk twice."
COMPARING, CLOSE, STOP = "Comparing files…", "Close", "Stop"
DUPLICATES_NOTE = (
    "These files are the same to the last byte. Carryon can move only its own copies to the trash; "
    "a copy of another program is deleted there."
)
METADATA_TITLE, FIELD, VALUE = "All fields of the file", "Field", "Value"
METADATA_SEARCH, READING = "Search the fields", "Reading the file…"
COPY_FIELDS = "Copy all"
EMPTY_TRASH_TITLE, DELETE_FOR_GOOD, CANCEL = "Empty the trash?", "Delete for good", "Cancel"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    path: Path
    cells: tuple[str, ...]  # as COLUMNS
    is_broken: bool = False
    verdict: Verdict | None = None

    @property
    def spoken(self) -> str:
        """The whole line for a screen reader."""
        named = (f"{name} {cell}" for name, cell in zip(COLUMNS[1:], self.cells[1:], strict=True))
        return ", ".join((self.cells[0], *named))


def row(entry: Entry, form: Form) -> Row:
    """An entry as a line of the table."""
    judged = form.judged.get(entry.path)
    cells = (
        entry.name,
        (entry.known.quant or NOT_MEASURED) if entry.is_broken else quant_text(entry),
        bytes_text(entry.size_bytes),
        context_of(entry),
        where_text(entry),
        when_text(entry.last_used_s),
        fit_cell(entry, judged, is_judging=form.is_judging),
    )
    return Row(entry.path, cells, entry.is_broken, judged.verdict if isinstance(judged, FitHere) else None)


def fit_cell(entry: Entry, judged: Judged | None, *, is_judging: bool) -> str:
    """'Fits on the GPU', 'broken', '…' while it is worked out, a dash for what is no model."""
    match judged:
        case _ if entry.is_broken:
            return BROKEN
        case _ if not entry.is_usable:
            return NOT_MEASURED
        case FitHere():
            return judged.words
        case None:
            return "…" if is_judging else NOT_MEASURED
        case _:
            return CANNOT_RUN


def total_text(form: Form) -> str:
    """'23 models · 141 GB', or how many of them are shown."""
    entries, rows = form.state.entries, form.rows
    if form.state.scan is None:
        return LOOKING
    size = bytes_text(sum(one.size_bytes for one in rows))
    if len(rows) < len(entries):
        return f"{len(rows)} of {_models(len(entries))} · {size}"
    return f"{_models(len(entries))} · {size}" if entries else ""


def progress_text(form: Form) -> str:
    """What goes on in the background; empty where nothing does."""
    state = form.state
    if state.is_scanning:
        return f"Looking… {_models(state.n_found)} so far" if state.n_found else LOOKING
    if state.n_unchecked:
        return f"Reading headers: {state.n_unchecked} left"
    return ""


def trash_text(form: Form) -> str:
    """'In the trash: 2 models, 9.8 GB'."""
    trashed = form.state.trashed
    if not trashed:
        return ""
    return f"In the trash: {_models(len(trashed))}, {bytes_text(sum(one.size_bytes for one in trashed))}"


def empty_trash_text(form: Form) -> str:
    """What is asked before the trash is emptied."""
    size = bytes_text(sum(one.size_bytes for one in form.state.trashed))
    return f"{_models(len(form.state.trashed))} would be deleted for good. That frees {size}."


def place_text(place: Place) -> str:
    """A choice of the filter."""
    match place:
        case None:
            return EVERYWHERE
        case Path():
            return shown(place.name or str(place))
        case Program():
            return PROGRAMS[place]


def looked_text(form: Form) -> str:
    """Which programs' folders were looked at."""
    if form.state.scan is None:
        return ""
    there, absent = dict[str, None](), dict[str, None]()
    for one in form.state.scan.looked:
        name = place_text(one.shelf.root if one.shelf.program is Program.FOLDER else one.shelf.program)
        (there if one.is_there else absent)[name] = None
    said = [f"Looked into: {', '.join(there)}."] if there else []
    missing = [name for name in absent if name not in there and name != PROGRAMS[Program.CARRYON]]
    return " ".join([*said, f"Not on this computer: {', '.join(missing)}."] if missing else said)


def troubles(form: Form) -> tuple[str, ...]:
    """Folders that could not be looked at."""
    if form.state.scan is None:
        return ()
    looked = form.state.scan.looked
    gone = [one.shelf.root for one in looked if one.shelf.program is Program.FOLDER and not one.is_there]
    said = (f"{one.trouble.message} {one.trouble.hint}" for one in looked if one.trouble)
    return (*said, *(f"The folder {path_text(one)}, which you added, is not there now." for one in gone))


def facts(entry: Entry, story: Story | None = None) -> tuple[tuple[str, str], ...]:
    """What the detail lists: name and value, without what is not known."""
    origin, known, story = entry.origin, entry.known, story or Story()
    told = (
        ("Kind", KINDS[known.kind] if known.kind is not Kind.MODEL else ""),
        ("Architecture", known.architecture),
        ("Parameters", parameters_of(entry) if known.kind is Kind.MODEL else ""),
        ("Quant", known.quant),
        ("Measured", measured_text(story.quality)),
        ("Size", _size_text(entry)),
        ("Trained context", f"{known.n_ctx_train:,} tokens" if known.n_ctx_train else ""),
        ("Chat template", template_text(entry) if known.kind is Kind.MODEL and not entry.is_broken else ""),
        ("Projector", _projectors_text(entry)),
        ("Licence", known.licence),
        ("Repository", entry.repo_id),
        ("Revision", origin.commit if origin else ""),
        *_making_facts(story.making, entry),
        ("SHA-256", entry.sha256 or (origin.sha256 or "" if origin else "")),
        ("Also called", ", ".join(entry.other_names)),
        ("Kept by", where_text(entry)),
        ("Last used", when_text(entry.last_used_s)),
        ("File", path_text(entry.path)),
    )
    return tuple((name, value) for name, value in told if value not in ("", NOT_MEASURED))


def measured_text(quality: Quality | None) -> str:
    """'very good: perplexity +1.2 %, KL 0.013 against BF16'; empty where nothing was measured."""
    if quality is None or quality.kl_divergence is None:
        return ""
    rise = "" if quality.perplexity_rise is None else f"perplexity {quality.perplexity_rise * 100:+.1f} %, "
    lost = f"{rise}KL {divergence_text(quality.kl_divergence)} against {shown(quality.measured_against)}"
    return f"{GRADES[quality.grade]}: {lost}"


def _making_facts(making: Making, entry: Entry) -> tuple[tuple[str, str], ...]:
    """How it was made; what it was made from is said once, with its repository or here."""
    if making == NOTHING_TOLD:
        return ()
    is_said = making.repo_id.lower() == entry.repo_id.lower() and entry.origin is not None
    source = f"{making.repo_id} at {making.revision[:12]}" if making.revision else making.repo_id
    return (
        ("Made from", "" if is_said else source),
        ("Converted by", f"Carryon {making.converter}" if making.converter else ""),
        ("Quantized by", making.quantizer),
        ("Quantized from", _quantized_from_text(making)),
        ("Recipe", making.recipe),
        ("Importance matrix", _imatrix_text(making)),
    )


def _quantized_from_text(making: Making) -> str:
    """'SmolLM2-BF16.gguf', 'q.gguf (F16)'; a file in between, which is gone by now, has a name for work."""
    return _with(making.quantized_from.removesuffix(".work"), making.quantized_from_type)


def _imatrix_text(making: Making) -> str:
    """'wiki.imatrix.gguf, made from wiki.txt (SHA-256 32acdb97aaf1…)'."""
    text = shown(Path(making.imatrix_text.replace("\\", "/")).name)
    sum = f"SHA-256 {making.imatrix_text_sha256[:12]}…" if making.imatrix_text_sha256 else ""
    source = f"made from {_with(text, sum)}" if text else ""
    return ", ".join(one for one in (making.imatrix_name, source) if one)


def _with(words: str, more: str) -> str:
    return f"{words} ({more})" if words and more and more not in words else words or more


def kept_text(entry: Entry) -> str:
    """Why there is no button that deletes it."""
    if entry.is_own:
        return ""
    if entry.shelf.program is Program.FOLDER:
        return "Carryon only reads this folder, so the file is deleted in your file manager."
    return f"{where_text(entry)} keeps this file: delete it there. A new name counts only in Carryon."


def trashed_text(name: str, size_bytes: int) -> str:
    """What is said after a model went into the trash."""
    return f"Moved {name} to the trash. Its {bytes_text(size_bytes)} are free once the trash is emptied."


def renamed_text(name: str) -> str:
    """What is said after a new name."""
    return f"Renamed to {name}."


def nothing_found_text(form: Form) -> str:
    """Why the table is empty."""
    return f"No model matches “{form.search}”." if form.search else "No model lies there."


def copies_text(found: tuple[Copies, ...]) -> str:
    """'2 models lie here more than once. One copy of each would leave 9.8 GB more room.'"""
    if not found:
        return NO_DUPLICATES
    size = bytes_text(sum(one.wins_bytes for one in found))
    lie = "lies" if len(found) == 1 else "lie"
    each = "it" if len(found) == 1 else "each"
    return f"{_models(len(found))} {lie} here more than once. One copy of {each} would leave {size} more room."


def copy_text(entry: Entry) -> str:
    """A copy in the list of duplicates."""
    return f"{where_text(entry)}: {path_text(entry.path)}"


def _size_text(entry: Entry) -> str:
    size = bytes_text(entry.size_bytes) if entry.size_bytes else ""
    return f"{size} in {len(entry.parts)} files" if len(entry.parts) > 1 else size


def _projectors_text(entry: Entry) -> str:
    return ", ".join(shown(one.name) for one in entry.projectors)


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count:,} models"
