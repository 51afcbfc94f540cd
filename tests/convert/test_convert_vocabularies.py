"""SentencePiece, unigram and WordPiece vocabularies, from whichever files a folder has."""

import base64
import json
import shutil

import pytest
from fakes import tokenizers_made as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carryon.base.errors import AppError, BadFile, Unsupported
from carryon.convert.config import Config
from carryon.convert.vocabularies.naming import functional_name
from carryon.convert.vocabularies.tokenizer import read_vocabulary
from carryon.convert.vocabularies.vocabulary import Kind, Special, Token, Vocabulary, Words

N_ROWS = 1000
KINDS = {
    "spm": made.spm,
    "bare spm": lambda folder: made.spm(folder, saves_json=False),
    "gemma": lambda folder: made.spm(folder, is_gemma=True),
    "unigram": made.unigram,
    "bare unigram": lambda folder: made.unigram(folder, saves_json=False),
    "wordpiece": made.wordpiece,
    "bare wordpiece": lambda folder: made.wordpiece(folder, saves_json=False),
    "byte level": made.byte_level,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One folder of each kind; tests change copies only."""
    return {kind: make(tmp_path_factory.mktemp("trained") / "model") for kind, make in KINDS.items()}


@pytest.fixture
def folder_of(trained, tmp_path):
    return lambda kind: shutil.copytree(trained[kind], tmp_path / "copy")


def read(folder, n_rows=N_ROWS, **config):
    return read_vocabulary(folder, Config(config), n_rows)


def change(folder, function, name="tokenizer.json"):
    whole = json.loads((folder / name).read_text("utf-8")) if (folder / name).is_file() else {}
    function(whole)
    (folder / name).write_text(json.dumps(whole), "utf-8")
    return folder


def test_scores_come_from_tokenizer_model(folder_of):
    folder = folder_of("spm")
    pieces = made.pieces_of(folder)
    tokens = read(folder).words.tokens
    normal = [number for number in range(len(pieces)) if tokens[number].kind is Kind.NORMAL]
    assert [tokens[number].score for number in normal] == [pieces.get_score(number) for number in normal]
    (folder / "tokenizer.model").unlink()
    rebuilt = read(folder).words.tokens
    # letters are made by no merge, so only what is longer has an order
    longer = [number for number in normal if len(tokens[number].text) > 1]
    assert [rebuilt[number].score for number in longer] == sorted((rebuilt[n].score for n in longer), reverse=True)


def test_files_that_disagree_are_told_and_tokenizer_json_is_followed(folder_of):
    def swap(whole):
        vocab = whole["model"]["vocab"]
        first, second = [text for text in vocab if text.isalpha() and len(text) == 1][:2]
        vocab[first], vocab[second] = vocab[second], vocab[first]

    vocabulary = read(change(folder_of("spm"), swap))
    assert "differ in 2 tokens" in vocabulary.warnings[0]
    assert min(token.score for token in vocabulary.words.tokens) == -1e9, "the scores were rebuilt"


def test_added_tokens_replace_pieces_and_the_newer_list_wins(folder_of):
    folder = folder_of("bare spm")
    n_pieces = len(made.pieces_of(folder))
    change(folder, lambda whole: whole.update({"<old>": n_pieces, "<older>": n_pieces + 1}), "added_tokens.json")
    last = n_pieces - 1  # a letter of the model's own
    newer = {n_pieces: {"content": "<new>", "special": False}, last: {"content": "<last>", "special": True}}
    change(folder, lambda whole: whole.update(added_tokens_decoder=newer), "tokenizer_config.json")
    vocabulary = read(folder)
    tokens = vocabulary.words.tokens
    assert (tokens[last].text, tokens[last].kind) == ("<last>", Kind.CONTROL)
    assert vocabulary.warnings == ()
    assert (tokens[n_pieces].text, tokens[n_pieces].kind) == ("<new>", Kind.USER_DEFINED)
    assert tokens[n_pieces + 1].text == "<older>"
    assert (tokens[n_pieces + 2].text, tokens[n_pieces + 2].kind) == (f"[PAD{n_pieces + 2}]", Kind.UNUSED)


def test_a_replaced_byte_is_noticed(folder_of):
    folder = folder_of("bare spm")
    newer = {"5": {"content": "<five>", "special": True}}
    change(folder, lambda whole: whole.update(added_tokens_decoder=newer), "tokenizer_config.json")
    assert made.pieces_of(folder).is_byte(5)
    with pytest.raises(Unsupported, match="every byte"):
        read(folder)


def test_a_sentencepiece_without_bytes_would_end_the_engine_and_is_refused(folder_of):
    folder = change(folder_of("spm"), lambda whole: whole["model"]["vocab"].pop("<0x41>"))
    with pytest.raises(Unsupported, match="every byte"):
        read(folder)


def test_rows_are_the_truth(folder_of):
    folder = folder_of("byte level")
    n_tokens = len(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
    more = [{"id": n_tokens + place, "content": f"<extra{place}>", "special": True} for place in range(5)]
    change(folder, lambda whole: whole["added_tokens"].extend(more))
    vocabulary = read(folder, n_tokens + 1)
    assert len(vocabulary.words.tokens) == n_tokens + 1
    assert vocabulary.warnings == (
        "4 tokens have no row in the model and were left out, such as '<extra1>', '<extra2>', '<extra3>'.",
    )


def test_tokens_that_gguf_cannot_tell_apart_are_left_out(folder_of):
    def add(whole):
        n_tokens = len(whole["model"]["vocab"])
        whole["model"]["vocab"] |= {"": n_tokens, "a\0b": n_tokens + 1}

    vocabulary = read(change(folder_of("byte level"), add))
    texts = [token.text for token in vocabulary.words.tokens]
    assert len(set(texts)) == N_ROWS
    assert "" not in texts
    assert "2 tokens cannot be told apart" in vocabulary.warnings[0]


def test_xlm_r_has_fairseqs_order(folder_of):
    for kind in ("unigram", "bare unigram"):
        folder = folder_of(kind)
        words, special = (vocabulary := read(folder)).words, vocabulary.special
        assert [token.text for token in words.tokens[:4]] == ["<s>", "<pad>", "</s>", "<unk>"]
        assert words.tokens[3].kind is Kind.UNKNOWN
        n_named = sum(token.kind is not Kind.UNUSED for token in words.tokens)
        assert words.tokens[n_named - 1].text == "<mask>"
        assert (special.ids["bos"], special.ids["eos"], special.ids["unknown"]) == (0, 2, 3)
        assert (special.adds_bos, special.adds_eos, special.adds_sep) == (True, True, True)
        assert (words.style, words.adds_space, words.removes_extra_spaces) == ("t5", True, True)
        assert len(words.charsmap) > 100_000
        shutil.rmtree(folder)


def test_unigram_settings_are_those_that_llama_cpp_reads(folder_of):
    written = read(folder_of("unigram")).settings()
    assert written["tokenizer.ggml.model"] == "t5"
    assert written["tokenizer.ggml.remove_extra_whitespaces"] is True
    assert written["tokenizer.ggml.precompiled_charsmap"].dtype == "uint8"


@pytest.mark.parametrize(
    ("charsmap", "said"),
    [("?", "cannot be read"), ("AAAA", "not whole"), (base64.b64encode(b"\xff\xff\xff\xff\0").decode(), "not whole")],
)
def test_a_damaged_table_of_characters_is_refused(folder_of, charsmap, said):
    folder = change(folder_of("unigram"), lambda whole: whole["normalizer"].update(precompiled_charsmap=charsmap))
    with pytest.raises(BadFile, match=said):
        read(folder)


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("unigram", {"normalizer": {"type": "Lowercase"}}),
        ("unigram", {"pre_tokenizer": {"type": "Punctuation"}}),
        ("wordpiece", {"normalizer": {"type": "NFKC"}}),
        ("wordpiece", {"pre_tokenizer": None}),
        ("spm", {"pre_tokenizer": {"type": "Punctuation"}}),
    ],
)
def test_other_preparations_are_refused(folder_of, kind, parts):
    with pytest.raises(Unsupported, match="prepares text"):
        read(change(folder_of(kind), lambda whole: whole.update(parts)))


def test_a_unigram_without_an_unknown_token_is_refused(folder_of):
    with pytest.raises(BadFile, match="unknown one"):
        read(change(folder_of("unigram"), lambda whole: whole["model"].update(unk_id=None)))


def test_wordpiece_marks_the_start_of_words(folder_of):
    folder = folder_of("wordpiece")
    vocab = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    tokens = read(folder).words.tokens
    inside, first = (
        next(text for text in vocab if (text[:2] == "##") is is_inside and len(text) > 2 and text[0] != "[")
        for is_inside in (True, False)
    )
    assert tokens[vocab[inside]].text == inside[2:]
    assert tokens[vocab[first]].text == "▁" + first
    assert (tokens[vocab["[CLS]"]].text, tokens[vocab["[CLS]"]].kind) == ("[CLS]", Kind.CONTROL)
    assert tokens[vocab["[UNK]"]].kind is Kind.UNKNOWN


@pytest.mark.parametrize("kind", ["wordpiece", "bare wordpiece"])
def test_wordpiece_puts_cls_and_sep_around(folder_of, kind):
    vocabulary = read(folder_of(kind))
    texts = {text: number for number, text in enumerate(token.text for token in vocabulary.words.tokens)}
    ids = vocabulary.special.ids
    assert (ids["bos"], ids["cls"]) == (texts["[CLS]"],) * 2
    assert (ids["eos"], ids["seperator"]) == (texts["[SEP]"],) * 2
    assert ids["padding"] == texts["[PAD]"]
    assert vocabulary.special.adds_sep
    assert vocabulary.settings()["tokenizer.ggml.normalizer.lowercase"] is True


def test_modernbert_puts_cls_and_sep_around(tmp_path):
    vocabulary = read(made.modernbert(tmp_path / "model"), model_type="modernbert")
    special = vocabulary.special
    assert (vocabulary.words.style, vocabulary.words.splitting) == ("gpt2", "modern-bert")
    assert (special.ids["bos"], special.ids["eos"], special.ids["cls"], special.ids["seperator"]) == (0, 2, 0, 2)
    assert (special.adds_bos, special.adds_eos, special.adds_sep) == (True, True, True)


def test_a_wordpiece_that_puts_nothing_around_is_refused(folder_of):
    with pytest.raises(Unsupported, match="always would"):
        read(change(folder_of("wordpiece"), lambda whole: whole.update(post_processor=None)))


def template(*texts):
    single = [{"SpecialToken": {"id": text, "type_id": 0}} for text in texts]
    tokens = {text: {"id": text, "ids": [place], "tokens": [text]} for place, text in enumerate(texts)}
    whole = [*single, {"Sequence": {"id": "A", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": whole, "pair": whole, "special_tokens": tokens}


def test_two_tokens_in_front_are_left_to_the_chat_template(folder_of):
    first, second = made.CONTROL[:2]
    folder = change(folder_of("byte level"), lambda whole: whole.update(post_processor=template(first, second)))
    with pytest.raises(Unsupported, match="puts more around"):
        read(folder)
    (folder / "chat_template.jinja").write_text(f"{first}{second}{{{{ messages }}}}")
    vocabulary = read(folder)
    assert not vocabulary.special.adds_bos
    assert "only the chat template writes it" in vocabulary.warnings[0]


def test_tokens_for_filling_in_are_found_by_their_texts(folder_of):
    texts = {"<|fim_prefix|>": "fim_pre", "<|fim_suffix|>": "fim_suf", "<|fim_middle|>": "fim_mid"}

    def add(whole):
        n_tokens = len(whole["model"]["vocab"])
        entries = ({"id": n_tokens + place, "content": text, "special": True} for place, text in enumerate(texts))
        whole["added_tokens"].extend(entries)

    vocabulary = read(change(folder_of("byte level"), add))
    for text, name in texts.items():
        assert vocabulary.words.tokens[vocabulary.special.ids[name]].text == text


@pytest.mark.parametrize(("family", "name"), [("granite", "gpt-2"), ("modernbert", "modern-bert"), ("", "gpt-2")])
def test_a_family_has_its_own_name_for_a_way_to_cut(folder_of, family, name):
    assert read(folder_of("byte level"), model_type=family).words.splitting == name


def test_the_older_pair_of_files_is_read_too(folder_of):
    folder = folder_of("byte level")
    expected = read(folder)
    model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
    (folder / "tokenizer.json").unlink()
    change(folder, lambda whole: whole.update(model["vocab"]), "vocab.json")
    lines = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n", "utf-8")
    with pytest.raises(Unsupported, match=r"no tokenizer\.json"):
        read(folder)
    special = {"0": {"content": made.CONTROL[0], "special": True}}
    usual = {"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": special}
    change(folder, lambda whole: whole.update(usual), "tokenizer_config.json")
    found = read(folder)
    assert found.words.merges == expected.words.merges
    assert found.words.splitting == "gpt-2"
    assert found.special.ids == expected.special.ids


def vocabulary_of(texts, strips):
    tokens = [Token(text, Kind.CONTROL) for text in texts]
    return Vocabulary(Words("llama", "default", tokens), Special({}, False, False), {}, (), frozenset(strips))


PHI3 = ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|user|>", "<|end|>"]


@pytest.mark.parametrize(
    ("name", "texts", "strips", "written"),
    [
        ("Phi-3.5-mini", PHI3, ["<|user|>", "<|end|>", "</s>"], "Phi-3.5-mini"),
        ("Phi-3.5-mini", PHI3, ["<|user|>", "<|end|>"], "Phi-3.5-mini"),
        ("my tune", PHI3, ["<|user|>", "<|end|>"], "my tune (Phi-3)"),
        ("Phi-3-mini", PHI3, [], "Phi 3-mini"),
        ("my phi3", PHI3, ["<|user|>"], "my Phi 3"),
        ("phi-3 like", PHI3[1:], ["<|user|>", "<|end|>"], "Phi 3 like"),
        ("Llama", ["<s>"], [], "Llama"),
    ],
)
def test_phi3_stands_in_the_name_only_where_it_is_meant(name, texts, strips, written):
    assert functional_name(name, vocabulary_of(texts, strips)) == written


def test_white_space_that_is_not_swallowed_is_told(folder_of):
    folder = change(folder_of("byte level"), lambda whole: whole["added_tokens"][1].update(rstrip=True))
    assert "'<|im_start|>' is kept" in read(folder).warnings[0]


SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "added_tokens_decoder",
    "bos_token",
    "eos_token",
    "add_bos_token",
    "tokenizer_class",
    "chat_template",
    "unk_token",
)
PARTS = ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model")


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_settings_make_it_fail_otherwise(trained, tmp_path, data):
    source = trained[data.draw(st.sampled_from(list(KINDS)))]
    folder = tmp_path / "hostile"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    if data.draw(st.booleans()) or not (folder / "tokenizer.json").is_file():
        hostile = {key: data.draw(SETTINGS) for key in data.draw(st.sets(st.sampled_from(KEYS), min_size=1))}
        change(folder, lambda whole: whole.update(hostile), "tokenizer_config.json")
    else:
        spoil(data, folder)
    try:
        assert len(read(folder).words.tokens) == N_ROWS
    except AppError:
        return


def spoil(data, folder):
    """Replaces a part of tokenizer.json, or something inside of it."""

    def run(whole):
        part, value = data.draw(st.sampled_from(PARTS)), data.draw(SETTINGS)
        if isinstance(whole.get(part), dict) and data.draw(st.booleans()):
            whole[part][data.draw(st.sampled_from(sorted(whole[part])))] = value
        else:
            whole[part] = value

    change(folder, run)
