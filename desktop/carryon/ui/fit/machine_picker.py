"""Which machine the plan is for: this one, one put together from parts, or one that a file describes."""

from PySide6.QtCore import Qt, QTimer, Signal, SignalInstance
from PySide6.QtGui import QAction, QWheelEvent
from PySide6.QtWidgets import QComboBox, QCompleter, QFrame, QHBoxLayout, QLabel, QMenu, QVBoxLayout, QWidget

from carryon.base.units import MEMORY_GB
from carryon.hardware.parts import parts
from carryon.ui import theme
from carryon.ui.fit import texts
from carryon.ui.fit.form import BuiltMachine, Form, ThisMachine
from carryon.ui.widgets.controls import NumberField, buddy, button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.shortened_button import ShortenedButton
from carryon.ui.widgets.spacing import OnTheme, spaced

FIRST_GPU, FIRST_RAM_GB = "RTX 4090", 64
_MOST_GPUS, _MOST_RAM_GB = 4, 4096
_RAM_STEP_GB = 8


class MachineButton(ShortenedButton):
    """Says which machine is planned for; pressed, it offers the others."""

    here_wanted = Signal()
    another_wanted = Signal()
    file_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setLayoutDirection(Qt.LayoutDirection.RightToLeft)  # the arrow stands after the words
        theme.dress(self, "ph.caret-down", "text", size=12)
        menu = QMenu(self)
        menu.setAccessibleName(texts.MACHINE_MENU)
        self._here = _action(menu, texts.THIS_MACHINE, self.here_wanted)
        menu.addSeparator()
        self._another = _action(menu, texts.ANOTHER_MACHINE, self.another_wanted)
        _action(menu, texts.MACHINE_FILE, self.file_wanted)
        self.setMenu(menu)

    def show_form(self, form: Form) -> None:
        """Draws the choice."""
        words = texts.target_text(form)
        self.show_words(words, "  ")
        self.setAccessibleName(f"{texts.MACHINE_MENU}: {words}")
        self._here.setText(f"{texts.THIS_MACHINE} — {texts.machine_text(form.here)}")


class ElsewhereCard(QFrame):
    """Marks a plan that is not for this machine; a machine made of parts is changed right here."""

    parts_chosen = Signal(object, object)  # the GPUs' names, RAM in bytes
    here_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("elsewhere")
        self.setAccessibleName("Another machine")
        self._is_drawing = False
        self._sign = QLabel()
        self._words = label("", wraps=True)
        self._make_controls()
        self._arrange()
        OnTheme(self, self._paint_sign)

    def show_form(self, form: Form) -> None:
        """Shows itself only where the plan is for another machine."""
        self.setVisible(not isinstance(form.target, ThisMachine))
        self._parts.setVisible(isinstance(form.target, BuiltMachine))
        self._words.setText(texts.elsewhere_text(form))
        if isinstance(form.target, BuiltMachine):
            self._draw_parts(form.target)

    def begin(self) -> None:
        """Plans for what the fields say, and takes the keyboard."""
        self._chosen()
        QTimer.singleShot(0, self, self._gpu.setFocus)

    def _draw_parts(self, target: BuiltMachine) -> None:
        self._is_drawing = True
        self._gpu.show_gpu(target.gpus[0] if target.gpus else None)
        self._count.setValue(max(1, len(target.gpus)))
        self._count.setEnabled(bool(target.gpus) and self._gpu.comes_in_several)
        self._ram.setValue(round(target.ram_bytes / MEMORY_GB))
        self._is_drawing = False

    def _make_controls(self) -> None:
        self._gpu = _GpuField()
        self._gpu.chosen.connect(self._chosen)
        self._count = NumberField("How many of this GPU")
        self._count.setRange(1, _MOST_GPUS)
        self._count.valueChanged.connect(self._chosen)
        self._ram = NumberField("RAM in GB")
        self._ram.setRange(1, _MOST_RAM_GB)
        self._ram.setSingleStep(_RAM_STEP_GB)
        self._ram.setSuffix(" GB")
        self._ram.setValue(FIRST_RAM_GB)
        self._ram.setKeyboardTracking(False)
        self._ram.valueChanged.connect(self._chosen)

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._words, 1)
        head.addWidget(button(texts.BACK_HERE, "link", on_click=self.here_wanted.emit), 0, Qt.AlignmentFlag.AlignTop)
        self._parts = QWidget()
        flow = FlowLayout()
        for text, field in ((texts.GPU, self._gpu), (texts.COUNT, self._count), (texts.RAM, self._ram)):
            flow.addWidget(_named(buddy(text, field), field))
        around = QVBoxLayout(self._parts)
        spaced(around)
        around.addLayout(spaced(flow, gap=20))
        column = QVBoxLayout(self)
        spaced(column, (16, 10, 16, 12), 10)
        column.addLayout(spaced(head, gap=10))
        column.addWidget(self._parts)

    def _chosen(self, *_: object) -> None:
        if not self._is_drawing:
            count = self._count.value() if self._gpu.comes_in_several else 1
            gpus = (self._gpu.gpu,) * count if self._gpu.gpu else ()
            self.parts_chosen.emit(gpus, self._ram.value() * MEMORY_GB)

    def _paint_sign(self) -> None:
        side = theme.px(18)
        self._sign.setPixmap(theme.icon("ph.desktop-tower", "accent").pixmap(side, side))


