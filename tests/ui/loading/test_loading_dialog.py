"""The load dialog as a person uses it: mouse, keyboard, and what it says while it works."""

import time
from dataclasses import replace

import pytest
from fakes import machines, tiny_gguf
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, NoModel
from carryon.app.models import guide
from carryon.base.settings import RecentModel, Theme
from carryon.hardware.machine import MemoryUse
from carryon.ui import theme
from carryon.ui.loading import texts
from carryon.ui.loading.page import LoadDialog
from carryon.ui.loading.presenter import model_file
from carryon.ui.widgets.reason_card import ReasonCard


@pytest.fixture
def model(carryon_home):
    path = carryon_home.models / "owner" / "repo" / "Big-Q5_K_M.gguf"
    path.parent.mkdir(parents=True)
    shape = tiny_gguf.Shape(layers=32, hidden=64, feed_forward=64, context=32768)
    return model_file(tiny_gguf.random_model(path, shape=shape))


@pytest.fixture
def make_dialog(make_services, qtbot):
    def make(machine=machines.WITH_GPU, recent=None, **engine_options):
        services = make_services(machine, **engine_options)
        if machine is None:
            services = replace(services, probing=never)
        if recent:
            services.settings.change(lambda now: now.with_recent(recent))
        dialog = LoadDialog(services, meter=metering(machine))
        qtbot.addWidget(dialog)
        dialog.services = services
        return dialog

    return make


@pytest.fixture
def dialog(make_dialog, model, qtbot):
    made = make_dialog()
    open_with(made, model, qtbot)
    return made


def never():
    """A look at the machine that does not end."""
    while True:
        yield None
        time.sleep(0.01)


def metering(machine):
    """What is free just before a load: the same as at the look."""

    def work():
        yield None
        return MemoryUse((machine or machines.CPU_ONLY).ram)

    return work


def open_with(dialog, file, qtbot):
    dialog.open_with(file)
    qtbot.waitUntil(lambda: is_ready(dialog))


def is_ready(dialog):
    form = dialog.presenter.form
    is_looked = form.plan is not None or dialog.services.probing is never
    return bool(form.error or (form.facts and is_looked))


def start_loading(dialog, qtbot):
    button(dialog, texts.LOAD).click()
    qtbot.waitUntil(lambda: not isinstance(dialog.services.host.state, NoModel))


def words_in(widget):
    return [one.text() for one in widget.findChildren(QLabel) if one.isVisible()]


def button(dialog, text):
    return next(
        one for one in dialog.findChildren(QAbstractButton) if one.text().strip() == text and one.isVisibleTo(dialog)
    )


def test_the_slider_runs_from_cpu_only_to_everything(dialog):
    assert (dialog._layers.slider.minimum(), dialog._layers.slider.maximum()) == (0, 33)
    dialog._layers.slider.setValue(0)
    assert "0 of 33 layers: CPU only" in words_in(dialog)


def test_slider_spin_box_and_words_move_together(dialog):
    dialog._layers.slider.setValue(28)
    assert dialog._layers.number.value() == 28
    assert "28 of 33 layers" in words_in(dialog)
    dialog._layers.number.setValue(33)
    assert dialog._layers.slider.value() == 33
    assert "all 33 layers: everything on GPU" in words_in(dialog)


def test_arrow_keys_move_by_one_layer_and_end_goes_to_everything(dialog, qtbot):
    qtbot.keyClick(dialog._layers.slider, Qt.Key.Key_Home)
    qtbot.keyClick(dialog._layers.slider, Qt.Key.Key_Right)
    assert dialog.presenter.form.n_gpu_layers == 1
    qtbot.keyClick(dialog._layers.slider, Qt.Key.Key_End)
    assert dialog.presenter.form.n_gpu_layers == 33


