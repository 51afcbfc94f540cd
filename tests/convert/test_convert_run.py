"""A conversion from start to end: exact tensors, little memory, and whole or not at all whatever happens to it."""

import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import namedtuple

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import (
    CONFIG,
    TEMPLATE,
    random_weights,
    stored,
    tokenizer_config,
    tokenizer_json,
    write_folder,
    write_json,
    write_safetensors,
    write_shards,
    write_sparse,
)

from carryon.base.errors import AppError, BadFile, NoRoom, Unsupported
from carryon.base.jobs import Cancelled, Done, Failed, Progress, drive
from carryon.convert.checkpoint import open_checkpoint
from carryon.convert.forms import GgmlType, OutType
from carryon.convert.plan import paired_rows
from carryon.convert.run import convert, form_of, prepare, size_label


def outcome_of(work, on_news=lambda _: None, is_cancelled=lambda: False):
    return drive(work, on_news, is_cancelled)


def floats(number, values):
    """The float32 values that a safetensors tensor stands for, by numpy and gguf alone."""
    if number == "BF16":
        return gguf.quants.dequantize(values.view(np.uint8), GGMLQuantizationType.BF16)
    return values.astype(np.float32)


def tensors_of(reader):
    return {tensor.name: tensor for tensor in reader.tensors}


@pytest.mark.parametrize("out_type", OutType, ids=lambda kind: kind.name)
@pytest.mark.parametrize("number", ["F32", "F16", "BF16"])
def test_every_matrix_is_what_gguf_itself_would_make_of_it(tmp_path, converted, number, out_type):
    weights = random_weights(CONFIG, number)
    found = tensors_of(converted(write_folder(tmp_path / "m", weights=weights), out_type))
    for ours, theirs in (("blk.1.ffn_down", "layers.1.mlp.down_proj"), ("token_embd", "embed_tokens")):
        expected = gguf.quants.quantize(floats(*weights[f"model.{theirs}.weight"]), found[f"{ours}.weight"].tensor_type)
        assert found[f"{ours}.weight"].tensor_type.name == out_type.name
        assert np.array_equal(found[f"{ours}.weight"].data.view(np.uint8), expected.view(np.uint8))


