"""The shape of a model is what the engine makes of its file, and says in words why it cannot be read."""

from dataclasses import replace

import pytest
from fakes.header_models import MODELS, MORE_MODELS, header_from, write_header_model, write_split_model
from fakes.header_writer import HeaderWriter

from carryon.app.models import guide
from carryon.base.errors import BadFile, Unsupported
from carryon.gguf.header import read_header
from carryon.gguf.shape import Attention, read_shape, shape_of

ALL = MODELS | MORE_MODELS
N_CTX, N_UBATCH = 4096, 512
# Parameters in 10**9 as the publishers count them, and the KV cache at 32768 tokens in F16, MiB, as the engine has it.
KNOWN_FIGURES = {
    "llama31-8b": (8.03, 4096), "llama33-70b": (70.55, 10240), "mistral-7b-v03": (7.25, 4096),
    "smollm2-1.7b": (1.71, 6144), "qwen3-8b": (8.19, 4608), "qwen25-7b": (7.62, 1792), "qwen3-30b-a3b": (30.53, 3072),
    "gemma3-12b": (11.77, 2528), "phi4": (14.66, 6400), "dsv2-lite": (15.71, 972), "dsv3": (671.03, 2196),
    "gptoss-20b": (20.91, 786), "granite33-8b": (8.17, 5120),
}  # fmt: skip


@pytest.fixture(scope="module")
def shapes(engine_plans, tmp_path_factory):
    """Model -> (our shape, the engine's plan)."""
    folder = tmp_path_factory.mktemp("models")
    paths = [write_header_model(name, folder / f"{name}.gguf") for name in ALL]
    answers = engine_plans([(path, N_CTX, N_UBATCH) for path in paths])
    return dict(zip(ALL, zip(map(read_shape, paths), answers, strict=True), strict=True))


def shape(name):
    return shape_of([header_from(*ALL[name]())])


def changed(name, **fields):
    """The shape of a model some of whose fields say something else."""
    own, tensors = ALL[name]()
    return shape_of([header_from(own | {key.replace("__", "."): value for key, value in fields.items()}, tensors)])


@pytest.mark.parametrize("name", ALL)
def test_the_weights_are_the_engines_to_the_byte(shapes, name):
    own, engines = shapes[name]
    unused = set(own.unused_tensors)
    assert sum(padded(one.size_bytes) for one in own.tensors if one not in unused) == engines["weights"]


@pytest.mark.parametrize("name", ALL)
def test_the_cache_is_the_engines_to_the_byte(shapes, name):
    own, engines = shapes[name]
    assert cache_bytes(own, N_CTX) == engines["kv"]


@pytest.mark.parametrize("name", KNOWN_FIGURES)
def test_the_figures_that_publishers_name(name):
    own = shape(name)
    billions, cache_mib = KNOWN_FIGURES[name]
    assert own.n_params / 1e9 == pytest.approx(billions, abs=0.011)
    assert cache_bytes(own, 32768) == cache_mib << 20


def test_a_real_file_with_a_real_tokenizer(engine_plans):
    path = guide().path
    own = read_shape(path)
    (engines,) = engine_plans([(path, N_CTX, N_UBATCH)])
    assert sum(padded(one.size_bytes) for one in own.tensors) == engines["weights"]
    assert cache_bytes(own, N_CTX) == engines["kv"]
    assert own.n_vocab == read_header(path).array_lengths["tokenizer.ggml.tokens"]
    assert (own.quant, own.is_tied) == ("Q8_0", True)


def test_every_tensor_is_somewhere_once():
    for name in ALL:
        own = shape(name)
        names = [one.name for one in own.tensors]
        assert len(names) == len(set(names)) == len(ALL[name]()[1])


def test_what_goes_to_a_gpu_first_and_what_never():
    own = shape("llama31-8b")
    assert [one.name for one in own.input_tensors] == ["token_embd.weight"]
    assert {one.name for one in own.output_tensors} == {"output.weight", "output_norm.weight"}
    assert [one.name for one in own.shared_tensors] == ["rope_freqs.weight"]
    assert own.n_gpu_layers_max == 33


@pytest.mark.parametrize(("name", "is_tied"), [("smollm2-1.7b", True), ("llama31-8b", False)])
def test_a_tied_model_is_told_from_others(name, is_tied):
    assert shape(name).is_tied is is_tied


def test_layers_with_a_window_and_without():
    windows = [layer.attention.window for layer in shape("gemma3-12b").layers]
    assert windows == [1024, 1024, 1024, 1024, 1024, 0] * 8


def test_a_window_that_the_file_does_not_say():
    assert [layer.attention.window for layer in shape("gemma2-2b").layers[:4]] == [4096, 0, 4096, 0]


def test_latent_attention_keeps_keys_only():
    assert shape("dsv3").layers[0].attention == Attention(128, 1, 576, 0)


def test_an_old_file_without_latent_attention_keeps_all():
    own, tensors = ALL["dsv2-lite"]()
    old = {key: value for key, value in own.items() if not key.endswith("_mla")}
    old |= {"deepseek2.attention.head_count_kv": 16, "deepseek2.attention.key_length": 192}
    attention = shape_of([header_from(old, tensors)]).layers[0].attention
    assert (attention.n_kv_heads, attention.key_length, attention.value_length) == (16, 192, 512)


