"""The words of the Discover page that are not the plan's own (fit/words.py). No Qt."""

from datetime import date

from carryon.app.discovery import Look, RoughFit, Sureness
from carryon.app.download_list import (
    Download,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
    Verifying,
    WaitingForNetwork,
)
from carryon.base.errors import AppError, NoAccess
from carryon.base.units import bytes_text
from carryon.fit import words
from carryon.fit.plan import Verdict
from carryon.hub.repo import Format, FoundModel, Gate, RepoFile
from carryon.hub.search_words import GATES, LICENCES, SORTS, TASKS, ago_text, count_text, licence_text, params_text
from carryon.ui import quant_rows
from carryon.ui.discover.form import Line, Phase, RepoForm, SearchForm
from carryon.ui.quant_rows import Row

TITLE = "Discover"
SEARCH, SEARCH_HINT = "Search for models", "Search the Hub, or paste owner/name or an address"
SORT, FORMAT, TASK, LICENCE, SIZE = "So&rt", "&Kind", "&Use", "&Licence", "Si&ze"
OWNER, ANYBODY = "&By", "anybody"
ONLY_FITTING = "&Fits this machine"
FORMATS = {Format.GGUF: "GGUF", Format.SAFETENSORS: "Safetensors"}
FORMATS_TIP = "A GGUF is ready to run. Safetensors must be converted first."
SORT_WORDS = SORTS
TASK_WORDS = {
    "": "any",
    **{task: TASKS[task] for task in ("text-generation", "image-text-to-text", "feature-extraction")},
}
LICENCE_WORDS = {"": "any", **{one: LICENCES[one] for one in ("apache-2.0", "mit", "llama3.1", "llama3.2", "gemma")}}
# The least and the most parameters, in billions, and what that is called.
SIZES: tuple[tuple[str, float | None, float | None], ...] = (
    ("any", None, None), ("up to 2B", None, 2), ("2B to 5B", 2, 5), ("5B to 10B", 5, 10), ("10B to 20B", 10, 20),
    ("20B to 40B", 20, 40), ("over 40B", 40, None),
)  # fmt: skip
STARTERS, OFFLINE_STARTERS = "Models to start with", "Models to start with, once you are online"
BROWSE = "Show what is trending on the Hub"
SEARCHING = "Searching the Hub…"
RESULTS = "Models"
GATED = "needs a token"
MORE, MORE_COMING = "More", "Getting more…"
TRY_AGAIN, RESET = "Try again", "Take off all filters"
SETTINGS = "Settings…"
BACK = "Back to the list"
OPENING = "Asking the Hub…"
OPEN_PAGE = "Open its page"
READING_HEADER = "Reading the model's header…"
CARD, NO_CARD, CARD_COMING = "About this model", "This repository has no description.", "Getting its description…"
CARD_CUT = "The rest of the description stands on its page."
DOWNLOAD, USE, FIT, GO_ON = "Download", "Use in chat", "Look closer in Fit", "Go on downloading"
SHOW_DOWNLOADS = "Show downloads"
CONTEXT = "&Context"
LOOK_AMONG_SAFETENSORS = "Look among safetensors"
PROJECTOR_TIP = "With it the model sees pictures, or hears."
CONVERT = "Convert and quantize…"
FIND_GGUF = "Look for a GGUF of it"
NOT_KNOWN_YET = "How it fits is not known."
NOTHING_TO_RUN = "There is nothing in this repository that Carryon could run."

_SURE = {
    Sureness.HEADER: "by the header of one of its files",
    Sureness.START: "estimated by the first bytes of one of its files",
    Sureness.CONFIG: "estimated by its config.json",
    Sureness.COUNT: "estimated by its number of parameters alone",
}


def heading(form: SearchForm) -> str:
    """What stands over the list."""
    match form.phase:
        case Phase.STARTERS:
            return STARTERS
        case Phase.SEARCHING:
            return SEARCHING
        case Phase.FAILED:
            return OFFLINE_STARTERS if form.all_lines else ""
    count = f"{len(form.lines)}{'+' if form.next else ''}"
    hidden = f" · {form.n_hidden} that do not fit, or do not say, are hidden" if form.n_hidden else ""
    return f"{count} model{'s' * (count != '1')}{hidden}" if form.lines else ""


def nothing_title(form: SearchForm) -> str:
    """Over an empty list."""
    return "Nothing here fits this machine" if form.n_hidden else "Nothing was found"


