"""What a layer keeps, held against the engine itself: for every architecture it knows, to the byte."""

import pytest
from any_architecture import N_CTX, fields_of
from fakes.header_writer import HeaderWriter

from carryon.gguf.architectures import KNOWN
from carryon.gguf.geometry import kept_by_layers
from carryon.gguf.header import read_header
from carryon.gguf.keys import Keys

N_UBATCH = 512
F16_BYTES = 2
DRAFTS_AND_SOUNDS = {"dflash", "eagle3", "gemma4-assistant", "wavtokenizer-dec"}  # only beside another model
NOT_PLANNED = {"plm", "rwkv6qwen2"}  # the engine's own test leaves them out too: its invented weights do not fit

WITH_FURTHER_BLOCKS = ("glm4moe", "deepseek2", "qwen3next", "qwen35", "deepseek32", "mimo2", "step35", "cohere2moe",
                       "nemotron_h_moe", "hy_v3", "glm5-next", "bailingmoe3", "kimi-linear", "gpt-oss",
                       "lfm2")  # fmt: skip

# What a file may say differently: name -> (architecture, layers, changed fields).
VARIANTS = {
    "one window pattern for all": ("gemma3", 12, {"attention__sliding_window_pattern": 3}),
    "every layer has a window": ("gpt-oss", 6, {"attention__sliding_window_pattern": [1] * 6}),
    "no window in Gemma 3": ("gemma3", 12, {"attention__sliding_window": 0}),
    "an unsaid window in Gemma 2": ("gemma2", 6, {"attention__sliding_window": None, "context_length": 32768}),
    "a small EXAONE 4": ("exaone4", 30, {}),
    "Llama 4 without chunks": ("llama4", 8, {"attention__sliding_window": 0}),
    "Llama 4 with chunks of its own length": ("llama4", 8, {"attention__sliding_window": 100}),
    "SmallThinker without windows": ("smallthinker", 8, {"attention__sliding_window": 0}),
    "LFM 2 without windows": ("lfm2", 10, {"attention__sliding_window": None}),
    "Phi 3 with a window that the engine ignores": ("phi3", 8, {"attention__sliding_window": 256}),
    "Mistral with a window that the engine ignores": ("llama", 8, {"attention__sliding_window": 256}),
    "heads by layer": ("deci", 6, {"attention__head_count": [4, 4, 0, 4, 4, 4],
                                   "attention__head_count_kv": [4, 2, 0, 1, 4, 2]}),
    "listed recurrent layers": ("qwen3next", 6, {"attention__recurrent_layers": [1, 1, 0, 1, 0, 0]}),
    "another interval of attention": ("qwen35", 8, {"full_attention_interval": 4}),
    "an unsaid interval of attention": ("qwen35moe", 8, {"full_attention_interval": None}),
    "an unsaid interval in MiniMax": ("minimax-01", 16, {"full_attention_interval": None}),
    "an old DeepSeek that keeps whole keys": ("deepseek2", 6, {
        "attention__key_length_mla": None, "attention__value_length_mla": None, "attention__head_count": 2,
        "attention__head_count_kv": 2, "attention__key_length": 192, "attention__value_length": 128}),
    "GLM 5.2 with unsaid indexers": ("glm-dsa", 12, {"attention__indexer__types": None, "context_length": 1 << 20}),
    "GLM 5.1 with unsaid indexers": ("glm-dsa", 12, {"attention__indexer__types": None}),
    "an HY 4 of full attention": ("hy_v4", 6, {"attention__indexer__top_k": None}),
    "Gemma 4 without shared caches": ("gemma4", 10, {"attention__shared_kv_layers": None}),
    "four groups of state": ("mamba2", 4, {"ssm__group_count": 4}),
    "a Mamba that names groups": ("mamba", 4, {"ssm__group_count": 4}),
    "Nanbeige, three times through": ("nanbeige", 4, {"num_loops": 3}),
    **{f"{architecture} with a block that predicts further": (architecture, None, {"nextn_predict_layers": 1})
       for architecture in WITH_FURTHER_BLOCKS},
    "glm-dsa with a block that predicts further": ("glm-dsa", 10, {
        "nextn_predict_layers": 1, "attention__indexer__types": [1, 1, 0, 0, 1, 0, 0, 0, 1]}),
}  # fmt: skip
APPROXIMATED = "deepseek4"
CASES = {name: (name, None, {}) for name in sorted(KNOWN - DRAFTS_AND_SOUNDS)} | VARIANTS


@pytest.fixture(scope="module")
def plans(engine_plans, tmp_path_factory):
    """Case -> (its fields, the engine's plan)."""
    folder = tmp_path_factory.mktemp("architectures")
    paths = [folder / f"{number}.gguf" for number in range(len(CASES))]
    for path, (architecture, n_layers, changes) in zip(paths, CASES.values(), strict=True):
        path.write_bytes(HeaderWriter().header(fields_of(architecture, n_layers, **changes), []))
    answers = engine_plans([(path, n_ctx_of(case), N_UBATCH) for case, path in zip(CASES, paths, strict=True)])
    keys = [Keys(read_header(path)) for path in paths]
    return dict(zip(CASES, zip(keys, answers, strict=True), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_cache_is_the_engines_to_the_byte(plans, case):
    keys, engines = plans[case]
    if isinstance(engines, str) and case in NOT_PLANNED:
        pytest.skip("the engine plans no cache for it without weights")
    margin = 0.01 * engines["kv"] if case == APPROXIMATED else 0
    assert abs(kept_bytes(keys, n_ctx_of(case)) - engines["kv"]) <= margin


def test_the_engine_knows_all_the_architectures_that_we_do(plans):
    assert [case for case, (_, answer) in plans.items() if "unknown model architecture" in str(answer)] == []


def n_ctx_of(case):
    """DeepSeek V4's compressed caches are only approximated, so where they are large: at a long context."""
    return 32 * N_CTX if case == APPROXIMATED else N_CTX


def kept_bytes(keys, n_ctx):
    """What a context would hold for one sequence."""
    return sum(
        one.recurrent_bytes + (F16_BYTES * attention_numbers(one.attention, n_ctx) if one.attention else 0)
        for one in kept_by_layers(keys)
    )


def attention_numbers(attention, n_ctx):
    """Of one layer's cache: llama-kv-cache-iswa.cpp for layers with a window."""
    window = attention.window + N_UBATCH if attention.window else n_ctx
    cells = -(-min(n_ctx, window) // 256) * 256
    return cells * attention.n_kv_heads * (attention.key_length + attention.value_length)