def test_experts():
    own = shape("qwen3-30b-a3b")
    assert (own.is_moe, own.n_experts, own.n_experts_used, own.n_ff, own.n_ff_expert) == (True, 128, 8, 0, 768)
    in_experts = sum(one.n_elements for one in own.tensors if one.is_expert)
    assert in_experts / own.n_params == pytest.approx(0.95, abs=0.01)


def test_layers_with_a_state_keep_no_cache():
    own = shape("lfm2-1.2b")
    assert [layer.attention is None for layer in own.layers[:3]] == [True, True, False]
    assert [layer.recurrent_bytes for layer in own.layers[:3]] == [2 * 2048 * 4, 2 * 2048 * 4, 0]
    assert {one.name for one in own.output_tensors} == {"token_embd_norm.weight"}


def test_a_block_that_predicts_further_is_not_loaded():
    own = shape("glm45-air")
    assert own.n_layers == 47  # the engine counts it as a layer that can be offloaded
    assert own.layers[46].tensors == ()
    assert own.layers[46].attention is None
    assert all(one.name.startswith("blk.46.") for one in own.unused_tensors)
    assert own.unused_tensors


@pytest.mark.parametrize("quant", ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K", "IQ4_XS"])
def test_the_quant_is_what_the_file_says(tmp_path, quant):
    assert read_shape(write_header_model("qwen3-8b", tmp_path / "m.gguf", quant)).quant == quant


@pytest.mark.parametrize("quant", ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q3_K_L", "Q3_K_M",
                                   "Q3_K_S", "IQ4_XS", "IQ3_M"])  # fmt: skip
@pytest.mark.parametrize("said", [None, 0, 25, 999])
def test_the_quant_is_seen_in_the_tensors_where_the_file_is_wrong(tmp_path, quant, said):
    path = write_header_model("llama31-8b", tmp_path / "m.gguf", None if quant == "F16" else quant)
    assert shape_of([with_file_type(path, said)]).quant == quant


def test_experts_in_mxfp4_have_the_name_of_such_files():
    assert changed("gptoss-20b", general__file_type=15).quant == "MXFP4_MOE"


def test_a_model_without_a_name_is_called_like_its_file():
    fields, tensors = ALL["phi4"]()
    del fields["general.name"]
    assert shape_of([header_from(fields, tensors)]).name == "made"


def test_an_unknown_architecture_is_unsupported():
    with pytest.raises(Unsupported, match="“llama99”") as error:
        changed("llama31-8b", general__architecture="llama99")
    assert "newer version" in error.value.hint


def test_an_unknown_type_of_tensor_is_unsupported():
    header = header_from(*ALL["phi4"]())
    strange = replace(header, tensors=(replace(header.tensors[0], type_id=77), *header.tensors[1:]))
    with pytest.raises(Unsupported, match="token_embd"):
        shape_of([strange])


@pytest.mark.parametrize("fields", [{"general__architecture": "clip"}, {"general__type": "adapter"},
                                    {"general__type": "mmproj"}])  # fmt: skip
def test_a_part_of_a_model_is_no_model(fields):
    with pytest.raises(BadFile, match="a part for one"):
        changed("llama31-8b", **fields)


@pytest.mark.parametrize(("fields", "words"), [
    ({"llama__block_count": 0}, "0 layers"),
    ({"llama__block_count": 100_000}, "100,000 layers"),
    ({"llama__block_count": "many"}, "impossible value"),
    ({"llama__attention__head_count": -4.5}, "impossible value"),
    ({"llama__attention__head_count_kv": [8, 8]}, "2 values for 32 layers"),
    ({"llama__nextn_predict_layers": 33}, "33 of its 32 layers"),
])  # fmt: skip
def test_impossible_fields_are_named(fields, words):
    with pytest.raises(BadFile, match=words) as error:
        changed("llama31-8b", **fields)
    assert error.value.hint


def test_a_vocabulary_alone_is_no_model():
    fields, _ = ALL["llama31-8b"]()
    with pytest.raises(BadFile, match="no weights"):
        shape_of([header_from(fields, [])])


def test_all_parts_of_a_split_model_are_one_shape(tmp_path):
    whole = read_shape(write_header_model("qwen3-8b", tmp_path / "whole.gguf"))
    parts = write_split_model("qwen3-8b", tmp_path, n_parts=3)
    split = read_shape(parts[1])
    assert [bare(one) for one in split.tensors] == [bare(one) for one in whole.tensors]
    assert split.size_bytes == sum(part.stat().st_size for part in parts)
    assert split.layers[7].attention == whole.layers[7].attention


def with_file_type(path, said):
    """The header of a file, made to say another file type, or none."""
    header = read_header(path)
    fields = {key: value for key, value in header.fields.items() if key != "general.file_type"}
    return replace(header, fields=fields if said is None else fields | {"general.file_type": said})


def bare(tensor):
    return tensor.name, tensor.shape, tensor.type_id


def padded(count):
    """CPU buffers align tensors to 32 bytes."""
    return -(-count // HeaderWriter().alignment) * HeaderWriter().alignment


def cache_bytes(own, n_ctx):
    """As in llama-kv-cache-iswa.cpp: layers with a window have cells for it and one batch."""
    return sum(layer.recurrent_bytes + (attention_bytes(layer.attention, n_ctx) if layer.attention else 0)
               for layer in own.layers)  # fmt: skip


def attention_bytes(one, n_ctx):
    cells = -(-min(n_ctx, one.window + N_UBATCH) // 256) * 256 if one.window else n_ctx
    return 2 * cells * one.n_kv_heads * (one.key_length + one.value_length)
