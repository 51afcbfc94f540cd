"""The Network group of the settings: offline, mirror, proxy, limits, and the Hub's token."""

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from carryon.app.hub_access import HubAccess
from carryon.app.token_keeping import TokenPlace
from carryon.base.errors import AppError
from carryon.base.jobs import Runner
from carryon.base.settings import CONNECTIONS, DOWNLOADS_AT_ONCE, Settings, SettingsFile
from carryon.ui import theme
from carryon.ui.settings import network_texts as texts
from carryon.ui.settings.network_presenter import MOST_LIMIT, NetworkPresenter, TokenWords, limit_parts
from carryon.ui.widgets.controls import NumberField, buddy, button, hairline, label, rename
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.pair import Row
from carryon.ui.widgets.spacing import OnTheme, spaced


class NetworkCard(QFrame):
    """Every control acts at once, a text when it is left or Enter is pressed."""

    notice_wanted = Signal(str, object)

    def __init__(self, settings: SettingsFile, access: HubAccess, runner: Runner) -> None:
        super().__init__()
        self.setObjectName("card")
        self._is_drawing = False
        self.presenter = NetworkPresenter(settings, access, runner, self)
        self._make_controls()
        self._make_token()
        self._arrange()

    def refresh(self) -> None:
        """Reads everything again."""
        self.presenter.refresh()

    def show_network(self, settings: Settings, asked: str) -> None:
        self._is_drawing = True
        self._offline.setChecked(settings.is_offline)
        self._asked.setText(asked)
        for field, error, kept in (
            (self._mirror, self._mirror_error, settings.hub_mirror),
            (self._proxy, self._proxy_error, settings.hub_proxy),
        ):
            if field.text() != kept and not error.text():  # what is wrong stays, to be mended
                field.setText(kept)
                field.setCursorPosition(0)
        self._trusts.setChecked(settings.trusts_mirror)
        self._trust.setVisible(bool(settings.hub_mirror))
        number, unit = limit_parts(settings.download_limit_bytes_per_s)
        if number:  # with no limit the unit is whatever was chosen last
            self._unit.setCurrentIndex(unit)
        self._limit.setValue(number)
        self._at_once.setValue(settings.downloads_at_once)
        self._connections.setValue(settings.connections_per_download)
        self._is_drawing = False

    def show_mirror_error(self, words: str) -> None:
        self._mirror_error.setText(words)
        self._mirror_error.setVisible(bool(words))

    def show_proxy_error(self, words: str) -> None:
        self._proxy_error.setText(words)
        self._proxy_error.setVisible(bool(words))

    def show_token(self, token: TokenWords) -> None:
        self._token_words.setText(token.words)
        self._token_words.setVisible(bool(token.words))
        rename(self._token_words, "bad" if token.is_bad else "soft")
        self._save.setEnabled(not token.is_busy)
        self._check.setEnabled(not token.is_busy and token.place not in (None, TokenPlace.NOWHERE))
        self._forget.setEnabled(not token.is_busy and token.place in (TokenPlace.FILE, TokenPlace.KEYRING))

    def clear_token(self) -> None:
        self._token.clear()

    def show_error(self, error: AppError) -> None:
        self.notice_wanted.emit(f"{error.message} {error.hint}".strip(), None)

    def _make_controls(self) -> None:
        self._offline = QCheckBox(texts.OFFLINE)
        self._offline.toggled.connect(lambda on: self._unless_drawing(lambda: self.presenter.set_offline(on)))
        self._mirror, self._proxy = _text_field(texts.MIRROR_EMPTY), _text_field(texts.PROXY_EMPTY)
        self._mirror.editingFinished.connect(lambda: self.presenter.set_mirror(self._mirror.text()))
        self._proxy.editingFinished.connect(lambda: self.presenter.set_proxy(self._proxy.text()))
        self._mirror_error, self._proxy_error = (_error_line() for _ in range(2))
        self._asked = label("", "soft", wraps=True)
        self._trusts = QCheckBox(texts.TRUSTS_MIRROR)
        self._trusts.toggled.connect(lambda on: self._unless_drawing(lambda: self.presenter.set_trust(on)))
        self._limit = _number("Speed limit of all downloads together, 0 is none", (0, MOST_LIMIT))
        self._limit.setSpecialValueText(texts.NO_LIMIT)
        self._unit = QComboBox()
        self._unit.setAccessibleName(texts.LIMIT_UNIT)
        self._unit.addItems([name for name, _ in texts.LIMIT_UNITS])
        self._limit.valueChanged.connect(lambda _: self._unless_drawing(self._limited))
        self._unit.currentIndexChanged.connect(lambda _: self._unless_drawing(self._limited))
        self._at_once = _number("Downloads at once", DOWNLOADS_AT_ONCE)
        self._at_once.valueChanged.connect(lambda n: self._unless_drawing(lambda: self.presenter.set_at_once(n)))
        self._connections = _number("Connections of each download", CONNECTIONS)
        self._connections.valueChanged.connect(
            lambda n: self._unless_drawing(lambda: self.presenter.set_connections(n))
        )

    def _make_token(self) -> None:
        self._token = _text_field(texts.TOKEN_EMPTY)
        self._token.setEchoMode(QLineEdit.EchoMode.Password)
        self._token.returnPressed.connect(self._save_token)
        self._save = _named_button(texts.SAVE, "Save the token", self._save_token)
        self._check = _named_button(texts.CHECK, "Check the token", self.presenter.check_token)
        self._forget = _named_button(texts.FORGET, "Forget the token", self.presenter.forget_token)
        self._token_words = label("", "soft", wraps=True, selectable=True)

    def _limited(self) -> None:
        self.presenter.set_limit(self._limit.value() * texts.LIMIT_UNITS[self._unit.currentIndex()][1])

    def _save_token(self) -> None:
        self.presenter.save_token(self._token.text())

    def _unless_drawing(self, act: Callable[[], object]) -> None:
        if not self._is_drawing:
            act()

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (20, 16, 20, 16), 10)
        column.addWidget(label(texts.TITLE, "heading"))
        column.addWidget(self._offline)
        column.addWidget(label(texts.OFFLINE_NOTE, "soft", wraps=True))
        column.addWidget(hairline())
        column.addWidget(self._fields())
        column.addWidget(label(texts.LIMIT_NOTE, "soft", wraps=True))
        column.addWidget(hairline())
        column.addWidget(self._token_rows())
        column.addWidget(self._token_words)
        column.addWidget(label(texts.TOKEN_WHY, "soft", wraps=True, selectable=True))

    def _fields(self) -> QWidget:
        trust = QVBoxLayout()
        self._trust = QWidget()
        self._trust.setLayout(spaced(trust, gap=4))
        trust.addWidget(self._trusts)
        trust.addWidget(label(texts.TRUST_NOTE, "soft", wraps=True))
        rows = QWidget()
        grid = QGridLayout(rows)
        spaced(grid, gap=8)
        grid.setColumnStretch(1, 1)
        _add(grid, texts.MIRROR, self._mirror, self._mirror_error, self._asked)
        grid.addWidget(self._trust, grid.rowCount(), 0, 1, 2)
        _add(grid, texts.PROXY, self._proxy, self._proxy_error)
        _add(grid, texts.LIMIT, self._limit, beside=(self._unit,))
        _add(grid, texts.AT_ONCE, self._at_once)
        _add(grid, texts.CONNECTIONS, self._connections)
        return rows

    def _token_rows(self) -> QWidget:
        rows = QWidget()
        grid = QGridLayout(rows)
        spaced(grid, gap=8)
        grid.setColumnStretch(1, 1)
        buttons = QWidget()
        flow = FlowLayout()
        for one in (self._save, self._check, self._forget):
            flow.addWidget(one)
        buttons.setLayout(spaced(flow))
        _add(grid, texts.TOKEN, self._token, buttons)
        return rows


