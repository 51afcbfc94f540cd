"""The Discover page on true services, against a Hub on this machine."""

import pytest
from fakes import machines
from fakes.fakehub import FakeHub
from fakes.header_repos import add_header_repo

from carryon.ui.discover.page import DiscoverPage

QUANTS = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "IQ2_M")
WAIT_MS = 20_000


@pytest.fixture
def hub(monkeypatch):
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


@pytest.fixture
def add_model(hub, tmp_path):
    """A repository with a real header; returns its name."""

    def add(repo_id="Qwen/Qwen3-8B-GGUF", model="qwen3-8b", quants=QUANTS, **meta):
        told = {"tags": ["gguf", "license:apache-2.0"]} | meta
        add_header_repo(hub, tmp_path / "models" / repo_id.replace("/", "-"), repo_id, model, quants, **told)
        return repo_id

    return add


@pytest.fixture
def make_page(hub, make_services, qtbot):
    """The page alone, shown and opened."""

    def make(machine=machines.WITH_GPU, size=(1100, 800)):
        services = make_services(machine=machine)
        page = DiscoverPage(services)
        qtbot.addWidget(page)
        page.resize(*size)
        page.show()
        page.set_machine(machine)
        page.refresh()
        return page

    return make


@pytest.fixture
def until(qtbot):
    """Waits until something is so."""
    return lambda is_so: qtbot.waitUntil(lambda: bool(is_so()), timeout=WAIT_MS)
