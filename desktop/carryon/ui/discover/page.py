"""The Discover page: the list of models, and the page of the one that is opened."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QStackedWidget

from carryon.app.download_list import Download
from carryon.app.fits_here import moved
from carryon.app.fitting import refreshed
from carryon.app.host import LoadedModel, ModelState, NoModel
from carryon.app.services import Services
from carryon.base.jobs import Done, Job, Lane, Outcome
from carryon.fit.plan import Site as Place
from carryon.hardware.machine import Machine, MemoryUse
from carryon.hub.names import Reference
from carryon.hub.repo import Format, FoundModel
from carryon.hub.search import SearchWish
from carryon.ui.discover.form import RepoForm, SearchForm
from carryon.ui.discover.presenter import SearchPresenter
from carryon.ui.discover.repo_presenter import RepoPresenter
from carryon.ui.discover.repo_view import RepoView
from carryon.ui.discover.search_view import SearchView
from carryon.ui.markdown.links import open_link

FRAME_MS = 16


class DiscoverPage(QStackedWidget):
    """Joins the two views and their presenters; both show the fit of this machine."""

    download_wanted = Signal(object)  # a DownloadWish
    downloads_wanted = Signal()
    use_wanted = Signal(object)  # a Path
    fit_wanted = Signal(object)  # a Path
    workshop_wanted = Signal(object)  # a Source
    settings_wanted = Signal()
    notice_wanted = Signal(str, object)

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._machine: Machine | None = None
        self._use: MemoryUse | None = None
        self._is_open = False
        self._measuring: Job | None = None
        self._shown_wish = SearchWish()
        self._n_ctx = 0
        self._context_rest = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._context_rest.timeout.connect(self._plan_for_context)
        self._list, self._repo = SearchView(), RepoView()
        self.addWidget(self._list)
        self.addWidget(self._repo)
        self.searching = SearchPresenter(services.runner, services.discovery, self)
        self.repository = RepoPresenter(services.runner, services.discovery, self)
        self._connect()
        services.host.listen(self._host_turned)

    def refresh(self) -> None:
        """The page is opened: starters the first time, and what is on the disk by now."""
        self._is_open = True
        self.searching.open()
        self.repository.refresh()
        self._measure()

    def set_machine(self, machine: Machine | None) -> None:
        """What was found out about this machine; None while it is being looked at."""
        self._machine = machine
        self._place_anew()
        self._measure()

    def set_use(self, use: MemoryUse | None) -> None:
        """How full this machine's memories are now; what hardly differs does not disturb the page."""
        if use is None or (self._use is not None and not moved(self._use, use)):
            return
        self._use = use
        self._place_anew()

    def show_downloads(self, downloads: Sequence[Download]) -> None:
        """What is going on, at most five times a second."""
        self.repository.show_downloads(downloads)

    def open_repository(self, reference: Reference) -> None:
        """The page of one repository."""
        self.setCurrentWidget(self._repo)
        self.repository.open(reference)
        self._repo.begin()

    def focus_search(self) -> None:
        """The cursor goes to the search field, whichever view is open."""
        self.back()
        self._list.filters.focus_search()

    def back(self) -> None:
        """To the list, where it was left."""
        if self.currentWidget() is self._list:
            return
        self.repository.close()
        self.setCurrentWidget(self._list)
        if self._list.results.currentIndex().isValid():
            self._list.results.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self._list.filters.search.setFocus(Qt.FocusReason.OtherFocusReason)

    def show_search(self, form: SearchForm) -> None:
        """Draws the list. What is being typed is not touched, unless something else is looked for."""
        if form.wish != self._shown_wish:
            self._shown_wish = form.wish
            self._list.filters.show_wish(form.wish)
        self._list.show_form(form)

    def show_repository(self, form: RepoForm) -> None:
        """Draws the repository."""
        self._repo.show_form(form)

    def _connect(self) -> None:
        filters, answer = self._list.filters, self._repo.answer
        filters.wished.connect(lambda wish, is_final: self.searching.search(wish, is_final=is_final))
        filters.only_fitting_wanted.connect(lambda is_on: self.searching.show_only_fitting(is_on))
        self._list.again_wanted.connect(lambda: self.searching.again())
        self._list.more_wanted.connect(lambda: self.searching.more())
        self._list.browse_wanted.connect(lambda: self.searching.browse())
        self._list.settings_wanted.connect(self.settings_wanted)
        self._list.results.opened.connect(self._open_found)
        self._repo.back_wanted.connect(self.back)
        self._repo.again_wanted.connect(lambda: self.repository.again())
        self._repo.web_page_wanted.connect(self._open_web_page)
        self._repo.settings_wanted.connect(self.settings_wanted)
        self._repo.gguf_wanted.connect(self._find_gguf)
        self._repo.convert_wanted.connect(self._convert)
        self._repo.quant_chosen.connect(lambda quant: self.repository.choose_quant(quant))
        self._repo.all_wanted.connect(lambda is_wanted: self.repository.show_all(is_wanted))
        answer.context_chosen.connect(self._context_moved)
        answer.projector_taken.connect(lambda is_on: self.repository.take_projector(is_on))
        answer.download_wanted.connect(self._download)
        answer.downloads_wanted.connect(self.downloads_wanted)
        answer.use_wanted.connect(lambda: self._emit_path(self.use_wanted))
        answer.fit_wanted.connect(lambda: self._emit_path(self.fit_wanted))
        for keys, act in (("Ctrl+F", self.focus_search), ("/", self.focus_search), ("Alt+Left", self.back)):
            shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _context_moved(self, n_ctx: int) -> None:
        """Of the steps that a slider passes in a moment only the last is planned for."""
        self._n_ctx = n_ctx
        if not self._context_rest.isActive():
            self._context_rest.start()

    def _plan_for_context(self) -> None:
        self.repository.set_context(self._n_ctx)

    def _open_found(self, found: FoundModel) -> None:
        self.open_repository(Reference(found.repo_id))

    def _find_gguf(self) -> None:
        """Of a model that would have to be converted first."""
        form = self.repository.form
        if form is None:
            return
        name = form.reference.repo_id.partition("/")[2]
        self.back()
        self.searching.search(SearchWish(text=name, format=Format.GGUF))

    def _convert(self) -> None:
        source = self.repository.source()
        if source:
            self.workshop_wanted.emit(source)

    def _open_web_page(self) -> None:
        form = self.repository.form
        if form and form.look:
            open_link(form.look.web_address, self.window())

    def _download(self) -> None:
        wish = self.repository.wish()
        if wish:
            self.download_wanted.emit(wish)

    def _emit_path(self, signal: object) -> None:
        path = self.repository.path()
        if path:
            signal.emit(path)  # type: ignore[attr-defined]

    def _host_turned(self, state: ModelState) -> None:
        """What is loaded would be unloaded first, so it decides how much is free."""
        if isinstance(state, LoadedModel | NoModel):
            self._place_anew()

    def _measure(self) -> None:
        """How fast the RAM is, once a month: a second's work, while no model has a use for it."""
        machine, is_idle = self._machine, isinstance(self._services.host.state, NoModel)
        if self._is_open and machine and is_idle and self._measuring is None:
            work = self._services.fitting.measuring(machine)
            self._measuring = self._services.runner.start(work, on_end=self._measured, lane=Lane.DISK)

    def _measured(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done) and outcome.result:
            self._place_anew()

    def _place_anew(self) -> None:
        machine = self._machine
        if machine is None:
            return
        state = self._services.host.state
        ready = state.engine.ready if isinstance(state, LoadedModel) else None
        now = refreshed(machine, self._use) if self._use else machine
        place: Place = self._services.fitting.site(now, ready)
        self.searching.set_place(place, has_gpu=bool(place.rooms.gpus))
        self.repository.set_place(place)
