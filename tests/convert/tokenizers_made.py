"""Tokenizers of every kind for tests, trained on a page of text and saved as models save them."""

import json
import random
import unicodedata
from functools import cache
from pathlib import Path

import sentencepiece
from model_folders import CONFIG, write_json
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.implementations import BertWordPieceTokenizer

from carryon.convert.probes import TEXTS

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
N_TOKENS = 900
SEED = 7


@cache
def corpus():
    """The probes and words drawn from them, so that merges exist wherever probes look."""
    chance = random.Random(SEED)
    words = [word for text in TEXTS for word in text.split()]
    drawn = [" ".join(chance.choices(words, k=12)) for _ in range(300)]
    # texts are composed, as those that models are trained on are
    return [unicodedata.normalize("NFC", text) for text in (*TEXTS * 6, *drawn) if text.strip()]


def save(folder, tokenizer, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", settings)
    return folder


def byte_level(folder, regex=None, *, digits=False, ignore_merges=False, bos=False, nfc=False, splits=None):
    """A byte-level BPE; cut by GPT-2's own rule without a `regex`, by `splits` if given."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    steps += [pre_tokenizers.Split(Regex(one), "isolated") for one in (splits or ([regex] if regex else []))]
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not (regex or splits)))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=N_TOKENS, special_tokens=CONTROL, show_progress=False, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    if bos:
        single = f"{CONTROL[0]} $A"
        tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=[(CONTROL[0], 0)])
    return save(folder, tokenizer, bos_token=CONTROL[0], eos_token=CONTROL[2], tokenizer_class="TokenizersBackend")


def piece_model(folder, name="tokenizer.model", *, algorithm="bpe", **more):
    """A tokenizer.model as the sentencepiece library trains it."""
    folder.mkdir(parents=True, exist_ok=True)
    text, prefix = folder / "corpus.txt", folder / "trained"
    text.write_text("\n".join(corpus()), "utf-8")
    usual = {"byte_fallback": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(prefix), vocab_size=N_TOKENS, model_type=algorithm, minloglevel=2,
        character_coverage=0.99, num_threads=1, hard_vocab_limit=False, **{**usual, **more},
    )  # fmt: skip
    prefix.with_suffix(".model").rename(folder / name)
    text.unlink()
    prefix.with_suffix(".vocab").unlink()
    return folder


def spm(folder, *, keeps_model=True, is_gemma=False, saves_json=True):
    """SentencePiece pairs with byte fallback, as Llama 2 or Gemma have them; saved through transformers."""
    piece_model(folder, **({"add_dummy_prefix": False} if is_gemma else {}))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", **settings})
    if saves_json:
        from transformers import GemmaTokenizer, LlamaTokenizer

        kept = (folder / "tokenizer.model").read_bytes()
        (GemmaTokenizer if is_gemma else LlamaTokenizer).from_pretrained(folder).save_pretrained(folder)
        (folder / "tokenizer.model").write_bytes(kept)
    if not keeps_model:
        (folder / "tokenizer.model").unlink()
    return folder


def unigram(folder, *, saves_json=True):
    """XLM-R's kind: unigram pieces behind a table of characters, its first ids in fairseq's order."""
    name = "sentencepiece.bpe.model"
    usual = {"byte_fallback": False, "normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True}
    piece_model(folder, name, algorithm="unigram", **usual)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"})
    if saves_json:
        from transformers import XLMRobertaTokenizer

        kept = (folder / name).read_bytes()
        XLMRobertaTokenizer.from_pretrained(folder).save_pretrained(folder)
        (folder / name).unlink(missing_ok=True)
        (folder / "kept").write_bytes(kept)
    return folder


def wordpiece(folder, *, lowercase=True, saves_json=True):
    """BERT's kind."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(lowercase=lowercase)
    tokenizer.train_from_iterator(corpus(), vocab_size=N_TOKENS, show_progress=False)
    tokenizer.save_model(str(folder))
    from transformers import BertTokenizerFast

    fast = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=lowercase)
    fast.save_pretrained(folder)
    if not saves_json:
        (folder / "tokenizer.json").unlink()
    tokenizer.save_model(str(folder))
    return folder


def n_rows(folder):
    return N_TOKENS + 300


def config():
    return {key: value for key, value in CONFIG.items() if "token" not in key}


def content(folder: Path):
    return json.loads((folder / "tokenizer.json").read_text("utf-8"))
