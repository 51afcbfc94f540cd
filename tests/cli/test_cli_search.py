"""`carryon search` against a Hub on this machine, as a person and as a script meet it."""

import argparse
import json

import pytest
from fakes.fakehub import FakeHub

from carryon.base.errors import BadInput, NoAccess, Offline
from carryon.cli import search as command
from carryon.hub.repo import FoundModel, Gate
from carryon.hub.search_words import count_text, params_text

TOLD = {"downloads": 123_456, "likes": 7, "gguf": {"total": 8_190_735_360, "architecture": "qwen3"},
        "tags": ["gguf", "license:apache-2.0"], "lastModified": "2026-05-06T07:08:09.000Z"}  # fmt: skip


@pytest.fixture
def hub(monkeypatch):
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def search(capsys):
    def run(*words):
        parser = argparse.ArgumentParser(prog="carryon")
        command.add_parser(parser.add_subparsers())
        arguments = parser.parse_args(["search", *words])
        assert arguments.run(arguments) == 0
        return capsys.readouterr().out

    return run


def test_the_table_says_what_a_choice_depends_on(hub, search):
    hub.add_repo("Qwen/Qwen3-8B-GGUF", {}, **TOLD)
    head, line = search("qwen3").splitlines()
    assert head.split() == ["NAME", "PARAMS", "DOWNLOADS", "UPDATED", "LICENCE"]
    assert line.split() == ["Qwen/Qwen3-8B-GGUF", "8.2B", "123k", "2026-05-06", "Apache", "2.0"]


def test_json_has_all_of_it(hub, search):
    hub.add_repo("Qwen/Qwen3-8B-GGUF", {}, gated="auto", **TOLD)
    (found,) = json.loads(search("qwen3", "--json"))["models"]
    assert (found["repo"], found["parameters"], found["gated"]) == ("Qwen/Qwen3-8B-GGUF", 8_190_735_360, "automatic")
    assert found["base_model"] is None


def test_the_options_reach_the_hub(hub, search):
    for number in range(5):
        hub.add_repo(f"bartowski/m{number}", {}, tags=["safetensors"], likes=number)
    printed = search("--author", "bartowski", "--sort", "likes", "--limit", "2", "--safetensors")
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["bartowski/m4", "bartowski/m3"]


def test_a_name_shows_its_quants(hub, search):
    files = {"m-Q4_K_M.gguf": b"x" * 2000, "m-Q8_0-00001-of-00002.gguf": b"x" * 1500,
             "m-Q8_0-00002-of-00002.gguf": b"x" * 1500, "m-Q6_K-00001-of-00002.gguf": b"x"}  # fmt: skip
    hub.add_repo("acme/tiny-GGUF", files, gated="manual")
    printed = search("acme/tiny-GGUF")
    assert "Not open to everybody: ask its owner for access." in printed
    assert ["Q8_0", "3.0", "kB", "in", "2", "parts"] in [line.split() for line in printed.splitlines()]
    assert "Not whole, and therefore left out: Q6_K." in printed
    assert printed.rstrip().endswith("carryon get acme/tiny-GGUF:Q4_K_M")


def test_an_address_shows_them_as_json(hub, search):
    hub.add_repo("acme/tiny-GGUF", {"m-Q4_K_M.gguf": b"x", "mmproj-F16.gguf": b"yy"})
    told = json.loads(search(f"{hub.url}/acme/tiny-GGUF", "--json"))
    assert told["quants"] == [{"quant": "Q4_K_M", "size_bytes": 1, "files": ["m-Q4_K_M.gguf"]}]
    assert told["projectors"] == [{"path": "mmproj-F16.gguf", "size_bytes": 2}]


def test_a_repository_without_gguf_says_so(hub, search):
    hub.add_repo("acme/big", {"model.safetensors": b"x"}, tags=["safetensors"])
    assert "It has no GGUF file. It must be converted before it runs." in search("acme/big")


def test_nothing_found_says_what_to_try(hub, search):
    assert "Try fewer or other words" in search("nothing of the kind")


def test_errors_are_ours(hub, search):
    with pytest.raises(BadInput, match="nothing to search for"):
        search()
    with pytest.raises(NoAccess):
        search("acme/not-there")
    hub.stop()
    with pytest.raises(Offline):
        search("qwen")


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1"])
def test_a_limit_that_makes_no_sense_is_refused(search, limit):
    with pytest.raises(SystemExit):
        search("qwen", "--limit", limit)


def test_the_table_fits_80_columns_and_marks_what_is_gated():
    long = FoundModel("mradermacher/" + "A-very-long-name-of-a-merge-of-merges" * 2 + "-i1-GGUF", frozenset(),
                      downloads=1_234_567, updated="2026-05-06T07:08:09Z", licence="a-licence-of-its-own-kind",
                      gate=Gate.MANUAL, n_params=235_000_000_000)  # fmt: skip
    lines = command.table([long, FoundModel("a/b", frozenset())], 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" in lines[1]
    assert lines[1].split()[1] == "*"
    assert lines[-1].startswith("* needs a token")


@pytest.mark.parametrize(("count", "text"), [(None, "—"), (0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"),
                                             (123_456, "123k"), (4_000_000, "4M")])  # fmt: skip
def test_counts_are_short(count, text):
    assert count_text(count) == text


@pytest.mark.parametrize(("count", "text"), [(None, "—"), (8_190_735_360, "8.2B"), (596_049_920, "596M"),
                                             (30_532_122_624, "30.5B"), (671e9, "671B"),
                                             (10**12, "1000B")])  # fmt: skip
def test_parameters_are_counted_as_names_do(count, text):
    assert params_text(count) == text
