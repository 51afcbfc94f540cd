"""The Fit page on true services: real headers, real plans, no engine."""

import pytest
from fakes import header_models, machines

from carryon.ui.fit.page import FitPage


@pytest.fixture(scope="session")
def header_model(tmp_path_factory):
    """A model that is only a header, by its name in fakes/header_models.py."""
    folder, made = tmp_path_factory.mktemp("headers"), {}

    def make(name="qwen3-8b", quant="Q4_K_M"):
        if (name, quant) not in made:
            place = folder / f"{name}-{quant}"  # alone: what lies beside a model counts as its other quants
            place.mkdir()
            made[name, quant] = header_models.write_header_model(name, place / f"{name}-{quant}.gguf", quant)
        return made[name, quant]

    return make


@pytest.fixture
def make_page(make_services, qtbot):
    """The page alone, shown; with a model if one is given."""

    def make(path=None, machine=machines.WITH_GPU, size=(1100, 800)):
        services = make_services(machine=machine)
        page = FitPage(services)
        qtbot.addWidget(page)
        page.resize(*size)
        page.show()
        page.set_machine(machine)
        page.refresh()
        if path:
            page.presenter.choose_path(path)
            qtbot.waitUntil(lambda: page.presenter.form.plan is not None or page.presenter.form.error is not None)
        return page

    return make