def nothing_text(form: SearchForm) -> str:
    """What to try."""
    if form.n_hidden:
        found = f"{form.n_hidden} models were found that are too large or do not say how large they are."
        return f"{found} Take off “Fits this machine” to see them."
    ideas = ["Try fewer or other words."]
    if has_filters(form):
        ideas.append("Take off the filters.")
    if form.wish.format is Format.GGUF:
        ideas.append("A model may also be there as safetensors, which must be converted.")
    return " ".join(ideas)


def has_filters(form: SearchForm) -> bool:
    """Whether anything but words, kind and order narrows the search."""
    wish = form.wish
    has_size = (wish.min_params, wish.max_params) != (None, None)
    return has_size or bool(wish.author or wish.licence or wish.task or form.n_hidden)


def facts(line: Line, today: date) -> str:
    """'8.2B · 1.2M downloads · 340 likes · 3 days ago · Apache 2.0'."""
    found = line.found
    said = [
        params_text(found.n_params) if found.n_params else "",
        counted(found.downloads, "download") if found.downloads is not None else "",
        counted(found.likes, "like") if found.likes else "",
        ago_text(found.updated, today),
        licence_text(found.licence) if found.licence else "",
        TASKS.get(found.task, "") if found.task != "text-generation" else "",
    ]
    return " · ".join(one for one in said if one)


def counted(number: int, what: str) -> str:
    """'1 like', '890 likes'."""
    return f"{count_text(number)} {what}{'' if number == 1 else 's'}"


def rough_text(rough: RoughFit) -> str:
    """'fits on the GPU': in a list, where Q4_K_M stands for all."""
    return {
        Verdict.GPU: "Fits on the GPU", Verdict.SPLIT: "Fits, split", Verdict.RAM: "Fits in RAM",
        Verdict.DISK: "From disk, slow", Verdict.TOO_BIG: "Too big",
    }[rough.verdict]  # fmt: skip


def rough_tip(rough: RoughFit) -> str:
    """What the badge rests on."""
    return f"{rough_text(rough)} as Q4_K_M, about {bytes_text(rough.size_bytes)}: estimated by its number of parameters"


def tip(line: Line) -> str:
    """What a line has no room for."""
    gate = GATES[line.found.gate]
    said = [line.found.repo_id, f"Not open to everybody: {gate}." if gate else ""]
    return "\n".join(one for one in (*said, rough_tip(line.rough) if line.rough else "") if one)


def spoken(line: Line, today: date) -> str:
    """A line for a screen reader."""
    said = [line.found.name, f"by {line.found.owner}"]
    said += [GATED] if line.found.gate is not Gate.OPEN else []
    said += [line.good_for] if line.good_for else []
    said += [facts(line, today)]
    said += [rough_text(line.rough)] if line.rough else []
    return ", ".join(one for one in said if one)


def repo_facts(found: FoundModel, today: date) -> str:
    """'qwen3 · 8.2B parameters · trained for 40,960 tokens · 1.2M downloads · changed 3 days ago'."""
    ago = ago_text(found.updated, today)
    said = [
        found.architecture,
        f"{params_text(found.n_params)} parameters" if found.n_params else "",
        f"trained for {found.n_ctx_train:,} tokens" if found.n_ctx_train else "",
        counted(found.downloads, "download") if found.downloads is not None else "",
        counted(found.likes, "like") if found.likes else "",
        f"changed {ago}" if ago else "",
    ]
    return " · ".join(one for one in said if one)


def licence_line(found: FoundModel) -> str:
    """'Licence: Apache 2.0'."""
    return f"Licence: {licence_text(found.licence)}" if found.licence else "It does not say under which licence it is."


def made_of(found: FoundModel) -> str:
    """What the quants were made from."""
    return f"Made from {found.base_model}" if found.base_model else ""


def gate_error(form: RepoForm) -> AppError | None:
    """Why its files may not come, and what to do: as soon as it is known to be so."""
    look = form.look
    if look is None or not form.is_gated:
        return None
    if look.error is None and not look.is_reading:
        return None  # its header could be read: this token may
    if isinstance(look.error, NoAccess):
        return look.error
    return None


def gate_line(form: RepoForm) -> str:
    """'Not open to everybody: ask its owner for access.'"""
    if form.look is None or not form.is_gated:
        return ""
    may = form.look.error is None and not form.look.is_reading
    return "You have access to it." if may else f"Not open to everybody: {GATES[form.look.repo.found.gate]}."


