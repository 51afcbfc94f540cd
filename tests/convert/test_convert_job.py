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
from model_folders import CONFIG, random_weights, stored, write_folder, write_json, write_safetensors, write_sparse

from carryon.base.errors import BadFile, EngineCrashed, Unsupported
from carryon.base.jobs import Progress, drained
from carryon.convert.checkpoint import PickledWeights, open_checkpoint
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


@pytest.mark.parametrize("out_type", [OutType.F16, OutType.Q8_0], ids=lambda kind: kind.name)
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


def test_an_adapter_is_merged_while_its_base_is_read(tmp_path, folder, target, log):
    a, b = np.random.default_rng(2).standard_normal((2, 4, 64), np.float32)
    adapter = write_adapter(tmp_path / "adapter", "model.layers.1.mlp.up_proj", a, np.tile(b.T, (2, 1))[:96])
    drained(converting(ConvertRequest(folder, target, OutType.F32, adapter=adapter), log))
    plain = drained(convert(folder, tmp_path / "plain.gguf", OutType.F32)).path
    ours, base = ({one.name: one.data for one in gguf.GGUFReader(path).tensors} for path in (target, plain))
    changed = [name for name in base if not np.array_equal(base[name], ours[name])]
    assert changed == ["blk.1.ffn_up.weight"]
    added = 2 * np.tile(b.T, (2, 1))[:96] @ a
    assert np.allclose(ours[changed[0]] - base[changed[0]], added, atol=1e-5)


def write_adapter(folder, module, a, b):
    """A LoRA of rank 4 and alpha 8 for one module."""
    folder.mkdir()
    write_json(folder / "adapter_config.json", {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"})
    names = {"A": a, "B": b}
    start = f"base_model.model.{module}.lora_"
    write_safetensors(
        folder / "adapter_model.safetensors",
        {f"{start}{half}.weight": ("F32", np.ascontiguousarray(values)) for half, values in names.items()},
    )
    return folder


@pytest.mark.slow
def test_pickled_weights_become_the_same_file(tmp_path, folder, target, log):
    torch = pytest.importorskip("torch")
    drained(converting(ConvertRequest(folder, tmp_path / "safe.gguf", OutType.F16, "Tiny"), log))
    (folder / "model.safetensors").unlink()
    weights = {name: torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
               for name, (_, values) in random_weights(CONFIG).items()}  # fmt: skip
    names, places = list(weights), {}
    for shard in (1, 2):
        file = f"pytorch_model-{shard:05}-of-00002.bin"
        mine = names[shard - 1 :: 2]
        torch.save({name: weights[name] for name in mine}, folder / file)
        places |= dict.fromkeys(mine, file)
    write_json(folder / "pytorch_model.bin.index.json", {"weight_map": places})
    drained(converting(ConvertRequest(folder, target, OutType.F16, "Tiny"), log))
    ours, safe = ({one.name: bytes(one.data) for one in gguf.GGUFReader(path).tensors}
                  for path in (target, tmp_path / "safe.gguf"))  # fmt: skip
    assert ours == safe
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(BadFile, match=r"00002-of-00002\.bin is missing"):
        open_checkpoint(folder)


def test_pickled_weights_are_refused_where_nothing_reads_them(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(PickledWeights, match="can hold programs") as caught:
        open_checkpoint(folder)
    assert "carryon[torch]" in caught.value.hint


@pytest.mark.parametrize("place", ["../m.bin", "m.txt", 7])
def test_an_index_of_pickles_points_to_files_of_the_folder_only(folder, place):
    (folder / "model.safetensors").unlink()
    write_json(folder / "pytorch_model.bin.index.json", {"weight_map": {"a": place}})
    with pytest.raises(BadFile, match="no file of this folder"):
        open_checkpoint(folder)


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
def test_ten_kills_at_random_moments_leave_the_old_file_or_the_whole_new_one(large, target, log):
    request = ConvertRequest(large, target, OutType.F32)
    part = target.with_name("m.gguf.part")
    started = time.monotonic()
    first = drained(converting(ConvertRequest(large, target.with_name("first.gguf"), OutType.F32), log))
    whole_s = time.monotonic() - started
    chance, left_behind, n_kills = random.Random(7), 0, 0
    while n_kills < 10:
        child = subprocess.Popen(command_of("convert"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        child.stdin.write(json.dumps(encode_request(request)).encode() + b"\n")
        child.stdin.flush()
        time.sleep(chance.uniform(0.05, 0.95) * whole_s)
        child.kill()
        child.wait()
        child.stdin.close()
        if target.read_bytes() != b"the old one":  # it was quicker than the first: then the whole file is there
            assert target.stat().st_size == first.size_bytes
            target.write_bytes(b"the old one")
            whole_s *= 0.8
            continue
        n_kills += 1
        left_behind += part.exists()
    assert left_behind, "no kill came while it was writing"
    converted = drained(converting(request, log))
    assert not part.exists()
    assert len(gguf.GGUFReader(target).tensors) == converted.n_tensors
