"""gpt-oss, DeepSeek, BERT and ModernBERT: names, settings, transforms, and a sentence for all that does not fit."""

import contextlib
import math
from pathlib import Path

import gguf
import numpy as np
import pytest
from own_models import mxfp4_values, say_pooling
from own_shapes import CONFIGS, bert_shapes, checkpoint, gpt_oss_shapes, lookahead_shapes

from carryon.base.errors import AppError, Unsupported
from carryon.convert.checkpoint import Number
from carryon.convert.families import plan_of
from carryon.convert.families.gpt_oss import ggml_blocks
from carryon.convert.families.shelf import transposed
from carryon.convert.plan import Computed, Packed
from carryon.convert.write import header_bytes


class Numbers:
    """A source that is an array in memory."""

    def __init__(self, values):
        self.name, self.number, self.shape, self.n_values = "x", Number.F32, values.shape, values.size
        self.file, self.offset_bytes, self._values = Path("x"), 0, np.asarray(values, np.float32)

    def rows(self, which):
        return self._values.reshape(-1, self.shape[-1]).view(np.uint8)[which]


def planned(family, **more):
    return plan_of(checkpoint(family, **more))


def named(plan):
    return {tensor.name: tensor for tensor in plan.tensors}


def refusal(family, **more):
    with pytest.raises(AppError) as caught:
        planned(family, **more)
    assert caught.value.hint, "a person needs a next step"
    return str(caught.value)


def test_codes_of_mxfp4_are_put_in_ggmls_order_and_not_changed():
    chance = np.random.default_rng(0)
    codes, scales = chance.integers(0, 256, (6, 3, 16), np.uint8), chance.integers(100, 140, (6, 3), np.uint8)
    theirs = gguf.quants.dequantize(ggml_blocks(codes, scales), gguf.GGMLQuantizationType.MXFP4)
    assert np.array_equal(theirs, mxfp4_values(codes[None], scales[None])[0])


@pytest.mark.parametrize("columns", [slice(None), slice(0, None, 2), slice(1, None, 2)])
def test_a_matrix_is_turned_in_blocks(columns, monkeypatch):
    monkeypatch.setattr("carryon.convert.families.shelf.BLOCK_VALUES", 20)
    values = np.arange(3 * 8 * 10, dtype=np.float32).reshape(3, 8, 10)
    blocks = list(transposed(Numbers(values), range(0, 24, 8), 8, columns))
    assert max(block.size for block in blocks) <= 20
    assert np.array_equal(np.concatenate(blocks).reshape(3, -1, 8), values[:, :, columns].swapaxes(1, 2))


def test_a_gpt_oss_keeps_its_packed_experts():
    tensors = named(planned("gpt-oss"))
    for kind, shape in (("gate", (4, 96, 64)), ("up", (4, 96, 64)), ("down", (4, 64, 96))):
        tensor = tensors[f"blk.1.ffn_{kind}_exps.weight"]
        assert isinstance(tensor, Packed)
        assert tensor.shape == shape
    assert tensors["blk.0.ffn_gate_exps.bias"].shape == (4, 96)
    assert tensors["blk.0.attn_sinks.weight"].shape == (4,)


def test_experts_in_plain_numbers_are_turned():
    tensors = named(planned("gpt-oss", shapes=gpt_oss_shapes(is_packed=False)))
    assert isinstance(tensors["blk.1.ffn_gate_exps.weight"], Computed)
    assert tensors["blk.1.ffn_down_exps.weight"].shape == (4, 64, 96)


def test_unrounded_bounds_are_warned_about_and_the_usual_ones_of_gpt_oss():
    scaling = CONFIGS["gpt-oss"]["rope_scaling"]
    assert not planned("gpt-oss").warnings
    assert "truncate" in planned("gpt-oss", rope_scaling={**scaling, "truncate": False}).warnings[0]
    unsaid = planned("gpt-oss", rope_scaling=None)
    assert "truncate" in unsaid.warnings[0]
    assert unsaid.settings["gpt-oss.rope.scaling.factor"] == 32.0


def test_settings_of_a_deepseek():
    settings = planned("deepseek").settings
    assert settings["deepseek2.attention.key_length"] == 56  # of the one wide head
    assert settings["deepseek2.attention.value_length"] == 40
    assert settings["deepseek2.attention.key_length_mla"] == 48
    assert settings["deepseek2.attention.value_length_mla"] == 24
    assert settings["deepseek2.attention.head_count_kv"] == 1
    assert settings["deepseek2.expert_gating_func"] == 2  # sigmoid, though the config does not say so
    assert (settings["deepseek2.expert_group_count"], settings["deepseek2.expert_group_used_count"]) == (4, 2)
    assert settings["deepseek2.leading_dense_block_count"] == 1


def test_keys_and_values_of_each_head_are_parted():
    tensors = named(planned("deepseek"))
    assert tensors["blk.2.attn_k_b.weight"].shape == (4, 40, 32)
    assert tensors["blk.2.attn_v_b.weight"].shape == (4, 24, 40)
    (part,) = tensors["blk.2.attn_v_b.weight"].parts
    assert part.rows.tolist() == [56 * head + 32 + row for head in range(4) for row in range(24)]


