"""How an embedding model makes one vector of a text's many: what the files of sentence-transformers say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf.constants import PoolingType

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config, read_json, read_json_list
from carryon.convert.write import Setting

MODULES = "modules.json"
# llama.cpp's name for each way; the keys are those of older files and the words those of newer ones.
WAYS = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "lasttoken": PoolingType.LAST}
FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
HARMLESS = ("Transformer", "Pooling", "Normalize")  # the engine makes vectors of length one anyway
UNSAID = (
    "The model's files do not say how a text's vectors become one; the mean is taken, as sentence-transformers does."
)


@dataclass(frozen=True)
class Pooling:
    """llama.cpp's number of the way, and what a person should know about it."""

    number: int
    warnings: tuple[str, ...] = ()


def pooling_settings(folder: Path, architecture: str) -> dict[str, Setting]:
    """For a model of any architecture: nothing unless it was made for vectors, as Qwen3-Embedding was."""
    if not (folder / MODULES).is_file():
        return {}
    return {f"{architecture}.pooling_type": read_pooling(folder).number}


def read_pooling(folder: Path) -> Pooling:
    """The pooling of a model folder. Raises Unsupported for a way, or a further step, that llama.cpp does not have."""
    if not (folder / MODULES).is_file():
        return Pooling(int(PoolingType.MEAN), (UNSAID,))
    steps = [_step(entry) for entry in read_json_list(folder / MODULES)]
    for kind, _ in steps:
        if kind not in HARMLESS:
            raise Unsupported(
                f"This model has a step {kind!r} behind its transformer, which llama.cpp cannot.", LOOK_FOR_GGUF
            )
    places = [path for kind, path in steps if kind == "Pooling"]
    if len(places) != 1:
        raise Unsupported(f"This model pools its vectors {len(places)} times, which llama.cpp cannot.", LOOK_FOR_GGUF)
    return Pooling(int(_way(folder, places[0])))


def _step(entry: Any) -> tuple[str, str]:
    """A step's kind, and the folder of its settings: always one in the model's folder."""
    match entry:
        case {"type": str() as kind, "path": str() as path} if path in ("", ".") or path.replace("_", "").isalnum():
            return kind.split(".")[-1], path
        case _:
            raise BadFile(f"{MODULES} is damaged: {str(entry)[:60]!r} is not a step.", DOWNLOAD_AGAIN)


def _way(folder: Path, path: str) -> PoolingType:
    file = folder / path / "config.json"
    if not file.is_file():
        raise BadFile(f"{path}/config.json is missing.", f"Download the folder {path} into the model's folder.")
    config = Config(read_json(file), f"{path}/config.json")
    if config.has("pooling_mode"):
        chosen = [config.text("pooling_mode", "mean")]
    else:
        chosen = [way for key, way in FLAGS.items() if config.flag(key, False)]
    if len(chosen) != 1 or chosen[0] not in WAYS:
        named = " and ".join(chosen) or "no way it names"
        raise Unsupported(f"This model makes one vector of many by {named}, which llama.cpp cannot.", LOOK_FOR_GGUF)
    return WAYS[chosen[0]]
