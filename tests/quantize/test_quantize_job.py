"""A quantized file is whole and proven or not there at all; the source stays as it is; every refusal is a sentence."""

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import psutil
import pytest
from fakes import tiny_gguf
from fakes.real_worker import is_gone, wait_until

from carryon import __version__
from carryon.base.errors import AppError, BadFile, BadInput, EngineError, NoRoom
from carryon.base.jobs import Progress, drained
from carryon.engine.task import command_of
from carryon.quantize import job
from carryon.quantize.job import quantizing
from carryon.quantize.request import Override, QuantizeRequest, Wish
from carryon.quantize.sizes import sizing
from carryon.quantize.unfinished import part_of

K_QUANTS = ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refusal(kind, quantized, *asked, **more):
    with pytest.raises(kind) as error:
        quantized(*asked, **more)
    assert error.value.hint
    return error.value.message


@pytest.mark.slow
def test_the_guide_becomes_every_k_quant_as_large_as_was_said(guide, quantized):
    before = digest(guide)
    sizes = drained(sizing(guide, [Wish(quant) for quant in K_QUANTS]))
    for size in sizes:
        made = quantized(guide, size.quant)
        assert made.path.stat().st_size == made.size_bytes == size.size_bytes
        assert (made.bits_per_weight, made.fallbacks) == (size.bits_per_weight, size.fallbacks)
        made.path.unlink()
    assert [one.size_bytes for one in sizes] == sorted(one.size_bytes for one in sizes)
    assert digest(guide) == before


def test_progress_is_in_bytes_and_names_the_tensor(dense, tmp_path):
    news = []
    work = quantizing(QuantizeRequest(dense, tmp_path / "out.gguf", "Q5_K_M", n_threads=1), tmp_path / "log")
    made = drained(work, news.append)
    told = [one for one in news if isinstance(one, Progress)]
    assert told[0].done == 0
    assert told[-1].done == told[-1].total == made.size_bytes
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1].note == "checking the new file"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "log", tmp_path / "out.gguf"]


def facts(path):
    """What an independent reader finds."""
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


def test_a_file_says_how_it_was_made_and_keeps_what_its_source_said(tmp_path, quantized):
    def origin(writer):
        writer.add_string("general.source.repo_url", "https://example.org/some/model")

    source = tiny_gguf.random_model(tmp_path / "Tiny-F16.gguf", extra=origin)
    made = quantized(source, "Q4_K_M", facts=(("carryon.revision", "abc123"),), output_type="Q8_0",
                     overrides=(Override(r"blk\.0\.ffn_down", "Q5_K"),))  # fmt: skip
    said = facts(made.path)
    assert said["carryon.quantizer"].startswith(f"Carryon {__version__} (llama.cpp ")
    assert said["carryon.quantized_from"] == "Tiny-F16.gguf"
    assert said["carryon.quantize.recipe"] == r"output=Q8_0 blk\.0\.ffn_down=Q5_K"
    assert said["carryon.revision"] == "abc123"
    assert said["general.source.repo_url"] == "https://example.org/some/model"
    assert said["general.file_type"] == 15
    types = {one.name: one.tensor_type.name for one in gguf.GGUFReader(made.path).tensors}
    assert types["output.weight"] == "Q8_0"
    assert types["blk.0.ffn_down.weight"] == "Q5_K"


def test_a_long_name_is_cut_where_the_format_ends(tmp_path, quantized):
    source = tiny_gguf.random_model(tmp_path / f"{'ü' * 100}.gguf")
    assert facts(quantized(source, "Q8_0").path)["carryon.quantized_from"] == "ü" * 63


@pytest.mark.parametrize("name", ["dense", "experts"])
@pytest.mark.parametrize("quant", ["Q2_K_S", "IQ2_XS"])
@pytest.mark.slow
def test_two_bits_need_an_importance_matrix_and_work_with_one(name, quant, request, importance, quantized):
    source = request.getfixturevalue(name)
    assert f"{quant} needs an importance matrix" in refusal(BadInput, quantized, source, quant)
    made = quantized(source, quant, imatrix=importance[name].path)
    said = facts(made.path)
    assert said["quantize.imatrix.file"] == importance[name].path.name
    assert said["quantize.imatrix.dataset"] == "text.txt"
    assert said["quantize.imatrix.chunks_count"] == 2
    assert said["carryon.imatrix.text_sha256"] == digest(source.parent / "text.txt")
    types = {one.name: one.tensor_type.name for one in gguf.GGUFReader(made.path).tensors}
    assert types["blk.1.attn_q.weight"] == {"Q2_K_S": "Q2_K"}.get(quant, quant)


