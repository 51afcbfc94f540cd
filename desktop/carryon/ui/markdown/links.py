"""Opens a link of a text only after showing where it really leads."""

from collections.abc import Callable
from urllib.parse import urlsplit

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.markdown import texts
from carryon.ui.markdown.cleaning import clean, safe_link
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import spaced


def real_host(address: str) -> str:
    """The host as the network will ask for it: look-alike letters show as punycode; of a mail the address."""
    parts = urlsplit(address)
    if parts.scheme == "mailto":
        return parts.path
    host = parts.hostname or ""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host.encode("ascii", "backslashreplace").decode()


class LinkDialog(QDialog):
    """The host in large letters, the whole address under it."""

    def __init__(self, address: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        is_mail = urlsplit(address).scheme == "mailto"
        self._address = address
        self.setWindowTitle(texts.MAIL_TITLE if is_mail else texts.LINK_TITLE)
        column = QVBoxLayout(self)
        spaced(column, (20, 18, 20, 16), 10)
        self.host = label(real_host(address), "title", wraps=True, selectable=True)
        self.whole = label(_breakable(address), "soft", wraps=True, selectable=True)
        column.addWidget(label(texts.LEADS_TO))
        column.addWidget(self.host)
        column.addWidget(self.whole)
        self._add_buttons(column, texts.MAIL_OPEN if is_mail else texts.LINK_OPEN)
        self.setMinimumWidth(theme.px(420))

    def _add_buttons(self, column: QVBoxLayout, open_words: str) -> None:
        box = QDialogButtonBox()
        role = QDialogButtonBox.ButtonRole
        self.go = button(open_words)
        self.copy = button(texts.LINK_COPY, on_click=lambda: QApplication.clipboard().setText(self._address))
        self.cancel = button(texts.LINK_CANCEL, "primary")
        box.addButton(self.go, role.AcceptRole)
        box.addButton(self.copy, role.ActionRole)
        box.addButton(self.cancel, role.RejectRole)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        column.addWidget(box)
        self.cancel.setDefault(True)
        self.cancel.setFocus(Qt.FocusReason.OtherFocusReason)


def _breakable(address: str) -> str:
    """The address with places to break its line, at most 500 characters of it."""
    short = address if len(address) <= 500 else address[:500] + "…"
    return "\u200b".join(clean(short[i : i + 40]) for i in range(0, len(short), 40))


def open_link(
    address: str, parent: QWidget | None, open_: Callable[[QUrl], object] = QDesktopServices.openUrl
) -> LinkDialog | None:
    """Asks, and opens the link if the answer is yes; None if the address is not one that may be opened."""
    safe = safe_link(address)
    if safe is None:
        return None
    dialog = LinkDialog(safe, parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.accepted.connect(lambda: open_(QUrl(safe)))
    dialog.open()
    return dialog
