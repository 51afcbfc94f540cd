"""What this machine is, probed once in the background and shared by every page. No Qt."""

from collections.abc import Callable, Generator

from carryon.base.jobs import Done, Job, Outcome, Runner
from carryon.hardware.machine import Machine

Probing = Callable[[], Generator[None, None, Machine]]


class MachineWatch:
    """Holds the machine once it is known; None until then."""

    def __init__(self, runner: Runner, probing: Probing) -> None:
        self._runner, self._probing = runner, probing
        self._listeners: list[Callable[[Machine | None], None]] = []
        self._job: Job | None = None
        self.machine: Machine | None = None

    def listen(self, listener: Callable[[Machine | None], None]) -> None:
        """Calls `listener` with every new finding, and once now."""
        self._listeners.append(listener)
        listener(self.machine)

    def look(self) -> None:
        """Probes again, unless that is under way."""
        if self._job and self._job.is_running:
            return
        self._job = self._runner.start(self._probing(), on_end=self._found)

    def _found(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            self.machine = outcome.result
            for listener in self._listeners:
                listener(self.machine)
