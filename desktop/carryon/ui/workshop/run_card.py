"""One run: what it makes, its stages, how far it is, why it stopped, and what can be done with it or its files."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QLabel, QProgressBar, QTableWidget, QVBoxLayout, QWidget

from carryon.app.workshop_list import FailedRun, FinishedRun, Run, Stage, Working
from carryon.evaluate.chart import Point
from carryon.ui import theme
from carryon.ui.widgets.controls import button, icon_button, label, plain_tip
from carryon.ui.widgets.elided_label import ElidedLabel
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.pair import Row
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.workshop import run_texts as texts
from carryon.ui.workshop.form import can_resume

_STEPS = 1000


class RunCard(QFrame):
    """Keeps its widgets while its words change, and with them the keyboard's place."""

    cancel_wanted = Signal(str)
    resume_wanted = Signal(str)
    forget_wanted = Signal(str)
    log_wanted = Signal(object)  # a Path
    use_wanted = Signal(object)  # a Path
    folder_wanted = Signal(object)  # a Path
    opening_wanted = Signal(str, bool)

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.setObjectName("card")
        self._run, self._is_drawing = run, False
        self._files: tuple[Path, ...] = ()
        self._chart: QWidget | None = None
        self._make_parts()
        self._arrange()
        OnTheme(self, self._paint_sign)

    def show_run(self, run: Run, points: Sequence[Point], *, opens: bool) -> None:
        """Draws what is another one now; `opens`: its file is used in the chat when it is ready."""
        self._is_drawing, self._run = True, run
        self._title.show_words(run.title)
        self._title.setToolTip(plain_tip(f"{run.title}\n{run.order.folder}"))
        self._words.show_words(texts.state_text(run))
        self._stages.show_run(run)
        self._draw_bar(run)
        self._draw_reason(run)
        self._notices.show_words("\n".join(run.notices))
        self._notices.setVisible(bool(run.notices))
        self._draw_actions(run, opens=opens)
        self._draw_files(run.state.files if isinstance(run.state, FinishedRun) else ())
        self._draw_chart(points)
        self.setAccessibleName(texts.run_name(run))
        self._paint_sign()
        self._is_drawing = False

    @property
    def first(self) -> QWidget:
        """Where the keyboard begins."""
        used = self._uses[0] if self._uses else self._log
        return next((one for one in (self._resume, self._cancel, used) if one.isVisible()), self._log)

    @property
    def focus_chain(self) -> list[QWidget]:
        """What takes the keyboard, as it stands from top to bottom."""
        table = self._chart.findChildren(QTableWidget) if self._chart else []
        return [*self._shows, self._resume, self._cancel, self._log, self._forget, self._opens, *table]

    def _opening_chosen(self, is_on: bool) -> None:
        if not self._is_drawing:
            self.opening_wanted.emit(self._run.id, is_on)

    def _draw_bar(self, run: Run) -> None:
        fraction = texts.fraction(run)
        is_working = isinstance(run.state, Working)
        self._bar.setVisible(is_working)
        self._bar.setRange(0, _STEPS if fraction is not None else 0)
        if fraction is not None:
            self._bar.setValue(int(fraction * _STEPS))
        self._bar.setAccessibleName(run.title)

    def _draw_reason(self, run: Run) -> None:
        error = run.state.error if isinstance(run.state, FailedRun) else None
        self._reason.setText(error.message if error else "")
        self._hint.setText(error.hint if error else "")
        self._reason.setVisible(error is not None)
        self._hint.setVisible(bool(error and error.hint))

    def _draw_actions(self, run: Run, *, opens: bool) -> None:
        self._cancel.setVisible(run.is_active)
        self._resume.setVisible(can_resume(run))
        self._forget.setVisible(not run.is_active)
        self._opens.setVisible(run.is_active)
        self._opens.setChecked(opens)
        for one, words in ((self._cancel, texts.CANCEL), (self._resume, texts.RESUME), (self._log, texts.LOG)):
            one.setAccessibleName(f"{words}: {run.title}")
        self._forget.setAccessibleName(f"{texts.FORGET}: {run.title}")

    def _draw_files(self, files: tuple[Path, ...]) -> None:
        if files == self._files:
            return
        self._files = files
        self._uses.clear()
        self._shows.clear()
        while item := self._file_rows.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for file in files:
            row = self._file_row(file, is_first=file == files[0])
            self._file_rows.addWidget(row)
            row.show()  # now, not with the next event

    def _draw_chart(self, points: Sequence[Point]) -> None:
        """Once, when there is something to compare."""
        if self._chart is not None or len(points) < 2:
            return
        from carryon.ui.workshop.chart import TradeOff

        self._chart = TradeOff(points)
        self._column.addWidget(self._chart)

    def _file_row(self, file: Path, *, is_first: bool) -> QWidget:
        made = QWidget()
        line = QHBoxLayout(made)
        spaced(line, gap=8)
        name = ElidedLabel("", mode=Qt.TextElideMode.ElideMiddle)
        name.show_words(texts.file_line(file))
        name.setToolTip(plain_tip(str(file)))
        style = "primary" if is_first else ""
        use = button(texts.USE, style, "ph.chat-circle-text", lambda: self.use_wanted.emit(file))
        use.setAccessibleName(f"{texts.USE}: {file.name}")
        self._uses.append(use)
        show = icon_button(f"{texts.SHOW_FOLDER}: {file.name}", "ph.folder-open", lambda: self.folder_wanted.emit(file))
        self._shows += [show, use]
        line.addWidget(name, 1)
        line.addWidget(show)
        line.addWidget(use)
        return made

    def _make_parts(self) -> None:
        self._uses: list[QWidget] = []
        self._shows: list[QWidget] = []  # all buttons of files
        self._sign = QLabel()
        self._title = ElidedLabel("heading", mode=Qt.TextElideMode.ElideMiddle)
        self._words, self._notices = SteadyLabel("soft"), SteadyLabel("soft", dots=True)
        self._stages = StageLine()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._reason = label("", "bad", wraps=True, selectable=True)
        self._hint = label("", "", wraps=True, selectable=True)
        self._cancel = button(texts.CANCEL, icon="ph.stop", on_click=lambda: self.cancel_wanted.emit(self._run.id))
        self._resume = button(
            texts.RESUME, "primary", "ph.play", on_click=lambda: self.resume_wanted.emit(self._run.id)
        )
        self._log = button(texts.LOG, "quiet", "ph.article", lambda: self.log_wanted.emit(self._run.log_path))
        self._forget = button(texts.FORGET, "quiet", "ph.x", lambda: self.forget_wanted.emit(self._run.id))
        self._opens = QCheckBox(texts.OPEN_WHEN_READY)
        OnTheme(self._opens, lambda: self._opens.setMinimumHeight(self._cancel.sizeHint().height()))  # beside it
        self._opens.toggled.connect(self._opening_chosen)

    def _arrange(self) -> None:
        top = QHBoxLayout()
        spaced(top, gap=8)
        top.addWidget(self._sign)
        top.addWidget(self._title, 1)
        self._file_rows = QVBoxLayout()
        spaced(self._file_rows, gap=8)
        self._column = QVBoxLayout(self)
        spaced(self._column, (18, 14, 18, 16), 8)
        self._column.addLayout(top)
        for part in (self._stages, self._bar, self._words, self._reason, self._hint, self._notices):
            self._column.addWidget(part)
        self._column.addLayout(self._file_rows)
        self._column.addWidget(Row(self._resume, self._cancel, self._log, self._forget, self._opens, gap=8))

    def _paint_sign(self) -> None:
        side = theme.px(18)
        self._sign.setPixmap(theme.icon(*texts.run_sign(self._run)).pixmap(side, side))


