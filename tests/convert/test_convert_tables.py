"""What the tables of families make of models that are wrong, odd, or saved in another way: a plan or a sentence."""

import math
from contextlib import suppress

import numpy as np
import pytest
from family_models import CASES, TIED
from family_shapes import FAMILIES, checkpoint, config_of, shapes_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_folders import stored, write_folder

from carryon.base.errors import AppError, BadFile, Unsupported
from carryon.convert.families import plan_of
from carryon.convert.forms import OutType
from carryon.convert.plan import Made, Part, Stored
from carryon.convert.run import form_of
from carryon.convert.write import TensorInfo, header_bytes

PLAIN = [name for name in CASES if name != "command-r-plus"]  # 64 layers teach nothing new here
HEAD_NORMS = ("q_norm.weight", "k_norm.weight")  # only the largest Command-R has them
HOSTILE = [
    *(None, True, False, -1, 0, 1, 2, 3, 5, 33, 513, 2**31, 2**40, 10**400, 0.5, 1e-45, 1e38, math.nan, math.inf),
    *("", "x", "silu", "gelu", "yarn", [], [1], ["sliding_attention"], {}, {"rope_type": "yarn"}, {"rope_theta": None}),
    *({"rope_type": "llama3", "factor": 0}, {"rope_type": "longrope", "long_factor": [math.nan]}, {"x": {"y": []}}),
]
FURTHER_KEYS = [
    *("rope_scaling", "rope_theta", "partial_rotary_factor", "sliding_window_pattern", "no_rope_layers", "head_dim"),
    *("layer_types", "no_rope_layer_interval", "use_sliding_window", "hidden_act", "mlp_only_layers", "text_config"),
    *("decoder_sparse_step", "norm_topk_prob", "rms_norm_eps", "layer_norm_eps", "norm_epsilon", "num_experts"),
    *("rope_local_base_freq", "final_logit_softcapping", "attn_logit_softcapping", "query_pre_attn_scalar"),
]


def refusal(config, shapes, kind=AppError):
    with pytest.raises(kind) as caught:
        plan_of(checkpoint(config, shapes))
    assert caught.value.hint, "a refusal needs a next step"
    return str(caught.value)


def written(plan):
    """The plan as the head of a file: every setting has a form in GGUF, every tensor one in the file."""
    infos = [TensorInfo(one.name, one.shape, form_of(one.name, one.shape, OutType.Q8_0)) for one in plan.tensors]
    return header_bytes(plan.settings, infos)


@pytest.mark.parametrize("name", PLAIN)
def test_a_whole_model_is_planned(name):
    config = config_of(name)
    plan = plan_of(checkpoint(config, shapes_of(config)))
    assert plan.architecture == FAMILIES[config["architectures"][0]].gguf
    assert all(sum(part.n_rows for part in one.parts) for one in plan.tensors if isinstance(one, Stored))
    names = [one.name for one in plan.tensors]
    assert len(set(names)) == len(names)
    assert written(plan)


@pytest.mark.parametrize("name", PLAIN)
def test_one_hostile_value_is_a_plan_or_a_sentence(name):
    config = config_of(name)
    shapes = shapes_of(config)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from([*config, *FURTHER_KEYS]), st.sampled_from(HOSTILE), st.booleans())
    def converts_or_says_why(key, value, is_nested):
        changed = {**config, key: value}
        if is_nested and isinstance(config.get("rope_parameters"), dict):
            changed = {**config, "rope_parameters": {**config["rope_parameters"], key: value}}
        with suppress(AppError):
            assert written(plan_of(checkpoint(changed, shapes)))

    converts_or_says_why()


@pytest.mark.parametrize("name", PLAIN)
def test_every_tensor_must_be_there_in_its_shape(name):
    config = config_of(name)
    shapes = shapes_of(config)
    some = [one for one in shapes if ".layers." not in one or ".layers.1." in one]
    is_biased = name in ("qwen2", "qwen2-yarn", "qwen2moe", "qwen2moe-tied", "starcoder2", "glm4", "llama-biases")
    may_lack = [
        one
        for one in some
        if (one.endswith(".bias") and not is_biased) or (name == "command-r" and one.endswith(HEAD_NORMS))
    ]
    for one in some:
        assert one in refusal(config, {**shapes, one: (*shapes[one], 7)}, BadFile)
        without = {other: shape for other, shape in shapes.items() if other != one}
        if one not in may_lack:
            assert one in refusal(config, without, BadFile)


@pytest.mark.parametrize("name", PLAIN)
def test_a_tensor_that_nothing_explains_is_refused(name):
    config = config_of(name)
    more = {"model.layers.0.self_attn.wings.weight": (4, 4)}
    assert "wings" in refusal(config, shapes_of(config) | more, Unsupported)