@pytest.mark.parametrize(
    ("machine", "word"),
    [(machines.CPU_ONLY, "No GPU was found"), (machines.GPU_WITHOUT_ENGINE_SUPPORT, "RTX 4060 is there"),
     (None, "looking"), (machines.BROKEN, "did not say")],
)
def test_without_a_usable_gpu_the_slider_is_off_and_says_why(make_dialog, model, qtbot, machine, word):
    dialog = make_dialog(machine)
    open_with(dialog, model, qtbot)
    assert not dialog._layers.slider.isEnabled()
    assert not dialog._layers.number.isEnabled()
    assert word in dialog._offload_note.text()


def test_another_machines_device_switches_the_slider_on(make_dialog, model, qtbot):
    dialog = make_dialog(machines.RPC_ONLY)
    open_with(dialog, model, qtbot)
    assert dialog._layers.slider.isEnabled()
    assert "127.0.0.1:50052" in dialog._offload_note.text()


def test_it_starts_with_the_latest_model_as_it_was_loaded(make_dialog, model, qtbot):
    dialog = make_dialog(recent=RecentModel(model.reference, 16384, 28))
    open_with(dialog, None, qtbot)
    assert dialog._models.currentItem().text() == "Big-Q5_K_M"
    assert dialog._layers.slider.value() == 28
    assert dialog._context.currentText() == "16k"


def test_choosing_in_the_list_reads_that_model(make_dialog, model, qtbot):
    dialog = make_dialog()
    open_with(dialog, guide(), qtbot)
    qtbot.waitUntil(lambda: dialog._models.count() == 2)
    qtbot.keyClick(dialog._models, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: bool(dialog.presenter.form.facts) and dialog.presenter.form.facts.file == model)
    assert "trained for 32k tokens" in dialog._facts.text()


def test_picking_a_step_and_typing_a_number(dialog, qtbot):
    dialog._context.setCurrentIndex(4)
    dialog._context.activated.emit(4)
    assert dialog.presenter.form.n_ctx == 32768
    dialog._context.lineEdit().selectAll()
    qtbot.keyClicks(dialog._context.lineEdit(), "12000")
    assert dialog.presenter.form.n_ctx == 12000
    assert dialog._context.currentText() == "12000"


def test_a_context_above_the_trained_one_warns_and_still_loads(dialog, qtbot):
    dialog._context.lineEdit().selectAll()
    qtbot.keyClicks(dialog._context.lineEdit(), "64k")
    assert dialog._context_note.objectName() == "warn"
    assert "32,768" in dialog._context_note.text()
    assert dialog._load.isEnabled()


def test_a_word_instead_of_a_number_switches_load_off(dialog, qtbot):
    dialog._context.lineEdit().selectAll()
    qtbot.keyClicks(dialog._context.lineEdit(), "much")
    assert not dialog._load.isEnabled()
    assert texts.NOT_A_NUMBER in words_in(dialog)


def test_enter_loads_and_the_dialog_closes(dialog, qtbot):
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: isinstance(dialog.services.host.state, LoadedModel))
    qtbot.waitUntil(lambda: not dialog.isVisible())


def test_while_it_loads_progress_shows_and_can_be_stopped(make_dialog, model, qtbot):
    dialog = make_dialog(hang_loading=1)
    open_with(dialog, model, qtbot)
    start_loading(dialog, qtbot)
    assert isinstance(dialog.services.host.state, LoadingModel)
    assert any("Loading Big-Q5_K_M" in words for words in words_in(dialog))
    button(dialog, texts.STOP).click()
    assert isinstance(dialog.services.host.state, NoModel)
    assert button(dialog, texts.LOAD).isEnabled()


def test_esc_hides_the_dialog_and_the_load_goes_on(make_dialog, model, qtbot):
    dialog = make_dialog(load_ms=300)
    open_with(dialog, model, qtbot)
    start_loading(dialog, qtbot)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    qtbot.waitUntil(lambda: isinstance(dialog.services.host.state, LoadedModel))


def test_an_unreadable_file_shows_its_reason_and_the_next_step(make_dialog, tmp_path, qtbot):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"PK\x03\x04 this is a zip file, not a model")
    dialog = make_dialog()
    dialog.open_path(broken)
    qtbot.waitUntil(lambda: dialog.presenter.form.error is not None)
    card = dialog.findChild(ReasonCard)
    assert card.isVisible()
    assert "broken.gguf" in card.accessibleName()
    assert not dialog._load.isEnabled()
    assert not dialog._choices_card.isVisible()
    with qtbot.waitSignal(dialog.file_wanted):
        button(dialog, texts.CHOOSE_ANOTHER).click()


