"""What the ring and the rows say of downloads, and what their buttons ask for."""

from pathlib import Path

import pytest
from fakes.fake_downloads import FakeDownloads, download, one_of_each
from fakes.workbench import FakeWorkbench

from carryon.app.download_list import (
    Download,
    DownloadWish,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
    WaitingForNetwork,
)
from carryon.base.errors import NoRoom, Offline
from carryon.hub.repo import RepoFile
from carryon.ui.jobs import texts
from carryon.ui.jobs.download_rows import model_path, row_of
from carryon.ui.jobs.form import Action, Answer, Bulk, Sign
from carryon.ui.jobs.presenter import JobsPresenter
from carryon.ui.jobs.summary import ended_words, ring_of


class View:
    """Remembers what it was shown and asked."""

    def __init__(self):
        self.rows, self.bulk, self.asked = (), None, []

    def show_rows(self, rows, bulk):
        self.rows, self.bulk = rows, bulk

    def ask(self, row, action, question):
        self.asked.append((action, row.id, question))

    def use(self, path):
        self.asked.append(("use", path))

    def show_folder(self, path):
        self.asked.append(("show", path))


@pytest.fixture
def queue():
    return FakeDownloads()


@pytest.fixture
def view():
    return View()


@pytest.fixture
def presenter(queue, view):
    return JobsPresenter(queue, FakeWorkbench(), view)


@pytest.mark.parametrize(
    ("state", "done", "words"),
    [
        (Queued(), 0, "Waits for its turn · 4.9 GB"),
        (Queued(), 0.5, "Waits for its turn · 2.5 of 4.9 GB"),
        (Running(), 0.25, "1.2 of 4.9 GB · starting"),
        (Running(23.4e6), 0.25, "1.2 of 4.9 GB · 23 MB/s"),
        (Running(23.4e6, 120), 0.25, "1.2 of 4.9 GB · 23 MB/s · 2 min left"),
        (Paused(), 0.434, "Paused at 43 % · 2.1 of 4.9 GB"),
        (WaitingForNetwork(Offline(""), 12.2), 0.5, "2.5 of 4.9 GB · tries again in 12 s"),
        (WaitingForNetwork(Offline(""), 0), 0.5, "2.5 of 4.9 GB · goes on as soon as it can"),
        (FailedDownload(NoRoom("")), 0.5, "Stopped at 50 % · 2.5 of 4.9 GB"),
        (Finished(), 1, "Downloaded · 4.9 GB"),
    ],
)
def test_every_state_has_its_words(state, done, words):
    assert row_of(download("a", state, done)).words == words


def test_nothing_is_called_whole_before_it_is():
    assert texts.percent(download("a", Paused(), 0.9999)) == "99 %"


def test_what_failed_says_why_and_what_to_do():
    row = row_of(download("a", FailedDownload(NoRoom("The disk is full.", "Free some space."))))
    assert (row.reason, row.detail, row.sign) == ("The disk is full.", "Free some space.", Sign.FAILED)
    assert "The disk is full. Free some space" in row.spoken


def test_what_happened_on_the_way_is_told():
    assert row_of(download("a", Running(), notice="It began again.")).detail == "It began again."


def test_each_state_has_a_sign_and_buttons_of_its_own():
    rows = {row.id: row for row in map(row_of, one_of_each())}
    assert rows["run"].actions == (Action.PAUSE, Action.CANCEL)
    assert rows["pause"].actions == (Action.RESUME, Action.CANCEL)
    assert rows["fail"].actions == (Action.RETRY, Action.CANCEL)
    assert rows["done"].actions == (Action.USE, Action.SHOW, Action.FORGET)
    assert rows["done"].fraction is None
    assert len({row.sign for row in rows.values()}) == 5


def test_what_is_no_model_cannot_be_used_in_a_chat():
    projector = download("a", Finished(), 1, file="mmproj-model-f16.gguf")
    assert Action.USE not in row_of(projector).actions
    assert Action.USE not in row_of(download("a", Finished(), 1, file="model.safetensors")).actions


