"""The words of what was found on the Hub, the same in the window and on the command line."""

from datetime import date

from carryon.base.units import NOT_MEASURED
from carryon.hub.repo import Gate, Sort

SORTS = {
    Sort.TRENDING: "Trending", Sort.DOWNLOADS: "Most downloads", Sort.LIKES: "Most likes", Sort.RECENT: "Newest",
}  # fmt: skip
# The Hub's tasks that Carryon can do something with, in the words of a person.
TASKS = {
    "text-generation": "Chat and text", "image-text-to-text": "Sees pictures", "any-to-any": "Sees and hears",
    "feature-extraction": "Embeddings", "sentence-similarity": "Embeddings",
}  # fmt: skip
# As the Hub spells them, with what people call them.
LICENCES = {
    "apache-2.0": "Apache 2.0", "mit": "MIT", "llama3.1": "Llama 3.1", "llama3.2": "Llama 3.2",
    "llama3.3": "Llama 3.3", "gemma": "Gemma", "cc-by-4.0": "CC BY 4.0", "cc-by-nc-4.0": "CC BY-NC 4.0", "other": "own",
}  # fmt: skip
GATES = {
    Gate.OPEN: "",
    Gate.AUTOMATIC: "log in and accept its conditions",
    Gate.MANUAL: "ask its owner for access",
}
_STEPS = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def count_text(count: int | None) -> str:
    """'1.2M', '34k', '812'; for downloads and likes."""
    if count is None:
        return NOT_MEASURED
    for step, name in _STEPS[1:]:
        if count >= step:
            return f"{_short(count / step)}{name}"
    return str(count)


def params_text(n_params: int | None) -> str:
    """'8.2B', '596M': how the names of models count their parameters."""
    if not n_params:
        return NOT_MEASURED
    for step, name in _STEPS:
        if n_params >= step:
            return f"{_short(n_params / step)}{name}"
    return str(n_params)


def licence_text(licence: str) -> str:
    """'Apache 2.0'; what has no usual name keeps its own."""
    return LICENCES.get(licence, licence) or NOT_MEASURED


def day_text(updated: str) -> str:
    """'2026-05-06'."""
    return updated[:10] or NOT_MEASURED


def ago_text(updated: str, today: date) -> str:
    """'today', '3 days ago', '5 months ago'; empty where the Hub did not say."""
    try:
        days = (today - date.fromisoformat(updated[:10])).days
    except ValueError:
        return ""
    if days <= 0:
        return "today"
    for length, name in ((365, "year"), (30, "month"), (7, "week"), (1, "day")):
        if days >= length:
            count = days // length
            return f"{count} {name}{'s' * (count != 1)} ago"
    return ""


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}".removesuffix(".0")
