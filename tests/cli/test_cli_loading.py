"""How a command asks the engine to load: as it was told, or as the plan says for this machine."""

import argparse

import pytest
from fakes import machines
from fakes.header_models import write_header_model

from carryon.base.errors import BadInput
from carryon.cli import loading
from carryon.engine.protocol import KvType


@pytest.fixture
def model(tmp_path):
    """Llama 3.1 8B in Q4_K_M."""
    return write_header_model("llama31-8b", tmp_path / "8b.gguf", "Q4_K_M")


@pytest.fixture
def mixture(tmp_path):
    return write_header_model("qwen3-30b-a3b", tmp_path / "30b-a3b.gguf", "Q4_K_M")


@pytest.fixture
def ask(carryon_home, monkeypatch):
    """The request for these words on a machine with an RTX 4060."""
    monkeypatch.setattr(loading, "probing_for_plan", machines.probing(machines.WITH_GPU))

    def asked(*words):
        parser = argparse.ArgumentParser()
        loading.add_model_options(parser)
        return loading.chosen_from(parser.parse_args([str(word) for word in words]), carryon_home).request

    return asked


def test_by_default_the_plan_puts_on_the_gpu_what_fits(ask, model, capsys):
    request = ask(model)
    assert (request.n_gpu_layers, request.gpus) == (33, ("CUDA0",))
    said = capsys.readouterr().err
    assert said.startswith("carryon: Fits on the GPU: all 33 layers on RTX 4060. Context ")


def test_auto_is_the_default(ask, model):
    assert ask(model, "--gpu-layers", "auto") == ask(model)


@pytest.mark.parametrize(("word", "layers"), [("0", 0), ("28", 28), ("all", 33), ("99", 33)])
def test_a_number_is_taken_as_it_is(ask, model, word, layers, capsys):
    assert ask(model, "--gpu-layers", word).n_gpu_layers == layers
    assert capsys.readouterr().err == ""


def test_the_plan_keeps_what_was_said(ask, mixture):
    request = ask(mixture, "--ctx", "4096", "--kv", "q8_0", "--cpu-experts", "48", "--ubatch", "256", "--no-mmap")
    assert (request.n_ctx, request.kv_type, request.n_cpu_experts) == (4096, KvType.Q8_0, 48)
    assert (request.n_ubatch, request.use_mmap) == (256, False)


def test_a_mixture_keeps_its_experts_in_ram_by_itself(ask, mixture):
    request = ask(mixture)
    assert request.n_gpu_layers == 49
    assert request.n_cpu_experts > 0


def test_told_everything_nothing_is_planned(ask, mixture):
    words = ("--gpu-layers", "40", "--cpu-experts", "99", "--kv", "q4_0", "--ubatch", "128", "--no-mmap")
    request = ask(mixture, *words, "--ctx", "2048", "--threads", "3")
    assert (request.n_gpu_layers, request.n_cpu_experts, request.kv_type) == (40, 48, KvType.Q4_0)
    assert (request.n_ubatch, request.use_mmap, request.n_ctx, request.n_threads) == (128, False, 2048, 3)


def test_other_machines_are_used_as_told_only(ask, model, capsys):
    request = ask(model, "--rpc", "10.0.0.2:50052")
    assert request.n_gpu_layers == 0
    assert "--gpu-layers" in capsys.readouterr().err
    assert ask(model, "--rpc", "10.0.0.2:50052", "--gpu-layers", "all").n_gpu_layers == 33


def test_a_context_beyond_reason_is_refused(ask, model):
    with pytest.raises(BadInput, match="context cannot be"):
        ask(model, "--ctx", "2000000000")
