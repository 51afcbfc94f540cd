"""What was measured, as values; every definition is llama-perplexity's, so that figures can be compared with others'.

perplexity               exp of the mean of -log p(next token), over the second half of every chunk of the text
kl_divergence            mean of sum p_base (log p_base - log p), in nats a token; 0 = the same answers
same_top                 share of the tokens at which both would most likely say the same
rms_probability_change   root of the mean square of p(next token) - p_base(next token)
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """One file, measured with one text. What compares it with a base is None for the base itself."""

    path: Path  # the first part of a model in several files
    quant: str  # 'Q4_K_M'; '' where nobody can say
    size_bytes: int  # of all parts
    bits_per_weight: float
    perplexity: float
    perplexity_error: float  # one standard deviation, as are all errors here
    kl_divergence: float | None
    kl_error: float | None
    same_top: float | None
    rms_probability_change: float | None
    prefill_tokens_per_s: float | None  # None: not measured
    decode_tokens_per_s: float | None
    memory_bytes: int  # weights, a KV cache of 1,024 tokens, working memory; of all devices together
    n_tokens: int  # so many were scored
    text_sha256: str
    engine_version: str
    when_s: float  # since 1970
    n_ctx: int
    base: Path | None = None  # what it was compared with
    base_quant: str = ""
    base_perplexity: float | None = None

    @property
    def is_base(self) -> bool:
        """Whether it was not compared with anything: it is the measure itself."""
        return self.base is None

    @property
    def perplexity_rise(self) -> float | None:
        """How much more perplexed than its base it is, as a share: 0.012 = 1.2 %."""
        return self.perplexity / self.base_perplexity - 1 if self.base_perplexity else None


@dataclass(frozen=True)
class Evaluation:
    """The base and what was compared with it, in the order that was asked for."""

    base: Measured
    others: tuple[Measured, ...]
    notices: tuple[str, ...] = ()  # what should be known of the figures

    @property
    def all(self) -> tuple[Measured, ...]:
        return (self.base, *self.others)