def sure_line(form: RepoForm) -> str:
    """What the fit rests on."""
    look = form.look
    if look is None:
        return ""
    if look.is_reading:
        return READING_HEADER
    if look.sureness is None:
        return NOT_KNOWN_YET if look.files.quants else ""
    line = f"The fit is {_SURE[look.sureness]}"
    inferred = len(look.files.quants) - 1 if look.sureness is Sureness.HEADER else 0
    if inferred == 1:
        return f"{line}; the other is inferred from it."
    return f"{line}; the other {inferred} are inferred from it." if inferred else f"{line}."


def left_out(look: Look) -> str:
    """What of the repository is not shown, and why."""
    said = []
    if look.files.incomplete:
        said.append(f"Not whole, and therefore left out: {', '.join(look.files.incomplete)}.")
    if look.repo.n_unsafe:
        count = look.repo.n_unsafe
        said.append(f"{count} file{'s' * (count != 1)} with unsafe names {'are' if count != 1 else 'is'} left out.")
    return " ".join(said)


def convert_line(look: Look) -> str:
    """What is said of a model that is not GGUF."""
    table = " The table shows what each quant of it would weigh." if look.subject else ""
    return f"This model is not ready to run: it must be converted and quantized first, which the Workshop does.{table}"


def rows(form: RepoForm) -> list[Row]:
    """The table: with the fit where it is known, else with the sizes alone."""
    look = form.look
    if look is None:
        return []
    if form.plan is None:
        return [
            quant_rows.bare_row(one.quant, one.size_bytes, is_here=one.quant in look.here, note=note(form, one.quant))
            for one in look.files.quants
        ]
    shown = quant_rows.shown_fits(form.plan.fits, form.best_quant, form.chosen, shows_all=form.shows_all)
    return [quant_rows.row_of(fit, form.best_quant, note(form, fit.candidate.quant)) for fit in shown]


def n_hidden(form: RepoForm) -> int:
    """How many quants a click would show."""
    if form.plan is None:
        return 0
    return len(form.plan.fits) - len(
        quant_rows.shown_fits(form.plan.fits, form.best_quant, form.chosen, shows_all=False)
    )


def note(form: RepoForm, quant: str) -> str:
    """What goes on with a quant: 'downloading 42 %'."""
    download = form.downloads.get(quant)
    return state_text(download) if download else ""


def state_text(download: Download) -> str:
    """The state of a download beside its quant."""
    percent = f"{int(download.fraction * 100)} %"
    match download.state:
        case Queued():
            return "queued"
        case Running():
            return f"downloading {percent}"
        case Paused():
            return f"paused at {percent}"
        case WaitingForNetwork():
            return "waiting for the network"
        case Verifying():
            return "being checked"
        case FailedDownload():
            return "failed"
        case Finished():
            return ""


def download_text(form: RepoForm) -> str:
    """'Download 5.0 GB', with the projector counted where it comes along."""
    quant = form.quant
    if quant is None:
        return DOWNLOAD
    size_bytes = quant.size_bytes + (projector_bytes(form) if form.with_projector else 0)
    return f"{DOWNLOAD} {bytes_text(size_bytes)}"


def projector(form: RepoForm) -> RepoFile | None:
    """The smallest one: it is F16 in nearly all repositories, and larger ones gain nothing."""
    return form.look.files.projectors[0] if form.look and form.look.files.projectors else None


def projector_bytes(form: RepoForm) -> int:
    """What it adds to the download."""
    found = projector(form)
    return found.size_bytes if found else 0


def projector_text(form: RepoForm) -> str:
    """The check box."""
    return f"With its &projector ({bytes_text(projector_bytes(form))})"


def may_download(form: RepoForm) -> bool:
    """Whether asking for its files is of any use: the Hub has not refused the header."""
    return form.quant is not None and not (form.look and isinstance(form.look.error, NoAccess))


def best_text(form: RepoForm) -> str:
    """Why a row is marked; on the marked row itself the reasons above say it."""
    if form.fit is None or form.best_quant in ("", form.fit.candidate.quant):
        return ""
    return f"{form.best_quant} is the best for this machine: of those that run well here it keeps most of the quality."


def pace_line(form: RepoForm) -> str:
    """'38–46 tokens/s expected'."""
    if form.fit is None or form.fit.decode.high <= 0:
        return ""
    return f"{words.raised(words.pace_text(form.fit.decode))} expected"


def reasons(form: RepoForm) -> tuple[str, ...]:
    """The plan's reasons, without what the verdict says already."""
    if form.fit is None or form.plan is None:
        return ()
    return words.beside(words.verdict_sentence(form.fit, form.plan.rooms), form.plan.reasons)
