"""A link opens only after its real host was shown, and only to the web or a mailbox."""

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QApplication

from carryon.ui.markdown import texts
from carryon.ui.markdown.links import open_link, real_host


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://example.org/path?x=1", "example.org"),
        ("https://google.com@evil.example/login", "evil.example"),
        ("https://аpple.com/", "xn--pple-43d.com"),
        ("http://192.168.0.1:8080/x", "192.168.0.1"),
        ("mailto:someone@example.org", "someone@example.org"),
        ("https://" + "ä" * 70 + ".com", "\\xe4" * 70 + ".com"),
    ],
)
def test_the_real_host(address, host):
    assert real_host(address) == host


@pytest.mark.parametrize("address", ["file:///etc/passwd", "javascript:alert(1)", "vscode://x", "//host/share", "x.md"])
def test_anything_else_opens_nothing(qtbot, address):
    assert open_link(address, None) is None


def test_yes_opens_the_link(qtbot):
    opened = []
    dialog = open_link("https://example.org/a", None, opened.append)
    qtbot.addWidget(dialog)
    assert dialog.host.text() == "example.org"
    qtbot.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    assert opened == [QUrl("https://example.org/a")]


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Return])
def test_escape_and_enter_open_nothing(qtbot, key):
    opened = []
    dialog = open_link("https://example.org/a", None, opened.append)
    qtbot.addWidget(dialog)
    qtbot.keyClick(dialog, key)
    assert opened == []
    assert not dialog.isVisible()


def test_the_address_can_be_copied(qtbot):
    dialog = open_link("https://example.org/" + "a" * 900, None, lambda _: None)
    qtbot.addWidget(dialog)
    qtbot.mouseClick(dialog.copy, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == "https://example.org/" + "a" * 900
    assert dialog.whole.text().endswith("…")


def test_a_mail_asks_in_its_own_words(qtbot):
    dialog = open_link("mailto:a@example.org", None, lambda _: None)
    qtbot.addWidget(dialog)
    assert (dialog.windowTitle(), dialog.go.text()) == (texts.MAIL_TITLE, texts.MAIL_OPEN)
