"""The process that finds out how a tokenizer cuts text, by trying it in the engine (carryon.convert.preflight asks)."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from carryon.base.jobs import aside
from carryon.convert.config import Config, read_json
from carryon.convert.vocabularies.tokenizer import read_vocabulary
from carryon.convert.vocabularies.vocabulary import Vocabulary
from carryon.worker.task import serve
from carryon.worker.tokens import trial_of


def cuts(request: dict[str, Any]) -> Generator[None, None, dict[str, Any]]:
    """{"folder", "words_folder", "n_vocab", "name"} -> {"splitting": llama.cpp's name for the cuts}."""
    words_folder = Path(request["words_folder"])

    def found() -> Vocabulary:
        config = Config(read_json(Path(request["folder"]) / "config.json"))
        return read_vocabulary(words_folder, config, request["n_vocab"], trial_of(words_folder, request["name"]))

    vocabulary = yield from aside(found)
    return {"splitting": vocabulary.words.splitting}


if __name__ == "__main__":
    serve(cuts)
