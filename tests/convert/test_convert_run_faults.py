"""Whatever goes wrong while a model is converted: one clear error, nothing under the final name, the old file whole."""

import os
import shutil
import sys

import gguf
import numpy as np
import pytest
from model_folders import CONFIG, random_weights, stored, write_folder, write_shards

from carryon.base.errors import AppError, BadFile, NoRoom, Unsupported
from carryon.base.jobs import drained
from carryon.convert.checkpoint import open_checkpoint
from carryon.convert.forms import OutType
from carryon.convert.provenance import Provenance, provenance_of
from carryon.convert.run import Means, convert, prepare, written
from carryon.convert.stamp import stamp_of

SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture
def target(tmp_path):
    """A place where an older file lies."""
    path = tmp_path / "out" / "m.gguf"
    path.parent.mkdir()
    path.write_bytes(b"the old one")
    return path


@pytest.fixture
def shards(folder):
    write_shards(folder, random_weights(CONFIG), 3)
    return folder


def refused(work, target, kind):
    """The error that the work ends with; the target's folder is as it was."""
    with pytest.raises(kind) as caught:
        drained(work)
    assert [one.name for one in target.parent.iterdir()] == ["m.gguf"]
    assert target.read_bytes() == b"the old one"
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("missing", [SHARD, "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(shards, target, missing):
    (shards / missing).unlink()
    assert missing in refused(convert(shards, target, OutType.F16), target, AppError)


@pytest.mark.parametrize("empty", [SHARD, "model.safetensors.index.json", "tokenizer.json", "config.json"])
def test_an_empty_file_is_named(shards, target, empty):
    (shards / empty).write_bytes(b"")
    assert empty in refused(convert(shards, target, OutType.F16), target, BadFile)


def test_a_shard_that_is_cut_off_is_named(shards, target):
    with (shards / SHARD).open("r+b") as file:
        file.truncate((shards / SHARD).stat().st_size - 10)
    message = refused(convert(shards, target, OutType.F16), target, BadFile)
    assert SHARD in message
    assert "cut off" in message


def test_a_wrong_shape_is_named(tmp_path, target):
    weights = random_weights(CONFIG)
    weights["model.layers.1.mlp.up_proj.weight"] = ("BF16", stored(np.ones((96, 32), np.float32), "BF16"))
    folder = write_folder(tmp_path / "m", weights=weights)
    assert "96 x 32" in refused(convert(folder, target, OutType.F16), target, BadFile)


@pytest.mark.parametrize("changed", [SHARD, "config.json", "tokenizer.json"])
def test_a_source_that_changes_meanwhile_is_told(shards, target, changed):
    work = convert(shards, target, OutType.F16)
    while not target.with_name("m.gguf.part").exists():
        next(work)
    os.utime(shards / changed, ns=(1, 1))
    assert f"{changed} was changed" in refused(work, target, BadFile)


def test_a_source_that_vanishes_meanwhile_is_told(shards, target):
    work = convert(shards, target, OutType.F16)
    while not target.with_name("m.gguf.part").exists():
        next(work)
    (shards / "config.json").unlink()
    assert "config.json was changed" in refused(work, target, BadFile)


def test_whatever_fails_a_source_that_has_changed_is_the_reason(folder, target):
    def verify(_path, _n_tensors):
        yield None
        os.utime(folder / "model.safetensors", ns=(1, 1))
        raise ValueError("mmap length is greater than file size")

    recipe = prepare(open_checkpoint(folder), OutType.F16)
    means = Means(stamp_of(folder).check, verify)
    assert "model.safetensors was changed" in refused(written(recipe, target, means), target, BadFile)


def test_files_that_no_conversion_reads_may_change(folder):
    stamp = stamp_of(folder)
    (folder / "model.gguf").write_bytes(b"new")
    (folder / "README.md").write_text("new")
    stamp.check()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")  # noqa: PTH110
def test_a_disk_that_fills_up_meanwhile_is_told(folder, target):
    target.with_name("m.gguf.part").symlink_to("/dev/full")
    assert "is full" in refused(convert(folder, target, OutType.F16), target, NoRoom)


def test_what_an_earlier_try_left_counts_as_room(folder, target, monkeypatch):
    recipe = prepare(open_checkpoint(folder), OutType.F16)
    target.with_name("m.gguf.part").write_bytes(bytes(recipe.size_bytes))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    drained(convert(folder, target, OutType.F16))
    assert len(gguf.GGUFReader(target).tensors) == 20


def test_a_target_that_cannot_be_written_is_told(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(BadFile, match="cannot be used"):
        drained(convert(folder, tmp_path / "file" / "m.gguf", OutType.F16))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_told(folder, target):
    target.parent.chmod(0o500)
    try:
        refused(convert(folder, target, OutType.F16), target, BadFile)
    finally:
        target.parent.chmod(0o700)


def test_a_file_that_fails_its_check_gets_no_name(folder, target):
    seen = []

    def verify(path, n_tensors):
        seen.append((path.name, len(gguf.GGUFReader(path).tensors), n_tensors))
        yield None
        raise BadFile("It does not work.", "Try again.")

    recipe = prepare(open_checkpoint(folder), OutType.F16)
    assert refused(written(recipe, target, Means(verify=verify)), target, BadFile) == "It does not work."
    assert seen == [("m.gguf.part", 20, 20)]


def test_infinite_weights_are_warned_about(tmp_path, target):
    weights = random_weights(CONFIG)
    weights["model.norm.weight"] = ("F32", np.full(64, -np.inf, np.float32))
    converted = drained(convert(write_folder(tmp_path / "m", weights=weights), target, OutType.Q8_0))
    assert "output_norm.weight" in converted.warnings[0]


def test_numbers_too_large_for_q8_0_stop_the_work(tmp_path, target):
    weights = random_weights(CONFIG)
    weights["model.embed_tokens.weight"] = ("BF16", stored(np.full((264, 64), 1e30, np.float32), "BF16"))
    folder = write_folder(tmp_path / "m", weights=weights)
    assert "too large for Q8_0" in refused(convert(folder, target, OutType.Q8_0), target, Unsupported)


def test_where_a_model_came_from_stands_in_its_file(folder, target):
    recipe = prepare(open_checkpoint(folder), OutType.F16, provenance=Provenance("owner/name", "0123abc"))
    drained(written(recipe, target, Means()))
    fields = gguf.GGUFReader(target).fields
    assert fields["general.source.huggingface.repository"].contents() == "owner/name"
    assert fields["general.source.huggingface.revision"].contents() == "0123abc"
    assert fields["carryon.converter"].contents()


def test_the_hubs_own_cache_tells_where_a_model_came_from(tmp_path):
    folder = tmp_path / "models--owner--name" / "snapshots" / "0123abc"
    assert provenance_of(folder) == Provenance("owner/name", "0123abc")
    assert provenance_of(tmp_path / "name") == Provenance()
