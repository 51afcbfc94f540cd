"""`carryon list`, `show` and `rm` as a person types them: words, JSON, exit codes, and the files on the disk."""

import json
from dataclasses import dataclass

import pytest
from fakes.model_shelves import Disk, sha256_of, tiny_adapter, tiny_model

from carryon.cli import main, rm
from carryon.hub.origin import Origin, write_origin

MOVED = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME",
         "OLLAMA_MODELS")  # fmt: skip


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def disk(tmp_path, monkeypatch):
    """The person of this test lives on a disk of their own."""
    made = Disk(tmp_path / "person")
    made.person.mkdir()
    monkeypatch.setenv("HOME", str(made.person))
    for name in MOVED:
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def carryon(capsys, monkeypatch):
    monkeypatch.setattr(main, "_COMMANDS", tuple(dict.fromkeys((*main._COMMANDS, "list", "show", "rm"))))

    def call(*words):
        code = main.run([*map(str, words)])
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def own(carryon_home):
    return tiny_model(carryon_home.models / "acme" / "tiny-GGUF" / "tiny-Q4_K_M.gguf")


# list


def test_the_table_fits_a_terminal(carryon, own, disk, monkeypatch):
    tiny_model(disk.lm_studio / "o" / "r" / f"{'a-very-long-name-' * 6}Q4_K_M.gguf")
    disk.in_ollama("llama3.2", "3b")
    monkeypatch.setattr("carryon.cli.columns.width", lambda: 80)
    lines = carryon("list").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["NAME", "QUANT", "SIZE", "WHERE"]
    assert any(line.startswith("llama3.2:3b") and line.endswith("Ollama") for line in lines)
    assert any("…" in line and "Q4_K_M" in line.split()[0] for line in lines)
    assert lines[-1].startswith("3 models, ")


def test_the_json_has_what_programs_need(carryon, disk):
    link = disk.in_cache("acme/tiny", "tiny-Q4_K_M.gguf")
    (told,) = json.loads(carryon("list", "--json").out)["models"]
    assert told["repo"] == "acme/tiny"
    assert told["revision"] == "c" * 40
    assert told["sha256"] == sha256_of(link)
    assert (told["where"], told["quant"], told["kind"], told["broken"]) == ("huggingface", "Q4_K_M", "model", None)
    assert told["size_bytes"] == link.stat().st_size
    assert told["parameters"] > 0


def test_nothing_says_where_it_looked_and_what_to_do(carryon):
    done = carryon("list")
    assert done.code == 0
    for words in ("Hugging Face", "LM Studio", "Ollama", "Jan", "GPT4All", "carryon get"):
        assert words in done.out


def test_adapters_and_broken_files_are_told_apart(carryon, disk):
    tiny_adapter(disk.gpt4all / "style.gguf")
    (disk.gpt4all / "bad.gguf").write_bytes(b"<html>")
    out = carryon("list").out
    assert "LoRA" in out
    assert "broken" in out


def test_a_name_cannot_write_to_the_terminal(carryon, disk):
    tiny_model(disk.gpt4all / "a\x1b[31mred\n.gguf")
    assert "\x1b" not in carryon("list").out


# show


def test_everything_that_is_known_is_shown(carryon, own):
    write_origin(own, Origin("acme/tiny-GGUF", own.name, "c" * 40, sha256_of(own), own.stat().st_size, "mit"))
    out = carryon("show", "tiny-Q4_K_M").out
    for words in ("llama", "Q4_K_M", "4k", "in the file", "mit", "acme/tiny-GGUF", "c" * 40, sha256_of(own), str(own),
                  "general.architecture", "llama.block_count"):  # fmt: skip
        assert words in out


@pytest.mark.parametrize("name", ["llama3.2:3b", "LLAMA3.2:3B", "llama3.2:latest"])
def test_a_model_of_another_program_is_named_as_there(carryon, disk, name):
    disk.in_ollama("llama3.2", "3b")
    disk.in_ollama("llama3.2", "latest")
    assert json.loads(carryon("show", name, "--json").out)["name"] == "llama3.2:3b"


def test_a_repository_and_its_quant_name_a_file(carryon, disk):
    link = disk.in_cache("acme/tiny-GGUF", "tiny-Q4_K_M.gguf")
    for name in ("acme/tiny-GGUF", "acme/tiny-GGUF:q4_k_m"):
        assert json.loads(carryon("show", name, "--json").out)["paths"] == [str(link)]


