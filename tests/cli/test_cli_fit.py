"""`carryon fit` as a person types it: header-only files of real models, exit codes and words."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass

import pytest
from fakes.header_models import write_header_model

from carryon.app.fitting import Fitting
from carryon.app.machine_file import read_machine_file
from carryon.base.jobs import drained
from carryon.cli.fit_report import as_text
from carryon.cli.main import run
from carryon.fit.plan import Wishes, plan

KEYS = {"verdict", "model", "plan", "devices", "tokens_per_s", "reasons", "repairs", "basis"}
DEVICE_KEYS = {"name", "weights_bytes", "kv_bytes", "compute_bytes", "output_bytes", "reserve_bytes", "free_bytes",
               "total_bytes"}  # fmt: skip


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def fit(capsys):
    """Runs the command here: a process of its own for each would cost more than the command."""

    def call(*words):
        code = run(["fit", *map(str, words)])
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def fit_json(fit):
    def call(*words):
        done = fit(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return write_header_model("qwen3-8b", tmp_path_factory.mktemp("models") / "qwen3-8b-Q4_K_M.gguf", "Q4_K_M")


@pytest.fixture
def gaming_pc(tmp_path):
    path = tmp_path / "pc.json"
    path.write_text('{"gpus": ["RTX 4090"], "ram_gb": 64}')
    return path


def test_the_report_for_people(fit, qwen, gaming_pc):
    done = fit(qwen, "--machine", gaming_pc)
    assert done.returncode == 0, done.stderr
    for words in ("Fits on the GPU", "tokens/s", "KV cache", "RTX 4090", "Q4_K_M * (here)", "Q8_0"):
        assert words in done.stdout


def test_the_json_has_what_programs_need(fit_json, qwen, gaming_pc):
    answer = fit_json(qwen, "--machine", gaming_pc)
    assert set(answer) >= KEYS
    assert answer["verdict"] == "fits on the GPU"
    assert answer["plan"]["quant"] == "Q4_K_M"
    assert answer["plan"]["gpu_layers"] == 37
    assert answer["basis"] == "instant"
    assert all(set(device) >= DEVICE_KEYS for device in answer["devices"])
    assert 0 < answer["tokens_per_s"]["low"] < answer["tokens_per_s"]["high"]
    assert answer["model"]["layers"] == 36


def test_what_is_asked_is_kept(fit_json, qwen, gaming_pc):
    plan = fit_json(
        qwen, "--machine", gaming_pc, "--ctx", 12288, "--kv", "q8_0", "--gpu-layers", 20, "--ubatch", 256,
        "--parallel", 2, "--quant", "q6_k",
    )["plan"]  # fmt: skip
    asked = {"quant": "Q6_K", "gpu_layers": 20, "ctx": 12288, "kv": "q8_0", "ubatch": 256, "parallel": 2}
    assert {key: plan[key] for key in asked} == asked


def test_kv_q8_0_saves_just_what_its_blocks_say(fit_json, qwen, gaming_pc):
    """34 bytes for 32 numbers instead of 64."""
    sizes = {
        kv: sum(one["kv_bytes"] for one in fit_json(qwen, "--machine", gaming_pc, "--ctx", 8192, "--kv", kv)["devices"])
        for kv in ("f16", "q8_0")
    }
    assert sizes["q8_0"] * 32 * 2 == sizes["f16"] * 34


def test_a_context_may_be_written_as_the_window_does(fit_json, qwen, gaming_pc):
    for written in ("8k", "8,192", "8192"):
        assert fit_json(qwen, "--machine", gaming_pc, "--ctx", written)["plan"]["ctx"] == 8192


def test_a_repair_can_be_typed_and_does_what_it_says(fit, tmp_path):
    """On the machine and for the quant that were asked about."""
    model = write_header_model("llama31-8b", tmp_path / "a model-Q4_K_M.gguf", "Q4_K_M")
    machine = tmp_path / "a pc.json"
    machine.write_text('{"gpus": ["RTX 4060"], "ram_gb": 32}')
    asked = (model, "--machine", machine, "--quant", "Q5_K_M", "--ctx", "32k")
    found = json.loads(fit(*asked, "--json").stdout)["repairs"]
    typed = [line.strip() for line in fit(*asked).stdout.splitlines() if line.startswith("    carryon fit ")]
    assert found
    for repair, command in zip(found, typed, strict=True):
        done = json.loads(fit(*shlex.split(command)[2:], "--json").stdout)
        assert (done["verdict"], done["plan"]) == (repair["verdict"], repair["plan"])


def test_nothing_is_said_twice(fit, tmp_path, gaming_pc):
    model = write_header_model("dsv3", tmp_path / "big-Q8_0.gguf", "Q8_0")
    lines = fit(model, "--machine", gaming_pc).stdout.splitlines()
    heading = lines[: lines.index("")]
    assert heading[1].endswith("It can be loaded anyway, but that may fail.")
    assert sum("may fail" in line for line in heading) == 1
    assert not any("for answers" in line for line in heading)  # what cannot be loaded has no speed


@pytest.mark.parametrize("width", [80, 60, 20])
def test_a_narrow_terminal_gets_fewer_columns_and_wrapped_words(fitting_subject, width):
    subject, made = fitting_subject
    text = as_text(subject, made, "carryon fit x", width)
    heading, _, table = text.partition("\n\n")
    assert all(len(line) <= max(width, 40) for line in heading.splitlines())
    assert ("Bits/weight" in table, "Quality" in table) == (False, False)
    assert "Bits/weight" in as_text(subject, made, "carryon fit x", 1000)
    assert max(map(len, text.splitlines())) <= 80


@pytest.fixture
def fitting_subject(carryon_home, qwen, gaming_pc):
    fitting = Fitting(carryon_home)
    subject = drained(fitting.reading(qwen))
    site = fitting.site(read_machine_file(gaming_pc), is_here=False)
    yield subject, plan(subject.candidates, site, Wishes(quant="Q4_K_M"))
    fitting.close()


def test_best_leaves_the_quant_to_the_plan(fit_json, tmp_path, qwen):
    small = tmp_path / "small.json"
    small.write_text('{"gpus": ["RTX 4060"], "ram_gb": 32}')
    assert fit_json(qwen, "--quant", "best", "--machine", small)["verdict"] == "fits on the GPU"


def test_too_big_says_by_how_much_and_is_no_error(fit_json, tmp_path):
    huge = write_header_model("dsv3", tmp_path / "dsv3.gguf")
    laptop = tmp_path / "laptop.json"
    laptop.write_text('{"gpus": [], "ram_gb": 16}')
    answer = fit_json(huge, "--machine", laptop)
    assert answer["verdict"] == "too big"
    assert answer["missing_bytes"] > 10**11


def test_the_command_itself(qwen, gaming_pc):
    words = [sys.executable, "-m", "carryon", "fit", str(qwen), "--machine", str(gaming_pc)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Fits on the GPU" in done.stdout


@pytest.mark.slow
def test_exact_asks_the_engine(fit_json, qwen):
    instant = fit_json(qwen, "--ctx", 4096, "--gpu-layers", 0)
    exact = fit_json(qwen, "--ctx", 4096, "--gpu-layers", 0, "--exact")
    assert exact["basis"] == "dry run"
    (one,), (other,) = instant["devices"], exact["devices"]
    assert (one["weights_bytes"], one["kv_bytes"]) == (other["weights_bytes"], other["kv_bytes"])


def test_exact_for_another_machine_says_that_it_cannot(fit, qwen, gaming_pc):
    done = fit(qwen, "--machine", gaming_pc, "--exact", "--json")
    assert json.loads(done.stdout)["basis"] == "instant"
    assert "instant answer stands" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("{qwen}", "--ctx", "0"), "context"),
        (("{qwen}", "--ctx", "1000000000000"), "context"),
        (("{qwen}", "--ctx", "-5"), "context"),
        (("{qwen}", "--ctx", "abc"), "“abc” is no number of tokens"),
        (("{qwen}", "--ctx", "9" * 50), "no number of tokens"),
        (("{qwen}", "--kv", "q9"), "no KV cache type “q9”"),
        (("{qwen}", "--parallel", "two"), "“two” is no whole number"),
        (("{qwen}", "--gpu-layers", "many"), "GPU layers"),
        (("{qwen}", "--gpu-layers", "-3"), "layers"),
        (("{qwen}", "--ubatch", "0"), "batch"),
        (("{qwen}", "--parallel", "0"), "slot"),
        (("{qwen}", "--quant", "Q9_X"), "no quant type “Q9_X”"),
        (("{truncated}",), "damaged"),
        (("{text}",), "not a GGUF file"),
        (("{folder}",), "is a folder"),
        (("{alien}",), "warp9"),
        (("{absent}",), "no model"),
        (("",), "no model"),
        (("{qwen}", "--machine", "{folder}"), "is a folder"),
        (("{qwen}", "--machine", "{negative}"), "negative"),
        (("{qwen}", "--machine", "{text}"), "not JSON"),
        (("{qwen}", "--machine", "{absent}"), "no machine file"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(fit, words, says, qwen, bad_files):
    files = {"qwen": qwen, **bad_files}
    done = fit(*(word.format(**files) for word in words))
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def _start(path):
    with path.open("rb") as file:
        return file.read(3000)


@pytest.fixture
def bad_files(tmp_path, qwen):
    truncated = tmp_path / "truncated.gguf"
    truncated.write_bytes(_start(qwen))
    text = tmp_path / "notes.gguf"
    text.write_text("this is not a model")
    alien = tmp_path / "alien.gguf"
    with qwen.open("rb") as file:
        alien.write_bytes(file.read(200_000).replace(b"qwen3", b"warp9"))
    os.truncate(alien, qwen.stat().st_size)
    negative = tmp_path / "negative.json"
    negative.write_text('{"gpus": [], "ram_gb": -8}')
    return {
        "truncated": truncated, "text": text, "folder": tmp_path, "alien": alien, "negative": negative,
        "absent": tmp_path / "absent",
    }  # fmt: skip
