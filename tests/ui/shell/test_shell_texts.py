"""The words of the shell."""

from dataclasses import replace

import pytest
from fakes import machines

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, NoModel
from carryon.app.models import guide
from carryon.base.errors import AppError
from carryon.engine.protocol import DeviceMemory, Ready
from carryon.hardware.machine import DeviceKind, Gpu, GpuUse, Memory, Vendor
from carryon.ui import texts
from carryon.ui.memory_facts import DeviceBar, Part, PartKind

GB = 2**30
WISH = LoadWish(guide(), 8192, 28)
RAM = Memory(32 * GB, 20 * GB)
CPU = DeviceMemory("CPU", "", DeviceKind.CPU, GB, 0, 0, 0)
CUDA = DeviceMemory("CUDA0", "RTX", DeviceKind.GPU, 6 * GB, GB // 10, 0, 0)


class FakeEngine:
    """Only what words are made of."""

    def __init__(self, layers, *memory):
        self.ready = Ready(1, "t", "m", "llama", 32, layers, 8192, 32768, True, memory, 310.0)


def loaded(layers, *memory):
    return LoadedModel(WISH, FakeEngine(layers, *memory))


@pytest.mark.parametrize(
    ("state", "name", "facts"),
    [
        (NoModel(), "No model loaded", ""),
        (LoadingModel(WISH, None), "Carryon guide", " · loading…"),
        (LoadingModel(WISH, 0.42), "Carryon guide", " · loading… 42 %"),
        (FailedModel(WISH, AppError("x")), "Carryon guide", " · not loaded"),
        (loaded(28, CPU, CUDA), "Carryon guide", " · 28/33 on GPU · 6.1 of 8.0 GB · 41 t/s"),
        (loaded(99, CPU, CUDA), "Carryon guide", " · 33/33 on GPU · 6.1 of 8.0 GB · 41 t/s"),
        (loaded(0, CPU), "Carryon guide", " · CPU only · 1.0 of 32.0 GB · 41 t/s"),
    ],
)
def test_the_model_in_the_status_bar(state, name, facts):
    assert texts.status_words(state, (GpuUse("RTX", GB, 8 * GB),), RAM, 41.2) == (name, facts)


def test_what_is_not_measured_is_left_out():
    assert texts.status_words(loaded(28, CUDA), (), None)[1] == " · 28/33 on GPU · 6.1 GB"
    assert texts.status_words(loaded(0, CPU), (), None)[1] == " · CPU only · 1.0 GB"


def test_a_tiny_model_keeps_its_own_unit():
    tiny = DeviceMemory("CPU", "", DeviceKind.CPU, 20 * 2**20, 0, 0, 0)
    assert texts.status_words(loaded(0, tiny), (), RAM)[1] == " · CPU only · 20 MB of 32.0 GB"


@pytest.mark.parametrize(
    ("layers", "words"),
    [(0, "CPU only"), (28, "28 of 33 layers on GPU"), (33, "all 33 layers on GPU"), (40, "all 33 layers on GPU")],
)
def test_a_split_in_words(layers, words):
    assert texts.layers_text(layers, 32) == words


def test_meters_number_gpus_only_where_there_are_several():
    gpu = GpuUse("RTX", 6 * GB, 8 * GB)
    assert texts.vram_text(gpu, 0, 1) == "VRAM 6.0 / 8.0 GB"
    assert texts.vram_text(gpu, 1, 2) == "VRAM 2 6.0 / 8.0 GB"
    assert texts.ram_text(RAM) == "RAM 12.0 / 32.0 GB"


def test_a_bar_in_words():
    bar = DeviceBar("RTX", (Part(PartKind.WEIGHTS, 5 * GB), Part(PartKind.RESERVE, GB)), 8 * GB)
    assert texts.bar_headline(bar) == "5.0 of 8.0 GB"
    assert texts.bar_spoken(bar) == "RTX: 5.0 of 8.0 GB used; weights 5.0 GB, reserve 1.0 GB, free 2.0 GB"
    unknown = replace(bar, total_bytes=None)
    assert texts.bar_headline(unknown) == "5.0 GB"
    assert "free" not in texts.bar_spoken(unknown)


def test_a_loaded_model_in_one_line():
    assert texts.loaded_facts(loaded(28, CUDA).engine.ready) == (
        "llama, 32 layers · 28 of 33 layers on GPU · context 8k tokens · loaded in 0.31 s"
    )


@pytest.mark.parametrize(
    ("machine", "processor", "graphics"),
    [
        (None, "looking…", "looking…"),
        (machines.WITH_GPU, "AMD Ryzen 7 5800X, 8 cores", "RTX 4060, 7.6 GB"),
        (machines.CPU_ONLY, "8 cores", "no GPU found"),
        (machines.GPU_WITHOUT_ENGINE_SUPPORT, "8 cores", "cannot use it yet"),
        (machines.BROKEN, "8 cores", "no GPU found"),
    ],
)
def test_the_machine_in_three_lines(machine, processor, graphics):
    summary = dict(texts.machine_summary(machine))
    assert processor in summary["Processor"]
    assert graphics in summary["Graphics"]
    assert set(summary) == {"Processor", "Memory", "Graphics"}


def test_an_unknown_processor_is_called_so():
    unknown = replace(machines.CPU_ONLY, cpu=replace(machines.CPU_ONLY.cpu, name=None, physical_cores=None))
    assert dict(texts.machine_summary(unknown))["Processor"] == "unknown processor"
    one_core = replace(machines.CPU_ONLY, cpu=replace(machines.CPU_ONLY.cpu, physical_cores=1))
    assert dict(texts.machine_summary(one_core))["Processor"].endswith("1 core")


def test_two_cards_are_both_named():
    two = replace(machines.CPU_ONLY, gpus=(Gpu(Vendor.AMD, "RX 6600"), Gpu(Vendor.INTEL, "Arc A380")))
    assert "RX 6600, Arc A380" in dict(texts.machine_summary(two))["Graphics"]


def test_the_model_button_says_what_it_does():
    assert "holds" in texts.model_tooltip(loaded(0, CPU))
    assert "Ctrl+L" in texts.model_tooltip(NoModel())


def test_no_sentence_of_the_shell_shouts():
    words = [value for name, value in vars(texts).items() if name.isupper() and isinstance(value, str)]
    assert words
    assert not [one for one in words if "!" in one]
