"""How well a network answers: exactly as taught, and with the right answer to questions it never saw."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from guide.conversations import Example, Turn, encoded
from guide.network import Guide
from guide.questions import Topic
from guide.tokenizer import TURN_END

_Judge = Callable[[Topic, str], bool]
_ROWS = 48
_LONGEST_ANSWER_TOKENS = 110


@dataclass(frozen=True)
class Score:
    """Shares between 0 and 1, and the questions that went wrong with what was said instead."""

    right: float
    misses: tuple[tuple[str, str, str], ...]  # topic, question, answer given


def trained_exactly(network: Guide, tokenizer: Tokenizer, topics: Iterable[Topic]) -> Score:
    """The first phrasing of every topic: is the greedy answer the taught one, letter for letter?"""
    turns = [Turn(one.asks[0], one) for one in topics]
    return _score(network, tokenizer, turns, lambda topic, said: said == topic.answer)


def held_out_by_keywords(network: Guide, tokenizer: Tokenizer, topics: Iterable[Topic]) -> Score:
    """Every phrasing kept from training: does the greedy answer hold all keywords?"""
    turns = [Turn(text, one) for one in topics for text in one.held_out]
    return _score(network, tokenizer, turns, Topic.is_proven_by)


def _score(network: Guide, tokenizer: Tokenizer, turns: list[Turn], is_right: _Judge) -> Score:
    misses = []
    for turn, said in answered(network, tokenizer, turns):
        if not is_right(turn.topic, said):
            misses.append((turn.topic.id, turn.question, said))
    return Score(1 - len(misses) / len(turns), tuple(misses))


@torch.inference_mode()
def answered(network: Guide, tokenizer: Tokenizer, turns: list[Turn]) -> Iterator[tuple[Turn, str]]:
    """Each question with its greedy answer: one pass finds those that come as taught, only the others are decoded."""
    turns = sorted(turns, key=lambda one: len(one.topic.answer))
    for start in range(0, len(turns), _ROWS):
        rows = turns[start : start + _ROWS]
        taught = _says_as_taught(network, [encoded(tokenizer, (one,)) for one in rows])
        for turn, as_taught in zip(rows, taught, strict=True):
            yield turn, turn.topic.answer if as_taught else greedy(network, tokenizer, turn.question)


@torch.inference_mode()
def greedy(network: Guide, tokenizer: Tokenizer, question: str) -> str:
    """The most likely answer, token by token; slow and plain."""
    prompt = tokenizer.encode(f"<|im_start|>user\n{question.strip()}<|im_end|>\n<|im_start|>assistant\n").ids
    ids, end = list(prompt), tokenizer.token_to_id(TURN_END)
    for _ in range(_LONGEST_ANSWER_TOKENS):
        logits = network(torch.tensor([ids]), torch.tensor([len(ids) - 1]))
        if (token := int(logits.argmax())) == end:
            break
        ids.append(token)
    return str(tokenizer.decode(ids[len(prompt) :], skip_special_tokens=False))


def as_tensors(rows: list[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids padded on the right, flat positions that are to predict an answer token, the tokens they must predict)."""
    width = max(len(one.ids) for one in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    learn = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, one in enumerate(rows):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        learn[row, : len(one.ids)] = torch.tensor(one.is_answer)
    wanted = learn.flatten().nonzero().squeeze(1)
    return ids, wanted - 1, ids.flatten()[wanted]


def _says_as_taught(network: Guide, rows: list[Example]) -> list[bool]:
    ids, positions, targets = as_tensors(rows)
    wrong = positions[network(ids, positions).argmax(-1) != targets]
    failed = set((wrong // ids.shape[1]).tolist())
    return [row not in failed for row in range(len(rows))]
