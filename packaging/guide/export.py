"""Writes a trained guide as a Hugging Face folder: bfloat16 weights, configuration, tokenizer, chat template."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from guide import tokenizer
from guide.network import Guide

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "guide"
NAME = "Carryon Guide"


def write(network: Guide, cutter: Tokenizer, folder: Path) -> None:
    """Replaces the model's files in `folder`; the GGUF is made from them by our own converter afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = {"bos_token_id": 0, "eos_token_id": cutter.token_to_id(tokenizer.TURN_END), "pad_token_id": 0}
    weights = {name: value.to(torch.bfloat16) for name, value in network.tensors().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # save_file makes it private
    _write_json(folder / "config.json", {"_name_or_path": NAME, **network.shape.config(), **ids, "dtype": "bfloat16"})
    # Greedy by default: the guide has one right answer for a question.
    _write_json(folder / "generation_config.json", {**ids, "do_sample": False, "temperature": 0.0})
    tokenizer.save(cutter, folder, network.shape.context_tokens)


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
