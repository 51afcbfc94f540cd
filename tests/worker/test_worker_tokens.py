"""The engine cuts text as the original tokenizer does, for every kind of tokenizer that can be converted."""

import json
from dataclasses import replace

import pytest
from fakes import tokenizers_made as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.config import Config
from carryon.convert.vocabularies.naming import functional_name
from carryon.convert.vocabularies.probes import TEXTS
from carryon.convert.vocabularies.splitting import GPT2, LLAMA3, NAMES, QWEN2
from carryon.convert.vocabularies.tokenizer import read_vocabulary
from carryon.convert.write import header_bytes
from carryon.worker import tokens

N_ROWS = 1300
# What this engine does otherwise for any model: vowel signs in the rules that its source writes without \p{M}, and
# the decomposing of lower-cased WordPiece, which knows neither Korean syllables nor which marks are accents.
VOWEL_SIGNS = {text for text in TEXTS if text.startswith(("नमस्ते", "สวัสดี", "বাংলা"))}
KOREAN = {text for text in TEXTS if text.startswith("한국어")}
LIMITS = {"tekken": VOWEL_SIGNS, "gpt-4o": VOWEL_SIGNS, "bert": VOWEL_SIGNS | KOREAN}

KINDS = {
    "spm": made.spm,
    "spm of today": lambda folder: made.spm(folder, metaspace=True),
    "spm without tokenizer.model": lambda folder: made.spm(folder, keeps_model=False),
    "spm without tokenizer.json": lambda folder: made.spm(folder, saves_json=False),
    "gemma": lambda folder: made.spm(folder, is_gemma=True),
    "gemma without tokenizer.json": lambda folder: made.spm(folder, is_gemma=True, saves_json=False),
    "gemma without tokenizer.model": lambda folder: made.spm(folder, is_gemma=True, keeps_model=False),
    "xlm-r": made.unigram,
    "xlm-r without tokenizer.json": lambda folder: made.unigram(folder, saves_json=False),
    "wordpiece": made.wordpiece,
    "wordpiece with capitals": lambda folder: made.wordpiece(folder, lowercase=False),
    "wordpiece without tokenizer.json": lambda folder: made.wordpiece(folder, saves_json=False),
    "qwen2 that composes": lambda folder: made.byte_level(folder, QWEN2, nfc=True),
    "modernbert": made.modernbert,
    "unigram of its own": lambda folder: made.piece_model(folder, algorithm="unigram", byte_fallback=False),
    "llama3 with bos": lambda folder: made.byte_level(folder, LLAMA3, ignore_merges=True, bos=True),
}
CHAINS = {f"{names[0]} by {len(cuts.rules)}, {cuts.ignore_merges}": cuts for cuts, names in NAMES.items()}


def written(path, vocabulary, name="made"):
    general = {"general.architecture": "llama", "general.name": name}
    path.write_bytes(header_bytes({**general, **vocabulary.settings()}, []))
    return path


def converted(folder):
    return written(folder / "words.gguf", read_vocabulary(folder, Config({}), N_ROWS))


def limits_of(folder):
    words = read_vocabulary(folder, Config({}), N_ROWS).words
    return LIMITS.get("bert" if words.strips_accents else words.splitting, set())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokenizer_comes_over(kind, tmp_path):
    folder = KINDS[kind](tmp_path / "model")
    assert set(tokens.compared(converted(folder), folder)) <= limits_of(folder)
    assert tokens.n_probes(folder) >= 60


@pytest.mark.parametrize("name", CHAINS)
def test_every_known_way_to_cut_is_cut_so_by_the_engine(name, tmp_path):
    cuts = CHAINS[name]
    folder = made.chain(tmp_path / "model", cuts.rules, ignore_merges=cuts.ignore_merges)
    assert set(tokens.compared(converted(folder), folder)) <= limits_of(folder)


@pytest.mark.parametrize(("kind", "offset"), [(made.spm, 0), (made.unigram, 1)])
def test_the_engine_agrees_with_sentencepiece_itself(kind, offset, tmp_path):
    folder = kind(tmp_path / "model", saves_json=False)
    pieces = made.pieces_of(folder, made.FAIRSEQ if offset else "tokenizer.model")
    with tokens._loaded(converted(folder)) as words:
        for text in TEXTS:
            # fairseq moves all pieces by one and gives the unknown one its own place
            expected = [number + offset if number else 3 * offset for number in pieces.encode(text)]
            assert words.tokens(text) == expected, text


LETTERS = st.characters(max_codepoint=0x24F, exclude_categories=("Cc", "Cf"))
PARTS = st.one_of(
    st.sampled_from([" ", "  ", "\n", "\r\n", "\t", "'s", "1", "23", "é", "漢字", "かな", "я", "🚀"]), LETTERS
)
RANDOM = st.lists(PARTS, max_size=25).map("".join)
FUZZED = {
    "gpt2": lambda folder: made.byte_level(folder, GPT2),
    "llama3": lambda folder: made.byte_level(folder, LLAMA3, ignore_merges=True),
    "qwen2": lambda folder: made.byte_level(folder, QWEN2),
    "spm": made.spm,
    "gemma": lambda folder: made.spm(folder, is_gemma=True),
    "xlm-r": made.unigram,
    "wordpiece": made.wordpiece,
}