def planned(name, layout=0, **changes):
    config = config_of(name)
    return plan_of(checkpoint({**config, **changes}, shapes_of(config, layout)))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("qwen2moe", {"norm_topk_prob": True}, "norm_topk_prob"),
        ("qwen3moe", {"norm_topk_prob": False}, "norm_topk_prob"),
        ("qwen3moe", {"mlp_only_layers": [0]}, "no experts"),
        ("qwen3moe", {"decoder_sparse_step": 2}, "decoder_sparse_step"),
        ("qwen3moe", {"num_experts_per_tok": 9}, "9 of 8 experts"),
        ("qwen2", {"hidden_act": "gelu"}, "gelu"),
        ("qwen2", {"head_dim": 64}, "together 256 wide"),
        ("smollm3", {"no_rope_layers": [1, 1, 0, 1]}, "without rotation"),
        ("smollm3", {"no_rope_layer_interval": 3}, "without rotation"),
        ("smollm3", {"no_rope_layers": [1, 1, 1, 0], "num_hidden_layers": 2**31}, "without rotation"),
        ("gemma2", {"query_pre_attn_scalar": 64}, "scales its attention"),
        ("gemma2", {"hidden_activation": "gelu"}, "hidden_activation"),
        ("gemma2", {"tie_word_embeddings": False}, "output matrix"),
        ("gemma3", {"use_bidirectional_attention": True}, "bidirectional"),
        ("gemma3", {"layer_types": ["full_attention"]}, "layer_types"),
        ("gemma3", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "'yarn'"),
        ("olmo3", {"rope_local_base_freq": 1e4}, "two bases"),
        ("starcoder2", {"use_bias": False}, "use_bias"),
        ("starcoder2", {"hidden_act": "gelu"}, "gelu"),
        ("qwen2", {"rope_parameters": {"rope_type": "llama3", **dict.fromkeys(("factor",), 8.0)}}, "llama3"),
        ("qwen2", {"partial_rotary_factor": 0.5}, "part of each head"),
        ("phi3.5", {"rope_parameters": {"rope_type": "longrope", "long_factor": [1.0]}}, "16 numbers"),
        ("cohere2", {"rotary_pct": 0.5}, "rotary_pct"),
        ("command-r", {"use_qk_norm": True}, "norms its queries"),
    ],
)
def test_what_the_architecture_cannot_express_is_refused(name, change, said):
    config = config_of(name)
    assert said in refusal({**config, **change}, shapes_of(config))


def test_windows_that_llama_cpp_lacks_are_warned_about():
    assert not planned("qwen2", sliding_window=64).warnings  # not in use
    (warning,) = planned("qwen2", sliding_window=64, use_sliding_window=True).warnings
    assert "64 tokens" in warning
    assert "32 tokens" in planned("phi3", sliding_window=32).warnings[0]


def test_a_silent_config_means_what_transformers_takes_it_for():
    config = config_of("gemma3")
    silent = {key: value for key, value in config.items() if key not in ("sliding_window", "rms_norm_eps")}
    settings = plan_of(checkpoint(silent, shapes_of(config))).settings
    assert settings["gemma3.attention.sliding_window"] == 4096
    assert settings["gemma3.rope.freq_base"] == 1e6
    assert settings["gemma3.rope.freq_base_swa"] == 1e4
    assert settings["gemma3.attention.sliding_window_pattern"].tolist() == [True] * 5 + [False]


