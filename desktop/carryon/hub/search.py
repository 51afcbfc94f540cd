"""Searching the Hub: what is wished, one page of the answer, and where the next one begins."""

from collections.abc import Generator
from dataclasses import dataclass

from carryon.base.errors import BadInput
from carryon.hub.asking import Question, asking, next_question
from carryon.hub.model_json import found_models
from carryon.hub.names import Reference, is_reference, reference_of
from carryon.hub.repo import Format, FoundModel, Sort
from carryon.hub.site import Site

PAGE = 30
_MOST_A_PAGE = 100
_LONGEST_TEXT = 200
_SORTED_BY = {
    Sort.TRENDING: "trendingScore", Sort.DOWNLOADS: "downloads", Sort.LIKES: "likes", Sort.RECENT: "lastModified",
}  # fmt: skip
# The Hub sends only what is asked for. `gguf` and `safetensors` have the number of parameters: no file is read for it.
FIELDS = (
    "gguf", "safetensors", "downloads", "likes", "gated", "lastModified", "tags", "pipeline_tag", "library_name",
)  # fmt: skip


@dataclass(frozen=True)
class SearchWish:
    """What is looked for; empty and None mean everything. Parameters are counted in ones: 8_000_000_000."""

    text: str = ""
    author: str = ""
    task: str = ""  # "text-generation"
    licence: str = ""  # "apache-2.0"
    format: Format = Format.GGUF
    min_params: int | None = None
    max_params: int | None = None
    sort: Sort = Sort.TRENDING

    @property
    def is_empty(self) -> bool:
        """Whether nothing but an order and a format is wished."""
        return self == SearchWish(format=self.format, sort=self.sort)


@dataclass(frozen=True)
class Next:
    """Where the next page begins; only `searching` reads it."""

    question: Question


@dataclass(frozen=True)
class SearchPage:
    """Some models in the order that was wished. `next` is None at the end."""

    models: tuple[FoundModel, ...]
    next: Next | None = None


def searching(
    site: Site, wish: SearchWish, after: Next | None = None, n: int = PAGE
) -> Generator[None, None, SearchPage]:
    """One page of models. Raises Offline, NoAccess and BadFile. Closing it gives up at once."""
    answer = yield from asking(site, after.question if after else question_for(wish, n))
    following = next_question(site, answer)
    return SearchPage(found_models(answer.told), Next(following) if following else None)


def pasted(site: Site, text: str) -> Reference | None:
    """The repository that a person pasted, by its name or an address; None for words to search for."""
    try:
        return reference_of(text, site.hosts) if is_reference(text, site.hosts) else None
    except BadInput:
        return None


def question_for(wish: SearchWish, n: int = PAGE) -> Question:
    """The search in the Hub's own words."""
    asked = [("filter", wish.format.value)]
    if wish.licence:
        asked.append(("filter", f"license:{wish.licence}"))
    named = (
        ("search", wish.text.strip()[:_LONGEST_TEXT]),
        ("author", wish.author.strip()),
        ("pipeline_tag", wish.task),
    )
    asked += [(name, told) for name, told in named if told]
    if wish.min_params is not None or wish.max_params is not None:
        asked.append(("num_parameters", _between(wish.min_params, wish.max_params)))
    asked += [("sort", _SORTED_BY[wish.sort]), ("limit", str(min(max(n, 1), _MOST_A_PAGE)))]
    return Question("/api/models", (*asked, *(("expand", field) for field in FIELDS)))


def _between(least: int | None, most: int | None) -> str:
    """“min:6B,max:9.5B”, as the Hub counts parameters."""
    ends = (("min", least), ("max", most))
    return ",".join(f"{name}:{count / 1e9:.10g}B" for name, count in ends if count is not None)
