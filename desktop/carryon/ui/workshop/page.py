"""The Workshop page: joins the four steps, the bar above them and the buttons below."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QDesktopServices,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QHideEvent,
    QKeyEvent,
    QKeySequence,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from carryon.app.library import LibraryState
from carryon.app.services import Services
from carryon.app.workshop_list import Run, Source, Workbench
from carryon.ui.drop import DropSign
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.pair import Pair
from carryon.ui.widgets.spacing import sized, spaced
from carryon.ui.workshop import run_texts, texts
from carryon.ui.workshop.command import command_line
from carryon.ui.workshop.foot import Foot
from carryon.ui.workshop.form import Form, Matrix, Step
from carryon.ui.workshop.measured import charting as chart_work
from carryon.ui.workshop.preflight_view import PreflightView
from carryon.ui.workshop.presenter import ChartWork, WorkshopPresenter
from carryon.ui.workshop.run_view import RunView
from carryon.ui.workshop.source_view import SourceView
from carryon.ui.workshop.sources import models_of
from carryon.ui.workshop.step_bar import StepBar
from carryon.ui.workshop.targets_view import TargetsView

DRAWN_AGAIN_MS = 40  # news that come one after the other are drawn together
WATCH_MS = 3000  # how much room the disk has is seen within this time
_NARROW_HEAD_PX = 480


class WorkshopPage(QWidget):
    """Draws the form whole; only what is another one now changes."""

    use_wanted = Signal(object)  # a Path
    notice_wanted = Signal(str, object)
    library_wanted = Signal()

    def __init__(
        self, services: Services, bench: Workbench, charting: Callable[[Run], ChartWork] | None = None
    ) -> None:
        super().__init__()
        charting = charting or (lambda run: chart_work(run, lambda: services.fitting.evaluations))
        self._services = services
        self._drawn_step: Step | None = None
        self._soon = QTimer(self, singleShot=True, interval=DRAWN_AGAIN_MS)
        self._soon.timeout.connect(self._draw)
        self._watch = QTimer(self, interval=WATCH_MS)
        self._make_parts()
        self._arrange()
        self._form = Form()
        self.presenter = WorkshopPresenter(bench, services.runner, services.home.models, self, charting)
        self._connect()
        services.library.listen(self._library_turned)

    def open_source(self, source: Source, *, measures: bool = False) -> None:
        """From another page: checks this source; `measures` ticks the measurement."""
        self.source.show_source(source)
        self.presenter.open(source, measures=measures)

    def refresh(self) -> None:
        """The page is opened: what is on the disk by now."""
        self._services.library.refresh()
        self.presenter.refresh()

    def show_form(self, form: Form) -> None:
        """Takes in what is to be shown; a step is drawn at once, news of runs together with what follows."""
        is_other_step = form.step is not self._form.step
        self._form = form
        if is_other_step or self.isVisible():
            self._draw_soon(0 if is_other_step else DRAWN_AGAIN_MS)

    def say(self, words: str) -> None:
        """A short message."""
        self.notice_wanted.emit(words, None)

    def use(self, path: Path) -> None:
        """A run is ready that was to be used at once; not while the person does something else."""
        if self.isVisible():
            self.use_wanted.emit(path)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._watch.start()
        self._draw()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._watch.stop()

    def event(self, event: QEvent) -> bool:
        """Escape stops the check that goes on; elsewhere in the window it means something else."""
        is_escape = event.type() == QEvent.Type.ShortcutOverride and _is_escape(event)
        if is_escape and self._form.is_inspecting:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self._form.is_inspecting:
            self.presenter.stop_inspecting()
        else:
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped(event):
            event.acceptProposedAction()
            self._sign.cover(texts.DROP_HERE)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._sign.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._sign.hide()
        if path := _dropped(event):
            event.acceptProposedAction()
            self.source.field.setText(str(path))
            self.presenter.open_path(path)

    def _make_parts(self) -> None:
        self.steps, self.foot = StepBar(), Foot()
        self.source, self.preflight, self.targets, self.runs = SourceView(), PreflightView(), TargetsView(), RunView()
        self._views = QStackedWidget()
        for step, view in zip(Step, (self.source, self.preflight, self.targets, self.runs), strict=True):
            view.setAccessibleName(texts.step_name(step, is_current=True, is_done=False))
            self._views.addWidget(view)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (0, 18, 0, 12), 12)
        head = QWidget()
        line = QVBoxLayout(head)
        spaced(line, (32, 0, 32, 0), 0)
        title = label(texts.TITLE, "title")
        line.addWidget(Pair(title, self.steps, narrow_px=_NARROW_HEAD_PX, gap=24, stretches=(0, 1)))
        column.addWidget(head)
        column.addWidget(self._views, 1)
        column.addWidget(self.foot)
        self.setAcceptDrops(True)
        self._sign = DropSign(self)

    def _connect(self) -> None:
        self._watch.timeout.connect(self.presenter.refresh)
        self.steps.step_wanted.connect(self.presenter.go)
        self._connect_source()
        self._connect_preflight()
        self._connect_targets()
        self._connect_runs()
        foot, presenter = self.foot, self.presenter
        foot.back_wanted.connect(presenter.go_back)
        foot.check_wanted.connect(lambda: self._check())
        foot.next_wanted.connect(presenter.go_on)
        foot.make_wanted.connect(presenter.make)
        foot.best_wanted.connect(presenter.make_best)
        foot.another_wanted.connect(lambda: presenter.go(Step.SOURCE))
        for keys, act in (("Alt+Left", presenter.go_back), ("Alt+Right", self._go_on)):
            shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _connect_source(self) -> None:
        view, presenter = self.source, self.presenter
        view.text_wanted.connect(presenter.open_text)
        view.source_wanted.connect(self.open_source)
        view.typed.connect(lambda: self.foot.show_form(self._form, typed=view.text))
        view.folder_dialog_wanted.connect(lambda: self._ask_folder(texts.FOLDER_TITLE, self._open_path))
        view.file_dialog_wanted.connect(lambda: self._ask_file(texts.FILE_TITLE, texts.FILE_FILTER, self._open_path))
        view.adapter_dialog_wanted.connect(lambda: self._ask_folder(texts.ADAPTER_TITLE, presenter.set_adapter))
        view.adapter_removed.connect(lambda: presenter.set_adapter(None))
        view.library_wanted.connect(self.library_wanted)

    def _connect_preflight(self) -> None:
        view, presenter = self.preflight, self.presenter
        view.again_wanted.connect(presenter.inspect_again)
        view.stop_wanted.connect(presenter.stop_inspecting)
        view.source_wanted.connect(lambda: presenter.go(Step.SOURCE))
        view.consent_given.connect(presenter.agree_to_fetch)

    def _connect_targets(self) -> None:
        view, presenter = self.targets, self.presenter
        view.ticked.connect(presenter.tick)
        view.looked_at.connect(presenter.look_at)
        view.all_wanted.connect(presenter.show_all)
        view.changed.connect(lambda fields: presenter.choose(**fields))
        view.folder_dialog_wanted.connect(
            lambda: self._ask_folder(texts.OUTPUT_TITLE, lambda folder: presenter.choose(folder=folder))
        )
        view.matrix_dialog_wanted.connect(self._ask_matrix)
        view.matrix_removed.connect(lambda: presenter.set_matrix(Matrix.NONE, None))
        view.text_dialog_wanted.connect(self._ask_text)
        view.command_wanted.connect(self._copy_command)

    def _connect_runs(self) -> None:
        view, presenter = self.runs, self.presenter
        view.cancel_wanted.connect(presenter.cancel)
        view.resume_wanted.connect(presenter.resume)
        view.forget_wanted.connect(presenter.forget)
        view.opening_wanted.connect(lambda id, is_on: presenter.open_when_ready(id, is_on))
        view.use_wanted.connect(self.use_wanted)
        view.folder_wanted.connect(self._show_folder)
        view.log_wanted.connect(self._show_log)

    def _draw_soon(self, wait_ms: int) -> None:
        """Never later than what was promised before."""
        if not self._soon.isActive() or self._soon.remainingTime() > wait_ms:
            self._soon.start(wait_ms)

    def _draw(self) -> None:
        """Only the step that is open, and what is around it."""
        form, focused = self._form, self.focusWidget()
        self._soon.stop()
        self.steps.show_form(form)
        view = (self.source, self.preflight, self.targets, self.runs)[form.step]
        view.show_form(form)
        self.foot.show_form(form, typed=self.source.text)
        if form.step is not self._drawn_step:
            self._drawn_step = form.step
            self._views.setCurrentWidget(view)
            view.verticalScrollBar().setValue(0)
            self._lead_keyboard(form.step)
        elif focused is not None and not focused.isVisibleTo(self):
            self._lead_keyboard(form.step)  # what had the keyboard is gone

    def _lead_keyboard(self, step: Step) -> None:
        """To what one does first in a step; with the keyboard alone nothing is lost."""
        match step:
            case Step.SOURCE:
                target: QWidget | None = self.source.field
            case Step.PREFLIGHT:
                target = self.preflight.first
            case Step.TARGETS:
                target = self.targets.table
            case Step.RUN:
                target = self.runs.first
        self.setFocusProxy(target or self.foot.first)
        if self.isVisible():
            (target or self.foot.first).setFocus(Qt.FocusReason.OtherFocusReason)

    def _check(self) -> None:
        """What is typed, or what was chosen before, if it is the same."""
        source = self._form.source
        if source is not None and source.place == self.source.text:
            self.presenter.check_again()
        else:
            self.presenter.open_text(self.source.text)

    def _go_on(self) -> None:
        """Alt+Right in the first step checks what is typed there."""
        source, text = self._form.source, self.source.text
        if self._form.step is Step.SOURCE and text and (source is None or source.place != text):
            self._check()
        else:
            self.presenter.go_on()

    def _open_path(self, path: Path) -> None:
        self.source.field.setText(str(path))
        self.presenter.open_path(path)

    def _library_turned(self, state: LibraryState) -> None:
        self.presenter.show_models(models_of(state.entries))

    def _copy_command(self) -> None:
        QGuiApplication.clipboard().setText(command_line(self._form))
        self.say(texts.COPIED)

    def _show_folder(self, path: Path) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent))):
            QGuiApplication.clipboard().setText(str(path.parent))
            self.say(run_texts.SHOWN_NOT)

    def _show_log(self, path: Path) -> None:
        from carryon.ui.log_dialog import LogDialog

        dialog = LogDialog(self._services.home.logs, self, path)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _ask_matrix(self, matrix: Matrix) -> None:
        title, kinds = texts.MATRIX_TITLES[matrix], texts.MATRIX_FILTERS[matrix]
        self._ask_file(title, kinds, lambda path: self.presenter.set_matrix(matrix, path))

    def _ask_text(self) -> None:
        kinds = texts.MATRIX_FILTERS[Matrix.TEXT]
        self._ask_file(texts.TEXT_TITLE, kinds, lambda path: self.presenter.choose(text=path))

    def _ask_folder(self, title: str, take: Callable[[Path], object]) -> None:
        dialog = QFileDialog(self, title, self._start())
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        self._ask(dialog, take)

    def _ask_file(self, title: str, kinds: str, take: Callable[[Path], object]) -> None:
        dialog = QFileDialog(self, title, self._start(), kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        self._ask(dialog, take)

    def _ask(self, dialog: QFileDialog, take: Callable[[Path], object]) -> None:
        """A choice that was given up draws the form again: a list may show what was not taken."""
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: take(Path(path)))
        dialog.rejected.connect(self._draw)
        sized(dialog, 720, 480)  # only Qt's own dialog listens; the system's has a size of its own
        dialog.open()

    def _start(self) -> str:
        """Beside what is looked at; else where models are."""
        source, models = self._form.source, self._services.home.models
        if source is not None and Path(source.place).is_absolute():
            return str(Path(source.place).parent)
        return str(models) if models.is_dir() else str(Path.home())


def _dropped(event: QDropEvent) -> Path | None:
    """A folder or a GGUF file among what is dragged."""
    files = (Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile())
    return next((one for one in files if one.is_dir() or one.suffix.lower() == ".gguf"), None)


def _is_escape(event: QEvent) -> bool:
    return isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
