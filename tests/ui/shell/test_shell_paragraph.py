"""Words are never cut: what limits their width is known to whoever asks for their height."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from carryon.ui.widgets.paragraph import Paragraph


def test_a_paragraph_in_a_wide_card_is_as_high_as_its_lines(qtbot):
    card = QWidget()
    words = Paragraph("Get one from Discover, or show Carryon a folder that has GGUF files. " * 3)
    column = QVBoxLayout(card)
    column.addWidget(words)
    column.addStretch(1)
    qtbot.addWidget(card)
    card.resize(1400, 300)
    card.show()
    assert words.width() == words.maximumWidth()
    assert words.height() >= words.heightForWidth(words.width()) > 2 * words.fontMetrics().height()
