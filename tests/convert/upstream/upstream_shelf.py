"""A package index with a small source archive that is laid out as the engine's, and a converter in it that tells."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from carryon.convert.upstream.component import PINNED, Archive

ROOT = PINNED.name.removesuffix(".tar.gz") + "/vendor/llama.cpp/"
SCRIPT = """
import argparse, json, os, sys
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("model", type=Path)
for word in ("--outfile", "--outtype", "--model-name"):
    parser.add_argument(word)
told = parser.parse_args()
from conversion.base import TextModel
rotation = TextModel.load_hparams(told.model, False).get("rotary_pct")
if (told.model / "refuse").exists() or (told.model / "refuse.txt").exists():
    print("ERROR:hf-to-gguf:Model TinyForCausalLM is not supported", file=sys.stderr)
    raise SystemExit(1)
if (told.model / "slow.txt").exists():
    Path(told.outfile).write_bytes(b"half")
    import time
    time.sleep(60)
files = {str(one.relative_to(told.model)): one.read_bytes().decode("utf-8", "replace")
         for one in sorted(told.model.rglob("*")) if one.is_file()}
Path(told.outfile).write_text(json.dumps({
    "files": files, "type": told.outtype, "name": told.model_name, "offline": os.environ.get("HF_HUB_OFFLINE"),
    "rotation": rotation,
    "splitting": TextModel().get_vocab_base_pre(None), "gguf": __import__("gguf").WHO}))
"""
FILES = {
    "convert_hf_to_gguf.py": SCRIPT,
    "convert_lora_to_gguf.py": "",
    "LICENSE": "MIT",
    "conversion/__init__.py": "",
    "conversion/base.py": (
        "import json\nclass ModelBase:\n"
        "    @staticmethod\n    def load_hparams(folder, other):\n"
        "        return json.load(open(folder / 'config.json'))\n"
        "class TextModel(ModelBase):\n    def get_vocab_base_pre(self, tokenizer):\n        raise NotImplementedError\n"
    ),
    "gguf-py/gguf/__init__.py": "WHO = 'its own'\n",
    "models/templates/one.jinja": "{{ messages }}",
    "src/llama.cpp": "not needed",
}
N_NEEDED = len(FILES) - 1


def write_archive(folder: Path, files: dict[str, str] = FILES) -> tuple[Path, Archive]:
    """The archive's file, under the name that is looked for, and what is known of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PINNED.name
    with tarfile.open(path, "w:gz") as out:
        for name, text in files.items():
            member = tarfile.TarInfo(ROOT + name)
            member.size = len(text.encode())
            out.addfile(member, io.BytesIO(text.encode()))
    content = path.read_bytes()
    return path, Archive(PINNED.name, hashlib.sha256(content).hexdigest(), len(content), N_NEEDED)


def write_model(folder: Path) -> Path:
    """A model's folder that carries programs, as some on the Hub do."""
    folder.mkdir(parents=True)
    config = {"architectures": ["TinyForCausalLM"], "auto_map": {"AutoConfig": "tok.Tiny"},
              "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25}}
    (folder / "config.json").write_text(json.dumps(config))
    settings = {"tokenizer_class": "TokenizersBackend", "auto_map": {"AutoTokenizer": ["tok.T", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "tok.py").write_text("raise SystemExit('a program of the model ran')")
    (folder / "deep").mkdir()
    (folder / "deep" / "more.py").write_text("")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "broken.json").write_text("{")
    return folder
