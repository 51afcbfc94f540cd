"""How the next token is chosen: the settings as values, and llama.cpp's own sampler chain made from them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carryon.worker.capi import L
from carryon.worker.vocabulary import Vocabulary

PENALTY_WINDOW = 64  # tokens that penalties look back on; llama.cpp's default
_NEVER = float("-inf")
_FRESH_SEEDS = 2**32 - 1  # 0xFFFFFFFF itself asks llama.cpp for a random seed


@dataclass(frozen=True)
class Sampling:
    """The settings of one answer; the defaults are llama.cpp's own. Temperature 0 takes the likeliest token."""

    temperature: float = 0.8
    top_k: int = 40                       # 0 = the whole vocabulary
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None               # None = another one each time
    ignore_eos: bool = False              # go on until max_tokens: for measuring

    @property
    def has_penalties(self) -> bool:
        return self.repeat_penalty != 1.0 or self.frequency_penalty != 0.0 or self.presence_penalty != 0.0


class Chain:
    """One llama_sampler chain; `free` it when the answer ends."""

    def __init__(self, sampling: Sampling, vocabulary: Vocabulary, prompt: Sequence[int]) -> None:
        """Penalties count the end of the prompt as said already, as llama.cpp's server does."""
        parameters = L.llama_sampler_chain_default_params()
        parameters.no_perf = True
        self.handle = L.llama_sampler_chain_init(parameters)
        for sampler in _samplers(sampling, vocabulary):
            L.llama_sampler_chain_add(self.handle, sampler)
        if sampling.has_penalties:
            for token in prompt[-PENALTY_WINDOW:]:
                L.llama_sampler_accept(self.handle, token)

    def free(self) -> None:
        L.llama_sampler_free(self.handle)


def _samplers(sampling: Sampling, vocabulary: Vocabulary) -> list[Any]:
    """In the order of llama.cpp's server; top_k comes first, because sorting 152k words costs 28 ms."""
    return [*_forbidding(sampling, vocabulary), *_penalties(sampling, vocabulary), *_choosing(sampling, vocabulary)]


def _forbidding(sampling: Sampling, vocabulary: Vocabulary) -> list[Any]:
    forbidden = {*vocabulary.suppressed_tokens, *(vocabulary.end_tokens if sampling.ignore_eos else ())}
    if not forbidden:
        return []
    biases = (L.llama_logit_bias * len(forbidden))(*((token, _NEVER) for token in sorted(forbidden)))
    return [L.llama_sampler_init_logit_bias(vocabulary.size, len(forbidden), biases)]


def _penalties(sampling: Sampling, vocabulary: Vocabulary) -> list[Any]:
    if not sampling.has_penalties:
        return []
    return [L.llama_sampler_init_penalties(
        vocabulary.size, PENALTY_WINDOW,
        sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty,
    )]


def _choosing(sampling: Sampling, vocabulary: Vocabulary) -> list[Any]:
    if sampling.temperature <= 0:
        return [L.llama_sampler_init_greedy()]
    seed = secrets.randbelow(_FRESH_SEEDS) if sampling.seed is None else sampling.seed % _FRESH_SEEDS
    return [
        L.llama_sampler_init_top_k(min(sampling.top_k, vocabulary.size)),
        L.llama_sampler_init_top_p(sampling.top_p, 1),
        L.llama_sampler_init_min_p(sampling.min_p, 1),
        L.llama_sampler_init_temp(sampling.temperature),
        L.llama_sampler_init_dist(seed),
    ]
