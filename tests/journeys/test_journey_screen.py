"""The truth is on a screen: the real window on a virtual display chats with the guide, and its pictures show it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

SCREENSHOTS = Path(__file__).parents[2] / "packaging" / "screenshots.py"
PAGES = ("first-run", "chat", "load", "memory", "settings", "fit")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb")]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The README's pictures, taken anew on a display of their own."""
    folder = tmp_path_factory.mktemp("pictures")
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    taken = subprocess.run(
        [sys.executable, SCREENSHOTS, folder], env=environment, capture_output=True, text=True, timeout=150
    )
    assert taken.returncode == 0, taken.stderr
    return {path.stem: QImage(str(path)) for path in folder.glob("*.png")}


def brightness(image):
    """0 is black, 255 is white: the mean of every sixteenth pixel."""
    places = [(x, y) for x in range(0, image.width(), 16) for y in range(0, image.height(), 16)]
    return sum(image.pixelColor(x, y).lightness() for x, y in places) / len(places)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_painted_light_and_dark(pictures, page):
    light, dark = pictures[f"{page}-light"], pictures[f"{page}-dark"]
    assert brightness(light) > 200
    assert brightness(dark) < 60


def test_words_stand_in_the_middle_of_the_page(pictures):
    talk = pictures["chat-light"]
    middle = [(x, y) for x in range(talk.width() // 3, talk.width() - 40, 2) for y in range(60, talk.height() - 160, 2)]
    ink = sum(talk.pixelColor(x, y).lightness() < 100 for x, y in middle)
    assert 0.003 < ink / len(middle) < 0.2


def test_large_text_keeps_the_window_on_the_screen(pictures):
    assert pictures["chat-light-200"].size() == pictures["chat-light"].size()
    assert brightness(pictures["chat-light-200"]) > 200


def test_a_crash_of_the_engine_shows_its_card_in_the_window(pictures):
    card = pictures["crash-light"]
    red = [
        (x, y)
        for x in range(0, card.width(), 2)
        for y in range(0, card.height(), 2)
        if card.pixelColor(x, y).red() > 150 and card.pixelColor(x, y).green() < 60
    ]
    assert len(red) > 200