def test_rows_are_paired_across_blocks(folder, converted, monkeypatch):
    """A block is two rows here, so every head is cut by one."""
    monkeypatch.setattr("carryon.convert.streaming.BLOCK_VALUES", 2 * CONFIG["hidden_size"])
    weights = random_weights(CONFIG)
    found = tensors_of(converted(folder, OutType.F32))
    for name, part, heads in (("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)):
        source = floats(*weights[f"model.layers.0.self_attn.{part}.weight"])
        assert np.array_equal(found[f"blk.0.{name}.weight"].data, source[paired_rows(len(source), heads)])


def test_norms_stay_exact_in_every_type(folder, converted):
    for out_type in OutType:
        norm = tensors_of(converted(folder, out_type))["blk.0.attn_norm.weight"]
        assert norm.tensor_type is GGMLQuantizationType.F32


@pytest.mark.parametrize(
    ("name", "shape", "form"),
    [
        ("blk.0.ffn_up.weight", (8, 64), GgmlType.Q8_0),
        ("blk.0.ffn_up.weight", (8, 48), GgmlType.F16),
        ("blk.0.attn_q.bias", (64,), GgmlType.F32),
        ("blk.0.attn_norm.weight", (64,), GgmlType.F32),
        ("rope_freqs.weight", (32,), GgmlType.F32),
    ],
)
def test_the_form_of_a_tensor(name, shape, form):
    assert form_of(name, shape, OutType.Q8_0) is form


def test_rows_that_no_block_fits_become_f16_with_a_warning(tmp_path):
    folder = write_folder(tmp_path / "m", intermediate_size=100)
    outcome = outcome_of(convert(folder, tmp_path / "m.gguf", OutType.Q8_0))
    assert isinstance(outcome, Done)
    assert outcome.result.warnings == (
        "2 tensors have rows that Q8_0 cannot hold and are stored as F16, such as blk.0.ffn_down.weight.",
    )


def test_what_a_person_gets_back(tmp_path, folder):
    target = tmp_path / "models" / "tiny.gguf"
    outcome = outcome_of(convert(folder, target, OutType.Q8_0))
    assert isinstance(outcome, Done)
    result = outcome.result
    assert (result.path, result.out_type, result.warnings) == (target, OutType.Q8_0, ())
    assert result.size_bytes == target.stat().st_size
    assert result.n_tensors == len(gguf.GGUFReader(target).tensors) == 20


def test_the_file_says_what_it_is(folder, converted):
    fields = converted(folder, OutType.BF16).fields
    said = {key: fields[key].contents() for key in fields if not key.startswith("GGUF.")}
    assert (said["general.architecture"], said["general.type"]) == ("llama", "model")
    assert (said["general.name"], said["general.size_label"]) == ("Tiny-Llama", "79K")
    assert (said["general.file_type"], said["general.quantization_version"]) == (32, 2)
    assert said["tokenizer.chat_template"] == TEMPLATE


def test_a_name_can_be_given(folder, converted):
    assert converted(folder, name="My model").fields["general.name"].contents() == "My model"


@pytest.mark.parametrize(
    ("n_values", "label"), [(77_000, "77K"), (5_200_000, "5.2M"), (135e6, "135M"), (8.03e9, "8.0B"), (1.2e12, "1.2T")]
)
def test_size_labels(n_values, label):
    assert size_label(n_values) == label


def test_shards_give_the_same_file(tmp_path, folder):
    def contents(name):
        outcome_of(convert(folder, tmp_path / name, OutType.F16))
        return {t.name: bytes(t.data) for t in gguf.GGUFReader(tmp_path / name).tensors}

    one = contents("one.gguf")
    write_shards(folder, random_weights(CONFIG), 3)
    assert contents("many.gguf") == one


def test_progress_is_in_bytes_and_never_goes_back(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("carryon.convert.run.NEWS_EVERY_S", 0)
    news = []
    outcome = outcome_of(convert(folder, tmp_path / "m.gguf", OutType.F16), news.append)
    done = [one.done for one in news]
    assert all(isinstance(one, Progress) for one in news)
    assert {one.total for one in news} == {outcome.result.size_bytes}
    assert done == sorted(done)
    assert done[-1] == outcome.result.size_bytes
    assert "blk.1.ffn_up.weight" in {one.note for one in news}


def test_cancelling_leaves_nothing(tmp_path, folder):
    news = []
    outcome = outcome_of(convert(folder, tmp_path / "out" / "m.gguf", OutType.F16), news.append, lambda: bool(news))
    assert isinstance(outcome, Cancelled)
    assert not (tmp_path / "out").exists()


def test_cancelling_in_the_middle_removes_the_part_and_keeps_the_old_file(tmp_path, folder):
    target = tmp_path / "m.gguf"
    target.write_bytes(b"the old one")
    work = convert(folder, target, OutType.F16)
    while not (part := tmp_path / "m.gguf.part").exists():
        next(work)
    assert next(work, None) is None
    work.close()
    assert not part.exists()
    assert target.read_bytes() == b"the old one"


SLOWLY = """
import sys, time
from pathlib import Path
from carryon.convert.forms import OutType
from carryon.convert.run import convert
for _ in convert(Path(sys.argv[1]), Path(sys.argv[2]), OutType.F32):
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
@pytest.mark.parametrize("before", [None, b"the old one"])
def test_a_kill_in_the_middle_leaves_the_old_file_or_none(tmp_path, folder, before):
    target, part = tmp_path / "m.gguf", tmp_path / "m.gguf.part"
    if before is not None:
        target.write_bytes(before)
    child = subprocess.Popen([sys.executable, "-c", SLOWLY, str(folder), str(target)])
    deadline_s = time.monotonic() + 30
    while not part.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert (target.read_bytes() if target.exists() else None) == before
    assert isinstance(outcome_of(convert(folder, target, OutType.F32)), Done), "what is left must not be in the way"
    assert len(gguf.GGUFReader(target).tensors) == 20


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    outcome = outcome_of(convert(folder, tmp_path / "new" / "m.gguf", OutType.F32))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, NoRoom)
    assert "1.0 kB free" in outcome.error.message
    assert not (tmp_path / "new").exists()


def test_numbers_too_large_for_f16_stop_the_work_and_name_the_tensor(tmp_path):
    weights = random_weights(CONFIG)
    huge = np.full((264, 64), 1e6, np.float32)
    weights["model.embed_tokens.weight"] = ("BF16", stored(huge, "BF16"))
    folder = write_folder(tmp_path / "m", weights=weights)
    outcome = outcome_of(convert(folder, tmp_path / "m.gguf", OutType.F16))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, Unsupported)
    assert "model.embed_tokens.weight" in outcome.error.message
    assert not list(tmp_path.glob("m.gguf*"))
    assert isinstance(outcome_of(convert(folder, tmp_path / "m.gguf", OutType.BF16)), Done)


def test_values_that_are_no_numbers_are_warned_about(tmp_path):
    weights = random_weights(CONFIG)
    weights["model.norm.weight"] = ("BF16", stored(np.full(64, np.nan, np.float32), "BF16"))
    outcome = outcome_of(convert(write_folder(tmp_path / "m", weights=weights), tmp_path / "m.gguf", OutType.BF16))
    assert isinstance(outcome, Done)
    assert "1 tensors hold values that are not numbers, such as output_norm.weight" in outcome.result.warnings[0]


def test_a_compressed_checkpoint_is_refused_by_its_numbers(tmp_path):
    weights = random_weights(CONFIG)
    weights["model.layers.0.mlp.up_proj.weight"] = ("U8", np.zeros((96, 64), "u1"))
    outcome = outcome_of(convert(write_folder(tmp_path / "m", weights=weights), tmp_path / "m.gguf", OutType.F16))
    assert isinstance(outcome, Failed)
    assert "compressed copy" in outcome.error.message


def test_memory_does_not_grow_with_a_tensor(tmp_path):
    """Three tensors of 67 MB: what is allocated at once stays below one of them."""
    config = CONFIG | {"intermediate_size": 524_288, "num_hidden_layers": 1}
    folder = write_folder(tmp_path / "m")
    write_json(folder / "config.json", config)
    write_sparse(folder, config)
    tracemalloc.start()
    outcome = outcome_of(convert(folder, tmp_path / "m.gguf", OutType.Q8_0))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(outcome, Done)
    assert peak_bytes < 48_000_000


def places_in(value, path=()):
    """Every place in a JSON value, but of a long vocabulary only the first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(inner)[:16]:
        yield from places_in(one, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
STRETCHED = CONFIG | {"rope_scaling": {"rope_type": "llama3", **LLAMA3}}
FILES = {"config.json": STRETCHED, "tokenizer.json": tokenizer_json(), "tokenizer_config.json": tokenizer_config()}
odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
odd = odd | st.lists(odd, max_size=3) | st.dictionaries(st.text(max_size=5), odd, max_size=2)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("spoilt") / "m")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_a_folders_files_say_the_answer_is_a_sentence(spoilt, data):
    name = data.draw(st.sampled_from(sorted(FILES)))
    path = data.draw(st.sampled_from(list(places_in(FILES[name]))))
    write_json(spoilt / name, replaced(FILES[name], path, data.draw(odd)))
    try:
        prepare(open_checkpoint(spoilt), OutType.F16)
    except AppError as error:
        hint = error.hint
    else:
        hint = "none needed"
    finally:
        write_json(spoilt / name, FILES[name])
    assert hint, "a person needs a next step"


def test_a_file_that_is_no_model_folder_is_said(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", {})
    with pytest.raises(BadFile, match=r"config\.json"):
        next(convert(tmp_path, tmp_path / "m.gguf", OutType.F16))