def test_layers_that_look_ahead_are_left_out_and_no_others():
    ahead = planned("deepseek", more=lookahead_shapes(3))
    assert named(ahead).keys() == named(planned("deepseek")).keys()
    other = {"model.layers.3.mlp.gate_proj.weight": (128, 64)}
    assert "model.layers.3." in refusal("deepseek", more=other)


def test_yarn_of_a_deepseek_tells_its_strength():
    scaling = {
        "type": "yarn",
        "factor": 40,
        "original_max_position_embeddings": 64,
        "mscale": 0.7,
        "mscale_all_dim": 0.7,
    }
    settings = planned("deepseek", rope_scaling=scaling).settings
    assert settings["deepseek2.rope.scaling.yarn_log_multiplier"] == pytest.approx(0.07)
    for mscale in ({"mscale": 1.0}, {"mscale": None}, {"mscale_all_dim": None}, {"attention_factor": 1.0}):
        assert "YaRN" in refusal("deepseek", rope_scaling={**scaling, **mscale})


def test_the_rows_before_robertas_first_position_are_cut(tmp_path):
    say_pooling(tmp_path, pooling_mode_mean_tokens=True)
    shapes = {f"roberta.{name}": shape for name, shape in bert_shapes().items()}
    plan = planned("bert", shapes=shapes, folder=tmp_path, architectures=["XLMRobertaForMaskedLM"])
    assert named(plan)["position_embd.weight"].shape == (128, 64)
    assert named(plan)["position_embd.weight"].parts[0].rows == slice(2, None)
    assert plan.settings["bert.context_length"] == 128
    assert planned("bert", folder=tmp_path).settings["bert.context_length"] == 130


def test_norms_by_tensorflows_names_and_heads_of_training(tmp_path):
    say_pooling(tmp_path, pooling_mode_cls_token=True)
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    shapes = {f"bert.{_renamed(name, old)}": shape for name, shape in bert_shapes().items()}
    head = {
        "cls.predictions.bias": (264,),
        "cls.seq_relationship.weight": (2, 64),
        "bert.embeddings.position_ids": (1, 9),
    }
    plan = planned("bert", shapes=shapes, more=head, folder=tmp_path, architectures=["BertForMaskedLM"])
    assert named(plan).keys() == named(planned("bert", folder=tmp_path)).keys()
    assert plan.settings["bert.pooling_type"] == 2
    assert plan.settings["bert.attention.causal"] is False
    assert plan.settings["tokenizer.ggml.token_type_count"] == 2


def _renamed(name, changes):
    for new, old in changes.items():
        name = name.replace(new, old)
    return name


def test_without_a_word_on_pooling_the_mean_is_taken_and_told():
    plan = planned("bert")
    assert plan.settings["bert.pooling_type"] == 1
    assert "mean" in plan.warnings[0]


def test_a_decoder_made_for_vectors_says_how_they_become_one(tmp_path):
    assert "deepseek2.pooling_type" not in planned("deepseek").settings
    say_pooling(tmp_path, pooling_mode_lasttoken=True)
    assert planned("deepseek", folder=tmp_path).settings["deepseek2.pooling_type"] == 3


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        ({"pooling_mode_max_tokens": True}, "by max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean and cls"),
        ({}, "no way it names"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode_mean_tokens": "yes"}, "pooling_mode_mean_tokens"),
    ],
)
def test_ways_of_pooling_that_llama_cpp_lacks_are_refused(modes, said, tmp_path):
    say_pooling(tmp_path, **modes)
    assert said in refusal("bert", folder=tmp_path)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("[]", "pools its vectors 0 times"),
        ('[{"type": "x.Transformer", "path": ""}, {"type": "x.Dense", "path": "2_Dense"}]', "'Dense'"),
        ('[{"type": "x.Pooling", "path": "../1_Pooling"}]', "damaged"),
        ('[{"type": "x.Pooling", "path": "1_Pooling"}]', "1_Pooling/config.json is missing"),
        ("[7]", "damaged"),
        ("{}", "damaged"),
        ("[", "damaged"),
    ],
)
def test_steps_that_cannot_be_are_said(steps, said, tmp_path):
    (tmp_path / "modules.json").write_text(steps, encoding="utf-8")
    assert said in refusal("bert", folder=tmp_path)


def test_settings_of_a_modern_bert():
    settings = planned("modern-bert").settings
    assert settings["modern-bert.attention.layer_norm_epsilon"] == 1e-6  # norm_eps, as transformers 5 calls it
    assert settings["modern-bert.attention.sliding_window_pattern"] == 3
    assert (settings["modern-bert.rope.freq_base"], settings["modern-bert.rope.freq_base_swa"]) == (160_000.0, 10_000.0)
    kinds = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]
    assert planned("modern-bert", layer_types=kinds).settings["modern-bert.attention.sliding_window_pattern"] == 2
    assert "order" in refusal("modern-bert", layer_types=[*kinds[:3], "full_attention"])


