"""After a load what was predicted stands beside what is held: in the memory panel and at the model's button."""

import pytest
from fakes import fits, machines
from PySide6.QtWidgets import QLabel

from carryon.app.host import LoadedModel, LoadWish
from carryon.app.models import guide
from carryon.engine.protocol import DeviceKind, DeviceMemory, Ready
from carryon.fit.memory import DeviceNeed, Need
from carryon.ui import texts

GB = 2**30


def ready(held_bytes):
    memory = (DeviceMemory("CPU", "CPU", DeviceKind.CPU, held_bytes, 0, 0, 0),)
    return Ready(1, "t", "m", "llama", 32, 0, 4096, 32768, True, memory, 100.0)


def predicted(total_bytes):
    return fits.fit(need=Need(DeviceNeed(total_bytes)))


@pytest.mark.parametrize(
    ("predicted_bytes", "held_bytes", "words"),
    [
        (6 * GB, 6 * GB, "Predicted 6.0 GB, holds 6.0 GB (as predicted)"),
        (6 * GB, int(6.12 * GB), "Predicted 6.0 GB, holds 6.1 GB (2.0 % more)"),
        (6 * GB, int(5.7 * GB), "Predicted 6.0 GB, holds 5.7 GB (5.0 % less)"),
    ],
)
def test_predicted_and_held_in_one_line(predicted_bytes, held_bytes, words):
    assert texts.prediction_text(predicted(predicted_bytes), ready(held_bytes)) == words


def test_nothing_is_compared_with_what_was_not_predicted():
    assert texts.prediction_text(None, ready(GB)) == ""


def test_the_panel_and_the_button_say_it(make_window, qtbot):
    window = make_window(machine=machines.CPU_ONLY)
    host = window._services.host
    host.load(LoadWish(guide(), 4096, 0, fit=predicted(6 * GB)))
    qtbot.waitUntil(lambda: isinstance(host.state, LoadedModel))
    window.status.model_button.click()
    words = texts.prediction_text(host.state.wish.fit, host.state.engine.ready)
    assert words.startswith("Predicted 6.0 GB, holds 5.5 GB")
    assert words in [one.text() for one in window.memory.findChildren(QLabel) if one.isVisible()]
    assert words in texts.model_tooltip(host.state)


def test_without_a_prediction_there_is_no_line(make_window, qtbot):
    window = make_window(machine=machines.CPU_ONLY)
    host = window._services.host
    host.load(LoadWish(guide(), 4096, 0))
    qtbot.waitUntil(lambda: isinstance(host.state, LoadedModel))
    window.status.model_button.click()
    assert not window.memory._prediction.isVisible()


def test_the_machine_that_was_found_is_what_the_host_plans_for(make_window, qtbot):
    window = make_window(machine=machines.WITH_GPU)
    window.begin()
    qtbot.waitUntil(lambda: window.machine.machine is not None)
    assert window._services.host.wish_for(guide()).n_gpu_layers > 0


def test_a_measured_speed_reaches_what_learns_from_it(make_window, qtbot):
    window = make_window(machine=machines.CPU_ONLY)
    host, told = window._services.host, []
    host.answered = told.append
    host.load(LoadWish(guide(), 4096, 0))
    qtbot.waitUntil(lambda: isinstance(host.state, LoadedModel))
    window.chat.composer.field.setPlainText("Hello")
    window.chat.composer.send.click()
    qtbot.waitUntil(lambda: bool(told))
    assert told[0].predicted_n > 0
