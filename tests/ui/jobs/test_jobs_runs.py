"""What the ring and the rows say of the workshop's runs, and what their buttons ask for."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.fake_downloads import FakeDownloads, download
from fakes.workbench import FOLDER, REPOSITORY, FakeWorkbench, run

from carryon.app.download_list import Finished, Running, WaitingForNetwork
from carryon.app.workshop_list import FailedRun, FinishedRun, Interrupted, Order, StageKind, Working
from carryon.base.errors import NoRoom, Offline
from carryon.ui import run_words
from carryon.ui.jobs.form import Action, Answer, Sign
from carryon.ui.jobs.presenter import JobsPresenter
from carryon.ui.jobs.run_rows import question_of, row_of
from carryon.ui.jobs.summary import bulk_of, ended_runs_words, ring_of

ORDER = Order(REPOSITORY, ("Q4_K_M", "Q6_K"), Path("/out"), "SmolLM2-1.7B-Instruct", measures=True)
NO_ROOM = NoRoom("The disk is full: 1.2 GB are missing.", "Free some room, then try again.")


def made(id="a", state=None, n_done=0, order=ORDER, notices=()):
    """A run of download, convert, two quants and a measurement; the first stages are done."""
    one = run(id, order, state, notices)
    return replace(one, stages=tuple(replace(stage, is_done=at < n_done) for at, stage in enumerate(one.stages)))


def at(place, done=0, total=None, left_s=None, note="", order=ORDER):
    """It works at the stage of this place, those before are done."""
    one = made(n_done=place, order=order)
    return replace(one, state=Working(one.stages[place], done, total, note, left_s))


class View:
    """Remembers what it was shown and asked."""

    def __init__(self):
        self.rows, self.bulk, self.asked = (), None, []

    def show_rows(self, rows, bulk):
        self.rows, self.bulk = rows, bulk

    def ask(self, row, action, question):
        self.asked.append(("ask", row.id, action, question.answers))

    def use(self, path):
        self.asked.append(("use", path))

    def show_folder(self, path):
        self.asked.append(("show", path))

    def show_log(self, path):
        self.asked.append(("log", path))

    def open_in_workshop(self, run):
        self.asked.append(("open", run.id))


@pytest.fixture
def queue():
    return FakeDownloads()


@pytest.fixture
def bench():
    return FakeWorkbench()


@pytest.fixture
def view():
    return View()


@pytest.fixture
def presenter(queue, bench, view):
    return JobsPresenter(queue, bench, view)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (made(), "Waits for its turn"),
        (made(n_done=2), "Waits for its turn · 2 of 5 steps are done and kept"),
        (at(0), "Downloading · step 1 of 5"),
        (at(2, 125, 290, 130.0), "Quantizing to Q4_K_M · 43 % · 2 min left · step 3 of 5"),
        (at(2, 290, 290), "Quantizing to Q4_K_M · 100 % · step 3 of 5"),
        (at(4, 1, 8), "Measuring · 12 % · step 5 of 5"),
        (made(state=Interrupted()), "Stopped at downloading"),
        (made(state=Interrupted(), n_done=2), "Stopped at quantizing to Q4_K_M · 2 of 5 steps are done and kept"),
        (made(state=FailedRun(NO_ROOM), n_done=1), "Stopped at converting · 1 of 5 steps is done and kept"),
        (made(state=FinishedRun((Path("/out/x-Q4_K_M.gguf"),)), n_done=5), "Ready · x-Q4_K_M.gguf"),
        (made(state=FinishedRun((Path("/out/a.gguf"), Path("/out/b.gguf"))), n_done=5), "Ready · 2 files"),
    ],
)  # fmt: skip
def test_every_state_has_its_words(one, words):
    assert row_of(one).words == words


def test_a_run_of_one_step_counts_none():
    order = Order(FOLDER, ("Q8_0",), Path("/out"), "m")
    one = made(order=replace(order, source=replace(FOLDER, kind=ORDER.source.kind.GGUF)))
    assert row_of(replace(one, state=Working(one.stages[0], 1, 2))).words == "Quantizing to Q8_0 · 50 %"


def test_the_bar_is_there_while_it_works():
    assert row_of(at(2, 29, 290)).fraction == pytest.approx(0.1)
    assert row_of(at(2)).fraction == 0.0
    assert row_of(made()).fraction is None
    assert row_of(made(state=Interrupted())).fraction is None


def test_a_failed_run_says_why_and_what_to_do():
    row = row_of(made(state=FailedRun(NO_ROOM), n_done=1))
    assert (row.reason, row.detail) == (NO_ROOM.message, NO_ROOM.hint)
    assert "The disk is full: 1.2 GB are missing. Free some room" in row.spoken


def test_what_should_be_known_of_the_result_is_told():
    notices = ("2 tensors are stored as Q5_0.", "It was converted by llama.cpp's own converter.")
    assert row_of(made(state=FinishedRun(()), notices=notices)).detail == "\n".join(notices)
    assert row_of(at(0, note="The Hub does not answer.")).detail == "The Hub does not answer."
    assert row_of(at(2, note="blk.3.ffn_down.weight")).detail == ""


@pytest.mark.parametrize(
    ("one", "actions", "sign"),
    [
        (made(), (Action.STOP, Action.OPEN), Sign.WAITING),
        (at(2), (Action.STOP, Action.LOG, Action.OPEN), Sign.MAKING),
        (made(state=Interrupted()), (Action.RESUME, Action.FORGET, Action.LOG, Action.OPEN), Sign.PAUSED),
        (made(state=FailedRun(NO_ROOM)), (Action.RETRY, Action.FORGET, Action.LOG, Action.OPEN), Sign.FAILED),
        (
            made(state=FinishedRun(())),
            (Action.USE, Action.SHOW, Action.FORGET, Action.LOG, Action.OPEN),
            Sign.FINISHED,
        ),
    ],
)
def test_each_state_has_a_sign_and_buttons_of_its_own(one, actions, sign):
    row = row_of(one)
    assert (row.actions, row.sign) == (actions, sign)


@pytest.mark.parametrize(
    ("one", "action", "asked"),
    [
        (made(), Action.STOP, ("cancel", "a")),
        (at(0, 10, 20), Action.STOP, ("cancel", "a")),  # what was downloaded stays
        (at(2), Action.STOP, ("cancel", "a")),
        (made(state=Interrupted()), Action.RESUME, ("resume", "a")),
        (made(state=FailedRun(NO_ROOM)), Action.RETRY, ("resume", "a")),
        (made(state=Interrupted()), Action.FORGET, ("forget", "a")),
        (made(state=FinishedRun(()), n_done=5), Action.FORGET, ("forget", "a")),
    ],
)
def test_a_button_asks_the_workshop(bench, view, presenter, one, action, asked):
    bench.show(one)
    presenter.act(view.rows[0], action)
    assert (bench.asked, view.asked) == ([asked], [])


@pytest.mark.parametrize(
    ("one", "action", "answer", "asked"),
    [
        (at(2, 29, 290), Action.STOP, Answer.STOP_RUN, ("cancel", "a")),
        (made(state=Interrupted(), n_done=1), Action.FORGET, Answer.REMOVE_RUN, ("forget", "a")),
        (made(state=FailedRun(NO_ROOM), n_done=1), Action.FORGET, Answer.REMOVE_RUN, ("forget", "a")),
    ],
)
def test_what_would_lose_work_is_asked_first(bench, view, presenter, one, action, answer, asked):
    bench.show(one)
    presenter.act(view.rows[0], action)
    assert (bench.asked, view.asked) == ([], [("ask", "run a", action, (answer,))])
    presenter.answer(view.rows[0], answer)
    assert bench.asked == [asked]


def test_the_questions_say_what_is_at_stake():
    assert question_of(at(2, 29, 290), Action.STOP).words == (
        "“Quantizing to Q4_K_M” begins anew when the run is resumed. 2 of 5 steps are done and kept."
    )
    removed = question_of(made(state=Interrupted(), n_done=2), Action.FORGET)
    assert "What was made on the way is deleted" in removed.words


def test_a_finished_run_is_used_shown_and_read(bench, view, presenter):
    bench.show(made(state=FinishedRun((Path("/out/a.gguf"), Path("/out/b.gguf")))))
    row = view.rows[0]
    for action in (Action.USE, Action.SHOW, Action.LOG, Action.OPEN):
        presenter.act(row, action)
    assert row.files == (Path("/out/a.gguf"), Path("/out/b.gguf"))
    assert view.asked == [
        ("use", Path("/out/a.gguf")), ("show", Path("/out/a.gguf")), ("log", Path("/logs/a.log")), ("open", "a"),
    ]  # fmt: skip


def test_both_kinds_stand_in_one_list(queue, bench, view, presenter):
    queue.show(download("a", Finished(), 1))
    bench.show(made("a"), made("b", FinishedRun(())))
    assert [one.id for one in view.rows] == ["a", "run a", "run b"]
    assert view.bulk.can_clear
    presenter.clear()
    assert (queue.asked, bench.asked) == ([("forget_finished",)], [("forget", "b")])


def test_runs_are_not_paused_by_the_dozen():
    bulk = bulk_of((), (at(2), made(state=Interrupted())))
    assert not bulk.can_pause
    assert not bulk.can_resume
    assert not bulk.can_clear
    assert bulk_of((), (made(state=FinishedRun(())),)).can_clear


def test_the_ring_counts_and_fills_with_both_kinds():
    ring = ring_of((download("a", Running(10e6), 0.5, size_gb=1),), (at(2, 145, 290, 130.0), made("b")))
    assert (ring.count, ring.sign) == (3, Sign.RUNNING)
    assert ring.fraction == pytest.approx((0.5 + 2.5 / 5 + 0) / 3)
    assert ring.words == (
        "Downloading 1 model, 50 %, 10 MB/s, 50 s left. "
        "Workshop: quantizing to Q4_K_M, 50 %, 2 min left, 1 run waits"
    )  # fmt: skip


def test_the_ring_of_runs_alone():
    ring = ring_of((), (at(4, 1, 8),))
    assert (ring.count, ring.words) == (1, "Workshop: measuring, 12 %")
    assert ring_of((), (made("a"), made("b"))).words == "Workshop: 2 runs wait"
    assert ring_of((), ()) is None


def test_a_run_goes_on_while_downloads_wait_for_the_network():
    waiting = download("a", WaitingForNetwork(Offline(""), 3), 0.5)
    ring = ring_of((waiting,), (at(2, 1, 4),))
    assert ring.sign is Sign.RUNNING
    assert ring.words.startswith("1 download waits for the network. Workshop: quantizing")


def test_the_ring_is_calm_when_nothing_goes_on():
    ring = ring_of((download("a", Finished(), 1),), (made(state=Interrupted()), made("b", FinishedRun(()))))
    assert (ring.sign, ring.fraction) == (Sign.PAUSED, None)
    assert ring.words == "Downloads: 1 finished. Workshop: 1 stopped, 1 ready"
    assert ring_of((), (made(state=FailedRun(NO_ROOM)),)).sign is Sign.FAILED


def test_an_end_is_told_once_and_a_stop_is_none():
    before = (at(2), replace(at(2), id="b"), replace(at(2), id="c"), made("d", FinishedRun(())))
    now = (
        made("a", FinishedRun(())), made("b", FailedRun(NO_ROOM)), made("c", Interrupted()),
        made("d", FinishedRun(())),
    )  # fmt: skip
    words = ended_runs_words(before, now)
    assert words[0] == "“SmolLM2-1.7B-Instruct · Q4_K_M, Q6_K” is ready."
    assert words[1].endswith("The disk is full: 1.2 GB are missing.")
    assert len(words) == 2
    assert ended_runs_words(now, now) == ()


@pytest.mark.parametrize("kind", StageKind)
def test_every_stage_has_its_words(kind):
    stage = replace(made().stages[0], kind=kind)
    assert run_words.doing_text(stage)
    assert run_words.doing_text(replace(stage, quant="Q8_0")).endswith(" to Q8_0")
