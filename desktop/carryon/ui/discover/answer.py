"""The answer for the quant that is looked at: memory, verdict, speed, and the button that gets it."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QVBoxLayout, QWidget

from carryon.app.download_list import FailedDownload, Paused
from carryon.fit import words
from carryon.fit.plan import Fit
from carryon.ui import theme
from carryon.ui.discover import texts
from carryon.ui.discover.form import RepoForm
from carryon.ui.memory_facts import fit_bars
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.memory_bars import MemoryBars
from carryon.ui.widgets.pair import Pair, Row
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.widgets.steps_slider import TokensField, context_steps
from carryon.ui.widgets.verdict import VerdictLabel

_LEAST_CONTEXT, _MOST_CONTEXT = 256, 1 << 24


class AnswerCard(QFrame):
    """Draws a plan where there is one; says what is wanted of the quant."""

    context_chosen = Signal(int)
    projector_taken = Signal(bool)
    download_wanted = Signal()
    downloads_wanted = Signal()
    use_wanted = Signal()
    fit_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName("How it fits")
        self._is_drawing = False
        self._make_parts()
        self._arrange()

    def show_form(self, form: RepoForm) -> None:
        """Draws what is looked at."""
        self._is_drawing = True
        fit, plan = form.fit, form.plan
        for part in (self._context, self._bars, self._verdict):
            part.setVisible(fit is not None)
        if fit and plan:
            self._draw_fit(form, fit)
        self._quant.setText(form.chosen)
        self._quant.setVisible(bool(form.chosen))
        self._pace.show_words(texts.pace_line(form))
        self._pace.setVisible(bool(self._pace.text()))
        self._reasons.show_words("\n".join(texts.reasons(form)))
        self._reasons.setVisible(bool(self._reasons.text()))
        self._draw_projector(form)
        self._draw_buttons(form)
        self._is_drawing = False

    def _draw_fit(self, form: RepoForm, fit: Fit) -> None:
        assert form.plan
        trained = fit.candidate.shape.n_ctx_train
        self._context.show_value(context_steps(trained), fit.placement.n_ctx)
        self._bars.show_bars(fit_bars(fit, form.plan.rooms))
        sentence = words.verdict_sentence(fit, form.plan.rooms)
        self._verdict.show_verdict(fit.verdict, sentence, has_gpu=bool(form.plan.rooms.gpus))

    def _draw_projector(self, form: RepoForm) -> None:
        self._projector.setVisible(texts.projector(form) is not None and form.quant is not None)
        if texts.projector(form):
            self._projector.setText(texts.projector_text(form))
            self._projector.setAccessibleName(texts.projector_text(form).replace("&", ""))
            self._projector.setChecked(form.with_projector)
        self._projector.setEnabled(form.download is None or not form.download.is_active)

    def _draw_buttons(self, form: RepoForm) -> None:
        download = form.download
        is_going = download is not None and download.is_active
        is_waiting = download is not None and isinstance(download.state, Paused | FailedDownload)
        self.use.setVisible(form.is_here)
        self._fit.setVisible(form.is_here and form.fit is not None)
        self.get.setVisible(texts.may_download(form) and not form.is_here and not is_going)
        self.get.setText(f"  {texts.GO_ON if is_waiting else texts.download_text(form)}")
        self.get.setAccessibleName(self.get.text().strip())
        self._progress.setVisible(is_going or is_waiting)
        self._progress.setText(f"{form.chosen}: {texts.state_text(download)}" if download else "")
        self._show.setVisible(is_going or is_waiting)

    def _make_parts(self) -> None:
        self._context = TokensField(texts.CONTEXT, (_LEAST_CONTEXT, _MOST_CONTEXT))
        self._context.moved.connect(lambda value: None if self._is_drawing else self.context_chosen.emit(value))
        self._bars = MemoryBars()
        self._verdict = VerdictLabel()
        self._quant = label("", "heading")
        self._pace = SteadyLabel("soft")
        self._reasons = SteadyLabel(dots=True)
        self._projector = QCheckBox()
        self._projector.setToolTip(texts.PROJECTOR_TIP)
        self._projector.toggled.connect(lambda is_on: None if self._is_drawing else self.projector_taken.emit(is_on))
        self._progress = label("", "soft")
        OnTheme(self._progress, lambda: self._progress.setMinimumHeight(theme.px(32)))  # in one line with the buttons
        self._show = button(texts.SHOW_DOWNLOADS, on_click=self.downloads_wanted.emit)
        self._fit = button(texts.FIT, on_click=self.fit_wanted.emit)
        self.get = button(texts.DOWNLOAD, "primary", "ph.download-simple", self.download_wanted.emit)
        self.use = button(texts.USE, "primary", "ph.chat-circle-text", self.use_wanted.emit)

    def _arrange(self) -> None:
        said = QWidget()
        lines = QVBoxLayout(said)
        spaced(lines, gap=4)
        for part in (self._quant, self._verdict, self._pace):
            lines.addWidget(part)
        buttons = Row(self._progress, self._show, self._fit, self.get, self.use, gap=10)
        column = QVBoxLayout(self)
        spaced(column, (18, 16, 18, 16), 12)
        column.addWidget(Pair(said, buttons, narrow_px=620, gap=16, stretches=(1, 0)))
        column.addWidget(self._projector)
        column.addWidget(self._context)
        column.addWidget(self._bars)
        column.addWidget(self._reasons)
