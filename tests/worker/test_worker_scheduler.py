"""Inside the engine: how fast it stops, what a word costs, and how news crosses threads."""

import asyncio
import threading
import time

import pytest
from fakes import tiny_gguf

from carryon.worker.capi import L
from carryon.worker.engine_log import EngineLog
from carryon.worker.llama import Context, Model
from carryon.worker.news import Broken, Ended, Finish, Outbox, Text
from carryon.worker.parameters import Placing, Sizing
from carryon.worker.sampling import Sampling
from carryon.worker.scheduler import Answer, Ask, Generation, Pace, Scheduler, Slot

GREEDY = Sampling(temperature=0)
LOG = EngineLog()  # the engine keeps calling it until this process ends


class Inbox:
    """Where a generation's news arrive, in order and with their time."""

    def __init__(self):
        self.news = []
        self.ended = threading.Event()

    def put(self, news):
        self.news.append((time.monotonic(), news))
        if isinstance(news, Ended | Broken):
            self.ended.set()

    @property
    def last(self):
        return self.news[-1][1]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A model in this very process; it counts to four for ever."""
    LOG.attach()
    L.llama_backend_init()
    path = tmp_path_factory.mktemp("inside") / "endless.gguf"
    shape = tiny_gguf.Shape(layers=4, hidden=512, feed_forward=2048, context=8192)
    tiny_gguf.speaking_model(path, [" one", " two", " three", " four"], then=" one", shape=shape)
    model = Model.load(str(path), Placing())
    context = Context(model, Sizing(n_ctx=8192, n_threads=1))
    yield model, context
    context.free()
    model.free()


@pytest.fixture(scope="module")
def scheduler(engine):
    scheduler = Scheduler(*engine)
    threading.Thread(target=scheduler.run, daemon=True).start()
    return scheduler


def submit(scheduler, prompt, **asked):
    generation = Generation(Ask(prompt, GREEDY, **asked), Inbox())
    scheduler.submit(generation)
    return generation


def time_to_stop(scheduler, generation):
    """Seconds from the cancel to the end of the decoding."""
    cancelled = time.monotonic()
    scheduler.cancel(generation)
    assert generation.outbox.ended.wait(10)
    return generation.outbox.news[-1][0] - cancelled


def stopped(scheduler, prompt, after_s):
    """Seconds from a cancel to the end of the decoding, and the last news; the best of three on a busy machine."""
    tries = []
    for attempt in range(3):
        generation = submit(scheduler, [prompt[0] + attempt, *prompt[1:]])
        time.sleep(after_s)
        tries.append((time_to_stop(scheduler, generation), generation.outbox.last))
    return min(tries, key=lambda one: one[0])


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5])
def test_a_cancel_stops_words_within_100_ms(scheduler, after_s):
    taken_s, last = stopped(scheduler, [97] * 10, after_s)
    assert taken_s < 0.1
    assert last.finish is Finish.CANCELLED


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5])
def test_a_cancel_stops_the_reading_of_a_prompt_within_100_ms(scheduler, after_s):
    taken_s, last = stopped(scheduler, [98] * 8000, after_s)
    assert taken_s < 0.1
    assert last.n_prompt < 8000


def test_a_cancelled_question_in_line_is_never_begun(scheduler):
    first = submit(scheduler, [97] * 10, max_tokens=200)
    second = submit(scheduler, [97] * 10, max_tokens=5)
    scheduler.cancel(second)
    third = submit(scheduler, [97] * 10, max_tokens=5)
    assert third.outbox.ended.wait(20)
    assert first.outbox.last.n_predicted == 200
    assert [news.n_prompt for _, news in second.outbox.news] == [0]


def test_whoever_gives_up_in_line_need_not_wait_for_a_turn(scheduler):
    first = submit(scheduler, [97] * 10)
    second = submit(scheduler, [97] * 10)
    assert time_to_stop(scheduler, second) < 0.1
    assert not first.outbox.ended.is_set()
    scheduler.cancel(first)
    assert first.outbox.ended.wait(10)


def test_a_late_cancel_hits_nobody_else(scheduler):
    first = submit(scheduler, [97] * 10, max_tokens=2)
    assert first.outbox.ended.wait(10)
    second = submit(scheduler, [97] * 10, max_tokens=300)
    scheduler.cancel(first)
    assert second.outbox.ended.wait(20)
    assert second.outbox.last.n_predicted == 300


@pytest.mark.parametrize("seed", range(3))
def test_many_quick_cancels_leave_a_working_engine(scheduler, seed):
    for index in range(20):
        generation = submit(scheduler, [97 + index] * (50 * (index % 4) + 1))
        time.sleep(0.003 * ((index * 7 + seed) % 5))
        scheduler.cancel(generation)
    clean = submit(scheduler, [256], max_tokens=3)
    assert clean.outbox.ended.wait(20)
    words = "".join(news.text for _, news in clean.outbox.news if isinstance(news, Text))
    assert words == " two three four"


def test_a_decode_that_fails_is_an_error_and_the_engine_goes_on(scheduler, engine, monkeypatch):
    _, context = engine
    with monkeypatch.context() as patch:
        patch.setattr(context, "decode_one", lambda token, position: -3)
        broken = submit(scheduler, [97] * 5)
        assert broken.outbox.ended.wait(10)
    assert isinstance(broken.outbox.last, Broken)
    assert "code -3" in broken.outbox.last.message
    healthy = submit(scheduler, [256], max_tokens=2)
    assert healthy.outbox.ended.wait(10)
    assert healthy.outbox.last.n_predicted == 2


def test_no_room_where_some_was_expected_ends_with_a_full_context(scheduler, engine, monkeypatch):
    _, context = engine
    with monkeypatch.context() as patch:
        patch.setattr(context, "decode_one", lambda token, position: 1)
        full = submit(scheduler, [97] * 5)
        assert full.outbox.ended.wait(10)
    assert full.outbox.last.is_context_full


def python_seconds(engine, n_tokens, stops=()):
    """CPU seconds of everything but llama_decode, for an answer of this length."""
    model, context = engine
    real = context.decode_one
    context.decode_one = lambda token, position: 0
    try:
        slot = Slot(context, Pace(512, 4))
        slot.forget()
        answer = Answer(model, slot, Generation(Ask([97, 256], GREEDY, n_tokens, stops), Inbox()))
        started = time.thread_time()
        answer.speak()
        return time.thread_time() - started
    finally:
        context.decode_one = real
        context.clear()


@pytest.mark.slow
@pytest.mark.parametrize("stops", [(), ("\nUser:", "eleven", "</s>")])
def test_a_word_costs_python_under_100_us_however_long_the_answer(engine, stops):
    prompt = python_seconds(engine, 1, stops)
    short = min(python_seconds(engine, 500, stops) for _ in range(3)) - prompt
    long = min(python_seconds(engine, 8000, stops) for _ in range(3)) - prompt
    assert long / 8000 < 100e-6
    assert long / 8000 < 3 * max(short / 500, 2e-6)


def test_news_arrive_in_order_from_another_thread():
    async def listen():
        outbox = Outbox(asyncio.get_running_loop())
        threading.Thread(target=lambda: [outbox.put(Text(str(number))) for number in range(500)]).start()
        heard = []
        while len(heard) < 500:
            heard += [int(news.text) for news in await outbox.take(1)]
        return heard

    assert asyncio.run(listen()) == list(range(500))


def test_waiting_for_news_is_patient_only_for_so_long():
    async def listen():
        return await Outbox(asyncio.get_running_loop()).take(0.05)

    started = time.monotonic()
    assert asyncio.run(listen()) == []
    assert 0.04 < time.monotonic() - started < 2


def test_news_for_nobody_are_dropped():
    loop = asyncio.new_event_loop()
    loop.close()
    Outbox(loop).put(Text("too late"))


class TestPace:
    """How many tokens are read at once."""

    @staticmethod
    def after(seconds, n_tokens=64, n_layers=32):
        pace = Pace(512, n_layers)
        pace.timed(n_tokens, lambda: time.sleep(seconds) or 0)
        return pace.n_tokens

    def test_a_fast_machine_reads_as_much_as_the_context_takes(self):
        assert self.after(0.001) == 512

    def test_a_slow_machine_reads_less(self):
        assert self.after(0.3, n_tokens=32, n_layers=4) == 128

    def test_between_the_two_it_is_in_proportion(self):
        assert 160 <= self.after(0.1, n_tokens=32, n_layers=3) <= 288

    def test_a_few_tokens_teach_nothing(self):
        assert self.after(0.05, n_tokens=3) == 64

    def test_an_abort_teaches_nothing(self):
        pace = Pace(512, 32)
        assert pace.timed(64, lambda: 2) == 2
        assert pace.n_tokens == 64
