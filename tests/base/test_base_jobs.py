"""Work runs in lanes, cancels between two yields, and ends in exactly one outcome."""

import threading
import time

import pytest

from carryon.base.errors import BadFile
from carryon.base.jobs import BugFound, Cancelled, Done, Failed, Lane, Progress, Runner, aside, drained, drive


@pytest.fixture
def runner():
    runner = Runner(lambda call: call())
    yield runner
    assert runner.end()


def outcome_of(runner, work, lane=Lane.QUICK):
    ends = []
    runner.start(work, on_end=ends.append, lane=lane).wait(5)
    return ends[0]


def counting(to):
    for done in range(to):
        yield Progress(done + 1, to)
    return "counted"


def test_a_job_tells_its_news_and_its_result(runner):
    news, ends = [], []
    runner.start(counting(3), news.append, ends.append).wait(5)
    assert [one.done for one in news] == [1, 2, 3]
    assert ends == [Done("counted")]


def test_heartbeats_are_no_news():
    def work():
        yield None
        yield Progress(1, None)

    news = []
    drive(work(), news.append, lambda: False)
    assert news == [Progress(1, None)]


def test_an_error_of_ours_is_handed_over_as_it_is(runner):
    def work():
        yield None
        raise BadFile("It is broken.", "Mend it.")

    outcome = outcome_of(runner, work())
    assert isinstance(outcome, Failed)
    assert outcome.error.hint == "Mend it."


def test_a_bug_is_logged_and_shown_as_ours(runner, caplog):
    def work():
        yield None
        raise ZeroDivisionError("of all things")

    outcome = outcome_of(runner, work())
    assert isinstance(outcome.error, BugFound)
    assert "of all things" in caplog.text


def test_cancelling_closes_the_work_so_that_it_tidies_up(runner):
    tidied, began = threading.Event(), threading.Event()

    def work():
        try:
            while True:
                began.set()
                yield None
                time.sleep(0.01)
        finally:
            tidied.set()

    ends = []
    job = runner.start(work(), on_end=ends.append)
    assert began.wait(5)
    job.cancel()
    assert job.wait(5)
    assert tidied.is_set()
    assert ends == [Cancelled()]


def test_jobs_of_one_lane_wait_for_each_other(runner):
    running, most = [], []

    def work(name):
        running.append(name)
        most.append(len(running))
        for _ in range(5):
            yield None
            time.sleep(0.005)
        running.remove(name)

    jobs = [runner.start(work(name), lane=Lane.DISK) for name in "abc"]
    assert all(job.wait(5) for job in jobs)
    assert max(most) == 1


def test_ending_the_runner_leaves_no_thread():
    before = set(threading.enumerate())
    runner = Runner(lambda call: call())

    def endless():
        while True:
            yield None
            time.sleep(0.01)

    runner.start(endless())
    runner.start(endless(), lane=Lane.MODEL)
    assert runner.end()
    assert set(threading.enumerate()) == before


def test_work_that_was_never_begun_is_cancelled_too(runner):
    began = []

    def work():
        began.append(True)
        yield None

    assert drive(work(), began.append, lambda: True) == Cancelled()
    assert began == []


def test_after_the_end_nothing_starts():
    runner = Runner(lambda call: call())
    runner.end()
    told = []
    job = runner.start(counting(3), told.append, told.append)
    assert job.wait(0)
    assert told == []


def test_a_call_that_blocks_is_waited_for_with_heartbeats():
    gate = threading.Event()
    work = aside(lambda: gate.wait(5) and 42, heartbeat_s=0.01)
    assert next(work) is None
    gate.set()
    assert drained(work) == 42


def test_what_a_blocking_call_raises_is_raised():
    def refuses():
        raise BadFile("no")

    with pytest.raises(BadFile, match="no"):
        drained(aside(refuses))


def test_a_blocking_call_is_left_to_itself_when_the_work_is_closed():
    gate = threading.Event()
    work = aside(lambda: gate.wait(5), heartbeat_s=0.01)
    next(work)
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 1
    gate.set()
