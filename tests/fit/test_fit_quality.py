"""Tests of the typical quality of quant types: the published figures, their order, and what is not known."""

import pytest

from carryon.fit.quality import Grade, kv_quality_of, measured_quality, quality_of
from carryon.gguf.mix import QUANTS
from carryon.gguf.quants import KvType


def test_the_figures_are_those_of_the_scoreboard():
    quality = quality_of("Q4_K_M")
    assert quality.perplexity_rise == pytest.approx(0.0282, abs=0.0001)  # the README's own ratio is 1.02816
    assert quality.kl_divergence == pytest.approx(0.0313, abs=0.0001)
    assert not quality.with_imatrix


def test_an_importance_matrix_makes_it_better_and_is_named():
    plain, helped = quality_of("Q2_K"), quality_of("Q2_K", with_imatrix=True)
    assert helped.kl_divergence < plain.kl_divergence
    assert helped.with_imatrix
    assert not plain.with_imatrix


def test_a_type_measured_in_one_way_only_tells_that_figure_and_says_which():
    assert quality_of("IQ2_M").with_imatrix
    assert not quality_of("Q8_0", with_imatrix=True).with_imatrix


@pytest.mark.parametrize(
    ("quant", "grade"),
    [
        ("F16", Grade.ORIGINAL), ("BF16", Grade.ORIGINAL), ("Q8_0", Grade.NEAR_LOSSLESS), ("Q6_K", Grade.EXCELLENT),
        ("Q5_K_M", Grade.VERY_GOOD), ("Q5_K_S", Grade.VERY_GOOD), ("Q4_K_M", Grade.GOOD), ("IQ4_XS", Grade.GOOD),
        ("Q4_0", Grade.FAIR), ("Q3_K_M", Grade.FAIR), ("IQ3_XXS", Grade.POOR), ("Q2_K", Grade.POOR),
        ("IQ2_XXS", Grade.BROKEN), ("IQ1_S", Grade.BROKEN),
    ],
)  # fmt: skip
def test_every_type_has_a_grade(quant, grade):
    assert quality_of(quant).grade is grade


def test_the_list_of_types_goes_from_best_to_worst():
    known = [quality_of(quant, with_imatrix=True) for quant in QUANTS]
    divergences = [quality.kl_divergence for quality in known if quality is not None]
    assert divergences == sorted(divergences)
    assert [quant for quant, quality in zip(QUANTS, known, strict=True) if quality is None] == ["MXFP4_MOE"]


def test_what_nobody_measured_is_not_known():
    assert quality_of("Q9_K") is None
    assert quality_of("") is None
    assert quality_of("MXFP4_MOE") is None


def test_a_model_trained_in_four_bits_is_the_original_in_them():
    assert quality_of("MXFP4_MOE", architecture="gpt-oss").grade is Grade.ORIGINAL


def test_every_kind_of_kv_cache_has_a_grade_and_eight_bits_cost_next_to_nothing():
    assert {kind: kv_quality_of(kind).grade for kind in KvType}[KvType.Q8_0] is Grade.NEAR_LOSSLESS
    assert kv_quality_of(KvType.Q8_0).perplexity_rise < 0.001
    assert kv_quality_of(KvType.F16).grade is Grade.ORIGINAL
    assert kv_quality_of(KvType.Q4_0).grade.value > kv_quality_of(KvType.Q5_1).grade.value
    assert kv_quality_of(KvType.Q5_0).kl_divergence is None


@pytest.mark.parametrize(
    ("divergence", "grade"), [(0.0, Grade.ORIGINAL), (0.0131, Grade.VERY_GOOD), (0.9, Grade.BROKEN)]
)
def test_measured_figures_are_graded_as_typical_ones_are(divergence, grade):
    quality = measured_quality(0.012, divergence, "F16")
    assert (quality.grade, quality.perplexity_rise, quality.measured_against) == (grade, 0.012, "F16")
    assert not quality_of("Q4_K_M").measured_against