class StageLine(QWidget):
    """The stages one after the other: done, at work, still to come. Each has an icon of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Stage, ...] = ()
        self._working: Stage | None = None
        self._flow = FlowLayout()
        around = QVBoxLayout(self)
        spaced(around)
        around.addLayout(spaced(self._flow, gap=16))
        theme.theme_changed.connect(self._draw)

    def show_run(self, run: Run) -> None:
        """Draws only what is another one now."""
        working = run.state.stage if isinstance(run.state, Working) else None
        if (run.stages, working) != (self._shown, self._working):
            self._shown, self._working = run.stages, working
            self._draw()

    def _draw(self) -> None:
        self._flow.clear()
        for stage in self._shown:
            is_now = self._working is not None and (stage.kind, stage.quant) == (
                self._working.kind, self._working.quant,
            )  # fmt: skip
            made = _stage(stage, is_now=is_now)
            self._flow.addWidget(made)
            made.show()
        self.setAccessibleName(texts.stages_spoken(self._shown, self._working))
        self.updateGeometry()


def _stage(stage: Stage, *, is_now: bool) -> QWidget:
    made = QWidget()
    line = QHBoxLayout(made)
    spaced(line, gap=6)
    sign, side = QLabel(), theme.px(14)
    icon, role = texts.stage_sign(stage, is_now=is_now)
    sign.setPixmap(theme.icon(icon, role).pixmap(side, side))
    line.addWidget(sign)
    line.addWidget(label(texts.stage_name(stage), "strong" if is_now else "" if stage.is_done else "faint"))
    return made
