"""A merged model answers as PEFT runs it, and an adapter that cannot be merged truly is refused with the reason."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from convert.adapters import N_TOKENS, VARIANTS, adapted, model, rewrite_config  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from carryon.base.errors import AppError, BadFile, Unsupported  # noqa: E402
from carryon.convert.adapter import open_adapter  # noqa: E402
from carryon.convert.checkpoint import open_checkpoint  # noqa: E402
from carryon.convert.merging import floats_of, merged  # noqa: E402

IDS = torch.arange(3, 83).reshape(1, -1) % N_TOKENS


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("base")
    made = model(request.param)
    made.save_pretrained(folder)
    return made, folder


def logits(one: Any) -> np.ndarray:
    with torch.no_grad():
        return one.double()(IDS).logits[0].numpy()


def as_model(base: Any, checkpoint: Any) -> Any:
    """A plain model with the checkpoint's own numbers, read in uneven blocks as a conversion may."""
    values = {}
    for name, source in checkpoint.tensors.items():
        n_rows = int(np.prod(source.shape[:-1])) if len(source.shape) > 1 else source.shape[0]
        blocks = [floats_of(source, slice(at, at + 7)) for at in range(0, n_rows, 7)]
        values[name] = torch.from_numpy(np.concatenate(blocks).reshape(source.shape).copy())
    has_bias = any(name.endswith("q_proj.bias") for name in values)
    tied = bool(checkpoint.config.values["tie_word_embeddings"])
    made = model(tied, vocab_size=values["model.embed_tokens.weight"].shape[0], attention_bias=has_bias)
    with torch.no_grad():
        for name, value in made.named_parameters():
            value.zero_() if name.endswith("bias") else None
    lacking, over = made.load_state_dict(values, strict=False)
    assert not over
    assert all(name.endswith("bias") or (tied and "lm_head" in name) for name in lacking)
    return made


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_merged_model_answers_as_peft_does(variant: str, base: tuple[Any, Path], tmp_path: Path) -> None:
    plain, folder = base
    expected = logits(adapted(plain, variant, tmp_path / variant))
    found = logits(as_model(plain, merged(open_checkpoint(folder), open_adapter(tmp_path / variant))))
    assert np.abs(expected - logits(model(plain.config.tie_word_embeddings))).max() > 0.01  # it changes something
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, expected.std())


def test_added_tokens_bring_their_rows_and_their_tokenizer(base: tuple[Any, Path], tmp_path: Path) -> None:
    plain, folder = base
    grown = model(plain.config.tie_word_embeddings)
    grown.load_state_dict(plain.state_dict())
    grown.resize_token_embeddings(N_TOKENS + 3)
    expected = logits(adapted(grown, "whole-copies", tmp_path / "a"))
    (tmp_path / "a" / "tokenizer.json").write_text("{}")
    checkpoint = merged(open_checkpoint(folder), open_adapter(tmp_path / "a"))
    assert checkpoint.words_folder == tmp_path / "a"
    assert np.abs(logits(as_model(plain, checkpoint)) - expected).max() <= 1e-5 * expected.std()


def test_the_base_is_not_touched(base: tuple[Any, Path], tmp_path: Path) -> None:
    plain, folder = base
    before = {one: one.read_bytes() for one in folder.iterdir()}
    adapted(plain, "everything", tmp_path / "a")
    merged(open_checkpoint(folder), open_adapter(tmp_path / "a"))
    assert {one: one.read_bytes() for one in folder.iterdir()} == before


class TestRefusals:
    @pytest.fixture
    def adapter(self, base: tuple[Any, Path], tmp_path: Path) -> Path:
        adapted(base[0], "attention", tmp_path / "a")
        return tmp_path / "a"

    @pytest.mark.parametrize(("key", "value"), [
        ("peft_type", "IA3"), ("layer_replication", [[0, 1]]), ("target_parameters", ["experts.gate_up_proj"]),
        ("fan_in_fan_out", True), ("init_lora_weights", "pissa_niter_4"), ("use_qalora", True),
        ("alpha_pattern", {"(a+)+b": 3}),
    ])  # fmt: skip
    def test_what_cannot_be_merged_truly(self, adapter: Path, key: str, value: object) -> None:
        rewrite_config(adapter, **{key: value})
        with pytest.raises(Unsupported):
            open_adapter(adapter)

    def test_an_adapter_of_another_model(self, adapter: Path, tmp_path: Path) -> None:
        model(False, hidden_size=32).save_pretrained(tmp_path / "other")
        with pytest.raises(BadFile, match="does not fit this model"):
            merged(open_checkpoint(tmp_path / "other"), open_adapter(adapter))

    def test_a_tensor_that_the_base_lacks(self, adapter: Path, base: tuple[Any, Path]) -> None:
        tensors = load_file(adapter / "adapter_model.safetensors")
        tensors["base_model.model.model.layers.9.self_attn.q_proj.weight"] = torch.zeros(4, 4)
        save_file(tensors, adapter / "adapter_model.safetensors")
        with pytest.raises(BadFile, match="which is not there"):
            merged(open_checkpoint(base[1]), open_adapter(adapter))

    def test_half_of_a_pair(self, adapter: Path) -> None:
        tensors = load_file(adapter / "adapter_model.safetensors")
        tensors.pop(next(name for name in tensors if "lora_B" in name))
        save_file(tensors, adapter / "adapter_model.safetensors")
        with pytest.raises(BadFile, match="only one of two"):
            open_adapter(adapter)

    def test_a_pickled_adapter(self, adapter: Path) -> None:
        (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
        with pytest.raises(Unsupported, match="can hold programs"):
            open_adapter(adapter)

    def test_a_compressed_base_is_warned_of(self, adapter: Path) -> None:
        rewrite_config(adapter, base_model_name_or_path="someone/llama-bnb-4bit")
        assert "compressed copy" in open_adapter(adapter).warnings[0]


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**70), st.floats(), st.text(max_size=6),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=6), st.one_of(st.integers(), st.text(max_size=3)), max_size=2),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["r", "lora_alpha", "use_rslora", "alpha_pattern", "rank_pattern", "trainable_token_indices",
                            "peft_type", "bias", "base_model_name_or_path", "init_lora_weights", "use_dora"]),
       value=_VALUES)  # fmt: skip
def test_any_config_is_merged_or_refused(key: str, value: object, base: tuple[Any, Path], tmp_path: Path) -> None:
    folder = tmp_path / "a"
    if not folder.exists():
        adapted(base[0], "token-rows", folder)
        (tmp_path / "config").write_bytes((folder / "adapter_config.json").read_bytes())
    settings_now = {**json.loads((tmp_path / "config").read_text()), key: value}
    (folder / "adapter_config.json").write_text(json.dumps(settings_now))
    with suppress(AppError):
        checkpoint = merged(open_checkpoint(base[1]), open_adapter(folder))
        floats_of(checkpoint.tensors["model.embed_tokens.weight"])
