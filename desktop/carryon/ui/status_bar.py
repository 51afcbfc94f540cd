"""The status bar: how full the memories are, and the loaded model, whose button opens the memory panel."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, ModelState, NoModel
from carryon.base.jobs import Done, Job, Outcome, Runner
from carryon.hardware.machine import MemoryUse
from carryon.ui import texts, theme
from carryon.ui.metering import Metering
from carryon.ui.widgets.controls import plain_tip
from carryon.ui.widgets.meters import Meter
from carryon.ui.widgets.shortened_button import ShortenedButton
from carryon.ui.widgets.spacing import spaced

if TYPE_CHECKING:
    from carryon.ui.jobs.presenter import Queue
    from carryon.ui.jobs.ring import JobsRing

EVERY_MS = 1000


class StatusBar(QFrame):
    """Draws what it is told once a second; asking runs in a job, for opening NVML takes its time."""

    model_wanted = Signal()  # the model's button was pressed
    measured = Signal(object)  # a MemoryUse

    def __init__(self, runner: Runner, metering: Metering) -> None:
        super().__init__()
        self.setObjectName("status")
        self._runner, self._metering = runner, metering
        self._job: Job | None = None
        self._state: ModelState = NoModel()
        self._tokens_per_s: float | None = None
        self._shown_sign: tuple[str, str] | None = None
        self.use: MemoryUse | None = None
        self.jobs_button: QPushButton | None = None
        self._ram = Meter()
        self._vram: list[Meter] = []
        self._model = ShortenedButton()
        self._model.clicked.connect(self.model_wanted)
        self._row = QHBoxLayout(self)
        spaced(self._row, (12, 3, 8, 3), 20)
        self._row.addWidget(self._ram)
        self._row.addStretch(1)
        self._row.addWidget(self._model, 1000)
        self._timer = QTimer(self, interval=EVERY_MS)
        self._timer.timeout.connect(self._ask)
        self._draw()

    def begin(self) -> None:
        """Starts the meters; they cost nothing before."""
        self._ask()
        self._timer.start()

    def end(self) -> None:
        """Stops the meters."""
        self._timer.stop()

    def show_state(self, state: ModelState) -> None:
        """The model, or what becomes of it."""
        if not isinstance(state, LoadedModel):
            self._tokens_per_s = None
        self._state = state
        self._draw()

    def show_speed(self, tokens_per_s: float | None) -> None:
        """The speed of the latest answer."""
        self._tokens_per_s = tokens_per_s
        self._draw()

    def show_jobs(self, queue: "Queue") -> "JobsRing":
        """Adds the ring of jobs and returns it: what it opens is the window's business."""
        from carryon.ui.jobs.ring import JobsRing

        ring = self.jobs_button = JobsRing(queue)
        self._row.insertWidget(self._row.indexOf(self._model), ring)
        return ring

    @property
    def model_button(self) -> QPushButton:
        """Where the memory panel hangs."""
        return self._model

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Narrow or with large text, the gauges make room for the words."""
        meters = (self._ram, *self._vram)
        for meter in meters:
            meter.show_gauge(True)
        wanted = sum(one.sizeHint().width() + theme.px(24) for one in (*meters, self._model))
        for meter in meters:
            meter.show_gauge(wanted <= self.width())

    def _ask(self) -> None:
        if self.window().isMinimized() or (self._job and self._job.is_running):
            return
        self._job = self._runner.start(self._metering(), on_end=self._answered)

    def _answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            self.use = outcome.result
            self._draw_use(outcome.result)
            self._draw()
            self.measured.emit(outcome.result)

    def _draw_use(self, use: MemoryUse) -> None:
        self._ram.show_use(texts.ram_text(use.ram), use.ram.used_bytes, use.ram.total_bytes)
        for index, gpu in enumerate(use.gpus):
            if index == len(self._vram):
                self._vram.append(Meter())
                self._row.insertWidget(1 + index, self._vram[index])
            words = texts.vram_text(gpu, index, len(use.gpus))
            self._vram[index].show_use(words, gpu.used_bytes, gpu.total_bytes, gpu.name)
        self._fit()

    def _draw(self) -> None:
        gpus, ram = (self.use.gpus, self.use.ram) if self.use else ((), None)
        name, facts = texts.status_words(self._state, gpus, ram, self._tokens_per_s)
        self._model.show_words(name, facts)
        self._model.setAccessibleName(f"Model: {name}{facts}")
        self._model.setToolTip(plain_tip(f"{name}{facts}\n{texts.model_tooltip(self._state)}"))
        if self._shown_sign != _sign(self._state):
            self._shown_sign = _sign(self._state)
            theme.dress(self._model, *self._shown_sign, size=12)


def _sign(state: ModelState) -> tuple[str, str]:
    """An icon and its colour's role: the shape differs too."""
    match state:
        case NoModel():
            return "ph.circle", "soft"
        case LoadingModel():
            return "ph.circle-dashed", "accent"
        case LoadedModel():
            return "ph.circle-fill", "good"
        case FailedModel():
            return "ph.warning-circle", "bad"
