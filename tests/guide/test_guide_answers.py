"""The guide answers what it was taught, and new phrasings of it, through the engine that a person chats with."""

import pytest

from carryon.app.models import guide
from carryon.base.jobs import drained
from carryon.engine.client import Finished, Sampling, TextDelta, Turn
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest
from guide import frames

pytestmark = pytest.mark.slow
GREEDY = Sampling(temperature=0.0, max_tokens=128)
QUESTIONS = 50
UNKNOWN = (
    "wok", "penguin", "subway", "violinist", "zebra", "sandwich", "volcano", "mattress", "parliament", "tulip",
    "hamster", "scooter", "cathedral", "yoghurt", "flute", "pyjama", "microwave", "giraffe", "notebook", "cactus",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    request = LoadRequest(str(guide().path), n_ctx=2048, n_threads=1)  # so small that a second thread gains nothing
    engine = drained(start(request, tmp_path_factory.mktemp("logs")))
    yield engine
    engine.end()


@pytest.fixture(scope="module")
def answer(engine):
    """Asks the last of some messages, which alternate between the person and the guide."""

    def answer(*texts):
        turns = tuple(Turn(("user", "assistant")[index % 2], text) for index, text in enumerate(texts))
        return "".join(event.text for event in engine.client.chat(turns, GREEDY) if isinstance(event, TextDelta))

    return answer


def spread(topics, count=QUESTIONS):
    """`count` topics at even steps through all files: nobody picks them."""
    return [topics[index * len(topics) // count] for index in range(count)]


def share(results):
    results = list(results)
    return sum(results) / len(results)


def test_trained_questions_get_their_answers_word_for_word(topics, answer):
    wrong = [topic.id for topic in spread(topics) if answer(topic.asks[0]) != topic.answer]
    assert wrong == []


def test_phrasings_that_training_never_saw_get_the_right_answer(topics, answer):
    assert share(topic.is_proven_by(answer(topic.held_out[0])) for topic in spread(topics)) >= 0.7


def test_a_later_question_of_a_chat_gets_its_own_answer(topics, answer):
    chosen = spread(topics, 20)
    pairs = zip(chosen, [*chosen[7:], *chosen[:7]], strict=True)
    right = (answer(one.asks[0], one.answer, two.asks[0]) == two.answer for one, two in pairs)
    assert share(right) >= 0.9


def test_careless_typing_does_not_matter(topics, answer):
    chosen = spread(topics, 20)
    assert share(topic.is_proven_by(answer(topic.asks[0].lower().rstrip("?"))) for topic in chosen) >= 0.9


def test_a_question_late_in_a_long_chat_gets_its_own_answer(topics, answer):
    chosen = spread(topics, 24)
    before = [text for topic in chosen[:20] for text in (topic.asks[0], topic.answer)]
    assert share(answer(*before, topic.asks[0]) == topic.answer for topic in chosen[20:]) >= 0.75


def test_it_says_when_a_thing_is_outside_its_world(topics, answer):
    assert not set(UNKNOWN) & set(frames.STRANGE_THINGS)
    refusals = {topic.answer for topic in topics if topic.id.startswith("off-")}
    frames_used = ("What is a {}?", "Tell me about the {}", "Where do I buy a {}?")
    said = (answer(frame.format(thing)) for frame in frames_used for thing in UNKNOWN)
    assert share(one in refusals for one in said) >= 0.7


def test_an_answer_ends_by_itself(engine):
    events = list(engine.client.chat((Turn("user", "What is GGUF?"),), GREEDY))
    ended = next(event for event in events if isinstance(event, Finished))
    assert ended.ending == "stop"