@pytest.mark.slow
def test_an_importance_matrix_makes_what_matters_more_exact(dense, importance, quantized, tmp_path):
    """The columns that the text needs are nearer to the source with it than without, by their own weights."""
    without = quantized(dense, "Q2_K", tmp_path / "without.gguf").path
    seeing = quantized(dense, "Q2_K", tmp_path / "with.gguf", imatrix=importance["dense"].path).path
    values = read_weights(importance["dense"].path)
    errors = [weighted_error(dense, path, values) for path in (without, seeing)]
    assert errors[1] < errors[0]


def read_weights(path):
    found = {one.name: one.data for one in gguf.GGUFReader(path).tensors}
    return {name.removesuffix(".in_sum2"): data.reshape(-1) for name, data in found.items() if "in_sum2" in name}


def weighted_error(source, made, weights):
    before = {one.name: one for one in gguf.GGUFReader(source).tensors}
    after = {one.name: one for one in gguf.GGUFReader(made).tensors}
    total = 0.0
    for name, importance in weights.items():
        true, found = (gguf.dequantize(one[name].data, one[name].tensor_type) for one in (before, after))
        total += float((((found - true) ** 2) * importance).sum() / ((true**2) * importance).sum())
    return total


def test_a_foreign_or_damaged_importance_matrix_is_refused(dense, importance, quantized, tmp_path):
    message = refusal(BadInput, quantized, dense, "Q4_K_M", imatrix=importance["experts"].path)
    assert "is another model's: it knows “blk.0.ffn_down_exps.weight”" in message
    broken = tmp_path / "broken.imatrix"
    broken.write_bytes(importance["dense"].path.read_bytes()[:-100])
    assert "is damaged" in refusal(BadFile, quantized, dense, "Q4_K_M", imatrix=broken)
    assert "is not there" in refusal(BadFile, quantized, dense, "Q4_K_M", imatrix=tmp_path / "none")


def test_a_quantized_source_is_taken_only_knowingly(dense, quantized):
    eight = quantized(dense, "Q8_0").path
    assert "is quantized already (Q8_0)" in refusal(BadInput, quantized, eight, "Q4_K_M")
    made = quantized(eight, "Q4_K_M", requantizes=True)
    assert "worse than made of the original" in made.notices[0]


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard", "other name"])
def test_source_and_target_are_never_one(link, dense, tmp_path, quantized):
    source, target = tmp_path / "source.gguf", tmp_path / "target.gguf"
    source.write_bytes(dense.read_bytes())
    before = digest(source)
    match link:
        case "itself":
            target = source
        case "symbolic":
            target.symlink_to(source)
        case "hard":
            os.link(source, target)
        case _:
            target = tmp_path / "." / ".." / tmp_path.name / "source.gguf"
    assert "it would be destroyed" in refusal(BadInput, quantized, source, "Q4_K_M", target)
    assert digest(source) == before
    assert not part_of(target).exists()


def test_a_part_that_is_a_link_is_not_written_through(dense, tmp_path, quantized):
    source = tmp_path / "source.gguf"
    source.write_bytes(dense.read_bytes())
    before = digest(source)
    part_of(tmp_path / "out.gguf").symlink_to(source)
    quantized(source, "Q8_0", tmp_path / "out.gguf")
    assert digest(source) == before


def test_an_older_file_is_replaced_at_the_end_only(dense, tmp_path, quantized):
    target = tmp_path / "out.gguf"
    target.write_bytes(b"older")
    refusal(BadInput, quantized, dense, "IQ1_S", target)
    assert target.read_bytes() == b"older"
    assert quantized(dense, "Q8_0", target).size_bytes == target.stat().st_size


@pytest.mark.skipif(os.name == "nt", reason="ulimit is a word of POSIX shells")
def test_a_full_disk_is_said_and_leaves_nothing(dense, tmp_path, quantized, monkeypatch):
    """A limit on the size of files fails a write as a full disk does."""
    limited = ("sh", "-c", 'ulimit -f 1000; exec "$@"', "sh")
    monkeypatch.setattr(job, "command_of", lambda name: (*limited, *command_of(name)))
    message = refusal(NoRoom, quantized, dense, "Q8_0", tmp_path / "out.gguf")
    assert "failed after 512 kB" in message  # 1,000 blocks of 512 bytes
    assert "disk is full" in message
    assert [one.name for one in tmp_path.iterdir()] == ["quantize.log"]


