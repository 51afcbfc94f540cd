"""`carryon merge`: an adapter in its base, or beside it, as a person types it."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from convert.adapters import adapted, model
from convert.model_folders import tokenizer_config, tokenizer_json

from carryon.cli.main import BAD_INPUT, run
from carryon.gguf.header import read_header

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base and its adapter."""
    base, adapter = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("adapter")
    made = model(True, vocab_size=263)
    made.config.bos_token_id, made.config.eos_token_id = 0, 2
    made.save_pretrained(base)
    (base / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (base / "tokenizer_config.json").write_text(json.dumps(tokenizer_config()))
    adapted(made, "head", adapter)
    adapted(made, "attention", adapter.with_name("plain"))
    return base, adapter


def test_merged_into_a_quantized_file(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.gguf"
    assert run(["merge", *map(str, folders), "--to", "q8_0", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(out)
    assert "output.weight" in {one.name for one in read_header(out).tensors}  # untied, as the adapter changed the head
    assert {one.name for one in tmp_path.iterdir()} - {"home"} == {"mine.gguf"}


def test_the_adapter_alone(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lora.gguf"
    words = ["merge", str(folders[0]), str(folders[1].with_name("plain")), "--adapter-only", "--out", str(out)]
    assert run(words) == 0
    header = read_header(out)
    assert header.fields["general.type"] == "adapter"
    assert {one.name.rsplit(".", 1)[1] for one in header.tensors} == {"lora_a", "lora_b"}
    assert run(words) == BAD_INPUT  # it is there already
    assert "not overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "reason"), [
    (["{base}", "{base}", "--out", "x.gguf"], "has no adapter_config.json"),
    (["{base}", "{adapter}", "--out", "x.txt"], "no name of a GGUF file"),
    (["{base}", "{adapter}", "--adapter-only", "--out", "{tmp}/y.gguf"], "changes one use"),
    (["{gguf}", "{adapter}", "--out", "{tmp}/z.gguf"], "merged into the original model only"),
])  # fmt: skip
def test_refusals(
    words: list[str], reason: str, folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    places = {"base": folders[0], "adapter": folders[1], "tmp": tmp_path, "gguf": tmp_path / "base.gguf"}
    assert run(["merge", *(word.format(**places) for word in words)]) == BAD_INPUT
    assert reason in capsys.readouterr().err
    assert not list(tmp_path.glob("[xyz].*"))
