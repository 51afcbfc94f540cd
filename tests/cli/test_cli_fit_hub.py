"""`carryon fit owner/repo[:QUANT]`: the fit of what is not here yet, by its headers on the Hub."""

import json

import pytest
from fakes.fakehub import FakeHub
from fakes.header_repos import add_header_repo

from carryon.cli.main import run

REPO, QUANTS = "acme/Qwen3-8B-GGUF", ("Q8_0", "Q5_K_M", "Q4_K_M")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        add_header_repo(hub, tmp_path / "models", REPO, "qwen3-8b", QUANTS)
        yield hub


def test_every_quant_of_a_repository_is_judged_and_nothing_is_downloaded(hub, capsys):
    assert run(["fit", REPO, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["quant"] for one in told["quants"]} == set(QUANTS)
    assert told["model"]["architecture"] == "qwen3"
    assert sum(one["sent"] for one in hub.requests("/cdn/", side="cdn")) < 12_000_000


def test_a_named_quant_is_the_one_that_is_judged(hub, capsys):
    assert run(["fit", f"{REPO}:q5_k_m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["quant"] == "Q5_K_M"


def test_a_quant_that_is_not_there_is_bad_input_and_the_others_are_named(hub, capsys):
    assert run(["fit", f"{REPO}:Q2_K"]) == 2
    assert "Q8_0, Q5_K_M, Q4_K_M" in capsys.readouterr().err


def test_a_repository_that_is_not_there_is_said(hub, capsys):
    assert run(["fit", "acme/nothing"]) != 0
    assert "acme/nothing is not on" in capsys.readouterr().err


def test_an_estimate_is_called_one(hub, capsys, tmp_path):
    add_header_repo(hub, tmp_path / "gated", "acme/Gated-GGUF", "qwen3-8b", QUANTS, gated="manual")
    assert run(["fit", "acme/Gated-GGUF"]) == 0
    assert "an estimate, by its number of parameters alone" in capsys.readouterr().err


def test_without_a_network_it_is_said_which_host_is_silent(monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run(["fit", REPO]) == 1
    assert "127.0.0.1" in capsys.readouterr().err
