"""Names that come from outside: what a person pastes, and what a repository calls its files. Nothing else is a path.

A name of the network becomes a part of a path only through `safe_parts`.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from carryon.base.errors import BadFile, BadInput

HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
# Hub rule: letters, digits, "-", "_" and ".", at most 96, never ".." or "--", and neither "-" nor "." at an end.
_ID_PART = re.compile(r"(?!.*(?:\.\.|--))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w./-]{0,199}", re.ASCII)
_QUANT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,31}", re.ASCII)  # “UD-Q4_K_XL”; a file's name has a dot
# What a model needs, and what its page shows. Pickles and programs are never fetched.
FETCHED = (".gguf", ".safetensors", ".json", ".txt", ".md", ".model", ".jinja", ".tiktoken", ".vocab", ".merges")
_ALLOWED_SIGNS = frozenset(" ._+()=,@#&'~[]-")
_PORTS = (f"{name}{number}" for name in ("com", "lpt") for number in range(10))
_DEVICES = frozenset(["con", "prn", "aux", "nul", *_PORTS])  # of Windows
_LONGEST_PART_BYTES = 120
_DEEPEST = 8
_HOW = "Paste “owner/name”, “owner/name:Q4_K_M”, or the address of a model or file on the Hub."


@dataclass(frozen=True)
class Reference:
    """A repository on the Hub, and what of it is meant: a quant, a file, or nothing in particular."""

    repo_id: str
    revision: str = "main"
    quant: str = ""
    file: str = ""


def repo_id_of(text: str) -> str:
    """`text` if it is an “owner/name” as the Hub allows it. Raises BadInput."""
    parts = text.split("/")
    if len(parts) != 2 or not all(map(_ID_PART.fullmatch, parts)) or parts[1].endswith(".git"):
        raise BadInput(f"“{_shown(text)}” is no name of a model on the Hub.", _HOW)
    return text


def reference_of(text: str, hosts: tuple[str, ...] = HUB_HOSTS) -> Reference:
    """What a person pasted: “owner/name[:QUANT|:FILE]” or an address on one of these hosts. Raises BadInput."""
    plain = text.strip().strip("<>“”\"'")
    if "://" in plain or plain.split("/", 1)[0].lower() in hosts:
        return _of_address(plain, hosts)
    repo_id, _, chosen = plain.partition(":")
    return _chosen(Reference(repo_id_of(repo_id.strip("/"))), chosen)


def is_reference(text: str, hosts: tuple[str, ...] = HUB_HOSTS) -> bool:
    """Whether this names a repository rather than being words to search for."""
    try:
        reference_of(text, hosts)
    except BadInput:
        return False
    return True


def safe_parts(path: str) -> tuple[str, ...]:
    """The folders and the name of a repository's file, fit for a disk of every system. Raises BadFile for any other."""
    parts = unicodedata.normalize("NFC", path).split("/")
    if len(parts) > _DEEPEST or not all(map(_is_safe, parts)):
        raise BadFile(
            f"The repository has a file with an unsafe name (“{_shown(path)}”), which is left out.",
            "Its other files can be used; tell the owner of the repository.",
        )
    return tuple(parts)


def is_fetched(path: str) -> bool:
    """Whether a file of this kind is ever downloaded."""
    return path.lower().endswith(FETCHED)


def _is_safe(part: str) -> bool:
    if not part or len(part.encode()) > _LONGEST_PART_BYTES or part[0] in ".-~ " or part[-1] in ". ":
        return False
    if part.split(".", 1)[0].rstrip().lower() in _DEVICES:
        return False
    return all(one in _ALLOWED_SIGNS or unicodedata.category(one)[0] in "LN" for one in part)


def _of_address(text: str, hosts: tuple[str, ...]) -> Reference:
    address = urlsplit(text if "://" in text else f"https://{text}")
    is_here = address.scheme in ("https", "http") and address.netloc.lower() in hosts
    if not is_here and address.scheme != "hf":
        raise BadInput(f"“{_shown(text)}” is no address on the Hub.", _HOW)
    path = f"{address.netloc}{address.path}" if address.scheme == "hf" else address.path
    words = [unquote(word) for word in path.strip("/").split("/")]
    if len(words) == 2:
        name, _, chosen = words[1].partition(":")
        return _chosen(Reference(repo_id_of(f"{words[0]}/{name}")), chosen)
    if len(words) > 3 and words[2] in ("tree", "blob", "resolve", "raw", "commit"):
        return _inside(Reference(repo_id_of("/".join(words[:2])), _revision(words[3])), "/".join(words[4:]))
    if len(words) == 3 and words[2] in ("tree", "discussions"):
        return Reference(repo_id_of("/".join(words[:2])))
    raise BadInput(f"“{_shown(text)}” is no address of a model.", _HOW)


def _inside(found: Reference, path: str) -> Reference:
    """A file, or a folder that is as good as the whole repository."""
    return _chosen(found, path) if is_fetched(path) else found


def _chosen(found: Reference, chosen: str) -> Reference:
    if not chosen:
        return found
    if _QUANT.fullmatch(chosen):
        return Reference(found.repo_id, found.revision, quant=chosen.upper())
    return Reference(found.repo_id, found.revision, file="/".join(safe_parts(chosen)))


def _revision(text: str) -> str:
    if not _REVISION.fullmatch(text):
        raise BadInput(f"“{_shown(text)}” is no revision of a model.", _HOW)
    return text


def _shown(text: str) -> str:
    short = text if len(text) <= 80 else f"{text[:79]}…"
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in short)
