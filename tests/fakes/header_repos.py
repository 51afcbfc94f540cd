"""Repositories whose models are only headers: sparse files of the true size, with a vocabulary of any length."""

import hashlib

from fakes.fakehub import Blob
from fakes.header_models import MODELS, MORE_MODELS, as_quantized
from fakes.header_writer import HeaderWriter, Typed


def add_header_repo(hub, folder, repo_id, model="qwen3-8b", quants=("Q8_0", "Q4_K_M"), n_tokens=1000, **meta):
    """A repository with one file a quant; returns it. The Hub knows what it counts of such a model."""
    files = {}
    for quant in quants:
        name = f"{repo_id.split('/')[1].removesuffix('-GGUF')}-{quant}.gguf"
        files[name] = header_blob(folder / name, model, quant, n_tokens)
    files |= meta.pop("files", {})
    counted = meta.pop("gguf", None) or _counted(model)
    return hub.add_repo(repo_id, files, gguf=counted, **meta)


def header_blob(path, model, quant, n_tokens=1000, part=None, n_parts=1):
    """The file of one quant, or one of its parts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields, tensors = as_quantized(*(MODELS | MORE_MODELS)[model](), quant)
    if part is not None:
        share = -(-len(tensors) // n_parts)
        own = {"split.no": Typed("u16", part), "split.count": Typed("u16", n_parts),
               "split.tensors.count": Typed("i32", len(tensors))}  # fmt: skip
        tensors = tensors[part * share : (part + 1) * share]
        fields = (fields if part == 0 else {"general.architecture": fields["general.architecture"]}) | own
    if not part:
        fields = fields | {"tokenizer.ggml.tokens": [f"token {index:06}" for index in range(n_tokens)]}
    return blob_of(HeaderWriter().write(path, fields, tensors))


def blob_of(path):
    """A file of gigabytes of zeros: its sum is of its name, for adding it up would take minutes."""
    blob = Blob(file=path, name=path.name)
    blob._sha256 = hashlib.sha256(str(path).encode()).hexdigest()
    return blob


def _counted(model):
    fields, tensors = (MODELS | MORE_MODELS)[model]()
    total = 0
    for _, shape, _ in tensors:
        count = 1
        for extent in shape:
            count *= extent
        total += count
    architecture = fields["general.architecture"]
    return {"total": total, "architecture": architecture, "context_length": fields[f"{architecture}.context_length"]}