NO_SPACE = """
import shutil, collections
Usage = collections.namedtuple("Usage", "total used free")
shutil.disk_usage = lambda path: Usage(10**9, 10**9, 1000)
from carryon.worker import quantize
from carryon.worker.task import serve
serve(quantize.quantized)
"""


def test_room_is_looked_for_before_a_byte_is_written(dense, tmp_path, quantized, monkeypatch):
    monkeypatch.setattr(job, "command_of", lambda name: (sys.executable, "-c", NO_SPACE))
    assert "has only 1.0 kB free" in refusal(NoRoom, quantized, dense, "Q8_0", tmp_path / "out.gguf")
    assert [one.name for one in tmp_path.iterdir()] == ["quantize.log"]


OTHER_TYPE = """
from carryon.worker import quantize
from carryon.worker.task import serve
real = quantize.quantize
def other(source, target, parameters):
    parameters.struct.ftype = 25  # IQ4_NL, whose blocks are as large as those of Q4_0
    return real(source, target, parameters)
quantize.quantize = other
serve(quantize.quantized)
"""


def test_another_type_of_the_same_size_is_noticed(dense, tmp_path, quantized, monkeypatch):
    monkeypatch.setattr(job, "command_of", lambda name: (sys.executable, "-c", OTHER_TYPE))
    message = refusal(EngineError, quantized, dense, "Q4_0", tmp_path / "out.gguf", is_pure=True)
    assert "was written as type 20, not Q4_0" in message
    assert [one.name for one in tmp_path.iterdir()] == ["quantize.log"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no folders of this kind")
def test_a_read_only_folder_is_named(dense, quantized):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = folder / "source.gguf"
        source.write_bytes(dense.read_bytes())
        folder.chmod(0o555)
        with nobody():
            assert "Permission denied" in refusal(BadFile, quantized, source, "Q8_0", folder / "out.gguf")
        folder.chmod(0o755)


@contextmanager
def nobody():
    """Root may write everywhere, so it plays somebody else while it asks."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_target_that_cannot_be_is_named(dense, tmp_path, quantized):
    assert "is a folder" in refusal(BadInput, quantized, dense, "Q8_0", tmp_path)
    tmp_path.joinpath("file").write_text("x", encoding="utf-8")
    assert "cannot be used" in refusal(BadFile, quantized, dense, "Q8_0", tmp_path / "file" / "out.gguf")


def test_numbers_that_are_none_are_refused(tmp_path, quantized):
    shape, vocabulary = tiny_gguf.Shape(), tiny_gguf.Vocabulary(tiny_gguf.COUNTING)
    said = np.random.default_rng(1).standard_normal((len(vocabulary), shape.hidden)).astype(np.float32)
    tensors = tiny_gguf.random_tensors(shape, said, said)
    tensors["blk.1.ffn_up.weight"][3, 7] = np.nan
    source = tiny_gguf.write(tmp_path / "nan.gguf", shape, vocabulary, "", tensors)
    assert "values that are no numbers" in refusal(BadFile, quantized, source, "Q4_K_M")
    assert not (tmp_path / "Q4_K_M.gguf").exists()


def test_rows_that_fit_no_block_are_stored_and_told(tmp_path, quantized):
    source = tiny_gguf.random_model(tmp_path / "odd.gguf", shape=tiny_gguf.Shape(hidden=128, feed_forward=96))
    made = quantized(source, "Q4_K_M")
    got = {one.tensor: (one.wanted, one.got) for one in made.fallbacks}
    assert got["blk.0.ffn_up.weight"] == ("Q4_K", "Q5_0")
    assert made.path.stat().st_size == made.size_bytes


def test_another_alignment_becomes_the_usual_one(tmp_path, quantized):
    """llama.cpp keeps the key and aligns to 32 bytes all the same: the file would be read at wrong places."""

    def wide(writer):
        writer.add_custom_alignment(128)

    source = tiny_gguf.random_model(tmp_path / "wide.gguf", extra=wide)
    made = quantized(source, "Q4_K_M")
    assert facts(made.path)["general.alignment"] == 32
    assert made.path.stat().st_size == made.size_bytes


def children():
    return psutil.Process().children(recursive=True)


@pytest.mark.slow
def test_stopped_at_any_moment_nothing_stands_under_the_name(guide, tmp_path):
    """Stopping takes under two seconds, ends the process, and leaves neither half a file nor the unfinished one."""
    dice, target = random.Random(3), tmp_path / "out.gguf"
    for _ in range(10):
        work = quantizing(QuantizeRequest(guide, target, "Q3_K_M", n_threads=1), tmp_path / "log")
        end_s = time.monotonic() + dice.uniform(0.05, 2.5)
        while time.monotonic() < end_s and next(work, "over") != "over":
            pass
        was_made, started_s = target.exists(), time.monotonic()
        pids = [one.pid for one in children()]
        work.close()
        assert time.monotonic() - started_s < 2
        assert all(map(is_gone, pids))
        assert target.exists() == was_made
        target.unlink(missing_ok=True)
        assert [one.name for one in tmp_path.iterdir()] == ["log"]


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_and_leaves_nothing(guide, tmp_path):
    work = quantizing(QuantizeRequest(guide, tmp_path / "out.gguf", "Q3_K_M", n_threads=1), tmp_path / "log")
    while not (news := next(work)) or not news.done:
        pass
    for child in children():
        child.kill()
    with pytest.raises(AppError, match="ended by the system"):
        drained(work)
    assert [one.name for one in tmp_path.iterdir()] == ["log"]


KILLED = """
import sys
from pathlib import Path
from carryon.base.jobs import drained
from carryon.quantize.job import quantizing
from carryon.quantize.request import QuantizeRequest
source, folder = map(Path, sys.argv[1:])
drained(quantizing(QuantizeRequest(source, folder / "out.gguf", "Q3_K_M", n_threads=1), folder / "log"),
        lambda news: news and print(news.done, flush=True))
"""


@pytest.mark.slow
def test_carryon_killed_itself_leaves_an_unfinished_file_that_the_next_run_takes_away(guide, tmp_path, quantized):
    parent = subprocess.Popen([sys.executable, "-c", KILLED, str(guide), str(tmp_path)], stdout=subprocess.PIPE)
    while parent.stdout.readline().strip() in (b"", b"0"):
        assert parent.poll() is None
    pids = [one.pid for one in psutil.Process(parent.pid).children(recursive=True)]
    parent.kill()
    parent.communicate()
    assert wait_until(lambda: all(map(is_gone, pids)), 2) is not None
    target = tmp_path / "out.gguf"
    assert not target.exists()
    assert part_of(target).exists()
    quantized(guide, "Q8_0", target)
    assert not part_of(target).exists()


def test_a_source_that_changes_meanwhile_is_refused(dense, tmp_path):
    source = tmp_path / "source.gguf"
    source.write_bytes(dense.read_bytes())
    work = quantizing(QuantizeRequest(source, tmp_path / "out.gguf", "Q3_K_M", n_threads=1), tmp_path / "log")
    with pytest.raises(BadFile, match="changed while it was read"):
        drained(work, lambda news: news and os.utime(source, ns=(1, time.time_ns())))
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.slow
def test_a_split_source_becomes_one_file(dense, tmp_path, quantized, monkeypatch):
    monkeypatch.setattr(gguf, "GGUFWriter", partial(gguf.GGUFWriter, split_max_tensors=9))
    tiny_gguf.random_model(tmp_path / "parts.gguf")
    monkeypatch.undo()
    parts = sorted(tmp_path.glob("parts-*.gguf"))
    made = quantized(parts[1], "Q4_K_M")
    assert made.path.stat().st_size == made.size_bytes
    assert "split.count" not in facts(made.path)
    whole = quantized(dense, "Q4_K_M", tmp_path / "whole.gguf").path
    told = [{one.name: one.data.tobytes() for one in gguf.GGUFReader(path).tensors} for path in (made.path, whole)]
    assert told[0] == told[1]


@pytest.mark.parametrize("number", [0, 1])
def test_a_part_of_the_source_is_no_target(number, tmp_path, quantized, monkeypatch):
    monkeypatch.setattr(gguf, "GGUFWriter", partial(gguf.GGUFWriter, split_max_tensors=15))
    tiny_gguf.random_model(tmp_path / "parts.gguf")
    parts = sorted(tmp_path.glob("parts-*.gguf"))
    assert "it would be destroyed" in refusal(BadInput, quantized, parts[0], "Q4_K_M", parts[number])


def test_nothing_is_left_in_the_folder_for_temporary_files(dense, tmp_path, quantized, monkeypatch):
    scratch = Path(tmp_path / "scratch")
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    quantized(dense, "Q8_0")
    assert list(scratch.iterdir()) == []
