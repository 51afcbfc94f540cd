"""Ollama's models: manifests that say which blob is which. Read only, and nothing in them is a path by itself.

    manifests/registry.ollama.ai/library/llama3.2/3b     {"layers": [{"mediaType": "…model", "digest": "sha256:…"}]}
    blobs/sha256-…                                       the GGUF file

Format: ollama/ollama, manifest/manifest.go and types/model/name.go.
"""

import json
import os
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from carryon.hub.library.walking import Walk, changed_ns, file_at, is_folder, walking

_HOST, _NAMESPACE = "registry.ollama.ai", "library"  # left out of a name, as Ollama itself does
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MEDIA = "application/vnd.ollama.image."
_LARGEST_MANIFEST_BYTES = 1 << 20
_DEPTH = 4  # host, namespace, name, tag


@dataclass(frozen=True)
class OllamaModel:
    """One name of Ollama and the blobs behind it; which of them are there is not said."""

    name: str  # "llama3.2:3b"
    model: Path
    projectors: tuple[Path, ...] = ()
    adapters: tuple[Path, ...] = ()

    @property
    def repo_id(self) -> str:
        """The repository on the Hub that a name like “hf.co/owner/name:Q4_K_M” was pulled from."""
        words = self.name.partition(":")[0].split("/")
        return "/".join(words[1:]) if len(words) == 3 and words[0] in ("hf.co", "huggingface.co") else ""


def reading_manifests(root: Path) -> Generator[None, None, tuple[tuple[OllamaModel, ...], Walk]]:
    """The models of an Ollama folder, by name, and the walk that found them. Raises BadFile when it cannot be read."""
    manifests = root / "manifests"
    if not is_folder(manifests):
        return (), Walk(folders={root: changed_ns(root)})
    walk = yield from walking(manifests, suffix="")
    found: list[OllamaModel] = []
    for file in walk.files:
        yield None
        model = _model(root / "blobs", file.path, file.path.relative_to(manifests).parts)
        if model:
            found.append(model)
    walk.visit(root)
    return tuple(sorted(found, key=lambda one: one.name)), walk


def sha256_of(blob: Path) -> str | None:
    """What the name of a blob promises."""
    named = _DIGEST.fullmatch(blob.name)
    return named[1] if named else None


def _model(blobs: Path, manifest: Path, parts: tuple[str, ...]) -> OllamaModel | None:
    if len(parts) != _DEPTH:
        return None
    layers = _layers(manifest)
    models = [blob for kind, blob in layers if kind == "model"]
    if not models:
        return None  # weights in another format, or a cloud model that is not here

    def blobs_of(kind: str) -> tuple[Path, ...]:
        return tuple(blobs / blob for is_kind, blob in layers if is_kind == kind)

    return OllamaModel(_name(parts), blobs / models[0], blobs_of("projector"), blobs_of("adapter"))


def _layers(manifest: Path) -> list[tuple[str, str]]:
    """Kind and blob of each layer; a digest that is none is left out."""
    if not (found := file_at(manifest)) or found.size_bytes > _LARGEST_MANIFEST_BYTES:
        return []
    try:
        told = json.loads(manifest.read_bytes())["layers"]
        named = [(str(one["mediaType"]).removeprefix(_MEDIA), _DIGEST.fullmatch(str(one["digest"]))) for one in told]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [(kind, f"sha256-{digest[1]}") for kind, digest in named if digest]


def _name(parts: tuple[str, ...]) -> str:
    host, namespace, name, tag = parts
    before = [] if host == _HOST else [host]
    before += [] if (host, namespace) == (_HOST, _NAMESPACE) else [namespace]
    return f"{'/'.join([*before, name])}:{tag}".replace(os.sep, "/")
