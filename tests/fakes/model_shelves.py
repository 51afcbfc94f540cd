"""A disk on which several programs keep models, each in its own order: header-only files, links, manifests."""

import hashlib
import json
from pathlib import Path

from fakes.header_models import ends, general, heads, in_layers
from fakes.header_writer import HeaderWriter

from carryon.hub.library.shelves import Surroundings

COMMIT, OLD_COMMIT = "c" * 40, "0" * 40


def tiny_model(path, title="Tiny", quant_type=15, n_embd=256, **more):
    """A sound GGUF of a few kilobytes; `more` are fields of the file, None leaves one out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = general("llama", title, 2, n_embd, 512, 4, 4, 4096, 100, **heads(64))
    fields |= {"general.file_type": quant_type, "general.type": "model", "tokenizer.chat_template": "{{ messages }}"}
    fields |= {name: value for name, value in more.items() if value is not None}
    for name in (name for name, value in more.items() if value is None):
        fields.pop(name)
    layer = [("attn_q.weight", [n_embd, n_embd], "Q6_K"), ("ffn_down.weight", [512, n_embd], "Q4_K")]
    return HeaderWriter().write(path, fields, [*ends(n_embd, 100), *in_layers(2, lambda _: layer)])


def tiny_projector(path):
    """What lets a model see."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"general.architecture": "clip", "general.type": "mmproj", "general.file_type": 1}
    return HeaderWriter().write(path, fields, [("v.patch_embd.weight", [14, 14, 3, 64], "F16")])


def tiny_adapter(path):
    """A LoRA."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora"}
    return HeaderWriter().write(path, fields, [("blk.0.attn_q.weight.lora_a", [256, 8], "F32")])


class Disk:
    """The home of a person on this disk; everything lies below `root`."""

    def __init__(self, root: Path):
        self.person = root
        self.around = Surroundings("linux", root, {})

    @property
    def hugging_face(self):
        return self.person / ".cache" / "huggingface" / "hub"

    @property
    def lm_studio(self):
        return self.person / ".lmstudio" / "models"

    @property
    def ollama(self):
        return self.person / ".ollama" / "models"

    @property
    def jan(self):
        return self.person / ".config" / "Jan" / "data" / "llamacpp" / "models"

    @property
    def gpt4all(self):
        return self.person / ".local" / "share" / "nomic.ai" / "GPT4All"

    def in_cache(self, repo_id, file, commit=COMMIT, make=tiny_model, is_main=True):
        """A file of the Hugging Face cache: a link into its blobs, named by the hash."""
        repo = self.hugging_face / f"models--{repo_id.replace('/', '--')}"
        made = make(repo / "blobs" / "new")
        blob = made.rename(made.with_name(sha256_of(made)))
        link = repo / "snapshots" / commit / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(*[".."] * (2 + file.count("/")), "blobs", blob.name))
        if is_main:
            (repo / "refs").mkdir(exist_ok=True)
            (repo / "refs" / "main").write_text(commit)
        return link

    def in_ollama(self, name, tag, make=tiny_model, host="registry.ollama.ai/library", **beside):
        """A model of Ollama; `beside` are other layers by kind and how they are made. Returns the blob."""
        layers = {"model": self._blob(make)} | {kind: self._blob(made) for kind, made in beside.items()}
        manifest = self.ollama / "manifests" / host / name / tag
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"layers": [
            {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": blob.name.replace("-", ":")}
            for kind, blob in layers.items()
        ]}))  # fmt: skip
        return layers["model"]

    def in_jan(self, name, title=None):
        """A model of Jan, whose file is always called the same."""
        folder = self.jan / name
        made = tiny_model(folder / "model.gguf", title=name)
        if title:
            (folder / "model.yml").write_text(f"model_path: llamacpp/models/{name}/model.gguf\nname: {title}\n")
        return made

    def _blob(self, make):
        made = make(self.ollama / "blobs" / "new")
        return made.rename(made.with_name(f"sha256-{sha256_of(made)}"))


def sha256_of(path):
    """As everybody names blobs."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