def test_a_repository_with_two_quants_asks_back(carryon, disk):
    disk.in_cache("acme/tiny-GGUF", "a-Q4_K_M.gguf")
    disk.in_cache("acme/tiny-GGUF", "b-Q8_0.gguf", make=lambda path: tiny_model(path, quant_type=7))
    done = carryon("show", "acme/tiny-GGUF")
    assert done.code == 2
    assert "acme/tiny-GGUF:Q4_K_M, acme/tiny-GGUF:Q8_0" in done.err


def test_a_file_from_anywhere_and_the_guide_are_shown(carryon, tmp_path):
    assert carryon("show", tiny_model(tmp_path / "any.gguf")).out.startswith("any\n")
    assert json.loads(carryon("show", "guide", "--json").out)["metadata"]["general.architecture"] == "llama"


def test_a_broken_file_is_an_error_with_its_reason(carryon, disk):
    disk.gpt4all.mkdir(parents=True)
    (disk.gpt4all / "bad.gguf").write_bytes(b"<html>")
    done = carryon("show", disk.gpt4all / "bad.gguf")
    assert done.code == 2
    assert "not a GGUF file" in done.err


def test_an_unknown_name_says_what_would_be_known(carryon):
    done = carryon("show", "absent")
    assert done.code == 2
    assert "carryon list" in done.err


# rm


def test_a_model_goes_to_the_trash_and_comes_back(carryon, own):
    write_origin(own, Origin("acme/tiny-GGUF", own.name, "c" * 40, None, own.stat().st_size))
    content = own.read_bytes()
    done = carryon("rm", "tiny-Q4_K_M", "--yes")
    assert (done.code, "--undo" in done.out, own.exists(), own.parent.exists()) == (0, True, False, False)
    assert "no model" in carryon("list").out
    assert carryon("rm", "--undo").code == 0
    assert own.read_bytes() == content
    assert json.loads(carryon("list", "--json").out)["models"][0]["repo"] == "acme/tiny-GGUF"


def test_all_parts_go_together(carryon, carryon_home):
    from fakes.header_models import write_split_model

    carryon_home.models.mkdir(parents=True)
    parts = write_split_model("smollm2-1.7b", carryon_home.models, 3)
    carryon("rm", parts[0], "--yes")
    assert not any(one.exists() for one in parts)
    carryon("rm", "--undo")
    assert all(one.exists() for one in parts)


def test_files_of_other_programs_are_never_deleted(carryon, disk):
    blob = disk.in_ollama("llama3.2", "3b")
    for named in ("llama3.2:3b", blob):
        done = carryon("rm", named, "--yes")
        assert done.code == 2
        assert "not Carryon's" in done.err
    assert blob.exists()


def test_without_a_terminal_nobody_says_yes(carryon, own):
    done = carryon("rm", own)
    assert (done.code, "--yes" in done.err, own.exists()) == (2, True, True)


@pytest.mark.parametrize(("answer", "code", "stays"), [(True, 0, False), (False, 1, True)])
def test_the_answer_decides(own, capsys, answer, code, stays):
    from argparse import Namespace

    asked = []
    arguments = Namespace(model=str(own), yes=False, undo=False, empty_trash=False)
    assert rm.run(arguments, lambda question: asked.append(question) or answer) == code
    assert own.exists() is stays
    assert str(own) in asked[0]


def test_the_trash_is_emptied_for_good(carryon, own, carryon_home):
    carryon("rm", own, "--yes")
    done = carryon("rm", "--empty-trash", "--yes")
    assert done.out.startswith("Freed ")
    assert not list(carryon_home.models.rglob("*.gguf"))
    assert carryon("rm", "--undo").code == 2


def test_what_lies_there_again_is_not_overwritten(carryon, own):
    carryon("rm", own, "--yes")
    tiny_model(own, title="New")
    content = own.read_bytes()
    assert "is there again" in carryon("rm", "--undo").err
    assert own.read_bytes() == content


def test_the_guide_and_nothing_are_refused(carryon):
    assert carryon("rm", "guide", "--yes").code == 2
    assert carryon("rm").code == 2
