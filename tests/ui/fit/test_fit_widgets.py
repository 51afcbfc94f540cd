"""The widgets that the Fit page brought along: round steps, verdicts, links and labels that hold still."""

from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from carryon.base.settings import Theme
from carryon.fit.plan import Verdict
from carryon.ui import theme
from carryon.ui.widgets.links import Links, broken
from carryon.ui.widgets.pair import Pair, Row
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.widgets.steps_slider import TokensField, context_steps, nearest
from carryon.ui.widgets.verdict import VerdictLabel, verdict_icon, verdict_role

# steps of a context


@pytest.mark.parametrize(
    ("n_ctx_train", "steps"),
    [
        (8192, (2048, 3072, 4096, 6144, 8192)),
        (10_000, (2048, 3072, 4096, 6144, 8192, 10_000)),
        (1024, (1024,)),
        (2048, (2048,)),
    ],
)
def test_steps_are_round_and_end_at_the_trained_maximum(n_ctx_train, steps):
    assert context_steps(n_ctx_train) == steps


def test_where_the_training_is_unknown_the_steps_go_to_128k():
    assert context_steps(0)[-1] == 131_072


@pytest.mark.parametrize(("value", "index"), [(1, 0), (2048, 0), (5000, 2), (5100, 3), (10**9, 4)])
def test_a_value_between_two_steps_stands_at_the_nearest_ratio(value, index):
    assert nearest(context_steps(8192), value) == index


@pytest.fixture
def field(qtbot):
    made = TokensField("&Context", (256, 1 << 24))
    qtbot.addWidget(made)
    made.resize(500, made.sizeHint().height())
    made.show_value(context_steps(40_960), 8192)
    made.show()
    return made


def test_showing_a_value_is_no_choice(field, qtbot):
    with qtbot.assertNotEmitted(field.moved):
        field.show_value(context_steps(131_072), 16_384)
    assert field.number.value() == 16_384


def test_arrow_keys_go_to_the_next_round_step(field, qtbot):
    with qtbot.waitSignal(field.moved) as moved:
        qtbot.keyClick(field.slider, Qt.Key.Key_Right)
    assert moved.args == [12_288]


@pytest.mark.parametrize("percent", [100, 200])
def test_the_steps_under_the_slider_never_touch(field, qapp, percent):
    theme.apply(qapp, Theme.LIGHT, percent)
    field.show_value(context_steps(1_048_576), 8192)
    places = sorted((place.left(), place.right()) for _, _, place in field._ticks._places())
    assert len(places) > 2
    assert all(left > before for (_, before), (left, _) in pairwise(places))


# verdicts


def test_every_verdict_has_an_icon_of_its_own(qapp):
    images = [verdict_icon(one).pixmap(32, 32).toImage() for one in Verdict]
    shapes = {bytes(image.createAlphaMask().constBits()) for image in images}
    assert len(shapes) == len(Verdict)


def test_without_a_gpu_ram_is_a_good_place():
    assert verdict_role(Verdict.RAM) == "warn"
    assert verdict_role(Verdict.RAM, has_gpu=False) == "good"


def test_a_verdict_is_read_and_changes_its_look(qtbot):
    shown = VerdictLabel()
    qtbot.addWidget(shown)
    shown.show_verdict(Verdict.GPU, "Fits on the GPU")
    assert (shown.accessibleName(), shown._words.objectName()) == ("Fits on the GPU", "good")
    shown.show_verdict(Verdict.TOO_BIG, "Too big by 1 GB")
    assert (shown._words.text(), shown._words.objectName()) == ("Too big by 1 GB", "bad")


# links


def test_a_link_longer_than_its_row_goes_on_in_the_next_line(qapp):
    metrics = QFontMetrics(qapp.font())
    words = "KV cache q8_0: saves 1.4 GB, fits on the GPU"
    assert broken(words, metrics, 10_000) == words
    lines = broken(words, metrics, 120).split("\n")
    assert " ".join(lines) == words
    assert all(metrics.horizontalAdvance(line) <= 120 for line in lines)


def test_links_tell_which_was_pressed_and_keep_their_buttons(qtbot):
    pressed = []
    links = Links("Try:", pressed.append)
    qtbot.addWidget(links)
    links.show_links(["one", "two", "three"], {2})
    buttons = links.findChildren(QPushButton)
    buttons[1].click()
    buttons[2].click()
    assert pressed == [1]
    links.show_links(["another"])
    assert [one.text() for one in links._links if not one.isHidden()] == ["another"]
    links.show_links([])
    assert links.isHidden()


# labels and rows


@pytest.fixture
def steady(qtbot):
    page = QWidget()
    qtbot.addWidget(page)
    label = SteadyLabel(dots=True)
    column = QVBoxLayout(page)
    column.addWidget(label)
    column.addStretch(1)
    page.resize(300, 300)
    page.show()
    label.page = page  # it has to live as long
    return label


def test_a_steady_label_is_as_high_as_its_lines(steady, qtbot):
    steady.show_words("One.")
    qtbot.waitUntil(lambda: steady.height() == steady.heightForWidth(steady.width()))
    one = steady.height()
    steady.show_words("One.\n" + "A sentence that is much too long for one line of this narrow page. " * 2)
    qtbot.waitUntil(lambda: steady.height() > 3 * one)
    assert steady.height() == steady.heightForWidth(steady.width())


def test_a_steady_label_is_read_like_any_label(steady):
    steady.show_words("One.\nTwo.")
    assert (steady.text(), steady.accessibleName()) == ("One.\nTwo.", "One.\nTwo.")


def test_words_of_the_same_height_lay_nothing_out(steady, qtbot):
    steady.show_words("One.")
    qtbot.wait(20)
    before = steady.parentWidget().layout().sizeHint()
    steady.show_words("Two.")
    assert steady.parentWidget().layout().sizeHint() == before


def test_after_other_words_another_width_finds_the_right_height(steady, qtbot):
    steady.show_words("One.")
    for width in (80, 300):  # so that the layout knows the height of both
        steady.page.resize(width, 300)
        qtbot.wait(20)
    steady.show_words("Two words and more")
    steady.page.resize(80, 300)
    qtbot.waitUntil(lambda: steady.height() == steady.heightForWidth(steady.width()))
    assert steady.height() > steady.fontMetrics().height()


def test_a_pair_stands_side_by_side_or_under_each_other(qtbot):
    first, second = QLabel("first"), QLabel("second")
    pair = Pair(first, second, narrow_px=400, gap=10)
    qtbot.addWidget(pair)
    pair.resize(600, 100)
    pair.show()
    qtbot.waitUntil(lambda: second.x() > first.x())
    pair.resize(300, 100)
    qtbot.waitUntil(lambda: second.y() > first.y() and second.x() == first.x())


def test_a_row_would_like_one_line(qtbot):
    row = Row(QLabel("first"), QLabel("second"), gap=10)
    qtbot.addWidget(row)
    assert row.sizeHint().width() > sum(one.sizeHint().width() for one in row._widgets)


def test_a_model_trained_for_the_first_step_alone_has_it_written(qtbot):
    made = TokensField("&Context", (256, 1 << 24))
    qtbot.addWidget(made)
    made.show_value((2048,), 2048)
    assert [words for _, words, _ in made._ticks._places()] == ["2k"]
