"""A conversion in its own process: tried before it is named, gone at once when cancelled, harmless when killed."""

import json
import random
import subprocess
import sys
import time

import gguf
import numpy as np
import psutil
import pytest
from model_folders import CONFIG, random_weights, stored, write_folder, write_json, write_sparse

from carryon.base.errors import BadFile, EngineCrashed, Unsupported
from carryon.base.jobs import Progress, drained
from carryon.convert.forms import OutType
from carryon.convert.job import ConvertRequest, VerifyRequest, converting, decode_request, encode_request, verifying
from carryon.convert.provenance import Provenance
from carryon.convert.run import CHECKING, convert
from carryon.engine.task import command_of

LARGE = CONFIG | {"intermediate_size": 262_144}  # 200 MB of zeros


@pytest.fixture
def log(tmp_path):
    return tmp_path / "convert.log"


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "out" / "m.gguf"
    path.parent.mkdir()
    path.write_bytes(b"the old one")
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("large") / "Large")
    write_json(folder / "config.json", LARGE)
    return write_sparse(folder, LARGE)


def is_as_before(target):
    return [one.name for one in target.parent.iterdir()] == ["m.gguf"] and target.read_bytes() == b"the old one"


@pytest.mark.parametrize("out_type", OutType, ids=lambda kind: kind.name)
def test_the_process_writes_what_the_work_itself_writes(tmp_path, folder, target, log, out_type):
    news = []
    converted = drained(converting(ConvertRequest(folder, target, out_type, "Tiny"), log), news.append)
    here = drained(convert(folder, tmp_path / "here.gguf", out_type, "Tiny"))
    assert target.read_bytes() == here.path.read_bytes()
    assert (converted.size_bytes, converted.n_tensors, converted.out_type) == (
        (here.size_bytes, here.n_tensors, here.out_type)
    )
    notes = [one.note for one in news if isinstance(one, Progress)]
    assert notes[-1] == CHECKING
    assert not list(target.parent.glob("*.part"))


def test_what_is_asked_comes_through_the_pipe(tmp_path):
    plain = ConvertRequest(tmp_path / "a", tmp_path / "b.gguf", OutType.BF16)
    full = ConvertRequest(tmp_path / "a", tmp_path / "b", OutType.F32, "n", tmp_path / "c", Provenance("o/n", "12"))
    for request in (plain, full):
        assert decode_request(json.loads(json.dumps(encode_request(request)))) == request


def test_refusals_of_the_process_arrive_as_they_are(folder, target, log):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(Unsupported, match=r"tokenizer\.json") as caught:
        drained(converting(ConvertRequest(folder, target, OutType.F16), log))
    assert caught.value.hint
    assert is_as_before(target)


def test_a_model_that_answers_no_numbers_gets_no_name(tmp_path, target, log):
    weights = random_weights(CONFIG)
    weights["model.norm.weight"] = ("BF16", stored(np.full(64, np.nan, np.float32), "BF16"))
    folder = write_folder(tmp_path / "m", weights=weights)
    with pytest.raises(BadFile, match="no numbers"):
        drained(converting(ConvertRequest(folder, target, OutType.F16), log))
    assert is_as_before(target)


def test_a_file_of_others_is_looked_at_in_the_same_way(tmp_path, folder, log):
    path = drained(convert(folder, tmp_path / "x.gguf", OutType.F16)).path
    assert drained(verifying(VerifyRequest(path, 20, folder), log)) == ()
    with pytest.raises(BadFile, match="20 tensors instead of 21"):
        drained(verifying(VerifyRequest(path, 21, folder), log))


def test_cancelling_is_quick_and_leaves_nothing(large, target, log):
    work = converting(ConvertRequest(large, target, OutType.F32), log)
    part = target.with_name("m.gguf.part")
    while not (part.exists() and part.stat().st_size > 1_000_000):
        next(work)
    started = time.monotonic()
    work.close()
    assert time.monotonic() - started < 2
    assert is_as_before(target)
    assert not [one for one in psutil.Process().children() if "carryon.worker.convert" in one.cmdline()]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_process_that_dies_is_told_and_leaves_nothing(large, target, log):
    work = converting(ConvertRequest(large, target, OutType.F32), log)
    part = target.with_name("m.gguf.part")
    while not (part.exists() and part.stat().st_size > 1_000_000):
        next(work)
    (child,) = [one for one in psutil.Process().children() if "carryon.worker.convert" in one.cmdline()]
    child.kill()
    with pytest.raises(EngineCrashed):
        drained(work)
    assert is_as_before(target)


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be cut there")
def test_a_source_that_is_cut_off_under_the_reader_is_told_as_such(large, target, log, tmp_path):
    folder = write_folder(tmp_path / "cut")
    write_json(folder / "config.json", LARGE)
    write_sparse(folder, LARGE)
    work = converting(ConvertRequest(folder, target, OutType.F32), log)
    while not target.with_name("m.gguf.part").exists():
        next(work)
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(10_000)
    with pytest.raises(BadFile, match=r"model\.safetensors was changed"):
        drained(work)
    assert is_as_before(target)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_ten_kills_at_random_moments_leave_the_old_file_and_nothing_in_the_way(large, target, log):
    request = ConvertRequest(large, target, OutType.F32)
    part = target.with_name("m.gguf.part")
    started = time.monotonic()
    drained(converting(ConvertRequest(large, target.with_name("first.gguf"), OutType.F32), log))
    whole_s = time.monotonic() - started
    chance, left_behind = random.Random(7), 0
    for _ in range(10):
        child = subprocess.Popen(command_of("convert"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        child.stdin.write(json.dumps(encode_request(request)).encode() + b"\n")
        child.stdin.flush()
        time.sleep(chance.uniform(0.05, 0.95) * whole_s)
        child.kill()
        child.wait()
        child.stdin.close()
        assert target.read_bytes() == b"the old one"
        left_behind += part.exists()
    assert left_behind, "no kill came while it was writing"
    converted = drained(converting(request, log))
    assert not part.exists()
    assert len(gguf.GGUFReader(target).tensors) == converted.n_tensors
