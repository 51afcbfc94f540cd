"""The Qt binding in use keeps Python's constants alive; PySide6 6.12.0 takes a reference of None with every call.

Measured on Python 3.11: 6.12.0 loses one reference a call, until the interpreter dies of "none_dealloc"; 6.11.3 none.
"""

import sys
from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QApplication, QLabel

CALLS = 2_000
NOISE = 50               # references that other code takes or gives meanwhile


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 made these constants immortal")
@pytest.mark.parametrize("constant", [None, True, False], ids=str)
@pytest.mark.parametrize("call", [
    lambda label: QApplication.processEvents(),
    lambda label: label.setText("text"),
    lambda label: label.repaint(),
    lambda label: label.setVisible(True),
    lambda label: label.isEnabled(),
    lambda label: label.isModal(),
], ids=["processEvents", "setText", "repaint", "setVisible", "isEnabled", "isModal"])
def test_a_call_into_qt_takes_no_reference(qtbot, constant: object, call: Callable[[QLabel], object]) -> None:
    label = QLabel("text")
    qtbot.addWidget(label)
    before = sys.getrefcount(constant)
    for _ in range(CALLS):
        call(label)
    assert abs(sys.getrefcount(constant) - before) < NOISE


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 made these constants immortal")
def test_a_lost_reference_would_be_seen() -> None:
    before = sys.getrefcount(None)
    taken = [None] * CALLS                                   # the same drift, upwards
    assert sys.getrefcount(None) - before > CALLS - NOISE, len(taken)
