"""The converted model is the same model: logits and tokens in llama.cpp against transformers and tokenizers."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from model_folders import CONTROL
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from carryon.base.jobs import Done, drive
from carryon.convert.forms import OutType
from carryon.convert.run import convert
from carryon.convert.vocabularies.splitting import GPT2, LLAMA3, QWEN2, TEKKEN

pytestmark = pytest.mark.slow

N_VOCAB = 1024
N_IDS = 96  # longer than the original context of the stretched models below
SPACE = "▁"
TEXTS = [
    "Hello world",
    "tabs\tand\nnew\n\nlines  \r\n",
    "3 33 333 3333 12345.678",
    "I've been 'told he's there, you'll see. DON'T!",
    "def f(x):\n    return x ** 2  # ok",
    "Grüße, façade – “quotes”",
    "日本語のテキスト と 中文",
    "🚀🎉 emoji 👩‍👩‍👧",
    "a<|im_start|>user\nhi<|im_end|>\n",
    "the <tool>call</tool> of tools",
    "",
]
# max_abs <= 2e-4 of the logits' spread and a divergence of 1e-9: what rounding alone leaves (see the table of families
# measured when these gates were set); a wrong permutation, scale or norm is thousands of times larger.
MAX_ERROR_OF_SPREAD, MAX_DIVERGENCE = 2e-4, 1e-9


@dataclass(frozen=True)
class Case:
    """A tiny model: what differs from the usual config, and how its tokenizer works."""

    changes: dict = field(default_factory=dict)
    regex: str = LLAMA3
    ignore_merges: bool = False
    puts_bos: bool = False
    style: str = "bytes"
    family: str = "Llama"
    n_shards: int = 1


def rope(kind, base=10_000.0, **more):
    return {"rope_parameters": {"rope_theta": base, "rope_type": kind, **more}}


LLAMA3_SCALING = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"factor": 4.0, "original_max_position_embeddings": 32}
CASES = {
    "llama3, tied": Case(
        {"tie_word_embeddings": True, **rope("llama3", 500_000.0, **LLAMA3_SCALING)}, ignore_merges=True, puts_bos=True
    ),
    "biases, heads of 48": Case({"attention_bias": True, "mlp_bias": True, "head_dim": 48}),
    "falcon3, wide heads": Case({"head_dim": 64, **rope("default", 1_000_042.0)}, ignore_merges=True),
    "smollm2, no grouping": Case({"num_key_value_heads": 4, "tie_word_embeddings": True}, style="digits"),
    "mistral, in shards": Case(
        {"head_dim": 64, "sliding_window": None}, TEKKEN, True, puts_bos=True, family="Mistral", n_shards=3
    ),
    "linear": Case(rope("linear", factor=4.0), QWEN2),
    "yarn": Case(rope("yarn", **YARN, beta_fast=32.0, beta_slow=1.0, attention_factor=1.3), GPT2),
    "sentencepiece": Case(style="sentencepiece", puts_bos=True),
}
SMALL = {
    "vocab_size": N_VOCAB,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


@dataclass(frozen=True)
class Model:
    """One converted case: the original's answers beside the engine's."""

    logits: np.ndarray
    engine_logits: np.ndarray
    tokens: list
    engine_tokens: list
    around: list
    engine_around: list


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(", ", "-").replace(" ", "_"))
def model(request, tmp_path_factory):
    case, folder = CASES[request.param], tmp_path_factory.mktemp("parity")
    network, tokenizer = build(case, folder / "hf")
    outcome = drive(convert(folder / "hf", folder / "m.gguf", OutType.F32), lambda _: None, lambda: False)
    assert isinstance(outcome, Done), outcome
    assert not outcome.result.warnings
    ids = [int(one) for one in np.random.default_rng(1).integers(10, 900, N_IDS)]
    answers = ask_engine(folder, ids)
    return Model(
        logits_of(network, ids),
        answers["logits"][:, :N_VOCAB],
        [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS],
        json.loads(str(answers["tokens"])),
        tokenizer.encode("a").ids,
        json.loads(str(answers["around"])),
    )


def test_logits_are_equal(model):
    error = np.abs(model.logits - model.engine_logits).max()
    assert error <= MAX_ERROR_OF_SPREAD * model.logits.std()
    assert divergence(model.logits, model.engine_logits) <= MAX_DIVERGENCE
    assert (model.logits.argmax(-1) == model.engine_logits.argmax(-1)).all()


def test_texts_become_the_same_tokens(model):
    assert dict(zip(TEXTS, model.engine_tokens, strict=True)) == dict(zip(TEXTS, model.tokens, strict=True))


def test_the_same_tokens_are_put_around_a_text(model):
    assert model.engine_around == model.around


def build(case, folder):
    """A random model and a trained tokenizer, saved by transformers. Every norm and bias differs from its default."""
    import torch
    import transformers

    torch.set_num_threads(2)
    config = getattr(transformers, f"{case.family}Config")(**SMALL | case.changes, attn_implementation="eager")
    torch.manual_seed(0)
    network = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, values in network.named_parameters():
            values.copy_(_random(torch, name, values.shape))
    size_bytes = sum(values.numel() * 4 for values in network.state_dict().values())
    network.save_pretrained(folder, max_shard_size=size_bytes // case.n_shards + 1)
    assert len(list(folder.glob("*.safetensors"))) >= case.n_shards
    tokenizer = trained(case)
    named = {"bos_token": CONTROL[0], "eos_token": CONTROL[2]}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    return network, Tokenizer.from_file(str(folder / "tokenizer.json"))


def _random(torch, name, shape):
    values = torch.randn(shape)
    if name.endswith("norm.weight"):
        return 1 + 0.2 * values
    if name.endswith("bias"):
        return 0.1 * values
    return values * (0.5 if "embed" in name else 1.2 / shape[-1] ** 0.5)


def trained(case):
    tokenizer = STYLES[case.style](case)
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False)])
    if case.puts_bos:
        bos = CONTROL[0]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 0)])
    return tokenizer


def _byte_level(case):
    split = pre_tokenizers.Split(Regex(case.regex), "isolated")
    return _trained_bytes(case, split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))


def _digits(case):
    return _trained_bytes(case, pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False))


def _trained_bytes(case, *steps):
    tokenizer = Tokenizer(models.BPE(ignore_merges=case.ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(steps))
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return _train(tokenizer, CONTROL, initial_alphabet=alphabet)


def _sentencepiece(case):
    """As transformers writes SentencePiece models: bytes as tokens, and every split of a token as a merge."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "always", split=True)
    _train(tokenizer, [*CONTROL, "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))])
    whole = json.loads(tokenizer.to_str())
    vocabulary = whole["model"]["vocab"]
    whole["model"]["merges"] = [
        [text[:cut], text[cut:]]
        for text in sorted(vocabulary, key=vocabulary.__getitem__)
        for cut in range(1, len(text))
        if text[:cut] in vocabulary and text[cut:] in vocabulary and not text.startswith("<")
    ]
    whole["pre_tokenizer"] = None
    whole["normalizer"] = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        ],
    }
    whole["added_tokens"] = [one for one in whole["added_tokens"] if not one["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(whole))


STYLES = {"bytes": _byte_level, "digits": _digits, "sentencepiece": _sentencepiece}


def _train(tokenizer, special, **more):
    lines = [line for path in sorted(Path(json.__file__).parent.parent.glob("*.py"))[:12] for line in _lines(path)]
    trainer = trainers.BpeTrainer(vocab_size=N_VOCAB - 24, special_tokens=special, show_progress=False, **more)
    tokenizer.train_from_iterator(lines + TEXTS * 20, trainer)
    return tokenizer


def _lines(path):
    return path.read_text("utf-8", "ignore").splitlines()


def logits_of(network, ids):
    import torch

    with torch.no_grad():
        return network.double()(torch.tensor([ids])).logits[0].numpy()


def ask_engine(folder, ids):
    """The engine in a child of its own, as everywhere else."""
    (folder / "q.json").write_text(json.dumps({"ids": ids, "texts": TEXTS}), encoding="utf-8")
    script = Path(__file__).with_name("engine_answers.py")
    files = [str(folder / name) for name in ("m.gguf", "q.json", "a.npz")]
    subprocess.run([sys.executable, str(script), *files], check=True, timeout=120)
    return np.load(folder / "a.npz")


def divergence(logits, others):
    """Mean Kullback-Leibler divergence over the positions, in nats."""
    ours, theirs = _log_softmax(logits), _log_softmax(others.astype(np.float64))
    return float((np.exp(ours) * (ours - theirs)).sum(-1).mean())


def _log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
