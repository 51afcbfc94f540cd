"""Training learns, can be interrupted, and writes a model that others read as the Llama it is."""

import argparse
import json

import pytest
import torch

from guide import export, tokenizer, train
from guide.conversations import Turn
from guide.network import Guide, Shape
from guide.questions import Topic
from guide.scoring import answered, held_out_by_keywords, trained_exactly

pytestmark = pytest.mark.slow
SMALL = {"hidden": 64, "feed_forward": 128, "layers": 2, "heads": 2, "kv_heads": 1}


@pytest.fixture(autouse=True)
def one_thread():
    """Tensors this small are slower in two threads, far slower where the cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def topic(word, answer):
    asks = (f"What is {word}?", f"explain {word}", f"{word}", f"tell me about {word}", f"why {word}")
    return Topic(word, answer, (answer.split()[-1],), asks, (f"say something about {word}",))


TOPICS = (topic("red", "A colour of roses"), topic("seven", "A number of days"), topic("oak", "A tree in forests"))


@pytest.fixture(scope="module")
def cutter():
    return tokenizer.learned(tokenizer.learning_texts(TOPICS), 300)


def new_network(cutter):
    torch.manual_seed(1)
    return Guide(Shape(cutter.get_vocab_size(), **SMALL))


def options(work, steps, resume=False):
    return argparse.Namespace(work=work, steps=steps, batch_tokens=400, seed=1, resume=resume)


def test_a_small_network_learns_its_topics(cutter, tmp_path):
    network = new_network(cutter)
    train.train(network, cutter, TOPICS, options(tmp_path, 400))
    assert trained_exactly(network, cutter, TOPICS).right == 1
    assert held_out_by_keywords(network, cutter, TOPICS).right >= 2 / 3


def test_an_untrained_network_scores_nothing(cutter):
    score = trained_exactly(new_network(cutter), cutter, TOPICS)
    assert score.right == 0
    assert {miss[0] for miss in score.misses} == {"red", "seven", "oak"}


def test_every_question_is_answered_once(cutter):
    turns = [Turn(ask, one) for one in TOPICS for ask in one.asks]
    assert {turn for turn, _ in answered(new_network(cutter), cutter, turns)} == set(turns)


def test_a_resumed_run_ends_with_the_same_weights(cutter, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_KEEP_STEPS", 7)
    whole = new_network(cutter)
    train.train(whole, cutter, TOPICS, options(tmp_path, 10))
    resumed = new_network(cutter)
    train.train(resumed, cutter, TOPICS, options(tmp_path, 10, resume=True))
    assert all(torch.equal(one, two) for one, two in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_the_rate_rises_and_falls_to_five_percent():
    rates = [train.rate_at(step, 1000) for step in range(1, 1001)]
    assert rates.index(max(rates)) == 59
    assert rates[-1] == pytest.approx(max(rates) * 0.05)


def test_transformers_reads_the_written_folder_as_the_same_network(cutter, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = new_network(cutter)
    export.write(network, cutter, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.tensor([AutoTokenizer.from_pretrained(tmp_path)("What is an oak?")["input_ids"]])
    ours = network(ids, torch.arange(ids.shape[1]))
    # bfloat16 keeps 8 bits of each weight
    torch.testing.assert_close(theirs(ids).logits[0], ours, rtol=0.05, atol=0.005)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "llama"
