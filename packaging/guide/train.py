"""Trains the guide and writes it as a Hugging Face folder: `python -m guide.train` in packaging/."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

from guide import export, tokenizer
from guide.conversations import Example, Mix, batches, chats, examples
from guide.network import Guide, Shape
from guide.pack import pack
from guide.phrasing import Phrasings
from guide.questions import Topic, load, problems
from guide.scoring import Score, as_tensors, held_out_by_keywords, trained_exactly

_PEAK_RATE, _LAST_RATE_SHARE, _WARM_UP_STEPS = 1.5e-3, 0.05, 60
_POOL = 1024  # chats made at once, so that a batch finds others of its length
# From pool 21 (about step 1,280) the answers are known by heart and only the choice among them is left to learn: an
# opening is enough for that, and twice as many questions fit into a step. The end is for chats that fill the context.
STAGES = (
    (0, Mix()),
    (21, Mix(opening_chance=0.75)),
    (74, Mix((1, 2, 3, 5, 9, 20, 28), (55, 20, 8, 5, 4, 5, 3), opening_chance=0.75)),
)
_REPORT_STEPS, _KEEP_STEPS = 50, 250


def main() -> None:
    """Checks the questions, trains, writes the folder and its GGUF, and scores what was learnt."""
    options = _options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    topics = load()
    if found := list(problems(topics)):
        raise SystemExit("\n".join(["The questions have problems:", *found]))
    cutter = tokenizer.learned(tokenizer.learning_texts(topics))
    network = Guide(Shape(cutter.get_vocab_size()))
    print(f"{len(topics)} topics, {network.parameters_total():,} parameters", flush=True)
    train(network, cutter, topics, options)
    export.write(network, cutter, options.out)
    pack(options.out)
    _tell("trained questions, exact", trained_exactly(network, cutter, topics))
    _tell("held-out questions, keywords", held_out_by_keywords(network, cutter, topics))


def train(network: Guide, cutter: Tokenizer, topics: tuple[Topic, ...], options: argparse.Namespace) -> None:
    """Runs the steps, keeps a checkpoint now and then, and goes on from one that is there."""
    optimizer = torch.optim.AdamW(_groups(network), lr=_PEAK_RATE, betas=(0.9, 0.98), fused=True)
    first = _resumed(network, optimizer, options)
    started, losses = time.monotonic(), []
    for step, batch in enumerate(_stream(cutter, topics, options), start=1):
        if step <= first:
            continue
        if step > options.steps:
            break
        losses.append(_learn(network, optimizer, batch, rate_at(step, options.steps)))
        if step % _REPORT_STEPS == 0:
            spent_s = time.monotonic() - started
            print(f"step {step}/{options.steps}  loss {sum(losses) / len(losses):.4f}  {spent_s:.0f} s", flush=True)
            losses.clear()
        if step % _KEEP_STEPS == 0:
            _keep(network, optimizer, step, options)


def rate_at(step: int, steps: int) -> float:
    """The learning rate: up over the warm-up, then straight down to 5 % of its peak."""
    if step < _WARM_UP_STEPS:
        return _PEAK_RATE * step / _WARM_UP_STEPS
    done = (step - _WARM_UP_STEPS) / max(1, steps - _WARM_UP_STEPS)
    return _PEAK_RATE * (1 - (1 - _LAST_RATE_SHARE) * done)


def _stream(cutter: Tokenizer, topics: tuple[Topic, ...], options: argparse.Namespace) -> Iterator[list[Example]]:
    """Batches without end; each pool has a seed of its own, so a resumed run sees what an unbroken one would have."""
    phrasings, pool = Phrasings(topics), 0
    while True:
        seed = f"{options.seed}-{pool}"
        mix = next(mix for first, mix in reversed(STAGES) if pool >= first)
        made = list(examples(cutter, chats(topics, phrasings, seed, _POOL, mix), seed, mix))
        yield from batches(made, options.batch_tokens, Random(seed))
        pool += 1


def _learn(network: Guide, optimizer: torch.optim.Optimizer, batch: list[Example], rate: float) -> float:
    ids, positions, targets = as_tensors(batch)
    loss = F.cross_entropy(network(ids, positions), targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def _groups(network: Guide) -> list[dict[str, object]]:
    """Matrices decay, norms do not."""
    matrices = [one for one in network.parameters() if one.ndim > 1]
    norms = [one for one in network.parameters() if one.ndim == 1]
    return [{"params": matrices, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]


def _keep(network: Guide, optimizer: torch.optim.Optimizer, step: int, options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    part = options.work / "checkpoint.part"
    torch.save({"step": step, "network": network.state_dict(), "optimizer": optimizer.state_dict()}, part)
    part.replace(options.work / "checkpoint.pt")


def _resumed(network: Guide, optimizer: torch.optim.Optimizer, options: argparse.Namespace) -> int:
    kept = options.work / "checkpoint.pt"
    if not options.resume or not kept.is_file():
        return 0
    state = torch.load(kept)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _tell(what: str, score: Score) -> None:
    print(f"{what}: {score.right:.1%}")
    for topic, question, said in score.misses:
        print(f"  {topic}: {question!r} -> {said[:80]!r}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=export.FOLDER, help="folder for the trained model")
    parser.add_argument("--work", type=Path, default=Path("build/guide"), help="folder for checkpoints")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return parser.parse_args()


if __name__ == "__main__":
    main()
