"""One repository of the Hub, looked into: at one commit, with its files, and who may read them."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from carryon.base.errors import BadFile, BadInput
from carryon.hub.asking import Question, asking, next_question
from carryon.hub.model_json import commit_of, found_model, repo_files
from carryon.hub.names import Reference
from carryon.hub.repo import Format, Repo, RepoFile
from carryon.hub.search import FIELDS
from carryon.hub.site import Site

_MOST_PAGES = 20  # of a thousand files each
_ASK_ANOTHER = "Try it again later, or look for another repository of the same model."


def opening(site: Site, reference: Reference) -> Generator[None, None, Repo]:
    """The repository at the commit that its revision means now. Raises Offline, NoAccess, BadInput and BadFile."""
    answer = yield from asking(site, _about(reference), reference.repo_id)
    found, commit = found_model(answer.told), commit_of(answer.told)
    if found is None or commit is None:
        raise BadFile(f"{site.host} told nothing that can be used of {reference.repo_id}.", _ASK_ANOTHER)
    files, n_unsafe = repo_files((yield from _listing(site, found.repo_id, commit)))
    formats = found.formats | _formats_of(files)
    return Repo(replace(found, formats=formats), commit, files, n_unsafe)


def file_of(repo: Repo, path: str) -> RepoFile:
    """The file of that path. Raises BadInput where there is none."""
    for file in repo.files:
        if file.path == path:
            return file
    raise BadInput(f"{repo.repo_id} has no file “{path}”.", "Look at its files, and choose one of them.")


def page_address(site: Site, repo_id: str) -> str:
    """The repository's page on the Hub, for a browser."""
    return f"{site.endpoint}/{quote(repo_id)}"


def _about(reference: Reference) -> Question:
    path = f"/api/models/{quote(reference.repo_id)}/revision/{quote(reference.revision, safe='')}"
    return Question(path, tuple(("expand", field) for field in ("sha", "cardData", "config", *FIELDS)))


def _listing(site: Site, repo_id: str, commit: str) -> Generator[None, None, list[Any]]:
    question: Question | None = Question(f"/api/models/{quote(repo_id)}/tree/{commit}", (("recursive", "true"),))
    rows: list[Any] = []
    for _ in range(_MOST_PAGES):
        if question is None:
            break
        answer = yield from asking(site, question)
        rows += answer.told if isinstance(answer.told, list) else []
        question = next_question(site, answer)
    return rows


def _formats_of(files: tuple[RepoFile, ...]) -> frozenset[Format]:
    """What the files show, whatever the tags say."""
    return frozenset(kind for kind in Format if any(one.path.lower().endswith(f".{kind.value}") for one in files))