class _GpuField(QComboBox):
    """All known GPUs; typing any part of a name finds them."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setAccessibleName(texts.GPU.replace("&", ""))
        self.setMaxVisibleItems(16)
        self._names = (texts.NO_GPU, *(part.name for part in parts()))
        self.addItems(list(self._names))
        first = next((name for name in self._names if name.endswith(FIRST_GPU)), self._names[-1])
        self.setCurrentText(first)
        self._last = first
        completer = QCompleter(list(self._names), self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setMaxVisibleItems(12)
        popup = completer.popup()
        assert popup
        popup.setObjectName("completions")
        self.setCompleter(completer)
        completer.activated.connect(lambda _: QTimer.singleShot(0, self, self._take))
        self.activated.connect(lambda _: self._take())
        line = self.lineEdit()
        assert line
        line.editingFinished.connect(self._take)
        OnTheme(self, lambda: self.setMinimumWidth(theme.px(190)))  # a window of 900 pixels has room for it at 200 %

    @property
    def gpu(self) -> str | None:
        """The chosen name; None for a machine without a GPU."""
        return None if self._last == texts.NO_GPU else self._last

    @property
    def comes_in_several(self) -> bool:
        """Whether a machine can have more than one: what shares the processor's memory comes alone."""
        return not any(part.is_unified for part in parts() if part.name == self._last)

    def show_gpu(self, name: str | None) -> None:
        """Shows this one as chosen; what is being typed is left alone."""
        wanted = name or texts.NO_GPU
        if wanted != self._last and wanted in self._names:
            self._last = wanted
            self.setCurrentText(wanted)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def _take(self) -> None:
        """What was typed counts when it names a GPU; else the last one stays."""
        typed = self.currentText().strip().lower()
        named = next((name for name in self._names if name.lower() == typed), None)
        found = [name for name in self._names if typed in name.lower()] if typed else []
        name = named or (found[0] if found else self._last)
        if name != self.currentText():
            self.setEditText(name)
        if name != self._last:
            self._last = name
            self.chosen.emit()


def _action(menu: QMenu, text: str, wanted: SignalInstance) -> QAction:
    action = menu.addAction(text)
    action.triggered.connect(lambda: wanted.emit())
    return action


def _named(name: QLabel, field: QWidget) -> QWidget:
    line = QWidget()
    row = QHBoxLayout(line)
    spaced(row, gap=8)
    row.addWidget(name)
    row.addWidget(field)
    return line
