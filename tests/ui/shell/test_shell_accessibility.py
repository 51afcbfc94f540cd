"""Every control can be named, reached and read: on every page and dialog, and at twice the text size."""

import pytest
from fakes import machines, tiny_gguf
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QFontMetrics, QHelpEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollBar,
    QTableView,
)

from carryon.app.host import LoadedModel, LoadWish
from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.loading.presenter import model_file
from carryon.ui.memory_facts import DeviceBar, Part, PartKind
from carryon.ui.widgets.memory_bar import MemoryBar
from carryon.ui.widgets.meters import Meter
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.window import Page

CONTROLS = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit,
    MemoryBar, Meter,
)
PLACES = ("chat", "fit", "settings", "welcome", "load", "memory", "shortcuts", "log")


@pytest.fixture
def show(make_window, tmp_path, qtbot):
    """Opens one place of the window and returns the widget that holds it."""

    def open_place(place):
        window = make_window(machine=machines.WITH_GPU)
        window.begin()
        qtbot.waitUntil(lambda: window.machine.machine is not None and window.status.use is not None)
        match place:
            case "chat" | "settings" | "welcome":
                window.show_page({"chat": Page.CHAT, "settings": Page.SETTINGS, "welcome": Page.WELCOME}[place])
                return window
            case "fit":
                window.show_page(Page.FIT)
                window.fit.presenter.choose_path(tiny_gguf.random_model(tmp_path / "tiny.gguf"))
                window.fit.presenter.plan_for_parts(("GeForce RTX 4090",), 64 * 2**30)
                qtbot.waitUntil(lambda: window.fit.presenter.form.plan is not None)
                return window
            case "load":
                path = tiny_gguf.random_model(tmp_path / "tiny.gguf")
                window.open_path(path)
                qtbot.waitUntil(lambda: bool(window.load_dialog.presenter.form.facts))
                return window.load_dialog
            case "memory":
                model = model_file(tiny_gguf.random_model(tmp_path / "tiny.gguf"))
                window._services.host.load(LoadWish(model, 4096, 20))
                qtbot.waitUntil(lambda: isinstance(window._services.host.state, LoadedModel))
                window.status.model_button.click()
                return window
            case "shortcuts":
                window.show_shortcuts()
            case "log":
                window.show_log()
        return next(one for one in QApplication.topLevelWidgets() if isinstance(one, QDialog) and one.isVisible())

    return open_place


def controls(place):
    for kind in CONTROLS:
        for one in place.findChildren(kind):
            if one.isVisible() and not isinstance(one, QScrollBar) and not inside_another(one):
                yield one


def inside_another(widget):
    """The line of a spin box or a combo box belongs to it, a sign in a line to the line, its titles to a table."""
    return isinstance(widget.parentWidget(), QAbstractSpinBox | QComboBox | QLineEdit | QTableView)


@pytest.mark.parametrize("place", PLACES)
def test_every_control_has_a_name(show, place):
    nameless = [repr(one) for one in controls(show(place)) if not (one.accessibleName() or spoken_text(one))]
    assert nameless == []


def spoken_text(control):
    return isinstance(control, QAbstractButton) and control.text().strip()


@pytest.mark.parametrize("place", ["chat", "fit", "settings", "welcome", "load"])
def test_every_control_can_be_reached_by_the_tab_key(show, place):
    shown = show(place)
    reached, widget = set(), shown.nextInFocusChain()
    while widget is not shown:
        reached.add(widget)
        widget = widget.nextInFocusChain()
    unreachable = [
        repr(one)
        for one in controls(shown)
        if one.isEnabled() and not isinstance(one, MemoryBar | Meter) and (one not in reached or not takes_tab(one))
    ]
    assert unreachable == []


def takes_tab(widget):
    """Of a group of buttons the chosen one takes the Tab key, and the arrow keys go on from there."""
    is_in_group = isinstance(widget, QAbstractButton) and widget.group() is not None
    return is_in_group or bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("percent", [100, 200])
def test_no_word_of_a_button_is_cut(show, qapp, qtbot, place, percent):
    theme.apply(qapp, Theme.LIGHT, percent)
    shown = show(place)
    qtbot.wait(50)
    cut = [one.text() for one in shown.findChildren(QPushButton) if one.isVisible() and is_cut(one)]
    assert cut == []