def test_a_file_that_is_there_now_can_be_read_again(make_dialog, tmp_path, qtbot):
    path = tmp_path / "late.gguf"
    dialog = make_dialog()
    dialog.open_path(path)
    qtbot.waitUntil(lambda: dialog.presenter.form.error is not None)
    tiny_gguf.random_model(path)
    button(dialog, texts.TRY_AGAIN).click()
    qtbot.waitUntil(lambda: dialog.presenter.form.facts is not None)
    assert not dialog.findChild(ReasonCard).isVisible()


@pytest.mark.parametrize("options", [{"crash_loading": "SIGSEGV"}, {"refuse": "unsupported_architecture"}])
def test_a_load_that_fails_shows_the_reason_and_lets_one_try_again(make_dialog, model, qtbot, options):
    dialog = make_dialog(**options)
    open_with(dialog, model, qtbot)
    button(dialog, texts.LOAD).click()
    qtbot.waitUntil(lambda: dialog.presenter.form.error is not None)
    assert isinstance(dialog.services.host.state, FailedModel)
    card = dialog.findChild(ReasonCard)
    assert card.isVisible()
    assert dialog.isVisible()
    assert button(dialog, texts.LOAD).isEnabled()
    with qtbot.waitSignal(dialog.log_wanted):
        button(dialog, texts.SHOW_LOG).click()


def test_double_click_loads(dialog, qtbot):
    dialog._models.itemDoubleClicked.emit(dialog._models.currentItem())
    qtbot.waitUntil(lambda: isinstance(dialog.services.host.state, LoadedModel))


def test_ctrl_o_asks_for_a_file(dialog, qtbot):
    with qtbot.waitSignal(dialog.file_wanted):
        qtbot.keyClick(dialog._models, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)


def test_names_of_files_are_shown_as_they_are(make_dialog, tmp_path, qtbot):
    path = tiny_gguf.random_model(tmp_path / "<b>bold<b>.gguf")
    dialog = make_dialog()
    dialog.open_path(path)
    qtbot.waitUntil(lambda: dialog.presenter.form.facts is not None)
    assert dialog._models.currentItem().text() == "<b>bold<b>"


def test_the_wheel_changes_no_choice(dialog, qtbot):
    for control in (dialog._layers.slider, dialog._layers.number, dialog._experts.slider, dialog._context, dialog._kv):
        before = (dialog.presenter.form.n_ctx, dialog.presenter.form.n_gpu_layers)
        wheel(control)
        assert (dialog.presenter.form.n_ctx, dialog.presenter.form.n_gpu_layers) == before


def wheel(widget):
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle, widget.mapToGlobal(middle), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )
    QApplication.sendEvent(widget, event)


def test_enter_on_a_button_presses_that_button(dialog, qtbot):
    dialog._cancel.setFocus()
    qtbot.keyClick(dialog._cancel, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    assert isinstance(dialog.services.host.state, NoModel)


def test_a_model_dropped_on_the_dialog_is_chosen(dialog, tmp_path, qtbot):
    other = tiny_gguf.random_model(tmp_path / "other.gguf")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(other))])
    keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    over = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, mime, *keys)
    QApplication.sendEvent(dialog._context.lineEdit(), over)
    assert over.isAccepted()
    QApplication.sendEvent(dialog, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, *keys))
    qtbot.waitUntil(lambda: dialog.presenter.form.file.path == other)
    assert dialog._context.currentText() != str(other)


def test_larger_text_does_not_push_the_dialog_off_the_screen(dialog, qapp, qtbot):
    dialog.move(300, 0)
    theme.apply(qapp, Theme.LIGHT, 200)  # as wide as the screen is now
    qtbot.waitUntil(lambda: dialog.x() == dialog.screen().availableGeometry().left())
    theme.apply(qapp, Theme.LIGHT, 100)
