"""What the Discover page asks and answers, without a window: a runner, a Hub on this machine, a view that remembers."""

import pytest
from fakes import machines
from fakes.main_thread import MainThread

from carryon.app.discovery import Discovery, Sureness
from carryon.app.download_list import Download, Finished, Paused, Running
from carryon.base.jobs import Runner
from carryon.fit.calibration import Learnt
from carryon.fit.plan import Site as Place
from carryon.fit.room import rooms_of
from carryon.fit.speed import speeds_of
from carryon.hub.names import Reference
from carryon.hub.repo import Format
from carryon.hub.search import SearchWish
from carryon.hub.site import Site
from carryon.ui.discover.form import Phase
from carryon.ui.discover.presenter import SearchPresenter
from carryon.ui.discover.repo_presenter import LONGEST_CARD, RepoPresenter

QWEN = "Qwen/Qwen3-8B-GGUF"
THIS = Reference(QWEN)


def place(machine=machines.WITH_GPU):
    rooms = rooms_of(machine, {})
    return Place(rooms, speeds_of(machine, rooms, 40e9, Learnt()))


class View:
    """Remembers what it was shown."""

    def __init__(self):
        self.forms, self.opened = [], []

    def show_search(self, form):
        self.forms.append(form)

    show_repository = show_search

    def open_repository(self, reference):
        self.opened.append(reference)


@pytest.fixture
def stage(hub, carryon_home):
    """Both presenters on one runner."""

    class Stage:
        def __init__(self):
            self.thread = MainThread()
            self.runner = Runner(self.thread.post)
            discovery = Discovery(carryon_home, lambda: Site(hub.url))
            self.view = View()
            self.search = SearchPresenter(self.runner, discovery, self.view)
            self.repo = RepoPresenter(self.runner, discovery, self.view)

        def until(self, is_so):
            self.thread.run_until(lambda: bool(is_so()), wait_s=20)

        def find(self, wish=None, **options):
            self.search.search(wish or SearchWish("GGUF"), **options)
            self.until(lambda: self.search.form.phase in (Phase.FOUND, Phase.FAILED) or self.view.opened)

        def look(self, reference=THIS):
            self.repo.open(reference)
            self.until(lambda: self.repo.form.card is not None and not self.repo.form.look.is_reading)
            self.until(lambda: self.repo.form.plan or not self.repo.form.look.subject or not self.repo._place)

    made = Stage()
    yield made
    assert made.runner.end()


# the list


def test_no_words_are_the_starters(stage, hub):
    stage.search.open()
    stage.search.search(SearchWish())
    assert stage.search.form.phase is Phase.STARTERS
    assert hub.requests() == []


def test_a_filter_without_words_is_a_search(stage, add_model):
    add_model()
    stage.find(SearchWish(licence="apache-2.0"))
    assert [one.found.repo_id for one in stage.search.form.lines] == [QWEN]


def test_browsing_asks_for_what_is_trending(stage, hub, add_model):
    add_model()
    stage.search.browse()
    stage.until(lambda: stage.search.form.phase is Phase.FOUND)
    assert "sort=trendingScore" in hub.requests("/api/models")[0]["path"]


def test_the_same_question_is_not_asked_twice(stage, hub, add_model):
    add_model()
    stage.find()
    stage.search.search(SearchWish("GGUF"))
    assert len(hub.requests("/api/models")) == 1
    stage.search.again()
    stage.until(lambda: stage.search.form.phase is Phase.FOUND)
    assert len(hub.requests("/api/models")) == 2


def test_a_final_name_opens_its_repository(stage):
    stage.find(SearchWish(QWEN), is_final=True)
    assert stage.view.opened == [Reference(QWEN)]
    assert stage.search.form.wish.text == ""


def test_final_words_are_a_search(stage, add_model):
    add_model()
    stage.find(SearchWish("qwen3 8b"), is_final=True)
    assert stage.view.opened == []
    assert stage.search.form.phase is Phase.FOUND


def test_lines_are_judged_once_the_machine_is_known(stage, add_model):
    add_model()
    stage.find()
    assert stage.search.form.lines[0].rough is None
    stage.search.set_place(place(), has_gpu=True)
    stage.until(lambda: stage.search.form.lines[0].rough)
    stage.search.set_place(place(machines.CPU_ONLY), has_gpu=False)
    old = stage.search.form.lines[0].rough
    stage.until(lambda: stage.search.form.lines[0].rough.verdict is not old.verdict)


def test_a_strict_filter_asks_for_further_pages_by_itself(stage, hub):
    for number in range(200):
        params = 8e9 if number % 30 == 0 else 2e12
        hub.add_repo(f"a/m{number:03}-GGUF", {}, downloads=number, gguf={"total": int(params)})
    stage.search.set_place(place(), has_gpu=True)
    stage.search.show_only_fitting(True)
    stage.find()
    stage.until(lambda: len(stage.search.form.all_lines) == 120 and not stage.search.form.is_more_coming)
    stage.thread.run_for(0.5)
    assert len(hub.requests("/api/models")) == 4  # the first, and three unasked
    assert 3 <= len(stage.search.form.lines) <= 5


