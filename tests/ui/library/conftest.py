"""The Library page on true services: a disk with models of several programs, real headers, real plans."""

import pytest
from fakes import machines
from fakes.header_models import write_header_model
from fakes.model_shelves import Disk, tiny_adapter, tiny_model

from carryon.ui.library.page import LibraryPage

MOVED = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME",
         "OLLAMA_MODELS")  # fmt: skip


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
def own(carryon_home):
    """A model that Carryon downloaded."""
    path = carryon_home.models / "Qwen" / "Qwen3-8B-GGUF" / "Qwen3-8B-Q4_K_M.gguf"
    path.parent.mkdir(parents=True)
    return write_header_model("qwen3-8b", path, "Q4_K_M")


@pytest.fixture
def full(disk, own):
    """Models of several programs, one of them broken, one an adapter."""
    disk.in_ollama("llama3.2", "3b")
    tiny_model(disk.lm_studio / "acme" / "tiny-GGUF" / "tiny-Q8_0.gguf", quant_type=7)
    tiny_adapter(disk.gpt4all / "style.gguf")
    (disk.gpt4all / "bad-Q4_K_M.gguf").write_bytes(b"<html>404</html>")
    return disk


@pytest.fixture
def make_page(make_services, qtbot):
    """The page alone, shown, after its first look."""

    def make(machine=machines.WITH_GPU, size=(1100, 700)):
        page = LibraryPage(make_services(machine=machine))
        page.said = []
        page.notice_wanted.connect(lambda words, undo: page.said.append((words, undo)))
        qtbot.addWidget(page)
        page.resize(*size)
        page.show()
        page.set_machine(machine)
        page.refresh()
        qtbot.waitUntil(lambda: is_settled(page))
        return page

    return make


def is_settled(page):
    """Whether all that is known is drawn."""
    state = page.presenter.form.state
    return bool(state.scan) and not state.is_scanning and not state.n_unchecked and not page._soon.isActive()
