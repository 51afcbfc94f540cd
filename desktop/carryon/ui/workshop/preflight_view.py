"""The second step: what can be known before a byte of the weights is read or downloaded."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from carryon.app.workshop_list import Level, Preflight, Source
from carryon.ui import theme
from carryon.ui.widgets.controls import button, hairline, label, plain_tip, rename
from carryon.ui.widgets.elided_label import ElidedLabel
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.pair import Row
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, laid_out_once, spaced
from carryon.ui.workshop import texts
from carryon.ui.workshop.cards import around_of, card_with, column_of
from carryon.ui.workshop.form import Form


class PreflightView(Scroll):
    """Draws the report."""

    again_wanted = Signal()
    stop_wanted = Signal()
    source_wanted = Signal()
    consent_given = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._shown: Preflight | None = None
        self._is_drawing = False
        self._make_parts()
        self._arrange()

    def show_form(self, form: Form) -> None:
        """Running, stopped, failed, or the report."""
        with laid_out_once(*around_of(self)):
            self._draw(form)

    def _draw(self, form: Form) -> None:
        self._is_drawing = True
        found = form.preflight
        if form.source is not None:
            self._draw_source(form.source)
        self._running.setVisible(form.is_inspecting and found is None)
        self._stopped.setVisible(form.was_stopped)
        self._error.setVisible(form.error is not None)
        if form.error is not None:
            actions = [(texts.TRY_AGAIN, self.again_wanted.emit), (texts.ANOTHER_SOURCE, self.source_wanted.emit)]
            self._error.show_error(form.error, actions)
        self._report.setVisible(found is not None)
        self._facts_card.setVisible(found is not None)
        self._consent.setVisible(form.wants_consent and found is not None and found.can_run)
        self.fetch.setChecked(form.may_fetch)
        self._again.setVisible(found is not None)
        if found is not None and found is not self._shown:
            self._draw_report(found)
        self._shown = found
        self._is_drawing = False

    @property
    def first(self) -> QWidget | None:
        """Where the keyboard is of use; None where only going on is."""
        for one in (self._stop, self._restart, self.fetch):
            if one.isVisible():
                return one
        return None

    def _agreed(self, is_on: bool) -> None:
        if not self._is_drawing:
            self.consent_given.emit(is_on)

    def _draw_source(self, source: Source) -> None:
        self._name.setText(source.name)
        self._kind.setText(texts.source_kind(source))
        self._place.show_words(source.place)
        self._place.setToolTip(plain_tip(source.place))

    def _draw_report(self, found: Preflight) -> None:
        self._summary.show_level(texts.summary_level(found), texts.summary(found))
        while item := self._lines.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        for index, line in enumerate(texts.lines(found)):
            if index:
                self._lines.addWidget(hairline())
            row = FindingRow(line)
            self._lines.addWidget(row)
            row.show()  # now, not with the next event: the page would be laid out twice, once without it
        self._facts.show_pairs(texts.facts(found))

    def _make_parts(self) -> None:
        self._name = label("", "heading", wraps=True)
        self._kind = label("", "soft", wraps=True)
        self._place = ElidedLabel("soft", mode=Qt.TextElideMode.ElideMiddle)
        self._again = button(texts.CHECK_AGAIN, "link", on_click=self.again_wanted.emit)
        self._stop = button(texts.STOP, on_click=self.stop_wanted.emit)
        self._restart = button(texts.CHECK_AGAIN, on_click=self.again_wanted.emit)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(texts.INSPECTING)
        self._error = ReasonCard(texts.NOTHING_WRONG)
        self._summary = LevelLabel()
        self._facts = Facts()
        self.fetch = QCheckBox(texts.FETCH)
        self.fetch.toggled.connect(self._agreed)

    def _arrange(self) -> None:
        column = column_of(self)
        column.addWidget(card_with("", self._name, self._kind, self._place, Row(self._again, gap=8), gap=4))
        self._running = card_with(
            texts.INSPECTING, label(texts.INSPECTING_NOTE, "soft", wraps=True), self._bar, Row(self._stop, gap=8)
        )
        self._stopped = card_with(texts.STOPPED, Row(self._restart, gap=8))
        self._lines = QVBoxLayout()
        spaced(self._lines, gap=0)
        holder = QWidget()
        holder.setLayout(self._lines)
        self._report = card_with("", self._summary, hairline(), holder, gap=8)
        self._report.setAccessibleName(texts.REPORT)
        self._facts_card = card_with(texts.FACTS, self._facts)
        self._consent = card_with(texts.CONSENT_TITLE, label(texts.CONSENT, wraps=True), self.fetch)
        rename(self._consent, "notice")
        for part in (self._running, self._stopped, self._error, self._consent, self._report, self._facts_card):
            column.addWidget(part)
        column.addStretch(1)


class LevelLabel(QWidget):
    """An icon and a word or a sentence, in the colour of a level."""

    def __init__(self, *, wraps: bool = True) -> None:
        super().__init__()
        self._level = Level.GOOD
        self._sign, self._words = QLabel(), label("", "good", wraps=wraps)
        row = QHBoxLayout(self)
        spaced(row, gap=8)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._words, 1)
        OnTheme(self, self._paint)

    def show_level(self, level: Level, words: str) -> None:
        """Replaces both."""
        self._level = level
        self._words.setText(words)
        self.setAccessibleName(words)
        self._paint()

    def _paint(self) -> None:
        icon, role = texts.LEVEL_SIGNS[self._level]
        side = theme.px(18)
        self._sign.setPixmap(theme.icon(icon, role).pixmap(side, side))
        rename(self._words, role)


class FindingRow(QWidget):
    """Level, subject, sentence, next step."""

    def __init__(self, line: texts.Line) -> None:
        super().__init__()
        self.setAccessibleName(line.spoken)
        level, subject = LevelLabel(wraps=False), label(line.subject, "strong")
        level.show_level(line.level, texts.LEVELS[line.level])
        OnTheme(level, lambda: level.setFixedWidth(theme.px(84)))
        OnTheme(subject, lambda: subject.setFixedWidth(theme.px(96)))
        words = QVBoxLayout()
        spaced(words, gap=2)
        words.addWidget(label(line.message, wraps=True, selectable=True))
        if line.hint:
            words.addWidget(label(line.hint, "soft", wraps=True, selectable=True))
        row = QHBoxLayout(self)
        spaced(row, (0, 8, 0, 8), 12)
        row.addWidget(level, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(subject, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)


class Facts(QWidget):
    """Names with their values, as many side by side as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._flow = FlowLayout()
        around = QVBoxLayout(self)
        spaced(around)
        around.addLayout(spaced(self._flow, gap=28))

    def show_pairs(self, pairs: tuple[tuple[str, str], ...]) -> None:
        """Replaces them."""
        self._flow.clear()
        for name, value in pairs:
            fact = _fact(name, value)
            self._flow.addWidget(fact)
            fact.show()


def _fact(name: str, value: str) -> QFrame:
    made = QFrame()
    grid = QGridLayout(made)
    spaced(grid, gap=2)
    said = label(value, "strong")
    said.setAccessibleName(f"{name}: {value}")
    grid.addWidget(label(name, "soft"), 0, 0)
    grid.addWidget(said, 1, 0)
    return made