def _add(grid: QGridLayout, text: str, field: QWidget, *below: QWidget, beside: tuple[QWidget, ...] = ()) -> None:
    """A named field in the next row of the grid, and what belongs to it under it."""
    row = grid.rowCount()
    name = buddy(text, field, "")
    OnTheme(name, lambda: name.setMinimumWidth(theme.px(120)))
    grid.addWidget(name, row, 0)
    if isinstance(field, QLineEdit):
        grid.addWidget(field, row, 1)
    else:
        grid.addWidget(Row(field, *beside, gap=8), row, 1)
    for offset, widget in enumerate(below, start=1):
        grid.addWidget(widget, row + offset, 1)


def _text_field(empty: str) -> QLineEdit:
    field = QLineEdit()
    field.setPlaceholderText(empty)
    return field


def _error_line() -> QLabel:
    made = label("", "bad", wraps=True)
    made.hide()
    return made


def _named_button(text: str, name: str, act: Callable[[], object]) -> QPushButton:
    made = button(text, on_click=act)
    made.setAccessibleName(name)
    return made


def _number(name: str, bounds: tuple[int, int]) -> NumberField:
    field = NumberField(name)
    field.setRange(*bounds)
    field.setKeyboardTracking(False)  # "15" must not first be "1"
    return field