@pytest.mark.parametrize(
    ("family", "case", "said"),
    [
        ("gpt-oss", {"drop": ["model.layers.1.self_attn.sinks"]}, "lack the tensor model.layers.1.self_attn.sinks"),
        ("gpt-oss", {"drop": ["model.layers.0.mlp.experts.down_proj_scales"]}, "down_proj_scales"),
        ("gpt-oss", {"more": {"model.layers.0.mlp.experts.down_proj_scales": (4, 64, 2)}}, "has the shape"),
        ("gpt-oss", {"more": {"model.layers.0.self_attn.q_norm.weight": (32,)}}, "q_norm"),
        ("gpt-oss", {"swiglu_limit": 5.0}, "swiglu_limit"),
        ("gpt-oss", {"layer_types": ["full_attention", "sliding_attention"]}, "far and near"),
        ("gpt-oss", {"layer_types": 7}, "far and near"),
        ("gpt-oss", {"num_experts_per_tok": 5}, "uses 5 of 4 experts"),
        ("gpt-oss", {"tie_word_embeddings": True}, "tie_word_embeddings"),
        ("gpt-oss", {"intermediate_size": 90}, "shape"),
        ("gpt-oss", {"num_attention_heads": 3}, "3 heads"),
        ("gpt-oss", {"rope_scaling": {"rope_type": "yarn", "truncate": "no"}}, "truncate"),
        ("gpt-oss", {"num_hidden_layers": 2**32 - 1, "layer_types": None}, "model.layers.2."),
        ("deepseek", {"drop": ["model.layers.1.mlp.gate.e_score_correction_bias"]}, "e_score_correction_bias"),
        ("deepseek", {"drop": ["model.layers.2.mlp.experts.7.up_proj.weight"]}, "experts.7.up_proj"),
        ("deepseek", {"drop": ["lm_head.weight"]}, "lm_head.weight"),
        ("deepseek", {"q_lora_rank": None}, "3 layers with plain queries"),
        ("deepseek", {"num_hidden_layers": 27}, "27 layers with compressed queries"),
        ("deepseek", {"scoring_func": "softmax"}, "scoring_func"),
        ("deepseek", {"topk_method": "greedy"}, "'greedy'"),
        ("deepseek", {"n_group": 3}, "3 groups of 8 experts"),
        ("deepseek", {"n_group": 8, "topk_group": 4}, "groups"),
        ("deepseek", {"topk_group": 5}, "groups"),
        ("deepseek", {"moe_layer_freq": 2}, "moe_layer_freq"),
        ("deepseek", {"rope_interleave": False}, "rope_interleave"),
        ("deepseek", {"n_routed_experts": 2**31}, "experts"),
        ("deepseek", {"n_shared_experts": 0}, "n_shared_experts"),
        ("deepseek", {"qk_rope_head_dim": 15}, "rotates 15 values"),
        ("deepseek", {"routed_scaling_factor": math.nan}, "routed_scaling_factor"),
        ("deepseek", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "'linear'"),
        ("bert", {"hidden_act": "relu"}, "hidden_act"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("bert", {"num_attention_heads": 5}, "5 heads"),
        ("bert", {"pad_token_id": 129, "architectures": ["XLMRobertaModel"]}, "130 positions"),
        ("bert", {"max_position_embeddings": 131}, "shape"),
        ("bert", {"more": {"classifier.weight": (2, 64)}}, "classifier.weight"),
        ("bert", {"layer_norm_eps": "small"}, "layer_norm_eps"),
        ("modern-bert", {"hidden_activation": "relu"}, "hidden_activation"),
        ("modern-bert", {"rope_scaling": {"rope_type": "linear"}}, "stretches"),
        ("modern-bert", {"global_rope_theta": 0}, "rope_theta"),
        ("modern-bert", {"layer_types": ["full_attention"]}, "each of 4 layers"),
        ("modern-bert", {"num_attention_heads": 64}, "64 heads"),
        ("modern-bert", {"more": {"layers.1.mlp.Wi.bias": (192,)}}, "Wi.bias"),
    ],
)
def test_what_does_not_fit_is_said(family, case, said):
    assert said in refusal(family, **case)


STRANGE = (-1, 0, 1, 2**31, 2**70, 1e-300, math.inf, math.nan, "x", [], [None], {}, {"rope_type": []}, True)


@pytest.mark.parametrize("family", CONFIGS)
def test_whatever_a_config_says_the_answer_is_a_plan_or_a_sentence(family):
    for key in {*CONFIGS[family], "rope_scaling", "rope_parameters", "layer_types", "rope_theta", "norm_topk_prob"}:
        for value in STRANGE:
            with contextlib.suppress(AppError):
                assert header_bytes(planned(family, **{key: value}).settings, [])


def test_groups_by_their_best_expert_are_not_llama_cpps():
    with pytest.raises(Unsupported, match="groups of experts"):
        planned(
            "deepseek",
            architectures=["DeepseekV2ForCausalLM"],
            topk_method="group_limited_greedy",
            norm_topk_prob=False,
        )
