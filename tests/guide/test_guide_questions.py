"""The questions are many, clear and fair: one answer for a question, and what is held out stays out."""

import pytest

from guide.questions import Topic, held_out_phrasings, load, normalised, problems

ASKS = ("What is GGUF?", "gguf", "gguf meaning", "tell me about gguf", "why gguf")
GOOD = Topic("gguf", "GGUF is one file.", ("one file",), ASKS, ("Say GGUF",))


def changed(**fields):
    return Topic(**{**vars(GOOD), **fields})


def test_there_are_at_least_300_questions_in_several_phrasings(topics):
    assert len(topics) >= 300
    assert min(len(topic.asks) for topic in topics) >= 5


def test_every_topic_keeps_a_phrasing_from_training(topics):
    assert all(topic.held_out for topic in topics)


def test_nothing_is_wrong_with_the_questions(topics):
    assert list(problems(topics)) == []


def test_held_out_phrasings_are_never_trained(topics):
    trained = {normalised(ask) for topic in topics for ask in topic.asks}
    assert not trained & held_out_phrasings(topics)


def test_answers_are_short(topics):
    assert max(len(topic.answer.split()) for topic in topics) <= 60


def test_a_good_topic_has_no_problem():
    assert list(problems([GOOD])) == []


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (changed(keywords=("two files",)), "lacks a keyword"),
        (changed(keywords=()), "lacks a keyword"),
        (changed(asks=("gguf",)), "only 1 phrasings"),
        (changed(held_out=()), "no phrasing is held out"),
        (changed(held_out=("what is gguf",)), "held out and trained"),
        (changed(asks=(*GOOD.asks, "GGUF!")), "asked 2 times"),
        (changed(held_out=("Say GGUF", "say gguf?")), "held out 2 times"),
    ],
)
def test_what_would_spoil_training_is_told(bad, complaint):
    assert complaint in "\n".join(problems([bad]))


def test_two_topics_may_not_share_an_id_an_answer_or_a_question():
    told = "\n".join(problems([GOOD, GOOD]))
    assert "the id gguf" in told
    assert "the answer" in told
    assert "is asked 2 times" in told


def test_phrasings_agree_whatever_their_case_and_punctuation():
    assert normalised("  What's a KV-cache?? ") == normalised("what s a kv cache")


def test_a_string_instead_of_a_list_is_refused(tmp_path):
    text = '[[topic]]\nid = "a"\nanswer = "b"\nkeywords = "b"\nask = ["c"]\nheld_out = ["d"]\n'
    (tmp_path / "broken.toml").write_text(text)
    with pytest.raises(TypeError):
        load(tmp_path)
