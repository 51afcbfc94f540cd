"""Words of several lines that an eye can follow: never wider than about 72 letters."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSizePolicy

from carryon.ui import theme
from carryon.ui.widgets.spacing import OnTheme

WIDEST_PX = 620


class Paragraph(QLabel):
    """Plain text. A layout asks for the height at its own width; the answer is for the width that is really taken."""

    def __init__(self, text: str = "", name: str = "") -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setObjectName(name)
        self.setWordWrap(True)
        policy = self.sizePolicy()
        policy.setVerticalPolicy(QSizePolicy.Policy.Minimum)
        self.setSizePolicy(policy)
        OnTheme(self, lambda: self.setMaximumWidth(theme.px(WIDEST_PX)))

    def heightForWidth(self, width: int) -> int:
        return super().heightForWidth(min(width, self.maximumWidth()))