def test_old_and_new_configs_of_gemma3_say_the_same():
    base = {"rope_theta": 5e5, "rope_local_base_freq": 2e4, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    new = {
        "full_attention": {"rope_theta": 5e5, "rope_type": "linear", "factor": 8.0},
        "sliding_attention": {"rope_theta": 2e4, "rope_type": "default"},
    }
    old, nested = (planned("gemma3", **change).settings for change in (base, {"rope_parameters": new}))
    assert {key: str(value) for key, value in old.items()} == {key: str(value) for key, value in nested.items()}


def test_command_r_reaches_as_far_as_it_was_trained():
    assert planned("command-r").settings["command-r.context_length"] == 512
    assert planned("command-r", model_max_length=4096).settings["command-r.context_length"] == 4096


def test_early_names_of_longrope():
    scaling = config_of("phi3.5")["rope_parameters"]
    settings = {
        kind: planned("phi3.5", rope_parameters={**scaling, "rope_type": kind}).settings
        for kind in ("longrope", "su", "yarn")
    }
    assert settings["longrope"] == settings["su"] == settings["yarn"]
    assert settings["su"]["phi3.rope.scaling.attn_factor"] == pytest.approx(math.sqrt(1 + math.log(8) / math.log(64)))


def test_newer_names_of_settings_are_understood():
    config = config_of("qwen3moe")
    renamed = {**config, "num_local_experts": config["num_experts"], "num_experts": None}
    del renamed["num_experts"]
    plan = plan_of(checkpoint(renamed, shapes_of(config)))
    assert plan.settings["qwen3moe.expert_count"] == 8


def test_gemmas_norms_are_one_more_and_nothing_else_is():
    plan = planned("gemma3")
    assert {one.name.endswith("_norm.weight") for one in plan.tensors if one.plus_one} == {True}
    assert {one.name.endswith("_norm.weight") for one in plan.tensors if not one.plus_one} == {False}


def test_an_embedding_is_written_twice_where_the_engine_wants_an_output():
    (output,) = [one for one in planned("olmo2", **TIED).tensors if one.name == "output.weight"]
    assert output.parts == (Part(output.parts[0].source),)
    assert output.parts[0].source.name == "model.embed_tokens.weight"


def test_factors_come_as_tensors():
    made = {one.name: one.values for one in planned("phi3.5").tensors if isinstance(one, Made)}
    assert made["rope_factors_long.weight"].tolist() == pytest.approx([1 + 0.3 * index for index in range(16)])
    assert made["rope_factors_short.weight"][1] == pytest.approx(1.02)


def random_folder(folder, config, shapes, rename=str):
    chance = np.random.default_rng(0)
    values = {name: chance.standard_normal(shapes[name], np.float32) for name in sorted(shapes)}
    weights = {rename(name): ("BF16", stored(one, "BF16")) for name, one in values.items()}
    return write_folder(folder, weights=weights, **config), values


def contents(path):
    return path.read_bytes()


@pytest.fixture
def as_file(tmp_path, converted):
    """What becomes of a folder, as the bytes of a file; its name inside is always the same."""

    def run(folder):
        converted(folder, OutType.F16, name="Tiny")
        return contents(tmp_path / "model.gguf")

    return run


@pytest.mark.parametrize("name", ["mixtral", "qwen2moe", "qwen3moe"])
def test_fused_experts_and_single_ones_give_equal_files(name, tmp_path, as_file):
    config = config_of(name)
    single, values = random_folder(tmp_path / "single", config, shapes_of(config))
    fused = tmp_path / "fused"
    weights = {one: ("BF16", stored(value, "BF16")) for one, value in fused_values(name, config, values).items()}
    write_folder(fused, weights=weights, **config)
    assert sorted_tensors(as_file(single), tmp_path) == sorted_tensors(as_file(fused), tmp_path)


def fused_values(name, config, values):
    """The same experts as newer releases of transformers hold them."""
    gate, up, down = ("w1", "w3", "w2") if name == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    module = "block_sparse_moe" if name == "mixtral" else "mlp"
    n_experts = config.get("num_experts") or config["num_local_experts"]
    fused = {one: value for one, value in values.items() if ".experts." not in one}
    fused = {one.replace("block_sparse_moe", "mlp"): value for one, value in fused.items()}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}."
        whole = {
            part: [values[f"{start}{module}.experts.{expert}.{part}.weight"] for expert in range(n_experts)]
            for part in (gate, up, down)
        }
        both = [np.concatenate(pair) for pair in zip(whole[gate], whole[up], strict=True)]
        fused[f"{start}mlp.experts.gate_up_proj"] = np.stack(both)
        fused[f"{start}mlp.experts.down_proj"] = np.stack(whole[down])
    return fused


def sorted_tensors(content, folder):
    """Settings and tensors by name: their order follows the source's."""
    import gguf

    path = folder / "read.gguf"
    path.write_bytes(content)
    reader = gguf.GGUFReader(path)
    settings = {key: str(field.contents()) for key, field in reader.fields.items()}
    tensors = {one.name: (tuple(one.shape), one.data.tobytes()) for one in reader.tensors}
    del reader
    return settings, tensors


@pytest.mark.parametrize("prefix", ["", "language_model.model.", "model.language_model."])
def test_however_a_model_is_nested_it_is_the_same(prefix, tmp_path, as_file):
    config = config_of("llama")
    plain, _ = random_folder(tmp_path / "plain", config, shapes_of(config))
    nested, _ = random_folder(
        tmp_path / "nested",
        {**config, "text_config": config} if prefix else config,
        shapes_of(config),
        lambda name: name.replace("model.", prefix, 1) if name.startswith("model.") else name,
    )
    assert as_file(plain) == as_file(nested)


def test_what_is_for_pictures_is_left_out_and_said():
    config = config_of("gemma3")
    shapes = {name.replace("model.", "language_model.model.", 1): shape for name, shape in shapes_of(config).items()}
    more = {"vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": (4, 4), "multi_modal_projector.w": (4,)}
    whole = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": {key: value for key, value in config.items() if key != "architectures"},
    }
    plan = plan_of(checkpoint(whole, shapes | more))
    assert "2 tensors for pictures or sound" in plan.warnings[0]
    assert {one.name for one in plan.tensors} == {one.name for one in planned("gemma3").tensors}


def test_one_tensor_under_two_names_is_refused():
    config = config_of("llama")
    shapes = shapes_of(config)
    assert "hold both" in refusal(config, shapes | {"norm.weight": (128,)}, BadFile)


def test_a_model_saved_without_its_head_is_known_by_its_family():
    assert planned("qwen2", architectures=["Qwen2Model"]).architecture == "qwen2"
