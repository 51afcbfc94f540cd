"""The process that runs llama.cpp's own converter: FOLDER SCRIPT WORDS... It ends when its stdin does.

The folder comes first among the places to import from, so that the converter finds its own gguf package and not the
one from the package index, which has the same version number and lacks what it needs.
"""

import logging
import os
import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from carryon.convert.upstream.component import SPLITTING  # a module that imports no gguf
from carryon.worker import tie

log = logging.getLogger("carryon")


def main() -> None:
    """Never returns a reason: the converter logs it."""
    folder, *words = sys.argv[1:]
    tie.die_quietly()
    tie.end_with_parent()
    sys.path[:0] = [folder, str(Path(folder) / "gguf-py")]
    _give_older_names()
    if name := os.environ.get(SPLITTING):
        _name_unknown_splittings(name)
    sys.argv = words
    runpy.run_path(str(Path(folder) / words[0]), run_name="__main__")


def _give_older_names() -> None:
    """transformers 5 moved what it knows of the rotation into one object; the converter asks for the older names."""
    model: Any = import_module("conversion.base").ModelBase
    load = model.load_hparams

    def loaded(*words: Any, **more: Any) -> Any:
        return with_older_names(load(*words, **more))

    model.load_hparams = staticmethod(loaded)


def with_older_names(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the names of before rope_parameters, where it has not got them."""
    match config.get("rope_parameters"):
        case {"rope_theta": theta, **rest}:
            part = rest.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
            older = {"rope_theta": theta, "rotary_emb_base": theta, "partial_rotary_factor": part, "rotary_pct": part}
            return {**older, **config}
        case _:
            return config


def _name_unknown_splittings(name: str) -> None:
    """The converter knows tokenizers by a sum of what they make of one text, and gives up on every other.

    Ours reads the rules themselves; what it found is used where the sum is unknown, and tried out afterwards.
    """
    model: Any = import_module("conversion.base").TextModel
    by_sum = model.get_vocab_base_pre

    def by_sum_or_rules(self: Any, tokenizer: Any) -> str:
        try:
            return str(by_sum(self, tokenizer))
        except NotImplementedError:
            log.warning("the tokenizer's sum is unknown; by its rules it cuts text as %s does", name)
            return name

    model.get_vocab_base_pre = by_sum_or_rules


if __name__ == "__main__":
    main()
