"""From the guide's Hugging Face folder to a measured Q4_K_M in the chat: by mouse only, and by command only."""

import json
import os
import subprocess
import sys

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton

from carryon.app.host import LoadedModel
from carryon.app.models import guide
from carryon.app.workshop_list import FinishedRun
from carryon.ui.pages import RAIL_PAGES, Page
from carryon.ui.workshop import run_texts
from carryon.ui.workshop.targets_table import QUANT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FOLDER = guide().path.parent
WAIT_MS = 120_000
QUESTION = "What is Q4_K_M?"


def test_by_mouse_only(open_window, qtbot):
    window, services = open_window()
    click(qtbot, window.rail._group.button(RAIL_PAGES.index(Page.WORKSHOP)))
    page = window.pages.workshop
    drop(page, FOLDER)
    wait(qtbot, lambda: page.foot.next.isVisible() and page.foot.next.isEnabled())
    click(qtbot, page.foot.next)
    wait(qtbot, lambda: page.targets.isVisible() and page.targets.table._ticks.rows)
    untick_all_but(page, qtbot, "Q4_K_M")
    box = page.targets.measure
    page.targets.ensureWidgetVisible(box)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    wait(qtbot, lambda: page.presenter.form.choices.measures and page.foot.make.isVisible())
    click(qtbot, page.foot.make)
    wait(qtbot, lambda: services.workshop.now and isinstance(services.workshop.now[0].state, FinishedRun))
    (file,) = services.workshop.now[0].state.files
    assert file.name == "guide-Q4_K_M.gguf"
    measured = services.fitting.evaluations.of(file)
    assert measured is not None
    assert measured.kl_divergence > 0

    wait(qtbot, lambda: button(page, run_texts.USE))
    click(qtbot, button(page, run_texts.USE))
    wait(qtbot, lambda: isinstance(services.host.state, LoadedModel))
    assert services.host.state.wish.file.path == file
    window.chat.composer.field.setPlainText(QUESTION)  # words alone are typed
    wait(qtbot, lambda: window.chat.composer.send.isEnabled())
    click(qtbot, window.chat.composer.send)
    wait(qtbot, lambda: bool(services.store.conversations()) and not window.chat.presenter.is_answering)
    (chat,) = services.store.conversations()
    assert "4" in services.store.messages(chat.id)[-1].text


def test_by_command_only(carryon_home, tmp_path):
    told = json.loads(carryon("preflight", FOLDER, "--json"))
    (said,) = [one for one in told["targets"] if one["quant"] == "Q4_K_M"]
    out = tmp_path / "guide-Q4_K_M.gguf"
    carryon("convert", FOLDER, "--to", "f16", "--out", tmp_path / "guide-F16.gguf")
    carryon("quantize", tmp_path / "guide-F16.gguf", out, "q4_k_m")
    assert abs(out.stat().st_size - said["size_bytes"]) < 500  # it says in its header that an F16 file stood between
    found = json.loads(carryon("evaluate", tmp_path / "guide-F16.gguf", out, "--chunks", "3", "--no-speed", "--json"))
    assert found["others"][0]["kl_divergence"] > 0
    assert "measured" in carryon("fit", out)
    assert "4" in carryon("run", out, "-p", QUESTION)


def carryon(*words):
    """What a command prints; it must succeed."""
    code = "import sys; from carryon.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def untick_all_but(page, qtbot, quant):
    """Clicks the rows whose boxes are not as they shall be."""
    table = page.targets.table
    names = [row.quant for row in table._ticks.rows]
    for row, name in enumerate(names):
        if (name in page.presenter.form.choices.quants) is not (name == quant):
            place = table.visualRect(table._ticks.index(row, QUANT)).center()
            qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
            wait(qtbot, lambda name=name: (name in page.presenter.form.choices.quants) is (name == quant))


def drop(page, folder):
    """As a file manager does."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    left = Qt.MouseButton.LeftButton
    page.dropEvent(QDropEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, left, Qt.KeyboardModifier.NoModifier))


def button(page, text):
    buttons = page.findChildren(QAbstractButton)
    return next((one for one in buttons if one.text().strip() == text and one.isVisible()), None)


def click(qtbot, widget):
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def wait(qtbot, is_so):
    qtbot.waitUntil(lambda: bool(is_so()), timeout=WAIT_MS)
