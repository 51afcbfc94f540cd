"""What a Llama becomes: names, shapes and settings, and a sentence for all that does not fit."""

import math
from pathlib import Path

import numpy as np
import pytest
from model_folders import CONFIG, llama_shapes

from carryon.base.errors import AppError, BadFile, Unsupported
from carryon.convert.checkpoint import Checkpoint, Number, SourceTensor
from carryon.convert.config import Config
from carryon.convert.families import plan_of
from carryon.convert.plan import paired_rows

Q = "model.layers.0.self_attn.q_proj.weight"


def checkpoint(drop=(), more=None, **changes):
    """A checkpoint that exists in memory only."""
    config = CONFIG | changes
    shapes = {name: shape for name, shape in llama_shapes(config).items() if name not in drop} | (more or {})
    file = Path("model.safetensors")
    tensors = {
        name: SourceTensor(name, Number.BF16, shape, file, index * 1000)
        for index, (name, shape) in enumerate(shapes.items())
    }
    return Checkpoint(Path("Tiny"), Config(config), tensors)


def planned(**more):
    return plan_of(checkpoint(**more))


def replanned(whole, **changes):
    """The plan when the config says something else than the tensors it came with."""
    return plan_of(Checkpoint(whole.folder, Config({**whole.config.values, **changes}), whole.tensors))


def names(plan):
    return {tensor.name for tensor in plan.tensors}


def refusal(whole, **changes):
    with pytest.raises(AppError) as caught:
        replanned(whole, **changes)
    assert caught.value.hint, "a person needs a next step"
    return str(caught.value)


def test_settings_of_a_plain_llama():
    settings = planned().settings
    assert settings["llama.block_count"] == 2
    assert settings["llama.context_length"] == 256
    assert settings["llama.embedding_length"] == 64
    assert settings["llama.feed_forward_length"] == 96
    assert (settings["llama.attention.head_count"], settings["llama.attention.head_count_kv"]) == (4, 2)
    assert settings["llama.attention.key_length"] == settings["llama.rope.dimension_count"] == 16
    assert settings["llama.attention.layer_norm_rms_epsilon"] == 1e-5
    assert (settings["llama.rope.freq_base"], settings["llama.vocab_size"]) == (10000.0, 264)


def test_every_tensor_has_its_name():
    expected = {"token_embd.weight", "output_norm.weight"}
    parts = "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down"
    expected |= {f"blk.{layer}.{part}.weight" for layer in (0, 1) for part in parts.split()}
    assert names(planned()) == expected


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM"])
def test_both_architectures_are_llamas(architecture):
    assert planned(architectures=[architecture]).architecture == "llama"


def test_queries_and_keys_are_paired_for_llama_cpps_rotation():
    assert paired_rows(8, 2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    orders = {tensor.name: tensor.parts[0].rows for tensor in planned().tensors}
    assert np.array_equal(orders["blk.0.attn_q.weight"], paired_rows(64, 4))
    assert np.array_equal(orders["blk.0.attn_k.weight"], paired_rows(32, 2))
    assert orders["blk.0.attn_v.weight"] is None


def test_an_untied_output_is_written_and_a_tied_one_is_not():
    assert "output.weight" in names(planned(tie_word_embeddings=False))
    leftover = {"lm_head.weight": (264, 64)}
    assert "output.weight" not in names(planned(tie_word_embeddings=True, more=leftover))


def test_a_config_that_says_nothing_is_tied_if_there_is_no_output_matrix():
    assert "output.weight" not in names(replanned(checkpoint(), tie_word_embeddings=None))
    own_output = checkpoint(more={"lm_head.weight": (264, 64)})
    assert "output.weight" in names(replanned(own_output, tie_word_embeddings=None))


def test_heads_may_be_of_any_even_size():
    settings = planned(head_dim=24).settings
    assert settings["llama.attention.key_length"] == 24
    assert "cannot be" in refusal(checkpoint(head_dim=15))


def test_without_a_word_on_kv_heads_every_head_has_its_own():
    plan = replanned(checkpoint(num_key_value_heads=4), num_key_value_heads=None)
    assert plan.settings["llama.attention.head_count_kv"] == 4


def test_biases_come_along():
    more = {f"model.layers.{layer}.self_attn.q_proj.bias": (64,) for layer in (0, 1)}
    biases = [tensor for tensor in planned(more=more).tensors if tensor.name == "blk.1.attn_q.bias"]
    assert np.array_equal(biases[0].parts[0].rows, paired_rows(64, 4))


def test_a_bare_model_without_prefixes_is_the_same_model():
    whole = checkpoint()
    bare = {name.removeprefix("model."): tensor for name, tensor in whole.tensors.items()}
    assert names(plan_of(Checkpoint(whole.folder, whole.config, bare))) == names(planned())


def test_the_rows_of_the_embedding_are_the_vocabulary():
    assert replanned(checkpoint(), vocab_size=1).n_vocab == 264


def test_buffers_of_old_checkpoints_are_ignored():
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": (8,)}
    assert names(planned(more=more)) == names(planned())


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"drop": (Q,)}, f"lack the tensor {Q}"),
        ({"drop": ("model.embed_tokens.weight",)}, "lack the tensor model.embed_tokens.weight"),
        ({"drop": ("lm_head.weight",), "tie_word_embeddings": False}, "lack the tensor lm_head.weight"),
        ({"more": {Q: (64, 32)}}, "shape 64 x 32 where config.json makes it 64 x 64"),
        ({"more": {"model.embed_tokens.weight": ()}}, "of a single number"),
        ({"more": {"model.layers.0.self_attn.q_norm.weight": (16,)}}, "q_norm"),
        ({"more": {"model.layers.7.mlp.up_proj.weight": (96, 64)}}, "layers.7"),
    ],
)
def test_tensors_that_do_not_fit_are_said(tensors, said):
    assert said in refusal(checkpoint(**tensors))


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"num_hidden_layers": 3}, "model.layers.2.input_layernorm.weight"),
        ({"num_hidden_layers": 1}, "such as model.layers.1."),
        ({"hidden_size": 128}, "shape 264 x 64 where config.json makes it 264 x 128"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"architectures": ["QwertyForCausalLM"]}, "QwertyForCausalLM"),
        ({"architectures": []}, "architecture"),
        ({"quantization_config": {"quant_method": "awq"}}, "compressed copy"),
        ({"hidden_size": None}, "does not say hidden_size"),
        ({"hidden_size": "64"}, "hidden_size = '64'"),
        ({"num_attention_heads": 0}, "num_attention_heads = '0'"),
        ({"num_hidden_layers": 2**40}, "num_hidden_layers"),
        ({"rms_norm_eps": math.nan}, "rms_norm_eps"),
        ({"rms_norm_eps": 10**400}, "rms_norm_eps"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"rope_scaling": "linear"}, "rope_scaling"),
    ],
)
def test_a_config_that_does_not_fit_is_said(case, said):
    assert said in refusal(checkpoint(), **case)