def is_cut(button):
    words = QFontMetrics(button.font()).horizontalAdvance(button.text())
    icon = 0 if button.icon().isNull() else button.iconSize().width()
    return button.width() < words + icon or button.height() < QFontMetrics(button.font()).height()


@pytest.mark.parametrize("percent", [100, 200])
def test_no_line_of_a_label_is_cut(show, qapp, qtbot, percent):
    theme.apply(qapp, Theme.LIGHT, percent)
    settings = show("settings").settings
    qtbot.wait(50)
    cut = [one.text() for one in settings.findChildren(QLabel) if one.isVisible() and one.text() and lacks_height(one)]
    assert cut == []


def lacks_height(label):
    needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
    return label.height() < needed


def test_a_reason_card_is_read_as_one(qtbot):
    from carryon.base.errors import AppError

    card = ReasonCard(AppError("The engine crashed.", "Load the model again."), [("Load again", lambda: None)])
    qtbot.addWidget(card)
    assert card.accessibleName() == "The engine crashed. Load the model again."


# the memory bar


BAR = DeviceBar(
    "RTX 4060",
    (
        Part(PartKind.WEIGHTS, 4 * 2**30), Part(PartKind.KV, 2**30), Part(PartKind.COMPUTE, 2**28),
        Part(PartKind.OTHER, 2**29), Part(PartKind.RESERVE, 2**30),
    ),
    8 * 2**30,
)


@pytest.fixture
def bar(qtbot):
    made = MemoryBar(BAR)
    qtbot.addWidget(made)
    made.resize(600, made.heightForWidth(600))
    made.show()
    return made


def test_a_bar_speaks_its_numbers(bar):
    assert bar.accessibleName().startswith("RTX 4060: 5.8 of 8.0 GB used; weights 4.0 GB, KV cache 1.0 GB")


def test_parts_are_as_wide_as_they_are_large(bar):
    widths = {kind: rect.width() for kind, rect in bar._stretches()}
    assert widths[PartKind.WEIGHTS] == pytest.approx(4 * widths[PartKind.KV], rel=0.02)
    assert sum(widths.values()) < bar.width()


def test_the_smallest_part_is_still_seen(bar):
    bar.show_bar(DeviceBar("RAM", (Part(PartKind.KV, 1), Part(PartKind.OTHER, 2**34)), 2**35))
    assert all(rect.width() >= 1 for _, rect in bar._stretches())


def test_neighbours_have_their_own_colours_and_the_reserve_is_hatched(bar):
    image = bar.grab().toImage()
    middle = {kind: rect.center().toPoint() for kind, rect in bar._stretches()}
    for kind, role in ((PartKind.WEIGHTS, "weights"), (PartKind.KV, "kv"), (PartKind.OTHER, "other")):
        assert image.pixelColor(middle[kind]).name().upper() == getattr(theme.current(), role).upper()
    reserve = next(rect.toRect() for kind, rect in bar._stretches() if kind is PartKind.RESERVE)
    row = {image.pixelColor(x, reserve.center().y()).name() for x in range(reserve.left(), reserve.right())}
    assert len(row) > 1


def test_the_legend_breaks_its_line_instead_of_being_cut(bar, qapp):
    assert bar.heightForWidth(260) > bar.heightForWidth(900)
    theme.apply(qapp, Theme.LIGHT, 200)
    assert all(place.right() <= 600 for place, _, _ in bar._legend(600))


def test_a_part_tells_itself_under_the_pointer(bar):
    words = [bar._words_at(int(rect.center().x())) for _, rect in bar._stretches()]
    assert words == ["weights 4.0 GB", "KV cache 1.0 GB", "compute 0.2 GB", "other programs 0.5 GB", "reserve 1.0 GB"]
    assert bar._words_at(bar.width() - 3) == "free 1.2 GB"
    where = bar._stretches()[0][1].center().toPoint()
    assert bar.event(QHelpEvent(QEvent.Type.ToolTip, where, bar.mapToGlobal(where)))
    assert bar.event(QHelpEvent(QEvent.Type.ToolTip, QPoint(0, 0), bar.mapToGlobal(QPoint(0, 0))))
