"""Tokenizers that were saved without tokenizer.json, brought into its form."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.base.files import disk_errors
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.config import MAX_JSON_BYTES, read_json, read_optional_json
from carryon.convert.vocabularies.preparing import SPACE
from carryon.convert.vocabularies.special import token_text
from carryon.convert.vocabularies.splitting import QWEN2
from carryon.convert.vocabularies.spm_model import Algorithm, PieceModel, read_piece_model
from carryon.convert.vocabularies.unigram import checked_charsmap
from carryon.convert.vocabularies.vocabulary import Kind, Token

PIECES, FAIRSEQ_PIECES = ("tokenizer.model", "spiece.model"), "sentencepiece.bpe.model"
# fairseq's order of the first tokens, which XLM-R keeps: its pieces stand one place later than in the file.
FAIRSEQ_START = (Token("<s>", Kind.CONTROL), Token("<pad>", Kind.CONTROL), Token("</s>", Kind.CONTROL), Token("<unk>"))
MASK = Token("<mask>", Kind.CONTROL)
METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
TO_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
WORDPIECE = {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
CUTS_BY_CLASS = {  # how the tokenizers that need no tokenizer.json cut text, by their class
    "GPT2Tokenizer": TO_BYTES | {"use_regex": True},
    "Qwen2Tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False},
            TO_BYTES | {"use_regex": False},
        ],
    },
}

NAMES = "special_names"  # beside what tokenizer.json has: the special tokens that the file itself names

Json = dict[str, Any]
Special = tuple[str, int] | None  # the text and the id of a special token


def stand_in(folder: Path, settings: Mapping[str, Any]) -> Json:
    """What tokenizer.json would say; `settings` is tokenizer_config.json. Raises BadFile or Unsupported."""
    if (folder / FAIRSEQ_PIECES).is_file():
        return _fairseq(read_piece_model(folder / FAIRSEQ_PIECES), folder, settings)
    if (file := piece_file(folder)) is not None:
        return _from_pieces(read_piece_model(file), folder, settings)
    if (folder / "vocab.txt").is_file():
        return _wordpiece(folder, settings)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return _byte_level(folder, settings)
    raise Unsupported(f"{folder.name} has no tokenizer.json.", "Download that file from the model it was made from.")


def piece_file(folder: Path) -> Path | None:
    """The SentencePiece model of a folder, if it has one."""
    return next((folder / name for name in PIECES if (folder / name).is_file()), None)


def _from_pieces(model: PieceModel, folder: Path, settings: Mapping[str, Any]) -> Json:
    if model.space_is_suffix or model.algorithm not in (Algorithm.BPE, Algorithm.UNIGRAM):
        raise Unsupported("This model's tokenizer.model is of a kind that Carryon cannot convert.", DOWNLOAD_AGAIN)
    pieces, added = _overridden(model.pieces, folder, settings)
    is_t5 = "T5" in str(settings.get("tokenizer_class"))
    has_bos = settings.get("add_bos_token", not is_t5) is True
    has_eos = settings.get("add_eos_token", is_t5) is True
    bos, eos = (_special(settings, *one, pieces) for one in (("bos_token", model.bos), ("eos_token", model.eos)))
    whole = {
        "added_tokens": added,
        "post_processor": _template(bos if has_bos else None, eos if has_eos else None),
        NAMES: {name: one[0] for name, one in (("bos_token", bos), ("eos_token", eos)) if one},
    }
    return whole | (_unigram if model.algorithm is Algorithm.UNIGRAM else _pairs)(model, pieces)


def _pairs(model: PieceModel, pieces: Sequence[Token]) -> Json:
    unknown = next((piece.text for piece in pieces if piece.kind is Kind.UNKNOWN), None)
    vocab = {piece.text: number for number, piece in enumerate(pieces)}
    replaced: Json = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepended = [{"type": "Prepend", "prepend": SPACE}] if model.adds_space else []
    return {
        "model": {"type": "BPE", "byte_fallback": True, "unk_token": unknown, "vocab": vocab, "merges": []},
        "normalizer": {"type": "Sequence", "normalizers": [*prepended, replaced]},
    }


def _unigram(model: PieceModel, pieces: Sequence[Token]) -> Json:
    charsmap = base64.b64encode(checked_charsmap(model.charsmap, PIECES[0])).decode()
    unknown = next((number for number, piece in enumerate(pieces) if piece.kind is Kind.UNKNOWN), None)
    return {
        "model": {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": [[piece.text, piece.score] for piece in pieces],
            "byte_fallback": any(piece.kind is Kind.BYTE for piece in pieces),
        },
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap} if charsmap else None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                *([{"type": "WhitespaceSplit"}] if model.removes_extra_spaces else []),
                METASPACE | {"prepend_scheme": "always" if model.adds_space else "never"},
            ],
        },
    }


def _fairseq(model: PieceModel, folder: Path, settings: Mapping[str, Any]) -> Json:
    aligned = [*FAIRSEQ_START, *model.pieces[3:], MASK]
    aligned[3] = Token("<unk>", Kind.UNKNOWN)
    pieces, added = _overridden(aligned, folder, settings)
    start, end = ((aligned[number].text, number) for number in (0, 2))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
    whole = {"added_tokens": added, "post_processor": _template(start, end), NAMES: names}
    return whole | _unigram(model, pieces)


def _overridden(pieces: Sequence[Token], folder: Path, settings: Mapping[str, Any]) -> tuple[list[Token], list[Json]]:
    """The pieces with those replaced that the other files give another text, and all added tokens."""
    special = {Kind.CONTROL: True, Kind.USER_DEFINED: False}
    added: dict[int, Json] = {
        number: {
            "id": number,
            "content": piece.text,
            "special": special[piece.kind],
            "normalized": not special[piece.kind],  # SentencePiece cuts its own symbols out of prepared text
        }
        for number, piece in enumerate(pieces)
        if piece.kind in special
    }
    added |= {entry["id"]: entry for entry in _more_added(folder, settings)}
    replaced = [
        Token(added[number]["content"], piece.kind, piece.score) if number in added else piece
        for number, piece in enumerate(pieces)
    ]
    return replaced, [added[number] for number in sorted(added)]


def _more_added(folder: Path, settings: Mapping[str, Any]) -> Iterator[Json]:
    """added_tokens.json, then the newer list in tokenizer_config.json, which wins."""
    older = read_optional_json(folder / "added_tokens.json")
    yield from (_entry(number, text, {}) for text, number in older.items())
    newer = settings.get("added_tokens_decoder") or {}
    if not isinstance(newer, dict):
        raise _damaged("tokenizer_config.json")
    yield from (_entry(number, token_text(value), value) for number, value in newer.items())


def _entry(number: Any, text: str | None, flags: Any) -> Json:
    is_number = isinstance(number, int) or (isinstance(number, str) and number.isascii() and number.isdecimal())
    if not is_number or not isinstance(text, str) or not isinstance(flags, dict) or len(str(number)) > 9:
        raise _damaged("tokenizer_config.json")
    return {**flags, "id": int(number), "content": text}


def _wordpiece(folder: Path, settings: Mapping[str, Any]) -> Json:
    lines = _text(folder / "vocab.txt").split("\n")
    vocab = {line.rstrip("\r"): number for number, line in enumerate(lines) if line or number < len(lines) - 1}
    texts = {
        name: token_text(settings.get(f"{name}_token")) or f"[{name.upper()}]"
        for name in ("unk", "cls", "sep", "pad", "mask")
    }
    added = [{"id": vocab[text], "content": text, "special": True} for text in texts.values() if text in vocab]
    ends = ((texts[name], vocab[texts[name]]) if texts[name] in vocab else None for name in ("cls", "sep"))
    lowercases = settings.get("do_lower_case", True) is True
    return {
        "added_tokens": added,
        "model": {"type": "WordPiece", "unk_token": texts["unk"], "vocab": vocab, **WORDPIECE},
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "lowercase": lowercases,
            "strip_accents": settings.get("strip_accents"),
            "handle_chinese_chars": settings.get("tokenize_chinese_chars", True) is True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _template(*ends),
        NAMES: {f"{name}_token": text for name, text in texts.items()},
    }


def _byte_level(folder: Path, settings: Mapping[str, Any]) -> Json:
    kind = str(settings.get("tokenizer_class")).removesuffix("Fast")
    if kind not in CUTS_BY_CLASS:
        raise Unsupported(
            f"{folder.name} has no tokenizer.json.", "Download that file from the model it was made from."
        )
    lines = _text(folder / "merges.txt").splitlines()
    merges = [line for line in lines if line and not line.startswith("#version")]
    model = {"type": "BPE", "vocab": read_json(folder / "vocab.json"), "merges": merges}
    added = {entry["id"]: entry for entry in _more_added(folder, settings)}
    return {"model": model, "added_tokens": list(added.values()), "pre_tokenizer": CUTS_BY_CLASS[kind]}


def _special(settings: Mapping[str, Any], name: str, number: int, pieces: Sequence[Token]) -> Special:
    """A special token's text and id: the one that the settings name, else the model file's own."""
    texts = {piece.text: place for place, piece in enumerate(pieces)}
    text = token_text(settings.get(name)) or (pieces[number].text if number >= 0 else None)
    return (text, texts[text]) if text in texts and text is not None else None


def _template(start: Special, end: Special) -> Json:
    """A post-processor that puts these tokens around a text; the end stands between the texts of a pair as well."""
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    tokens = {text: {"id": text, "ids": [number], "tokens": [text]} for text, number in filter(None, (start, end))}
    return {
        "type": "TemplateProcessing",
        "single": [*_part(start), first, *_part(end)],
        "pair": [*_part(start), first, *_part(end), second, *_part(end)],
        "special_tokens": tokens,
    }


def _part(token: Special) -> list[Json]:
    return [{"SpecialToken": {"id": token[0], "type_id": 0}}] if token else []


def _text(path: Path) -> str:
    with disk_errors(path):
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadFile(f"{path.name} is far too large.", DOWNLOAD_AGAIN)
        content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _damaged(path.name) from error


def _damaged(name: str) -> BadFile:
    return BadFile(f"{name} is damaged.", DOWNLOAD_AGAIN)
