"""Short texts on which two tokenizers differ if they differ at all, and which of them a comparison may use."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from carryon.convert.vocabularies.entries import Added, added_tokens
from carryon.convert.vocabularies.preparing import SPACE, steps

# Each stands for a rule by which tokenizers cut or prepare text.
TEXTS = (
    "",
    "a",
    "Hello world",
    "Hello, World! How are you?",
    " leading space",
    "  two leading spaces",
    "trailing space ",
    "many     spaces   between",
    "a" + " " * 40 + "b",
    "tabs\tand\t\ttabs",
    "lines\nand\n\nmore\n\n\n",
    "\n",
    "\n\nafter two lines",
    "windows\r\nlines\r\n\r\n",
    " \n \n\t\n x",
    "a \n b",
    "no-break\u00a0space and\u2003wide\u3000ones",
    "1",
    "12 345 6789",
    "3 33 333 3333 33333 333333 3333333",
    "12345678901234567890",
    "1,234,567.89 and -0.5e-10",
    "a1b22c333d4444",
    "x² + y³ = ½ Ⅳ ٣٤٥ १२३",
    "I've you're we'll they'd it's I'm don't",
    "I'VE YOU'RE WE'LL THEY'D IT'S I'M DON'T 'RE",
    "'tis 'twas O'Neill rock'n'roll ''quoted''",
    "it’s “curly” – and — dashes…",
    "CamelCase and snake_case and SCREAMING_CASE and kebab-case",
    "HTTPServer XMLHttpRequest iPhone McDonald",
    "ǅungla ʰmodifier ªº",
    "def f(x):\n    return x ** 2  # ok",
    "for (int i = 0; i < n; ++i) {\n\tprintf(\"%d\\n\", i);\n}",
    '{"key": ["value", 1.5, null], "other": {}}',
    "<div class=\"a\">&amp;</div><!-- no -->",
    "SELECT * FROM t WHERE a >= 10 AND b != 'x';",
    "#!/bin/sh\necho \"$HOME\" | sed 's/a/b/g' > /dev/null 2>&1",
    "https://example.org/a/b?c=d&e=f#g user@example.org",
    "C:\\Windows\\System32\\drivers\\etc",
    "$100 €50 £20 ¥5 +49 (0) 30 100%",
    "!!! ??? ... ,,, ;;; ::: --- === ### ***",
    "a.b,c;d:e!f?g(h)i[j]k{l}m",
    "math: ∑∫√∞≈≠≤≥ → ← ↑ ↓",
    "Grüße aus Köln, façade, naïve, Ångström, Straße",
    "Grüße, façade",
    "Zażółć gęślą jaźń",
    "Привет, как дела? Ёлка",
    "Καλημέρα κόσμε",
    "שלום עולם",
    "السلام عليكم ورحمة الله",
    "नमस्ते दुनिया, क्या हाल है",
    "สวัสดีชาวโลก",
    "বাংলা ভাষা தமிழ்",
    "日本語のテキスト と カタカナ、漢字。",
    "中文文本，没有空格。你好！",
    "한국어 텍스트 안녕하세요",
    "mixed中文and英文123混合",
    "🚀🎉 emoji",
    "👩‍👩‍👧 family 👍🏽 skin 🇩🇪 flag",
    "zero\u200bwidth and \ufeff mark and soft\u00adhyphen",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎",
    "ＦＵＬＬ ｗｉｄｔｈ ﬁ ligature ①",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ÀÉÎÕÜ ABC abc ABCdef",
    "a\u0301 e\u0308 combining",
    "\u0001 control \u007f characters",
)  # fmt: skip
WORDS_TRIED = 96  # so many of the vocabulary's own words are probed too: they show merges that differ
LONGEST_WORD = 60
SPECIAL_TRIED = 6


def probes_of(tokenizer: dict[str, Any]) -> tuple[str, ...]:
    """The texts that llama.cpp and a tokenizer.json must cut alike.

    Left out is what llama.cpp is known not to do for any model, and which no setting changes: it does not compose
    text (NFC), and after a special token it puts the space again that SentencePiece puts before a text.
    """
    whole = (*TEXTS, *_words(tokenizer), *_with_special(tokenizer))
    return tuple(dict.fromkeys(_fair(text, tokenizer) for text in whole))


def _fair(text: str, tokenizer: dict[str, Any]) -> str:
    composes = any(_type(step) in ("NFC", "NFKC") for step in steps(tokenizer.get("normalizer"), "normalizers"))
    text = unicodedata.normalize("NFC", text) if composes else text
    # tokenizers does not double a space that is there, SentencePiece itself and llama.cpp do
    return text.lstrip(" ") if _spares_first_space(tokenizer) else text


def _spares_first_space(tokenizer: dict[str, Any]) -> bool:
    return any(_type(step) == "Metaspace" for step in steps(tokenizer.get("pre_tokenizer"), "pretokenizers"))


def _words(tokenizer: dict[str, Any]) -> Iterator[str]:
    """Words spread over the whole vocabulary, most of them made by the last merges."""
    vocab = tokenizer["model"]["vocab"]
    texts = [text for text, _ in vocab] if isinstance(vocab, list) else list(vocab)
    step = max(1, len(texts) // WORDS_TRIED)
    for text in texts[::-step][:WORDS_TRIED]:
        spelled = text.replace("Ġ", " ").replace(SPACE, " ").replace("Ċ", "\n").removeprefix("##")
        if len(spelled) <= LONGEST_WORD and spelled.isascii() and "<" not in spelled and "[" not in spelled:
            yield spelled


def _with_special(tokenizer: dict[str, Any]) -> Iterator[str]:
    """Special tokens inside of text; those that take white space with them only where the engine can know it."""
    plain = [token for token in added_tokens(tokenizer) if not (token.strips_before or token.strips_after)]
    chosen = _spread(plain)
    puts_space = _spares_first_space(tokenizer)
    for text in (token.text.replace(SPACE, " ") for token in chosen):  # llama.cpp looks for these as they are typed
        yield text
        yield f"Hello{text}" if puts_space else f"Hello{text}world\n{text}"


def _spread(tokens: Sequence[Added]) -> list[Added]:
    return [*tokens[:SPECIAL_TRIED], *tokens[SPECIAL_TRIED:][-SPECIAL_TRIED:]]


def _type(step: Any) -> Any:
    return step.get("type") if isinstance(step, dict) else None
