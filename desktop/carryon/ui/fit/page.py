"""The Fit page: joins the choices, the answer, the table of quants and what training would take."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QRect, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from carryon.app.models import guide
from carryon.app.services import Services
from carryon.base.errors import AppError
from carryon.hardware.machine import Machine, MemoryUse
from carryon.hub.names import HUB_HOSTS
from carryon.ui import theme
from carryon.ui.fit import texts
from carryon.ui.fit.answer import AnswerCard
from carryon.ui.fit.choices import ChoicesCard
from carryon.ui.fit.command import command_line
from carryon.ui.fit.form import Form
from carryon.ui.fit.machine_picker import ElsewhereCard, MachineButton
from carryon.ui.fit.presenter import FitPresenter
from carryon.ui.fit.training import TrainingCard
from carryon.ui.quant_rows import more_text
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.paragraph import Paragraph
from carryon.ui.widgets.quant_table import QuantTable, card_of
from carryon.ui.widgets.reason_card import Action, ReasonCard
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, laid_out_once, sized, spaced

RESTS_MS = 300  # so long without a change, and the engine is asked for its own plan


class FitPage(Scroll):
    """Draws the form whole at every change; widgets change only what is another one now."""

    load_wanted = Signal(object)  # a LoadWish
    notice_wanted = Signal(str, object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._home, self._access = services.home, services.late_access
        self._shows_all = False
        self._make_parts()
        self._arrange()
        self._connect()
        self._rest = QTimer(self, singleShot=True, interval=RESTS_MS)
        self.presenter = FitPresenter(
            services.home, services.settings, services.runner, services.host, services.fitting,
            services.late_discovery, self,
        )
        self._rest.timeout.connect(self.presenter.confirm)

    def refresh(self) -> None:
        """Lists the models again; the window asks when the page is opened."""
        self.presenter.open()

    def set_machine(self, machine: Machine | None) -> None:
        """What was found out about this machine; None while it is being looked at."""
        self.presenter.set_machine(machine)

    def set_use(self, use: MemoryUse | None) -> None:
        """How full this machine's memories are now."""
        if use:
            self.presenter.set_use(use)

    def show_form(self, form: Form) -> None:
        """Draws everything; the presenter calls it at every movement of a slider."""
        with laid_out_once(*self._laid_out):
            self._draw(form)
        if form.can_confirm and not form.is_confirming:
            self._rest.start()

    def _draw(self, form: Form) -> None:
        self._form = form
        self._machine.show_form(form)
        self._elsewhere.show_form(form)
        self._choices.show_form(form)
        self._draw_errors(form)
        focused = self.focusWidget()
        if form.source is not None and focused is not None and self._empty.isAncestorOf(focused):
            self._choices.setFocus()  # else the rail would take it from the button that goes
        self._empty.setVisible(form.source is None)
        for part in (self._answer, self._table_card, self._training):
            part.setVisible(form.plan is not None)
        if form.plan is not None:
            self._answer.show_form(form)
            self._draw_table(form)
            self._training.show_form(form)

    def choose_file(self) -> None:
        """A GGUF file from the disk."""
        start = str(self._home.models) if self._home.models.is_dir() else str(Path.home())
        self._ask_file(texts.OPEN_FILE_TITLE, texts.OPEN_FILE_FILTER, start, self.presenter.choose_path)

    def choose_machine_file(self) -> None:
        """A report that `carryon machine --json` wrote."""
        title, kinds = texts.MACHINE_FILE_TITLE, texts.MACHINE_FILE_FILTER
        self._ask_file(title, kinds, str(Path.home()), self.presenter.plan_for_file)

    def ask_hub(self) -> None:
        """A repository on the Hub, by its name or address."""
        from carryon.ui.fit.hub_dialog import HubDialog

        dialog = HubDialog(self._hosts, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.named.connect(self.presenter.choose)
        dialog.open()

    def type_sizes(self) -> None:
        """The sizes of a model that does not exist yet."""
        from carryon.ui.fit.sizes_dialog import SizesDialog

        dialog = SizesDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.typed.connect(self.presenter.choose)
        dialog.open()

    def _hosts(self) -> tuple[str, ...]:
        """Whose addresses can be pasted."""
        try:
            return self._access().site_without_token().hosts
        except AppError:  # a mirror that is none: Settings says so
            return HUB_HOSTS

    def _make_parts(self) -> None:
        self._machine = MachineButton()
        self._elsewhere = ElsewhereCard()
        self._choices = ChoicesCard()
        self._answer = AnswerCard()
        self._table = QuantTable()
        self._why_best = label("", "soft", wraps=True)
        self._more = button("", "link", on_click=self._toggle_all)
        self._training = TrainingCard()
        self._error: ReasonCard | None = None
        self._machine_error: ReasonCard | None = None

    def _arrange(self) -> None:
        page = self._content = QWidget()
        around = QHBoxLayout(page)
        spaced(around, (32, 18, 32, 24), 0)
        around.addStretch(1)
        around.addWidget(self._column(), 1000)  # up to its own maximum
        around.addStretch(1)
        self.hold(page)
        self._laid_out = (page, self._cards_box, *self._choices.containers, *self._answer.containers, self._table_card)
        self.setFocusProxy(self._choices)

    def _column(self) -> QWidget:
        column = self._cards_box = QWidget()
        OnTheme(column, lambda: column.setMaximumWidth(theme.px(1160)))
        self._cards = QVBoxLayout(column)
        spaced(self._cards, gap=14)
        self._cards.addLayout(self._head())
        self._table_card = card_of(self._table, self._why_best, self._more)
        self._empty = self._empty_card()
        for part in (self._elsewhere, self._choices, self._empty, self._answer, self._table_card, self._training):
            self._cards.addWidget(part)
        self._cards.addStretch(1)
        return column

    def _head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        spaced(head, gap=12)
        head.addWidget(label(texts.TITLE, "title"))
        head.addStretch(1)
        head.addWidget(label(texts.FOR, "soft"))
        head.addWidget(self._machine, 100)
        return head

    def _empty_card(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        spaced(column, (32, 32, 32, 32), 12)
        column.addWidget(label(texts.EMPTY_TITLE, "heading", wraps=True))
        column.addWidget(Paragraph(texts.EMPTY_TEXT))
        actions = FlowLayout()
        actions.addWidget(button(texts.OPEN_A_FILE, "primary", "ph.folder-open", self.choose_file))
        actions.addWidget(button(texts.USE_GUIDE, on_click=lambda: self.presenter.choose(guide())))
        actions.addWidget(button(texts.FROM_THE_HUB, on_click=self.ask_hub))
        actions.addWidget(button(texts.TYPE_A_MODEL, on_click=self.type_sizes))
        column.addLayout(spaced(actions))
        return card

    def _connect(self) -> None:
        self._machine.here_wanted.connect(lambda: self.presenter.plan_here())
        self._machine.another_wanted.connect(self._begin_another)
        self._machine.file_wanted.connect(self.choose_machine_file)
        self._elsewhere.parts_chosen.connect(lambda gpus, ram: self.presenter.plan_for_parts(gpus, ram))
        self._elsewhere.here_wanted.connect(lambda: self.presenter.plan_here())
        self._choices.source_chosen.connect(lambda source: self.presenter.choose(source))
        self._choices.file_wanted.connect(self.choose_file)
        self._choices.hub_wanted.connect(self.ask_hub)
        self._choices.sizes_wanted.connect(self.type_sizes)
        self._choices.context_chosen.connect(lambda n_ctx: self.presenter.set_context(n_ctx))
        self._choices.layers_chosen.connect(lambda layers: self.presenter.set_layers(layers))
        self._choices.experts_chosen.connect(lambda layers: self.presenter.set_experts(layers))
        self._choices.kv_chosen.connect(lambda kv_type: self.presenter.set_kv_type(kv_type))
        self._choices.slots_chosen.connect(lambda count: self.presenter.set_parallel(count))
        self._choices.reset_wanted.connect(lambda: self.presenter.reset())
        self._table.chosen.connect(lambda quant: self.presenter.choose_quant(quant))
        self._table.row_seen.connect(self._show_row)
        self._answer.repair_wanted.connect(lambda repair: self.presenter.repair(repair))
        self._answer.quant_wanted.connect(lambda quant: self.presenter.choose_quant(quant))
        self._answer.load_wanted.connect(self._load)
        self._answer.command_wanted.connect(self._copy_command)

    def _draw_table(self, form: Form) -> None:
        assert form.plan
        fits = texts.shown_fits(form, shows_all=self._shows_all)
        rows = [texts.row(fit, form) for fit in fits]
        current = form.plan.best.candidate.quant
        self._table.show_rows(rows, texts.memory_header(form), current, has_gpu=texts.has_gpu(form))
        n_hidden = len(form.plan.fits) - len(texts.shown_fits(form, shows_all=False))
        self._more.setVisible(n_hidden > 0)
        self._more.setText(more_text(n_hidden, shows_all=self._shows_all))
        self._more.setAccessibleName(self._more.text())
        self._why_best.setText(texts.best_text(form))

    def _draw_errors(self, form: Form) -> None:
        actions: list[Action] = [
            (texts.CHOOSE_ANOTHER, self.choose_file),
            (texts.TRY_AGAIN, lambda: self.presenter.read_again()),
        ]
        if form.subject:  # the model is fine, what was asked of it is not
            actions = [(texts.RESET, lambda: self.presenter.reset())]
        self._error = self._card_for(self._error, form.error, actions, before=self._empty)
        actions = [(texts.MACHINE_FILE, self.choose_machine_file)]
        self._machine_error = self._card_for(self._machine_error, form.machine_error, actions, before=self._choices)

    def _card_for(
        self, card: ReasonCard | None, error: AppError | None, actions: list[Action], before: QWidget
    ) -> ReasonCard | None:
        """One card a place, made when it is first needed."""
        if error is None:
            if card:
                card.hide()
            return card
        if card is None:
            card = ReasonCard(error, actions)
            self._cards.insertWidget(self._cards.indexOf(before), card)
        card.show_error(error, actions)
        card.show()
        return card

    def _begin_another(self) -> None:
        """The fields of the other machine stand at the top."""
        self.verticalScrollBar().setValue(0)
        self._elsewhere.begin()

    def _toggle_all(self) -> None:
        self._shows_all = not self._shows_all
        self._draw_table(self._form)

    def _show_row(self, row: QRect) -> None:
        """The arrow keys may choose a row that stands below what is seen."""
        centre = self._table.viewport().mapTo(self._content, row.center())
        self.ensureVisible(0, centre.y(), 0, row.height())

    def _load(self) -> None:
        wish = self.presenter.load_wish()
        if wish:
            self.load_wanted.emit(wish)

    def _copy_command(self) -> None:
        QGuiApplication.clipboard().setText(command_line(self.presenter.form))
        self.notice_wanted.emit(texts.COPIED, None)

    def _ask_file(self, title: str, kinds: str, start: str, take: Callable[[Path], None]) -> None:
        dialog = QFileDialog(self, title, start, kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda file: take(Path(file)))
        sized(dialog, 720, 480)  # only Qt's own dialog listens; the system's has a size of its own
        dialog.open()
