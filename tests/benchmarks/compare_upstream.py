"""Our conversion of every table family against llama.cpp's own converter: settings and tensors, bit for bit.

python tests/benchmarks/compare_upstream.py [--types f32 bf16 f16 q8_0] [--families llama qwen3 ...]

Fetches the converter from the index that pip is configured with, as the app does. Small random models; the peer does
all of them in one process, for its imports cost more than its work. Prints a line for each family and type.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "convert"))

from family_models import CASES, build

from carryon.base.jobs import drained
from carryon.convert.forms import OutType
from carryon.convert.run import convert
from carryon.convert.upstream.fetching import fetching

# What may differ by intent: who wrote it, what it is called, and what ours says more or only when it matters.
PASSED_OVER = ("general.", "carryon.", "tokenizer.", "GGUF.")
_ERRORS = ("Exception:", "KeyError:", "ValueError:", "TypeError:", "AttributeError:", "NotImplementedError:")
PEER = """
import json, runpy, sys, traceback
folder, jobs = sys.argv[1:]
sys.path[:0] = [folder, folder + "/gguf-py"]
import conversion
from conversion.base import TextModel
conversion.load_all_models()
def every(one):
    yield one
    for other in one.__subclasses__():
        yield from every(other)
for one in every(TextModel):  # vocabularies are compared elsewhere: all of these are byte-level, and tiny
    one.set_vocab = TextModel._set_vocab_gpt2
TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
for job in json.load(open(jobs)):
    sys.argv = ["convert_hf_to_gguf.py", *job]
    try:
        runpy.run_path(folder + "/convert_hf_to_gguf.py", run_name="__main__")
    except BaseException:
        traceback.print_exc()
"""


def main() -> None:
    """Prints the table and ends with 1 where a tensor differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--types", nargs="+", default=["f32", "bf16", "f16", "q8_0"])
    parser.add_argument("--families", nargs="+", default=list(CASES))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "carryon")
    asked = parser.parse_args()
    component = drained(fetching(asked.cache))
    types = [OutType(one) for one in asked.types]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for family in asked.families:
            build(CASES[family], folder / family)
            _please_the_peer(folder / family)
        _run_peer(component.folder, folder, asked.families, types)
        wrong = sum(_line(folder, family, one) for family in asked.families for one in types)
    raise SystemExit(min(wrong, 1))


def _please_the_peer(model: Path) -> None:
    """What transformers 5 leaves out of a config, or our tokenizer leaves to its defaults, and the peer demands."""
    config = json.loads((model / "config.json").read_text("utf-8"))
    if config["model_type"] == "cohere2":
        (model / "config.json").write_text(json.dumps(config | {"rotary_pct": 1.0}), "utf-8")
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    usual = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer["added_tokens"] = [usual | one for one in tokenizer["added_tokens"]]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")


def _run_peer(converter: Path, folder: Path, families: list[str], types: list[OutType]) -> None:
    jobs = [
        [str(folder / family), "--outfile", str(_peers(folder, family, one)), "--outtype", one.value]
        for family in families for one in types
    ]  # fmt: skip
    (folder / "jobs.json").write_text(json.dumps(jobs), "utf-8")
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", PEER, str(converter), str(folder / "jobs.json")]
        subprocess.run(command, stdout=log, stderr=log, check=True)
    errors = [line for line in (folder / "log").read_text("utf-8", "replace").splitlines() if line.startswith(_ERRORS)]
    print("\n".join(f"the peer: {one}" for one in dict.fromkeys(errors)))


def _line(folder: Path, family: str, out_type: OutType) -> bool:
    """True where a tensor or a setting of the architecture differs."""
    ours, peers = folder / "ours.gguf", _peers(folder, family, out_type)
    drained(convert(folder / family, ours, out_type, "m"))
    if not peers.is_file():
        print(f"{family:<18}{out_type.value:<6}the peer does not take it")
        return False
    found, wanted = gguf.GGUFReader(ours), gguf.GGUFReader(peers)
    tensors, settings = list(_tensor_differences(found, wanted)), list(_setting_differences(found, wanted))
    same = f"{len(found.tensors)} tensors equal" if not tensors else f"TENSORS DIFFER: {', '.join(tensors[:4])}"
    print(f"{family:<18}{out_type.value:<6}{same}  {'; '.join(settings)}", flush=True)
    return bool(tensors)


def _tensor_differences(ours: gguf.GGUFReader, peers: gguf.GGUFReader):
    left, right = ({one.name: one for one in reader.tensors} for reader in (ours, peers))
    for name in sorted(set(left) | set(right)):
        if name not in left or name not in right:
            yield f"{name} only in {'ours' if name in left else 'theirs'}"
        elif left[name].tensor_type != right[name].tensor_type or _long(left[name]) != _long(right[name]):
            yield f"{name} {left[name].tensor_type.name} {right[name].tensor_type.name}"
        elif not np.array_equal(_bytes(left[name]), _bytes(right[name])):
            yield f"{name} {_ulps(left[name], right[name])}"


def _bytes(tensor):
    return np.ascontiguousarray(tensor.data).view(np.uint8).reshape(-1)


def _long(tensor) -> list[int]:
    """Without axes of one: to llama.cpp a matrix of one row is a vector."""
    return [int(one) for one in tensor.shape if one != 1]


def _ulps(ours, peers) -> str:
    if ours.tensor_type != gguf.GGMLQuantizationType.F32:
        return "bytes"
    return f"by {np.abs(ours.data - peers.data).max():.1e} of {np.abs(peers.data).max():.1e}"


def _setting_differences(ours: gguf.GGUFReader, peers: gguf.GGUFReader):
    left, right = ({key: one.contents() for key, one in reader.fields.items()} for reader in (ours, peers))
    for key in sorted(set(left) | set(right)):
        if not key.startswith(PASSED_OVER) and left.get(key) != right.get(key):
            yield f"{key}: {left.get(key)} / {right.get(key)}"


def _peers(folder: Path, family: str, out_type: OutType) -> Path:
    return folder / f"{family}-{out_type.value}.gguf"


if __name__ == "__main__":
    main()
