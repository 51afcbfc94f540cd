"""`carryon preflight`, `convert` and `best`: what they make, what they say, and how they go on after Ctrl+C."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from fakes.workshop_bench import GUIDE, everything_in
from model_folders import write_folder

from carryon.app.workshop_list import SourceKind
from carryon.app.workshop_source import source_of
from carryon.base.errors import BadFile
from carryon.cli import main
from carryon.gguf.header import read_header

COMMANDS = ("preflight", "convert", "best")
# What `carryon` does, whether or not main.py knows the commands yet.
RUN = f"""
import sys
from carryon.cli import main
main._COMMANDS = tuple(dict.fromkeys((*main._COMMANDS, *{COMMANDS})))
sys.exit(main.run(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def carryon(capsys, monkeypatch):
    monkeypatch.setattr(main, "_COMMANDS", tuple(dict.fromkeys((*main._COMMANDS, *COMMANDS))))

    def call(*words):
        code = main.run([*map(str, words)])
        return Done(code, *capsys.readouterr())

    return call


def test_a_preflight_is_a_report_and_json(carryon, tmp_path):
    told = carryon("preflight", GUIDE, "--ctx", "1k", "--json")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    assert (found["can_run"], found["converter"], found["architecture"]) == (True, "ours", "llama")
    assert [one["subject"] for one in found["findings"]][:3] == ["weights", "architecture", "vocabulary"]
    assert sum(one["is_best"] for one in found["targets"]) == 1
    assert {one["ctx"] for one in found["targets"]} == {1024}


def test_what_is_in_the_way_is_an_answer_with_the_next_step(carryon, tmp_path):
    told = carryon("preflight", write_folder(tmp_path / "m", architectures=["NobodyForCausalLM"]))
    assert told.code == 0
    assert "✗" in told.out
    assert "Q4_K_M" not in told.out


@pytest.mark.slow
def test_several_types_go_into_a_folder(carryon, tmp_path):
    done = carryon("convert", GUIDE, "--to", "q8_0", "q4_k_m", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    paths = [tmp_path / "out" / "guide-Q8_0.gguf", tmp_path / "out" / "guide-Q4_K_M.gguf"]
    assert [one["path"] for one in told["files"]] == [str(one) for one in paths]
    assert [one["size_bytes"] for one in told["files"]] == [one.stat().st_size for one in paths]
    assert everything_in(tmp_path / "out") == ["guide-Q4_K_M.gguf", "guide-Q8_0.gguf"]
    assert "Quantizing to Q4_K_M" in done.err


@pytest.mark.slow
def test_one_type_goes_into_the_file_that_was_named(carryon, tmp_path):
    done = carryon("convert", GUIDE, "--to", "bf16", "--out", tmp_path / "mine.gguf", "--name", "Mine")
    assert (done.code, done.out.strip()) == (0, str(tmp_path / "mine.gguf"))
    assert read_header(tmp_path / "mine.gguf").fields["general.name"] == "Mine"
    again = carryon("convert", GUIDE, "--to", "bf16", "--out", tmp_path / "mine.gguf", "--name", "Mine")
    assert again.code == main.BAD_INPUT
    assert "not overwritten" in again.err


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "nobody here", "--out", "x.gguf"),
        ("convert", GUIDE / "guide-Q8_0.gguf", "--out", "x.gguf"),
        ("convert", GUIDE / "tokenizer.json", "--out", "x.gguf"),
        ("convert", GUIDE, "--to", "q9_k", "--out", "x.gguf"),
        ("convert", GUIDE, "--to", "q8_0", "q6_k", "--out", "x.gguf"),
        ("convert", GUIDE, "--to", "iq2_m", "--imatrix", "nobody.gguf", "--out", "x.gguf"),
        ("preflight", "no such folder"),
        ("best", "a/b/c"),
    ],
)
def test_bad_input_is_a_sentence_and_a_next_step(carryon, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = carryon(*words)
    assert done.code == main.BAD_INPUT
    message, hint = done.err.strip().splitlines()[-2:]
    assert message.startswith("carryon: ")
    assert hint.startswith("  ")
    assert everything_in(tmp_path) in ([], ["home"]) or all(one.startswith("home") for one in everything_in(tmp_path))


@pytest.mark.slow
def test_the_best_is_chosen_made_and_used_again(carryon, carryon_home):
    done = carryon("best", GUIDE, "--ctx", "512", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["chosen"]["quant"] == "Q8_0"
    assert told["path"] == str(carryon_home.models / "guide-Q8_0.gguf")
    assert "is the best choice for this machine" in done.err
    again = carryon("best", GUIDE, "--ctx", "512")
    assert again.out.splitlines() == [f"Here already: {told['path']}", f"Chat with it: carryon run {told['path']}"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C of a child is POSIX")
def test_the_same_command_goes_on_after_ctrl_c(carryon, tmp_path):
    words = ["convert", str(GUIDE), "--to", "q8_0", "q4_k_m", "--out", str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-c", RUN, *words], stderr=subprocess.PIPE)
    until_s = time.monotonic() + 60
    while not (tmp_path / "out" / "guide-Q8_0.gguf").exists() and time.monotonic() < until_s:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == main.INTERRUPTED
    made_ns = (tmp_path / "out" / "guide-Q8_0.gguf").stat().st_mtime_ns
    assert not [one for one in everything_in(tmp_path / "out") if one.endswith(".part")]
    assert carryon(*words).code == 0
    assert (tmp_path / "out" / "guide-Q8_0.gguf").stat().st_mtime_ns == made_ns
    assert everything_in(tmp_path / "out") == ["guide-Q4_K_M.gguf", "guide-Q8_0.gguf"]


def test_sources_are_told_apart(tmp_path):
    (tmp_path / "x.gguf").touch()
    assert source_of(str(tmp_path)).kind is SourceKind.GGUF  # the one file of a folder
    (tmp_path / "config.json").touch()
    assert source_of(str(tmp_path)).kind is SourceKind.FOLDER
    assert source_of(str(tmp_path / "config.json")).place == str(tmp_path)
    assert source_of(str(tmp_path / "x.gguf")).kind is SourceKind.GGUF
    assert source_of("acme/x").place == "acme/x"
    assert source_of("acme/x@v1").place == "acme/x@v1"
    assert source_of("https://huggingface.co/acme/x/tree/v1").place == "acme/x@v1"
    assert source_of("acme/x@v1").name == "x"
    with pytest.raises(BadFile):
        source_of("acme/x.gguf")