def test_a_sliding_window_is_warned_about():
    (warning,) = planned(sliding_window=128).warnings
    assert "128 tokens" in warning
    assert not planned(sliding_window=256).warnings
    assert not planned(sliding_window=None).warnings


def rope(**scaling):
    return planned(rope_scaling=scaling).settings


def test_old_and_new_configs_say_the_same_about_rotation():
    old = planned(rope_theta=5e5, rope_scaling={"type": "linear", "factor": 4.0}).settings
    new = planned(rope_theta=None, rope_parameters={"rope_theta": 5e5, "rope_type": "linear", "factor": 4.0}).settings
    assert old == new
    assert (new["llama.rope.freq_base"], new["llama.rope.scaling.factor"]) == (5e5, 4.0)
    assert new["llama.rope.scaling.type"] == "linear"


def test_yarn_says_where_it_started():
    settings = rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=32)
    assert settings["llama.rope.scaling.original_context_length"] == 64
    assert "llama.rope.scaling.attn_factor" not in settings


def test_yarns_own_attention_factor_is_told_relative_to_llama_cpps():
    settings = rope(rope_type="yarn", factor=4.0, attention_factor=1.5)
    assert settings["llama.rope.scaling.attn_factor"] == pytest.approx(1.5 / (1 + 0.1 * math.log(4)))


def test_llama3_factors_leave_short_waves_and_slow_long_ones():
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    (factors,) = [tensor for tensor in planned(rope_scaling=scaling).tensors if tensor.name == "rope_freqs.weight"]
    assert factors.values[0] == 1.0
    assert factors.values[-1] == 8.0
    assert factors.shape == (8,)
    assert (np.diff(factors.values) >= 0).all()


def test_dynamic_stretching_is_warned_about():
    (warning,) = planned(rope_scaling={"type": "dynamic", "factor": 2.0}).warnings
    assert "256 tokens" in warning


@pytest.mark.parametrize(
    ("scaling", "kind"),
    [
        ({"rope_type": "longrope"}, Unsupported),
        ({"rope_type": "yarn", "factor": 4.0, "truncate": False}, Unsupported),
        ({"rope_type": "yarn", "factor": 4.0, "mscale": 1.0}, Unsupported),
        ({"rope_type": "yarn", "factor": 4.0, "beta_fast": 16}, Unsupported),
        ({"rope_type": "default", "partial_rotary_factor": 0.5}, Unsupported),
        ({"rope_type": "linear"}, BadFile),
        ({"rope_type": "linear", "factor": -1.0}, BadFile),
        ({"rope_type": "yarn", "factor": 0.0}, BadFile),
        ({"rope_type": "llama3", "factor": 8.0}, BadFile),
        (
            {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 4.0,
                "high_freq_factor": 1.0,
                "original_max_position_embeddings": 64,
            },
            BadFile,
        ),
        ({"rope_theta": -5.0}, BadFile),
    ],
)
def test_stretching_that_cannot_be_told_is_refused(scaling, kind):
    with pytest.raises(kind):
        planned(rope_scaling=scaling)
