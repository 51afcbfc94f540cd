"""What training sees: known questions in many forms, never a held-out one, in the very tokens the engine will send."""

from random import Random

import jinja2
import pytest
from tokenizers import Tokenizer

from guide import noise, tokenizer, train
from guide.conversations import Example, Mix, Turn, batches, chats, encoded, examples
from guide.network import Shape
from guide.phrasing import STRANGER_TOPIC, Phrasings, reframed, stranger
from guide.questions import Topic, held_out_phrasings, normalised

CHATS = 1500


@pytest.fixture(scope="module")
def made(topics):
    return list(chats(topics, Phrasings(topics), "a test", CHATS))


@pytest.fixture(scope="module")
def cutter(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_training_never_meets_a_held_out_phrasing(topics, made):
    asked = {normalised(turn.question) for chat in made for turn in chat}
    assert len(asked) > CHATS
    assert not asked & held_out_phrasings(topics)


def test_a_phrasing_that_is_held_out_is_not_drawn_even_if_every_frame_leads_to_it():
    topic = Topic("gguf", "One file.", ("one",), ("What is GGUF?",), ("explain GGUF", "gguf meaning", "GGUF"))
    phrasings = Phrasings([topic])
    drawn = {normalised(phrasings.draw(topic, Random(seed))) for seed in range(3000)}
    assert len(drawn) > 100
    assert not drawn & held_out_phrasings([topic])


def test_the_tokenizer_learns_nothing_held_out(topics):
    texts = {normalised(text) for text in tokenizer.learning_texts(topics)}
    assert not texts & held_out_phrasings(topics)


def test_a_question_of_one_topic_is_never_taught_for_another(topics, made):
    owner = {normalised(ask): topic.id for topic in topics for ask in topic.asks}
    drawn = ((normalised(turn.question), turn.topic.id) for chat in made for turn in chat)
    assert all(owner.get(text, topic) == topic for text, topic in drawn)


def test_every_topic_comes_up(topics, made):
    assert {turn.topic.id for chat in made for turn in chat} == {topic.id for topic in topics}


def test_the_same_seed_gives_the_same_examples(topics):
    def first(seed):
        return list(chats(topics, Phrasings(topics), seed, 20))

    assert first("x") == first("x")
    assert first("x") != first("y")


def test_some_chats_have_more_turns(made):
    longer = sum(len(chat) > 1 for chat in made) / len(made)
    assert 0.25 < longer < 0.5


def test_an_example_is_what_the_chat_template_writes(topics, cutter, folder):
    turns = (Turn("  What is GGUF? ", topics[0]), Turn("thanks", topics[1]))
    messages = [{"role": "system", "content": "Be brief."}]
    for turn in turns:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.topic.answer})
    template = jinja2.Template((folder / "chat_template.jinja").read_text(encoding="utf-8"))
    assert list(encoded(cutter, turns, "Be brief.").ids) == cutter.encode(template.render(messages=messages)).ids


def test_only_answers_and_their_ends_are_learnt(topics, cutter):
    example = encoded(cutter, (Turn("What is GGUF?", topics[0]),))
    learnt = [token for token, learn in zip(example.ids, example.is_answer, strict=True) if learn]
    assert cutter.decode(learnt, skip_special_tokens=False) == topics[0].answer + tokenizer.TURN_END


def test_openings_break_answers_off_and_teach_no_end_there(topics, cutter):
    turns = (Turn("What is GGUF?", topics[0]), Turn("thanks", topics[1]))
    example = encoded(cutter, turns, opening_tokens=5)
    assert sum(example.is_answer) == 10
    assert cutter.decode(list(example.ids), skip_special_tokens=False).count(tokenizer.TURN_END) == 4


def test_most_chats_of_the_second_half_are_openings(cutter, made):
    whole, opened = (list(examples(cutter, iter(made[:300]), "a test", Mix(opening_chance=one))) for one in (0, 0.75))
    shorter = sum(len(two.ids) < len(one.ids) for one, two in zip(whole, opened, strict=True))
    assert 180 < shorter < 270


def test_the_longest_chats_fill_the_context_and_no_more(topics, cutter):
    mix = train.STAGES[-1][1]
    longest = Mix((max(mix.turns),), (1,))
    long_chats = chats(topics, Phrasings(topics), "a test", 40, longest)
    lengths = [len(one.ids) for one in examples(cutter, long_chats, "a test", longest)]
    assert 1500 < max(lengths) <= Shape(0).context_tokens


def test_a_system_message_comes_now_and_then(topics, cutter, made):
    started = [cutter.decode(list(one.ids[:3])) for one in examples(cutter, iter(made[:400]), "a test")]
    assert 10 < sum("system" in text for text in started) < 80


def test_batches_hold_like_lengths_and_lose_nothing():
    lengths = [Random(1).randint(10, 300) for _ in range(200)]
    rows = [Example((1,) * length, (True,) * length) for length in lengths]
    found = list(batches(rows, 1000, Random(2)))
    assert sorted(len(row.ids) for batch in found for row in batch) == sorted(lengths)
    assert all(len(batch) * max(len(row.ids) for row in batch) <= 1000 for batch in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is GGUF?", "gguf"),
        ("How do I load a model?", "load a model"),
        ("Q4_K_M vs Q5_K_M", "q5_k_m"),
        ("Why is the slider disabled?", "why is the slider disabled"),
    ],
)
def test_a_frame_changes_the_words_around_and_keeps_the_subject(text, expected):
    framed = {reframed(text, Random(seed)) for seed in range(60)}
    assert len(framed) > 8
    assert all(expected in one.lower() for one in framed)


def test_comparisons_turn_around():
    assert {"Q8_0 vs F16", "F16 vs Q8_0"} <= {reframed("Q8_0 vs F16", Random(seed)) for seed in range(500)}


def test_unknown_things_are_asked_for_too(topics):
    general = next(topic for topic in topics if topic.id == STRANGER_TOPIC)
    phrasings = Phrasings(topics)
    drawn = {phrasings.draw(general, Random(seed)) for seed in range(300)}
    assert len(drawn) > 200
    assert len({stranger(Random(seed)) for seed in range(100)}) > 50


@pytest.mark.parametrize(
    "change", [noise.mistyped, noise.recased, noise.repunctuated, noise.led, noise.trailed, noise.respelled]
)
def test_noise_changes_something_and_leaves_most(change):
    text = "Does the quant Q4_K_M need 8 GB of memory?"
    changed = {change(text, Random(seed)) for seed in range(40)}
    assert len(changed) > 1
    assert all(abs(len(one) - len(text)) < 25 for one in changed)


def test_a_slip_of_the_finger_spares_names_with_digits():
    slips = {noise.mistyped("explain Q4_K_M quickly", Random(seed)) for seed in range(50)}
    assert all("Q4_K_M" in one for one in slips)


def test_synonyms_leave_compound_names_alone():
    assert {noise.reworded("extra small I-quant", Random(seed)) for seed in range(20)} == {"extra small I-quant"}
