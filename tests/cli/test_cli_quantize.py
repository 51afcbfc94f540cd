"""`carryon quantize` and `carryon imatrix` as they are typed: what they print, what they make, what they refuse."""

import argparse
import json

import pytest
from fakes import tiny_gguf

from carryon.cli import imatrix, quantize
from carryon.cli.main import BAD_INPUT, run


@pytest.fixture
def source(tmp_path):
    return tiny_gguf.random_model(tmp_path / "tiny.gguf")


def test_a_file_is_made_and_told(source, tmp_path, capsys):
    target = tmp_path / "out.gguf"
    assert run(["quantize", str(source), str(target), "q4_k", "--threads", "1"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"Made {target}: 89")
    assert "bits per weight" in told.out
    assert "carryon: Quantizing tiny.gguf to Q4_K_M" in told.err
    assert run(["quantize", str(source), str(target), "q4_k"]) == BAD_INPUT
    assert "is there already" in capsys.readouterr().err


def test_the_size_is_told_and_nothing_is_written(source, tmp_path, capsys):
    words = ["quantize", str(source), str(tmp_path / "out.gguf"), "IQ2_XS", "--dry-run"]
    assert run(words) == 0
    assert "It needs an importance matrix" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["quant"] == "IQ2_XS"
    assert told["needs_imatrix"]
    assert told["fallbacks"] == []
    assert 2 < told["bits_per_weight"] < 3
    assert told["size_bytes"] > 0
    assert not (tmp_path / "out.gguf").exists()


def test_what_is_printed_for_programs_is_what_was_made(source, tmp_path, capsys):
    target = tmp_path / "out.gguf"
    words = ["quantize", str(source), str(target), "Q4_K_M", "--threads", "1", "--json", "--output-type", "q8_0",
             "--embedding-type", "f16", "--tensor-type", r"blk\.\d+\.ffn_(up|down)=q6_k"]  # fmt: skip
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(target)
    assert told["size_bytes"] == target.stat().st_size


@pytest.mark.slow
def test_an_importance_matrix_is_made_and_used(source, tmp_path, capsys):
    text, made = tmp_path / "text.txt", tmp_path / "m.imatrix.gguf"
    text.write_text(" one two three four five." * 60, encoding="utf-8")
    words = ["imatrix", str(source), str(text), "--out", str(made), "--ctx", "64", "--chunks", "2", "--threads", "1"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["n_chunks"], told["n_tokens"], told["path"]) == (2, 128, str(made))
    assert run(words) == BAD_INPUT
    assert "is there already" in capsys.readouterr().err
    target = tmp_path / "out.gguf"
    assert run(["quantize", str(source), str(target), "Q2_K_S", "--imatrix", str(made), "--threads", "1"]) == 0
    assert target.exists()


@pytest.mark.parametrize(("more", "words"), [
    (["Q9"], "“Q9” is no quant type"),
    (["Q4_K_M", "--tensor-type", "ffn_down"], "“ffn_down” is no RE=TYPE"),
    (["Q4_K_M", "--tensor-type", "a=Q9"], "“Q9” is no type that a tensor can have"),
    (["Q4_K_M", "--output-type", "Q4_K_M"], "“Q4_K_M” is no type that a tensor can have"),
])  # fmt: skip
def test_what_was_mistyped_is_refused_at_once(source, tmp_path, capsys, more, words):
    assert run(["quantize", str(source), str(tmp_path / "out.gguf"), *more]) == BAD_INPUT
    assert words in capsys.readouterr().err
    assert list(tmp_path.glob("out*")) == []


@pytest.mark.parametrize("command", ["quantize", "imatrix", "evaluate"])
@pytest.mark.parametrize("threads", ["-1", "0", "100000", "many"])
def test_threads_that_the_engine_cannot_have_are_refused_at_once(source, tmp_path, capsys, command, threads):
    words = {"quantize": ["out.gguf", "Q4_K_M"], "imatrix": ["text.txt", "--out", "out.gguf"], "evaluate": []}[command]
    with pytest.raises(SystemExit) as ended:
        run([command, str(source), *words, "--threads", threads])
    assert ended.value.code == BAD_INPUT
    assert threads in capsys.readouterr().err


def test_the_source_is_never_the_target(source, capsys):
    before = source.read_bytes()
    assert run(["quantize", str(source), str(source), "Q4_K_M", "--overwrite"]) == BAD_INPUT
    assert "it would be destroyed" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_the_guide_is_quantized_only_knowingly(tmp_path, capsys):
    assert run(["quantize", "guide", str(tmp_path / "g.gguf"), "Q4_K_M"]) == BAD_INPUT
    assert "--requantize" in capsys.readouterr().err


@pytest.mark.parametrize("command", [quantize, imatrix])
def test_help_fits_a_terminal(command, capsys):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args([command.__name__.rsplit(".", 1)[-1], "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