def test_a_set_is_opened_by_its_first_model():
    names = ("mmproj-f16.gguf", "x/m-00001-of-00002.gguf", "x/m-00002-of-00002.gguf")
    files = tuple(RepoFile(one, 1) for one in names)
    wish = DownloadWish("a/b", "0" * 40, "b", files, Path("/models"))
    assert model_path(Download("a", wish, Finished())) == Path("/models/x/m-00001-of-00002.gguf")


def test_the_list_is_drawn_anew_with_every_change(queue, view, presenter):
    queue.show(*one_of_each())
    assert len(view.rows) == 7
    assert view.bulk == Bulk(can_pause=True, can_resume=True, can_clear=True)
    queue.show()
    assert view.rows == ()
    assert view.bulk == Bulk(can_pause=False, can_resume=False, can_clear=False)


@pytest.mark.parametrize(
    ("action", "asked"),
    [(Action.PAUSE, "pause"), (Action.RESUME, "resume"), (Action.RETRY, "retry"), (Action.FORGET, "forget")],
)
def test_a_button_asks_the_queue(queue, presenter, action, asked):
    presenter.act(row_of(download("a", Paused(), 0.5)), action)
    assert queue.asked == [(asked, "a")]


def test_a_cancel_asks_first_where_something_is_here(queue, view, presenter):
    row = row_of(download("a", Paused(), 0.5))
    presenter.act(row, Action.CANCEL)
    ((action, id, question),) = view.asked
    assert (action, id, queue.asked) == (Action.CANCEL, "a", [])
    assert question.answers == (Answer.KEEP_PART, Answer.DELETE_PART)
    presenter.answer(row, Answer.KEEP_PART)
    assert queue.asked == [("cancel", "a", True)]


def test_a_cancel_of_nothing_needs_no_question(queue, view, presenter):
    presenter.act(row_of(download("a", Queued())), Action.CANCEL)
    assert (view.asked, queue.asked) == ([], [("cancel", "a", False)])


def test_a_finished_model_can_be_used_and_shown(view, presenter):
    one = row_of(download("a", Finished(), 1))
    presenter.act(one, Action.USE)
    presenter.act(one, Action.SHOW)
    assert view.asked == [("use", Path("/models/acme/model.gguf")), ("show", Path("/models/acme/model.gguf"))]


def test_buttons_for_all(queue, presenter):
    presenter.pause_all()
    presenter.resume_all()
    presenter.clear()
    assert [one[0] for one in queue.asked] == ["pause_all", "resume_all", "forget_finished"]


def test_the_ring_sums_up_what_goes_on():
    two = (download("a", Running(10e6), 0.5, size_gb=1), download("b", Running(5e6), 0.2, size_gb=3))
    ring = ring_of((*two, download("c", Paused(), 0.9)))
    assert (ring.count, ring.sign) == (2, Sign.RUNNING)
    assert ring.fraction == pytest.approx(0.275)
    assert ring.words == "Downloading 2 models, 27 %, 15 MB/s, 3 min left"


def test_the_ring_says_no_speed_that_it_does_not_know():
    assert ring_of((download("a", Running(), 0.5),)).words == "Downloading 1 model, 50 %"


def test_the_ring_of_a_lost_network_waits():
    ring = ring_of((download("a", WaitingForNetwork(Offline(""), 3), 0.5),))
    assert (ring.sign, ring.words) == (Sign.WAITING, "1 download waits for the network")


def test_the_ring_is_calm_when_nothing_goes_on():
    assert ring_of(()) is None
    ring = ring_of((download("a", Finished(), 1), download("b", Paused(), 0.5)))
    assert (ring.sign, ring.fraction, ring.words) == (Sign.PAUSED, None, "Downloads: 1 paused, 1 finished")
    assert ring_of((download("a", FailedDownload(NoRoom(""))), download("b", Paused()))).sign is Sign.FAILED


def test_an_end_is_told_once_and_a_pause_is_none():
    before = (download("a", Running()), download("b", Running()), download("c", Running()), download("d", Finished()))
    failed = FailedDownload(NoRoom("The disk is full."))
    now = (download("a", Finished(), 1), download("b", failed), download("c", Paused()), download("d", Finished()))
    words = ended_words(before, now)
    assert len(words) == 2
    assert "is downloaded" in words[0]
    assert "The disk is full." in words[1]
    assert ended_words(now, now) == ()
