"""Tokenizers of every kind for tests, trained on a page of text and saved as models save them."""

import json
import random
import unicodedata
from functools import cache

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.implementations import BertWordPieceTokenizer

from carryon.convert.vocabularies.probes import TEXTS
from carryon.convert.vocabularies.splitting import DIGIT, GPT2
from carryon.convert.vocabularies.spm_model import read_piece_model

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
N_TOKENS = 900
SEED = 7
SPACE, FAIRSEQ = "▁", "sentencepiece.bpe.model"
GEMMA = {"add_dummy_prefix": False, "user_defined_symbols": ["\n", "\n\n", *(SPACE * n for n in range(2, 32))]}
PLAIN = {
    DIGIT: pre_tokenizers.Digits(individual_digits=True),
    GPT2: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
}


@cache
def corpus():
    """The probes and words drawn from them, so that merges exist wherever probes look."""
    chance = random.Random(SEED)
    words = [word for text in TEXTS for word in text.split()]
    drawn = [" ".join(chance.choices(words, k=12)) for _ in range(300)]
    # texts are composed, as those that models are trained on are
    return [unicodedata.normalize("NFC", text) for text in (*TEXTS * 6, *drawn) if text.strip()]


def write_json(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")


def save(folder, tokenizer, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", settings)
    return folder


def modernbert(folder):
    """ModernBERT's kind: GPT-2's cuts, composed text, and a token on each side."""
    byte_level(folder, nfc=True)
    first, last = CONTROL[0], CONTROL[2]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {last} $B {last}", special_tokens=[(first, 0), (last, 2)]
    )
    return save(folder, tokenizer, cls_token=first, sep_token=last, tokenizer_class="TokenizersBackend")


def byte_level(folder, regex=GPT2, *, bos=False, **more):
    """A byte-level BPE that cuts text by one rule."""
    return chain(folder, [regex], bos=bos, **more)


def chain(folder, rules, *, ignore_merges=False, bos=False, nfc=False, normalizer=None):
    """A byte-level BPE that cuts text by several rules, as convert.splitting names them."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Split(Regex(rule), "isolated") if rule not in PLAIN else PLAIN[rule] for rule in rules]
    if rules[-1] != GPT2:
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.normalizer = normalizers.NFC() if nfc else normalizer
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


def spm(folder, *, keeps_model=True, is_gemma=False, saves_json=True, metaspace=False):
    """SentencePiece pairs with byte fallback, as Llama 2 (newer: with `metaspace`) or Gemma have them."""
    piece_model(folder, **(GEMMA if is_gemma else {}))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}
    settings["tokenizer_class"] = "GemmaTokenizer" if is_gemma else "LlamaTokenizer"
    write_json(folder / "tokenizer_config.json", settings)
    if saves_json:
        save(folder, _pairs(pieces_of(folder), is_gemma, metaspace), **settings)
    if not keeps_model:
        (folder / "tokenizer.model").unlink()
    return folder


def pieces_of(folder, name="tokenizer.model"):
    """The model as the sentencepiece library runs it."""
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / name))


def _pairs(pieces, is_gemma, metaspace):
    """The fast tokenizer that transformers makes of a model of pairs (convert_slow_tokenizer)."""
    vocab = {pieces.id_to_piece(number): number for number in range(len(pieces))}
    scores = {text: pieces.get_score(number) for text, number in vocab.items() if not pieces.is_byte(number)}
    merges = _merges(vocab, scores)
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replaced = normalizers.Replace(" ", SPACE)
    if is_gemma:
        tokenizer.normalizer = replaced
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    elif metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), replaced])
    tokenizer.add_special_tokens(
        [AddedToken(text, normalized=False, special=True) for text in ("<unk>", "<s>", "</s>")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def _merges(vocab, scores):
    """All pairs that make a piece in transformers' order: the best piece, of equal ones the longest halves first."""
    pairs = [
        (score, cut, len(text) - cut, (text[:cut], text[cut:]))
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in vocab and text[cut:] in vocab
    ]
    return [pair for *_, pair in sorted(pairs, key=lambda one: one[:3], reverse=True)]


def unigram(folder, *, saves_json=True):
    """XLM-R's kind: unigram pieces behind a table of characters, its first ids in fairseq's order."""
    usual = {"byte_fallback": False, "normalization_rule_name": "nmt_nfkc", "remove_extra_whitespaces": True}
    piece_model(folder, FAIRSEQ, algorithm="unigram", **usual)
    settings = {"tokenizer_class": "XLMRobertaTokenizer"}
    write_json(folder / "tokenizer_config.json", settings)
    if saves_json:
        charsmap = read_piece_model(folder / FAIRSEQ).charsmap
        save(folder, _likeliest(pieces_of(folder, FAIRSEQ), charsmap), **settings)
        (folder / FAIRSEQ).rename(folder / "kept")
    return folder


def _likeliest(pieces, charsmap):
    """XLM-R's fast tokenizer (convert_slow_tokenizer, XLMRobertaConverter)."""
    start = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    rest = [(pieces.id_to_piece(number), pieces.get_score(number)) for number in range(3, len(pieces))]
    tokenizer = Tokenizer(models.Unigram([*start, *rest, ("<mask>", 0.0)], unk_id=3))
    tokenizer.normalizer = normalizers.Precompiled(charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(SPACE, "always")]
    )
    tokenizer.add_special_tokens([text for text, _ in start] + ["<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def wordpiece(folder, *, lowercase=True, saves_json=True):
    """BERT's kind."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(lowercase=lowercase)
    tokenizer.train_from_iterator(corpus(), vocab_size=N_TOKENS, show_progress=False)
    ends = [("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    names = {name: f"[{name[:-6].upper()}]" for name in ("cls_token", "sep_token", "unk_token", "pad_token")}
    save(folder, tokenizer, tokenizer_class="BertTokenizer", do_lower_case=lowercase, **names)
    if not saves_json:
        (folder / "tokenizer.json").unlink()
        tokenizer.save_model(str(folder))
    return folder