@pytest.fixture(scope="module", params=FUZZED)
def both(request, tmp_path_factory):
    """The original and the engine's tokenizer of one model."""
    folder = FUZZED[request.param](tmp_path_factory.mktemp("fuzzed") / "model")
    with tokens._loaded(converted(folder)) as words:
        yield tokens.Original(folder), words


@given(RANDOM)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_text_becomes_the_same_tokens(both, text):
    original, words = both
    assert words.tokens(text, parse_special=True) == original.tokens(text)


def test_a_wrong_way_to_cut_is_seen(tmp_path):
    folder = made.byte_level(tmp_path / "model", QWEN2)
    vocabulary = read_vocabulary(folder, Config({}), N_ROWS)
    assert tokens.trial_of(folder)(vocabulary) == 0
    for name in ("gpt-2", "deepseek-llm"):
        wrong = written(folder / "wrong.gguf", with_cuts(vocabulary, name))
        assert tokens.compared(wrong, folder)
        assert tokens.trial_of(folder)(with_cuts(vocabulary, name)) == len(tokens.compared(wrong, folder))


def with_cuts(vocabulary, name):
    return replace(vocabulary, words=replace(vocabulary.words, splitting=name))


SPELLED_OTHERWISE = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.mark.slow  # tries 28 names
def test_cuts_that_no_table_knows_are_found_by_trial(tmp_path):
    folder = made.byte_level(tmp_path / "model", SPELLED_OTHERWISE)
    with pytest.raises(Unsupported, match="does not know yet"):
        read_vocabulary(folder, Config({}), N_ROWS)
    found = read_vocabulary(folder, Config({}), N_ROWS, tokens.trial_of(folder))
    assert found.words.splitting in ("smaug-bpe", "llama-bpe", "dbrx")
    assert "by trial" in found.warnings[0]
    assert tokens.compared(written(folder / "found.gguf", found), folder) == ()


@pytest.mark.slow
def test_cuts_that_llama_cpp_cannot_do_are_refused_with_the_nearest(tmp_path):
    folder = made.byte_level(tmp_path / "model", r"[\s\S]{1,2}")
    with pytest.raises(Unsupported, match="comes nearest"):
        read_vocabulary(folder, Config({}), N_ROWS, tokens.trial_of(folder))


def test_what_differs_is_told_in_a_sentence(tmp_path):
    folder = made.wordpiece(tmp_path / "model")
    (told,) = tokens.token_warnings(converted(folder), folder)
    assert told.startswith("3 of ")
    assert "'नमस्ते दुनिया, क्या हाल है'" in told
    right = made.byte_level(tmp_path / "right")
    assert tokens.token_warnings(converted(right), right) == ()


def test_a_tokenizer_that_came_over_wrong_is_refused(tmp_path):
    folder = made.byte_level(tmp_path / "model", QWEN2)
    with pytest.raises(Unsupported, match="did not come over"):
        tokens.token_warnings(converted(made.byte_level(tmp_path / "other")), folder)


def test_what_stands_around_a_text_is_compared_too(tmp_path):
    folder = made.byte_level(tmp_path / "model", bos=True)
    vocabulary = read_vocabulary(folder, Config({}), N_ROWS)
    assert tokens.compared(converted(folder), folder) == ()
    without = replace(vocabulary, special=replace(vocabulary.special, adds_bos=False))
    (differing,) = tokens.compared(written(folder / "without.gguf", without), folder)
    assert "around" in differing


def test_files_that_cannot_be_loaded_are_our_errors(tmp_path):
    folder = made.byte_level(tmp_path / "model")
    (tmp_path / "no.gguf").write_bytes(b"GGUF nonsense")
    with pytest.raises(BadFile, match=r"no\.gguf"):
        tokens.compared(tmp_path / "no.gguf", folder)
    whole = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    whole["model"]["merges"].append(["nothing", "known"])
    (folder / "tokenizer.json").write_text(json.dumps(whole), "utf-8")
    with pytest.raises(Unsupported, match="own tokenizer"):
        tokens.compared(tmp_path / "no.gguf", folder)


def test_a_vocabulary_that_the_engine_refuses_differs_in_everything(tmp_path):
    folder = made.byte_level(tmp_path / "model")
    vocabulary = read_vocabulary(folder, Config({}), N_ROWS)
    assert tokens.trial_of(folder)(with_cuts(vocabulary, "of-the-future")) > tokens.n_probes(folder)


@pytest.mark.parametrize(("strips", "is_swallowed"), [(("<|im_start|>", "<|im_end|>"), True), ((), False)])
def test_the_name_of_a_phi3_makes_space_after_special_tokens_vanish(strips, is_swallowed, tmp_path):
    folder = made.spm(tmp_path / "model")
    whole = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    texts = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    flags = {"single_word": False, "lstrip": False, "normalized": False, "special": True}
    first = len(whole["model"]["vocab"])
    whole["added_tokens"] += [
        {"id": first + place, "content": text, "rstrip": text in strips, **flags} for place, text in enumerate(texts)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(whole), "utf-8")
    vocabulary = read_vocabulary(folder, Config({}), N_ROWS)
    name = functional_name("My phi3 at home", vocabulary)
    assert ("phi3" in name) is is_swallowed
    file = written(folder / "named.gguf", vocabulary, name)
    assert tokens.compared(file, folder) == ()
    with tokens._loaded(file) as words:
        spaced, plain = (words.tokens(text, parse_special=True) for text in ("<|im_end|>\n a", "<|im_end|>a"))
    assert (spaced == plain) is is_swallowed
