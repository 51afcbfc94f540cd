"""The words of the chat page: every state has its sentence, and what was not measured is not said."""

import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import machines

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, NoModel
from carryon.app.models import ModelFile
from carryon.base.errors import AppError
from carryon.base.units import MEMORY_GB
from carryon.chat.message import Figures, Message, Role, State
from carryon.engine.protocol import DeviceKind, DeviceMemory, Ready
from carryon.ui.chat import texts
from carryon.ui.chat.context_use import ContextUse, measured
from carryon.ui.chat.dates import Day, Month

WISH = LoadWish(ModelFile(Path("/m/qwen.gguf"), "Qwen3-8B", "/m/qwen.gguf"), 4096, 28)
ANSWER = Message(
    2, 1, Role.ASSISTANT, "words", State.WHOLE, 0.0, "Qwen3-8B", Figures(20, 100.0, 143, 3462.0, 1204, 180.0)
)


def device(kind, weights, kv=0):
    return DeviceMemory(kind.value.upper(), "a device", kind, int(weights * MEMORY_GB), int(kv * MEMORY_GB), 0, 0)


def loaded(n_gpu_layers, *memory):
    ready = Ready(1, "t", "Qwen3-8B", "qwen3", 32, n_gpu_layers, 4096, 32768, True, memory, 900.0)
    return LoadedModel(WISH, SimpleNamespace(ready=ready))


def test_the_footer_of_an_answer():
    assert texts.footer(ANSWER) == "41.3 tokens/s · first token 0.18 s · 143 tokens · 1,204 cached · finished"


def test_what_was_not_measured_is_left_out():
    bare = replace(ANSWER, figures=Figures(20, 0.0, 1, 0.0, 0, None))
    assert texts.footer(bare) == "1 token · finished"
    assert texts.footer(replace(ANSWER, figures=None)) == "finished"


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.STOPPED, "stopped"),
        (State.CUT_LENGTH, "most tokens"),
        (State.CUT_CONTEXT, "Start a new chat"),
        (State.FAILED, "failed"),
        (State.INTERRUPTED, "Carryon was closed while this was written"),
        (State.STREAMING, ""),
    ],
)
def test_every_state_has_its_words(state, word):
    assert word in texts.footer(replace(ANSWER, state=state, figures=None))
    assert texts.announced(state)


def test_a_question_has_no_footer():
    assert texts.footer(replace(ANSWER, role=Role.USER)) == ""


def test_who_wrote_a_message():
    assert texts.author(ANSWER) == "Answer of Qwen3-8B"
    assert texts.author(replace(ANSWER, model_name=None)) == "Answer of the model"
    assert texts.author(replace(ANSWER, role=Role.USER)) == "You"


@pytest.mark.parametrize(
    ("state", "word", "where"),
    [
        (NoModel(), "No model loaded", ""),
        (LoadingModel(WISH, None), "Loading…", "Qwen3-8B"),
        (LoadingModel(WISH, 0.42), "Loading 42 %", "Qwen3-8B"),
        (FailedModel(WISH, AppError("no")), "Failed: Qwen3-8B", ""),
        (loaded(0, device(DeviceKind.CPU, 0.8, 0.1)), "Qwen3-8B", "CPU only · 0.9 GB"),
        (
            loaded(28, device(DeviceKind.CPU, 1), device(DeviceKind.GPU, 5.5, 0.6)),
            "Qwen3-8B",
            "28 of 33 layers on GPU · 6.1 GB",
        ),
        (loaded(33, device(DeviceKind.GPU, 5.5, 0.6)), "Qwen3-8B", "all 33 layers on GPU · 6.1 GB"),
        (
            loaded(10, device(DeviceKind.CPU, 4), device(DeviceKind.RPC, 2)),
            "Qwen3-8B",
            "10 of 33 layers on another machine · 2.0 GB",
        ),
    ],
)
def test_the_model_in_the_top_bar(state, word, where):
    assert texts.model_word(state) == word
    assert texts.whereabouts(state) == where


def test_what_each_device_holds():
    ready = loaded(28, device(DeviceKind.CPU, 1), device(DeviceKind.GPU, 5.5, 0.6)).engine.ready
    assert texts.memory_lines(ready) == "CPU: 1.0 GB (weights 1.0 GB)\nGPU: 6.1 GB (weights 5.5 GB, KV cache 0.6 GB)"


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (ContextUse(), ""),
        (ContextUse(12, 1258, 4096), "prompt ~12 tokens · context 31 % of 4k"),
        (ContextUse(None, 0, 8192), "context 0 % of 8k"),
        (ContextUse(1, 2048, 4096, is_estimate=True), "prompt ~1 token · context ~50 % of 4k"),
        (ContextUse(None, None, 4096), "context 4k"),
        (ContextUse(9000, 0, 4096), "prompt ~9,000 tokens · context 100 % of 4k"),
    ],
)
def test_the_use_of_the_context(use, words):
    assert texts.context_use(use) == words


def test_the_context_is_measured_by_the_last_answer_that_has_figures():
    later = replace(ANSWER, figures=None, text="stopped words", state=State.STOPPED)
    failed = replace(ANSWER, figures=None, text="not sent", state=State.FAILED)
    assert measured((ANSWER, later, failed)) == (20 + 1204 + 143, "stopped words")
    assert measured((later,)) == (0, "stopped words")
    assert measured(()) == (0, "")


@pytest.mark.parametrize(
    ("when", "words"),
    [(Day.TODAY, "Today"), (Day.YESTERDAY, "Yesterday"), (Day.THIS_WEEK, "This week"), (Month(2026, 3), "March 2026")],
)
def test_the_headings_of_the_list(when, words):
    assert texts.period(when) == words


def test_the_machine_in_one_line():
    line = texts.machine_line(machines.CPU_ONLY)
    assert "RAM" in line
    assert line.endswith("no GPU")


def test_the_guide_was_trained_with_the_questions_that_are_suggested():
    folder = Path(__file__).parents[3] / "packaging" / "guide" / "questions"
    topics = [topic for file in folder.glob("*.toml") for topic in tomllib.loads(file.read_text("utf-8"))["topic"]]
    asked = {question.lower().strip("?") for topic in topics for question in topic["ask"]}
    assert {one.lower().strip("?") for one in texts.SUGGESTIONS} <= asked


def test_sentences_are_plain():
    words = [value for name, value in vars(texts).items() if name.isupper() and isinstance(value, str)]
    assert not [one for one in words if "!" in one or "  " in one.replace("   Ctrl", "")]
