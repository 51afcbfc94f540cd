"""What the Hub tells of models and files as JSON, read strictly: a wrong type is as good as nothing said."""

import re
from collections.abc import Iterable
from typing import Any

from carryon.base.errors import AppError
from carryon.hub.names import is_fetched, repo_id_of, safe_parts
from carryon.hub.repo import Format, FoundModel, Gate, RepoFile

_LONGEST_WORD = 120
_MOST_TAGS = 2000
_LARGEST_COUNT = 1 << 53  # what JSON's numbers hold exactly
_COMMIT, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?")
_GATES = {"auto": Gate.AUTOMATIC, "manual": Gate.MANUAL, True: Gate.MANUAL}
_LICENCE, _MADE_OF = "license:", "base_model:quantized:"


def found_model(told: Any) -> FoundModel | None:
    """One model of a search or a repository's own description; None where not even its name can be used."""
    try:
        repo_id = repo_id_of(told["id"]) if isinstance(told, dict) and isinstance(told["id"], str) else None
    except (AppError, KeyError):
        return None
    if repo_id is None:
        return None
    tags, gguf, tensors = _tags(told), _dict(told, "gguf"), _dict(told, "safetensors")
    return FoundModel(
        repo_id=repo_id,
        formats=_formats(tags, gguf, tensors),
        downloads=_count(told, "downloads"),
        likes=_count(told, "likes"),
        updated=_time(told),
        task=_word(told, "pipeline_tag"),
        licence=_licence(told, tags),
        gate=_gate(told),
        architecture=_word(gguf, "architecture") or _word(_dict(told, "config"), "model_type"),
        n_params=_count(gguf, "total") or _count(tensors, "total"),
        n_ctx_train=_count(gguf, "context_length"),
        base_model=_base_model(tags),
    )


def found_models(told: Any) -> tuple[FoundModel, ...]:
    """The models of a search's answer, each once; what cannot be read is left out."""
    found = (found_model(one) for one in told) if isinstance(told, list) else ()
    return tuple({one.repo_id: one for one in found if one}.values())


def commit_of(told: Any) -> str | None:
    """The commit that a description is of."""
    sha = told.get("sha") if isinstance(told, dict) else None
    return sha if isinstance(sha, str) and _COMMIT.fullmatch(sha) else None


def repo_files(told: Iterable[Any]) -> tuple[tuple[RepoFile, ...], int]:
    """The files of a tree with safe names, and how many others there are. Of names that are the same on a disk that
    does not tell cases apart, the first counts.
    """
    files: dict[str, RepoFile] = {}
    n_unsafe = 0
    for entry in told:
        if not isinstance(entry, dict) or entry.get("type") != "file":
            continue
        file = _repo_file(entry)
        if file is not None and file.path.casefold() not in files:
            files[file.path.casefold()] = file
        elif is_fetched(str(entry.get("path"))):  # every repository has a .gitattributes, which nobody misses
            n_unsafe += 1
    return tuple(files.values()), n_unsafe


def _repo_file(entry: dict[str, Any]) -> RepoFile | None:
    path, size_bytes = entry.get("path"), _count(entry, "size")
    if not isinstance(path, str) or size_bytes is None:
        return None
    try:
        if "/".join(safe_parts(path)) != path:
            return None  # another form of the same letters: the Hub would not find it under its safe name
    except AppError:
        return None
    sha256 = _dict(entry, "lfs").get("oid")
    return RepoFile(path, size_bytes, sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None)


def _formats(tags: frozenset[str], gguf: dict[str, Any], tensors: dict[str, Any]) -> frozenset[Format]:
    said = {Format.GGUF: "gguf" in tags or bool(gguf), Format.SAFETENSORS: "safetensors" in tags or bool(tensors)}
    return frozenset(kind for kind, is_there in said.items() if is_there)


def _licence(told: dict[str, Any], tags: frozenset[str]) -> str:
    tagged = sorted(tag.removeprefix(_LICENCE) for tag in tags if tag.startswith(_LICENCE))
    card = _dict(told, "cardData")
    named = _word(card, "license_name") if tagged == ["other"] else ""
    return named or next(iter(tagged), "") or _word(card, "license")


def _base_model(tags: frozenset[str]) -> str:
    for tag in sorted(tags):
        if tag.startswith(_MADE_OF):
            try:
                return repo_id_of(tag.removeprefix(_MADE_OF))
            except AppError:
                continue
    return ""


def _gate(told: dict[str, Any]) -> Gate:
    said = told.get("gated", False)
    return _GATES.get(said, Gate.OPEN) if isinstance(said, str | bool) else Gate.OPEN


def _time(told: dict[str, Any]) -> str:
    said = _word(told, "lastModified") or _word(told, "createdAt")
    return said if _TIME.fullmatch(said) else ""


def _tags(told: dict[str, Any]) -> frozenset[str]:
    tags = told.get("tags")
    return frozenset(_line(tag) for tag in tags[:_MOST_TAGS] if isinstance(tag, str)) if isinstance(tags, list) else _NO


def _dict(told: dict[str, Any], key: str) -> dict[str, Any]:
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _count(told: dict[str, Any], key: str) -> int | None:
    value = told.get(key)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT
    return value if is_count else None


def _word(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return _line(value) if isinstance(value, str) else ""


def _line(text: str) -> str:
    """One line that can be shown: cut when long, without what no screen shows."""
    return "".join(one for one in text[:_LONGEST_WORD] if one.isprintable())


_NO: frozenset[str] = frozenset()