def test_an_error_on_a_further_page_keeps_what_is_here(stage, hub):
    for number in range(40):
        hub.add_repo(f"a/m{number:02}-GGUF", {})
    stage.find()
    hub.fault("status", path="cursor", code=404)
    stage.search.more()
    stage.until(lambda: stage.search.form.error)
    assert len(stage.search.form.lines) == 30
    hub.clear()
    stage.search.more()
    stage.until(lambda: len(stage.search.form.lines) == 40)
    assert stage.search.form.error is None
    stage.search.more()  # there is none
    assert not stage.search.form.is_more_coming


def test_a_failed_search_can_be_tried_again(stage, hub, add_model):
    add_model()
    hub.fault("html", times=1)
    stage.find()
    assert stage.search.form.phase is Phase.FAILED
    stage.search.again()
    stage.until(lambda: stage.search.form.phase is Phase.FOUND)
    assert stage.search.form.error is None


def test_stopping_drops_the_answer(stage, add_model):
    add_model()
    stage.search.search(SearchWish("GGUF"))
    stage.search.stop()
    stage.thread.run_for(0.5)
    assert stage.search.form.phase is Phase.SEARCHING


# a repository


def test_sizes_come_before_the_fit(stage, add_model):
    add_model()
    stage.repo.set_place(place())
    stage.look()
    with_look = [one for one in stage.view.forms if one.look]
    assert with_look[0].plan is None
    assert with_look[0].look.files.quants
    assert stage.repo.form.look.sureness is Sureness.HEADER


def test_a_quant_that_was_asked_for_stays_chosen(stage, add_model):
    add_model()
    stage.repo.set_place(place())
    stage.look(Reference(QWEN, quant="Q3_K_M"))
    assert stage.repo.form.chosen == "Q3_K_M"
    assert stage.repo.form.best_quant != "Q3_K_M"
    stage.repo.choose_quant(stage.repo.form.best_quant)
    assert stage.repo.form.wishes.quant is None


def test_a_quant_that_is_not_there_leaves_the_best(stage, add_model):
    add_model()
    stage.repo.set_place(place())
    stage.look(Reference(QWEN, quant="Q9_Z"))
    assert stage.repo.form.chosen == stage.repo.form.best_quant


def test_to_look_at_another_row_does_not_move_the_context(stage, add_model):
    add_model()
    stage.repo.set_place(place())
    stage.look()
    n_ctx = stage.repo.form.fit.placement.n_ctx
    stage.repo.choose_quant("Q8_0")
    assert stage.repo.form.fit.placement.n_ctx == n_ctx


def test_without_a_machine_there_is_no_plan_but_a_download(stage, add_model):
    add_model()
    stage.look()
    assert stage.repo.form.plan is None
    assert [one.path for one in stage.repo.wish().files] == ["Qwen3-8B-Q8_0.gguf"]
    assert stage.repo.path() is None


def test_a_long_card_is_cut(stage, add_model):
    add_model(files={"README.md": b"a line of words\n\n" * 5000})
    stage.look()
    assert stage.repo.form.is_card_cut
    assert sum(len(block.spans[0].text) for block in stage.repo.form.card) < LONGEST_CARD


def test_a_card_that_does_not_come_is_no_error(stage, hub, add_model):
    add_model(files={"README.md": b"# Words"})
    hub.fault("status", path="README", code=404)
    stage.look()
    assert stage.repo.form.card == ()
    assert stage.repo.form.error is None


def test_downloads_of_other_repositories_do_not_count(stage, add_model):
    add_model()
    add_model("b/other-GGUF")
    stage.look()
    wish = stage.repo.wish()
    stage.repo.show_downloads((Download("1", wish, Running(), 1),))
    assert list(stage.repo.form.downloads) == ["Q8_0"]
    stage.look(Reference("b/other-GGUF"))
    assert stage.repo.form.downloads == {}
    stage.look()
    assert list(stage.repo.form.downloads) == ["Q8_0"]  # known from before


def test_a_finished_download_makes_it_here(stage, add_model):
    add_model()
    stage.look()
    wish = stage.repo.wish()
    stage.repo.show_downloads((Download("1", wish, Paused(), 1),))
    path = wish.folder / wish.files[0].path
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(wish.files[0].size_bytes)
    stage.repo.show_downloads((Download("1", wish, Finished(), wish.total_bytes),))
    assert stage.repo.form.is_here
    assert stage.repo.path() == path
    path.unlink()
    stage.repo.refresh()
    assert not stage.repo.form.is_here


def test_after_going_back_nothing_is_drawn(stage, add_model):
    add_model()
    stage.repo.open(Reference(QWEN))
    stage.repo.close()
    n_forms = len(stage.view.forms)
    stage.thread.run_for(0.5)
    stage.repo.set_place(place())
    stage.repo.refresh()
    stage.repo.set_context(4096)
    stage.repo.show_downloads(())
    stage.repo.again()
    assert len(stage.view.forms) == n_forms
    assert (stage.repo.wish(), stage.repo.path()) == (None, None)


def test_an_impossible_wish_is_an_error_in_words(stage, add_model):
    add_model()
    stage.repo.set_place(place())
    stage.look()
    stage.repo.set_context(-5)
    assert stage.repo.form.error is not None


def test_what_must_be_converted_has_nothing_to_download(stage, hub):
    hub.add_repo("a/m", {"model.safetensors": b"x"}, safetensors={"total": 7_000_000_000}, tags=["safetensors"])
    stage.repo.set_place(place())
    stage.look(Reference("a/m"))
    assert stage.repo.form.plan is not None
    assert stage.repo.wish() is None
    assert Format.SAFETENSORS in stage.repo.form.look.repo.found.formats
