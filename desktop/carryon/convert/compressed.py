"""Compressed copies of models: which can be converted and by whom, and where the original is.

What llama.cpp's own converter unpacks: conversion/base.py, dequant_model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import TAKE_ORIGINAL
from carryon.convert.config import Config

KEY = "quantization_config"
MXFP4_FAMILIES = ("GptOssForCausalLM",)
GPTQ_BITS = (2, 4, 8)
UPSTREAM_FORMATS = ("int-quantized", "naive-quantized", "pack-quantized")  # of compressed-tensors
LABELS = {
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "mxfp4": "MXFP4",
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "hqq": "HQQ",
    "aqlm": "AQLM",
    "torchao": "torchao",
    "quanto": "Quanto",
    "bitnet": "BitNet",
    "compressed-tensors": "compressed-tensors",
    "modelopt": "ModelOpt",
}
# Endings that name a way of compressing, as in unsloth/Llama-3.2-1B-Instruct-bnb-4bit or Qwen/Qwen2.5-7B-GPTQ-Int4.
ENDINGS = re.compile(
    r"([-_.](unsloth|bnb|bitsandbytes|awq|gptq|gptqmodel|hqq|aqlm|fp8|fp8-dynamic|nvfp4|quanto|torchao|eetq|w4a16|w8a8"
    r"|w8a16|[2348]-?bits?|int[2348]|g(32|64|128)))+$",
    re.IGNORECASE,
)
# Owners who publish compressed copies of other owners' models: the original has another owner.
COPIERS = ("thebloke", "casperhansen", "redhatai", "neuralmagic", "nm-testing", "hugging-quants", "nvidia")


class Way(Enum):
    """Who can unpack a compressed copy."""

    OURS = auto()
    UPSTREAM = auto()  # llama.cpp's own converter
    NOBODY = auto()


@dataclass(frozen=True)
class Compression:
    """How a copy is compressed, in words and with its bits, and who can unpack it."""

    label: str
    way: Way

    @property
    def sentence(self) -> str:
        """What to say of it."""
        match self.way:
            case Way.OURS:
                return f"The weights are stored as {self.label}, which Carryon unpacks or copies."
            case Way.UPSTREAM:
                return f"This is a compressed copy of a model ({self.label}), which only llama.cpp's converter unpacks."
            case Way.NOBODY:
                return f"This is a compressed copy of a model ({self.label}), which cannot be converted."


def compression_of(config: Config) -> Compression | None:
    """How a model is compressed by its config; None for one in plain numbers."""
    if not config.has(KEY):
        return None
    settings = config.section(KEY)
    method = _method(settings)
    label, bits = LABELS.get(method, method or "an unnamed method"), settings.values.get("bits")
    match method:
        case "fp8" | "fbgemm_fp8":
            return Compression(label, Way.OURS)
        case "mxfp4":
            return Compression(label, Way.OURS if _has_family(config, MXFP4_FAMILIES) else Way.NOBODY)
        case "gptq":
            return Compression(_with_bits(label, bits), Way.UPSTREAM if bits in GPTQ_BITS else Way.NOBODY)
        case "bitnet":
            return Compression(label, Way.UPSTREAM)
        case "compressed-tensors":
            return _compressed_tensors(label, settings.values.get("format"))
        case "modelopt":
            return _modelopt(label, settings.values.get("quant_algo"))
        case _:
            return Compression(_with_bits(label, bits if bits else _bnb_bits(settings)), Way.NOBODY)


def original_of(name: str, bases: Sequence[str] = ()) -> str:
    """The repository that a compressed copy was made from, 'owner/name'; '' if it is not known.

    `bases` are what its card names (a merge has several, and no original); without any, its own name tells.
    """
    if bases:
        return bases[0] if len(bases) == 1 else ""
    owner, _, short = name.rpartition("/")
    bare = ENDINGS.sub("", short)
    if not owner or bare == short or owner.lower() in COPIERS:
        return ""
    return f"{owner}/{bare}"


def refusal(compression: Compression, original: str) -> Unsupported:
    """The error for a copy that is not for us, with the original where it is known."""
    return Unsupported(compression.sentence, f"Convert the original, {original}." if original else TAKE_ORIGINAL)


def _method(settings: Config) -> str:
    if settings.has("quant_method"):
        return settings.text("quant_method", "").lower()
    return "bitsandbytes" if _bnb_bits(settings) else ""


def _bnb_bits(settings: Config) -> int | None:
    return next((bits for bits in (4, 8) if settings.values.get(f"load_in_{bits}bit") is True), None)


def _with_bits(label: str, bits: Any) -> str:
    return f"{label}, {bits} bits" if type(bits) is int else label


def _has_family(config: Config, families: tuple[str, ...]) -> bool:
    match config.values.get("architectures"):
        case [str() as name, *_]:
            return name in families
        case _:
            return False


def _compressed_tensors(label: str, form: Any) -> Compression:
    if form == "float-quantized":
        return Compression("FP8", Way.OURS)
    way = Way.UPSTREAM if form in UPSTREAM_FORMATS else Way.NOBODY
    return Compression(f"{label}, {form}" if isinstance(form, str) else label, way)


def _modelopt(label: str, algorithm: Any) -> Compression:
    if algorithm == "FP8":
        return Compression("FP8", Way.OURS)
    way = Way.UPSTREAM if algorithm == "NVFP4" else Way.NOBODY
    return Compression(algorithm if isinstance(algorithm, str) else label, way)
