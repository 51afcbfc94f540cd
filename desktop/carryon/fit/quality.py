"""What quantizing costs in quality: typical figures of each quant type of weights, and of each type of a KV cache.

Source: llama.cpp 0c1e57098, tools/perplexity/README.md, "LLaMA 3 8b Scoreboard" (Llama-3-8B, wikitext-2, CUDA,
revision f364eb6f; importance matrices of wikitext, rows WT 10m, IQ1_S: WT 1m). Penalties depend on the model: the
same Q4_K_M has a KL divergence of 0.031 on Llama-3-8B and of 0.013 on Llama-2-7B. So they are typical, not promised.
"""

from dataclasses import dataclass
from enum import Enum, auto

from carryon.gguf.quants import KvType

MEASURED_ON = "Llama-3-8B"
_F16_PERPLEXITY = 6.233160


class Grade(Enum):
    """How much of the original is left, best first. Its words are made in fit/words.py."""

    ORIGINAL = auto()
    NEAR_LOSSLESS = auto()
    EXCELLENT = auto()
    VERY_GOOD = auto()
    GOOD = auto()
    FAIR = auto()
    POOR = auto()
    BROKEN = auto()


@dataclass(frozen=True)
class Quality:
    """What one type costs. Figures are None where nobody has published any."""

    grade: Grade
    perplexity_rise: float | None  # a share of the original's: 0.028 = 2.8 % more perplexed
    kl_divergence: float | None  # nats a token, from the original's answer
    with_imatrix: bool = False
    measured_against: str = ""  # 'F16': these are figures of this very file, compared with that one; '': typical ones


# Above so many nats a grade ends (ours: drawn between the groups that the scoreboard falls into).
_GRADES = (
    (0.0, Grade.ORIGINAL), (0.002, Grade.NEAR_LOSSLESS), (0.01, Grade.EXCELLENT), (0.025, Grade.VERY_GOOD),
    (0.05, Grade.GOOD), (0.15, Grade.FAIR), (0.5, Grade.POOR),
)  # fmt: skip
# Rise of perplexity over 6.2332, and KL divergence: without an importance matrix.
_PLAIN = {
    "Q8_0": (0.002650, 0.001355), "Q6_K": (0.021748, 0.005452), "Q5_K_M": (0.056974, 0.010762),
    "Q5_K_S": (0.104964, 0.016595), "Q5_1": (0.106223, 0.018045), "Q5_0": (0.131591, 0.022239),
    "Q4_K_M": (0.175482, 0.031273), "Q4_K_S": (0.268895, 0.043136), "Q4_1": (0.451103, 0.071683),
    "Q4_0": (0.468514, 0.071940), "Q3_K_L": (0.556242, 0.087176), "Q3_K_M": (0.656864, 0.101913),
    "Q3_K_S": (1.632152, 0.228217), "Q2_K": (3.519934, 0.445132),
}  # fmt: skip
_WITH_IMATRIX = {
    "Q4_K_M": (0.151303, 0.028152), "Q4_K_S": (0.178064, 0.031951), "IQ4_NL": (0.223959, 0.035742),
    "IQ4_XS": (0.228071, 0.036334), "Q3_K_L": (0.439590, 0.073077), "Q3_K_M": (0.502622, 0.084358),
    "IQ3_M": (0.666694, 0.102534), "IQ3_S": (0.733867, 0.111278), "IQ3_XS": (0.931409, 0.138693),
    "IQ3_XXS": (1.226803, 0.183625), "Q3_K_S": (1.371244, 0.199821), "IQ2_M": (2.369166, 0.325989),
    "Q2_K": (2.416191, 0.332223), "Q2_K_S": (3.092145, 0.403360), "IQ2_S": (3.419148, 0.439197),
    "IQ2_XS": (4.529791, 0.546290), "IQ2_XXS": (7.860148, 0.812022), "IQ1_M": (19.262089, 1.393084),
    "IQ1_S": (51.866126, 2.211278),
}  # fmt: skip
_ORIGINAL = Quality(Grade.ORIGINAL, 0.0, 0.0)
_UNQUANTIZED = frozenset(("F32", "F16", "BF16"))
_BORN_IN = {"gpt-oss": "MXFP4_MOE"}  # trained in that type: nothing is lost, and nothing is gained by a larger one
# KV caches. q8_0: Llama-3-8B, llama.cpp PR #7412 (keys and values together; KLD of f16 itself there: 0.00019).
# q4_0: PR #21038 (rotated, as this engine does), Qwen3.5-4B; long texts and reasoning were reported to suffer visibly.
# Nobody has published figures for the others that hold since the rotation: their grade is by bits, between these.
_KV = {
    KvType.F32: _ORIGINAL, KvType.F16: _ORIGINAL, KvType.BF16: _ORIGINAL,
    KvType.Q8_0: Quality(Grade.NEAR_LOSSLESS, 0.004616 / _F16_PERPLEXITY, 0.000980),
    KvType.Q5_1: Quality(Grade.VERY_GOOD, None, None), KvType.Q5_0: Quality(Grade.VERY_GOOD, None, None),
    KvType.Q4_1: Quality(Grade.FAIR, None, None), KvType.IQ4_NL: Quality(Grade.FAIR, None, None),
    KvType.Q4_0: Quality(Grade.FAIR, 0.0022, None),
}  # fmt: skip


def quality_of(quant: str, *, architecture: str = "", with_imatrix: bool = False) -> Quality | None:
    """The typical quality of a quant type; None where nothing is known.

    Types of under three bits were measured only with an importance matrix, the older ones only without: then that
    figure is told, and `with_imatrix` says which.
    """
    if quant in _UNQUANTIZED or _BORN_IN.get(architecture) == quant:
        return _ORIGINAL
    wanted, other = (_WITH_IMATRIX, _PLAIN) if with_imatrix else (_PLAIN, _WITH_IMATRIX)
    table = wanted if quant in wanted else other
    if quant not in table:
        return None
    rise, divergence = table[quant]
    return Quality(_grade(divergence), rise / _F16_PERPLEXITY, divergence, table is _WITH_IMATRIX)


def measured_quality(perplexity_rise: float | None, kl_divergence: float, against: str) -> Quality:
    """The quality of one file as it was measured, against a base that is called so."""
    return Quality(_grade(kl_divergence), perplexity_rise, kl_divergence, measured_against=against)


def kv_quality_of(kv_type: KvType) -> Quality:
    """The typical quality of an answer with keys and values kept in a type."""
    return _KV[kv_type]


def _grade(divergence: float) -> Grade:
    return next((grade for most, grade in _GRADES if divergence <= most), Grade.BROKEN)
