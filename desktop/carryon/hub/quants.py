"""The quants of a repository by the names of its files: parts put together, projectors and adapters told apart.

Nobody wrote these names down as a rule; tests/hub/test_hub_quants.py has a table of those that are in use.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from carryon.gguf.mix import QUANTS
from carryon.hub.repo import QuantFiles, RepoFile

# llama.cpp's own names, those of its forks (Q4_0_4_4), and the larger mixes of bartowski (_L) and unsloth (_XL).
_TYPE = re.compile(
    r"(?<![A-Za-z0-9])(?P<maker>UD[-_]|i1[-_])?"
    r"(?P<type>IQ[1-4]_(?:XXS|XS|NL|XL|S|M)|Q[1-8]_K(?:_(?:XXL|XL|L|M|S))?|Q[1-8]_[01](?:_\d_\d)?|TQ[12]_0"
    r"|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32|Q[2-8])(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_PART = re.compile(r"(?P<stem>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})", re.IGNORECASE)
_SAME = {"FP16": "F16", "FP32": "F32", "MXFP4": "MXFP4_MOE"}  # other spellings
_PROJECTOR = re.compile(r"(?<![a-z])(?:mm[-_]?proj|clip[-_]vision)|vision[-_](?:encoder|adapter)", re.IGNORECASE)
_ADAPTER = re.compile(r"(?<![a-z])(?:q?lora|adapter(?:[-_]model)?)(?![a-z])(?!.*(?:merged|fused))", re.IGNORECASE)
_IMATRIX = re.compile(r"(?<![a-z])(?:imatrix|importance[-_]matrix)(?![a-z])", re.IGNORECASE)
# What is not in gguf/mix.py, each before the type that it betters, or after the one that it equals.
_BETTER = {
    "F32": "BF16", "Q8_K_XL": "Q8_0", "Q6_K_XL": "Q6_K", "Q6_K_L": "Q6_K", "Q5_K_XL": "Q5_K_M", "Q5_K_L": "Q5_K_M",
    "Q5_K": "Q5_K_S", "Q4_K_XL": "Q4_K_M", "Q4_K_L": "Q4_K_M", "Q4_K": "Q4_K_S", "NVFP4": "MXFP4_MOE",
    "Q4_0_4_4": "Q4_0", "Q4_0_4_8": "Q4_0", "Q4_0_8_8": "Q4_0", "Q3_K_XL": "Q3_K_L", "Q3_K": "Q3_K_M",
    "Q2_K_XL": "Q2_K", "Q2_K_L": "Q2_K",
}  # fmt: skip
_LAST = ("TQ2_0", "TQ1_0")
_NEAREST = {
    "Q8": "Q8_0", "Q6": "Q6_K", "Q5": "Q5_K_M", "Q5_K": "Q5_K_M", "Q4": "Q4_K_M", "Q4_K": "Q4_K_M", "Q3": "Q3_K_M",
    "Q2": "Q2_K", "TQ2_0": "IQ2_XXS", "TQ1_0": "IQ1_M",
}  # fmt: skip  # “q4”: which of the four-bit types it is, the name does not say


@dataclass(frozen=True)
class GgufFiles:
    """The GGUF files of a repository by what they are."""

    quants: tuple[QuantFiles, ...]  # best quality first; no two have the same name
    projectors: tuple[RepoFile, ...]  # smallest first
    adapters: tuple[RepoFile, ...]
    incomplete: tuple[str, ...]  # quants of which a part is missing, by their names


def gguf_files(files: Iterable[RepoFile]) -> GgufFiles:
    """Sorts them. What is no model, no projector and no adapter (importance matrices) is left out."""
    models: list[RepoFile] = []
    projectors: list[RepoFile] = []
    adapters: list[RepoFile] = []
    for file in files:
        if file.path.lower().endswith(".gguf") and not _IMATRIX.search(_name(file)):
            _place_for(file, models, projectors, adapters).append(file)
    whole, incomplete = _grouped(models)
    projectors.sort(key=lambda one: (one.size_bytes, one.path))
    return GgufFiles(_in_order(whole), tuple(projectors), tuple(adapters), tuple(incomplete))


def chosen_quant(quants: Sequence[QuantFiles], named: str) -> QuantFiles | None:
    """The quant that a person means: by its name, or without what its maker puts before it (“Q4_K_XL”)."""
    wanted = named.upper()
    by_name = {one.quant.upper(): one for one in quants}
    plain = {_plain(name): one for name, one in reversed(by_name.items())}
    return by_name.get(wanted) or by_name.get(_SAME.get(wanted, "")) or plain.get(wanted)


def quant_named(path: str) -> str:
    """“Q4_K_M”, “UD-Q4_K_XL”; by the file's name, else by its folder's; empty where neither says."""
    for part in reversed(path.removesuffix(".gguf").split("/")):
        found = list(_TYPE.finditer(part))
        if found:
            kind = found[-1]["type"].upper()
            maker = "UD-" if (found[-1]["maker"] or "").upper().startswith("UD") else ""
            return maker + _SAME.get(kind, kind)
    return ""


def nearest_type(quant: str) -> str:
    """The type of gguf/mix.py that a file of this name is most like; empty where there is none."""
    kind = _plain(quant.split(" ")[0].upper())
    return kind if kind in QUANTS else _NEAREST.get(kind) or _BETTER.get(kind, "")


def _place_for(
    file: RepoFile, models: list[RepoFile], projectors: list[RepoFile], adapters: list[RepoFile]
) -> list[RepoFile]:
    if _PROJECTOR.search(_name(file)):
        return projectors
    return adapters if _ADAPTER.search(_name(file)) else models


def _grouped(models: Sequence[RepoFile]) -> tuple[list[QuantFiles], list[str]]:
    """One entry a file or a set of parts, and the names of the sets that are not whole."""
    sets: dict[tuple[str, int], dict[int, RepoFile]] = defaultdict(dict)
    for file in models:
        part = _PART.fullmatch(file.path[: -len(".gguf")])
        stem, number, count = (part["stem"], int(part["number"]), int(part["count"])) if part else (file.path, 1, 1)
        sets[stem, count].setdefault(number, file)
    whole: list[QuantFiles] = []
    incomplete: list[str] = []
    for (stem, count), parts in sets.items():
        if sorted(parts) == list(range(1, count + 1)):
            whole.append(QuantFiles(quant_named(stem), tuple(parts[number] for number in sorted(parts))))
        else:
            incomplete.append(quant_named(stem) or stem.rsplit("/", 1)[-1])
    return _told_apart(whole), incomplete


def _told_apart(found: list[QuantFiles]) -> list[QuantFiles]:
    """Of several files of one quant the largest keeps its name; to the others their file's name is added."""
    named: dict[str, QuantFiles] = {}
    for one in sorted(found, key=lambda one: (-one.size_bytes, one.first.path)):
        stem = _name(one.first).removesuffix(".gguf")
        name = one.quant if one.quant not in named else f"{one.quant} ({stem})".strip()
        if name in named:  # the same name in another folder
            name = f"{one.quant} ({one.first.path.removesuffix('.gguf')})".strip()
        named[name] = QuantFiles(name, one.files)
    return list(named.values())


def _in_order(found: Sequence[QuantFiles]) -> tuple[QuantFiles, ...]:
    """Best quality first; what the name does not tell is placed by its size."""
    ranked = sorted((one for one in found if _rank(one.quant) is not None), key=_sort_key)
    for one in sorted((one for one in found if _rank(one.quant) is None), key=lambda one: -one.size_bytes):
        place = next((at for at, other in enumerate(ranked) if other.size_bytes < one.size_bytes), len(ranked))
        ranked.insert(place, one)
    return tuple(ranked)


def _sort_key(one: QuantFiles) -> tuple[float, int]:
    return _rank(one.quant) or 0.0, -one.size_bytes


def _rank(quant: str) -> float | None:
    kind = _plain(quant.split(" ")[0])
    if kind in QUANTS:
        return float(QUANTS.index(kind))
    if kind in _BETTER:
        return QUANTS.index(_BETTER[kind]) - 0.5
    if kind in _LAST:
        return float(len(QUANTS) + _LAST.index(kind))
    return None


def _plain(quant: str) -> str:
    return quant.removeprefix("UD-")


def _name(file: RepoFile) -> str:
    return file.path.rsplit("/", 1)[-1]
