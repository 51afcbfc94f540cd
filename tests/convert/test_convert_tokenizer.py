"""Tokens, merges, special ids and templates come over as they work in the original."""

import pytest
from model_folders import CONFIG, CONTROL, TEMPLATE, tokenizer_config, tokenizer_json, vocabulary, write_json

from carryon.base.errors import AppError, BadFile, Unsupported
from carryon.convert.config import Config
from carryon.convert.vocabularies.splitting import GPT2, LLAMA3, QWEN2, TEKKEN
from carryon.convert.vocabularies.tokenizer import read_vocabulary
from carryon.convert.vocabularies.vocabulary import Kind

N_ROWS = 264  # one more than there are tokens


@pytest.fixture
def read(tmp_path):
    """Reads the usual tokenizer after a function has changed it."""

    def run(change=lambda tokenizer: None, settings=None, n_rows=N_ROWS, config=CONFIG, **files):
        tokenizer = tokenizer_json()
        change(tokenizer)
        write_json(tmp_path / "tokenizer.json", tokenizer)
        write_json(tmp_path / "tokenizer_config.json", tokenizer_config() if settings is None else settings)
        for name, value in files.items():
            write_json(tmp_path / f"{name}.json", value)
        return read_vocabulary(tmp_path, Config(config), n_rows)

    return run


def refusal(read, *arguments, **more):
    with pytest.raises(AppError) as caught:
        read(*arguments, **more)
    assert caught.value.hint, "a person needs a next step"
    return str(caught.value)


def part(key, value):
    return lambda tokenizer: tokenizer.update({key: value})


def model(**values):
    return lambda tokenizer: tokenizer["model"].update(values)


def add(number, text, special=False):
    return lambda tokenizer: tokenizer["added_tokens"].append({"id": number, "content": text, "special": special})


def test_tokens_stand_at_their_ids_with_their_kinds(read):
    tokens = read().words.tokens
    assert len(tokens) == N_ROWS
    assert [token.text for token in tokens[:3]] == CONTROL
    assert {token.kind for token in tokens[:3]} == {Kind.CONTROL}
    assert tokens[vocabulary()["Ġthe"]].kind is Kind.NORMAL


def test_a_row_without_a_token_is_filled(read):
    last = read().words.tokens[-1]
    assert (last.text, last.kind) == ("[PAD263]", Kind.UNUSED)


def test_a_filler_never_repeats_a_token(read):
    tokens = read(add(263, "[PAD264]"), n_rows=265).words.tokens
    assert tokens[263].text == "[PAD264]"
    assert tokens[264].text == "[[PAD264]]"


def test_an_added_token_without_a_row_is_dropped_with_a_warning(read):
    vocabulary = read(add(264, "<extra>"))
    assert len(vocabulary.words.tokens) == N_ROWS
    assert "<extra>" in vocabulary.warnings[0]
    assert "rows for 200 only" in refusal(read, n_rows=200)


@pytest.mark.parametrize(
    ("text", "is_special", "kind"),
    [
        ("<tool>", False, Kind.USER_DEFINED),
        ("<tool>", True, Kind.CONTROL),
        ("<|tool|>", False, Kind.CONTROL),
        ("<unused7>", False, Kind.CONTROL),
    ],
)
def test_added_tokens_are_control_or_user_defined(read, text, is_special, kind):
    assert read(add(263, text, is_special)).words.tokens[263].kind is kind


def test_merges_are_pairs_in_one_line(read):
    assert read().words.merges == ["t h", "th e", "Ġ the", "o f"]
    assert read(model(merges=["t h", "th e"])).words.merges == ["t h", "th e"]
    assert read(model(merges=[["a b", "c"]])).words.merges == ["aĠb c"]


SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def cut_by(regex):
    split = SPLIT | {"pattern": {"Regex": regex}}
    return {"type": "Sequence", "pretokenizers": [split, BYTES]}


def kept_by(regex):
    """The same cut as some converters write it: what the pattern does not match is removed, which is nothing."""
    split = SPLIT | {"pattern": {"Regex": regex}, "behavior": "Removed", "invert": True}
    return {"type": "Sequence", "pretokenizers": [split, BYTES]}


DIGITS_THEN_GPT2 = {
    "type": "Sequence",
    "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTES | {"use_regex": True}],
}


@pytest.mark.parametrize(
    ("pre_tokenizer", "ignore_merges", "name"),
    [
        (BYTES | {"use_regex": True}, False, "gpt-2"),
        ({"type": "ByteLevel", "add_prefix_space": False}, False, "gpt-2"),
        (cut_by(GPT2), False, "gpt-2"),
        (DIGITS_THEN_GPT2, False, "smollm"),
        (cut_by(LLAMA3), True, "llama-bpe"),
        (cut_by(LLAMA3), False, "smaug-bpe"),
        (cut_by(QWEN2), False, "qwen2"),
        (kept_by(QWEN2), False, "qwen2"),
        (cut_by(TEKKEN), True, "tekken"),
    ],
)
def test_a_known_way_of_cutting_has_its_name(read, pre_tokenizer, ignore_merges, name):
    def change(tokenizer):
        tokenizer["pre_tokenizer"] = pre_tokenizer
        tokenizer["model"]["ignore_merges"] = ignore_merges

    assert read(change).words.splitting == name


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        None,
        {"type": "Whitespace"},
        cut_by(LLAMA3 + "|x"),
        cut_by(QWEN2) | {"pretokenizers": [SPLIT | {"pattern": {"Regex": GPT2}, "behavior": "Removed"}, BYTES]},
        {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
        {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": False}, BYTES]},
    ],
)
def test_an_unknown_way_of_cutting_is_refused_and_not_guessed(read, pre_tokenizer):
    assert "cuts text" in refusal(read, part("pre_tokenizer", pre_tokenizer))


def test_composed_text_passes_and_other_normalizing_does_not(read):
    assert read(part("normalizer", {"type": "NFC"})).words.splitting == "gpt-2"
    assert "cuts text" in refusal(read, part("normalizer", {"type": "Lowercase"}))


def template(*pieces):
    single = [{"Sequence": {"id": "A", "type_id": 0}} if p is None else {"SpecialToken": {"id": p}} for p in pieces]
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}


START, _, END = CONTROL
PLAIN = {"type": "ByteLevel", "trim_offsets": False}


@pytest.mark.parametrize(
    ("post_processor", "adds"),
    [
        (PLAIN, (False, False)),
        (template(None), (False, False)),
        (template(START, None), (True, False)),
        (template(None, END), (False, True)),
        (template(START, None, END), (True, True)),
        ({"type": "Sequence", "processors": [PLAIN, template(START, None)]}, (True, False)),
        ({"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 2]}, (True, True)),
    ],
)
def test_what_is_put_around_a_text_is_read_from_the_post_processor(read, post_processor, adds):
    special = read(part("post_processor", post_processor)).special
    assert (special.adds_bos, special.adds_eos) == adds


def test_without_a_post_processor_the_flags_decide(read):
    settings = tokenizer_config() | {"add_bos_token": True}
    assert read(settings=settings).special.adds_bos
    assert not read(part("post_processor", PLAIN), settings=settings).special.adds_bos


def test_the_token_that_is_put_in_front_is_the_bos_whatever_the_config_says(read):
    assert read(part("post_processor", template("<|im_start|>", None))).special.ids["bos"] == 1


@pytest.mark.parametrize(
    "post_processor",
    [
        template(START, START, None),
        template(START, END),
        template("<nobody>", None),
        template(END, START),
        {"type": "BertProcessing", "sep": ["a", 1], "cls": ["b", 9999]},
        {"type": "OfTheFuture"},
    ],
)
def test_more_than_llama_cpp_can_put_around_a_text_is_refused(read, post_processor):
    assert "tokenizer" in refusal(read, part("post_processor", post_processor))


def test_special_ids_come_from_the_tokenizer_before_the_config(read):
    ids = read(config=CONFIG | {"eos_token_id": 0}).special.ids
    assert (ids["bos"], ids["eos"]) == (0, 2)


def test_tokens_may_be_objects_and_stand_in_the_older_file(read):
    older = {"eos_token": {"content": "<|im_start|>"}, "pad_token": "<|endoftext|>"}
    ids = read(settings={"eos_token": None}, special_tokens_map=older).special.ids
    assert (ids["eos"], ids["padding"]) == (1, 0)


def test_without_names_the_config_tells_the_ids(read):
    ids = read(settings={}, config={"eos_token_id": [2, 0], "bos_token_id": None}).special.ids
    assert (ids["bos"], ids["eos"]) == (2, 2)


def test_a_model_without_an_end_is_refused(read):
    assert "no answer would end" in refusal(read, settings={}, config={"eos_token_id": 9999})


def test_a_further_end_that_llama_cpp_does_not_know_is_told(read):
    first, second, third = (vocabulary()[text] for text in ("the", "of", "a"))
    generation = {"eos_token_id": [0, 2, first, second, third]}
    vocabulary_read = read(generation_config=generation)
    assert (vocabulary_read.special.ids["eot"], vocabulary_read.special.ids["eom"]) == (first, second)
    assert str(third) in vocabulary_read.warnings[0]


def test_the_jinja_file_wins_over_the_json(read, tmp_path):
    assert read().templates == {"default": TEMPLATE}
    (tmp_path / "chat_template.jinja").write_text("from the file é", encoding="utf-8")
    assert read().templates == {"default": "from the file é"}


def test_named_templates_are_kept(read, tmp_path):
    named = [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]
    settings = tokenizer_config() | {"chat_template": named}
    written = read(settings=settings).settings()
    assert written["tokenizer.chat_template"] == "a"
    assert written["tokenizer.chat_template.tool_use"] == "b"
    assert written["tokenizer.chat_templates"] == ["tool_use"]
    (tmp_path / "chat_template.jinja").write_text("c")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "RAG-1.jinja").write_text("d")
    assert read(settings=settings).templates == {"default": "c", "rag_1": "d"}


def test_a_model_that_does_not_chat_has_no_template(read):
    assert "tokenizer.chat_template" not in read(settings={"eos_token": END}).settings()


@pytest.mark.parametrize("value", [7, [7], [{"name": 1}]])
def test_a_damaged_template_is_refused(read, value):
    assert "chat template" in refusal(read, settings=tokenizer_config() | {"chat_template": value})


def test_a_template_that_is_not_text_is_refused(read, tmp_path):
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe\xff")
    assert "not text" in refusal(read)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (part("model", None), "damaged"),
        (model(vocab=7), "damaged"),
        (model(type="Unigram"), "does not suit"),
        (model(type="Unigram", vocab=[["a", "b"]]), "not a token"),
        (model(type="Unigram", vocab=[["a", 1e39]]), "not a token"),
        (model(type="Unigram", vocab=[["a", 0], ["a", 0]]), "not a token"),
        (model(type="WordLevel"), "WordLevel"),
        (model(type="WordPiece"), "prepares text"),
        (model(end_of_word_suffix="</w>"), "parts of words"),
        (model(merges=None), "no merges"),
        (model(merges=["a b c"]), "not a merge"),
        (model(merges=[["a"]]), "not a merge"),
        (model(vocab=vocabulary() | {"x": -1}), "'x'"),
        (model(vocab=vocabulary() | {"x": True}), "'x'"),
        (model(vocab=vocabulary() | {"x": 5}), "one id to two tokens"),
        (model(vocab=vocabulary() | {"\ud800": 263}), "not Unicode"),
        (add(0, "<other>"), "one id to two tokens"),
        (add(263, "the"), "two different ids"),
        (part("added_tokens", 7), "added_tokens"),
        (part("added_tokens", ["<s>"]), "not a token"),
    ],
)
def test_a_damaged_tokenizer_is_refused(read, change, said):
    assert said in refusal(read, change)


def test_a_folder_without_tokenizer_json_says_so(tmp_path):
    with pytest.raises(Unsupported, match=r"no tokenizer\.json"):
        read_vocabulary(tmp_path, Config(CONFIG), N_ROWS)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BadFile, match="damaged"):
        read_vocabulary(tmp_path, Config(CONFIG), N_ROWS)


SPACE = "▁"
METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}


def sentencepiece(**parts):
    """A tokenizer of the kind that SentencePiece models become: bytes as <0x00>, spaces as ▁, every split a merge."""
    letters = ["t", "h", "e", SPACE]
    texts = ["<unk>", *CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, "th", "he", "the", SPACE + "the"]
    merges = [["t", "h"], ["h", "e"], ["th", "e"], ["t", "he"], [SPACE, "the"]]
    added = [{"id": i, "content": text, "special": True} for i, text in enumerate(texts[:4])]
    body = {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "merges": merges}
    vocab = {text: index for index, text in enumerate(texts)}
    whole = {"added_tokens": added, "normalizer": None, "pre_tokenizer": METASPACE, "post_processor": None}
    return lambda tokenizer: tokenizer.update(whole | {"model": body | {"vocab": vocab}} | parts)


def test_sentencepiece_scores_follow_the_order_of_the_merges(read):
    words = read(sentencepiece(), n_rows=268).words
    scores = {token.text: token.score for token in words.tokens}
    assert words.style == "llama"
    assert scores["th"] > scores["he"] > scores["the"] > scores[SPACE + "the"] > scores["t"]
    kinds = {token.text: token.kind for token in words.tokens}
    assert (kinds["<0x0A>"], kinds["<unk>"], kinds["<|im_end|>"]) == (Kind.BYTE, Kind.UNKNOWN, Kind.CONTROL)


@pytest.mark.parametrize(
    ("parts", "adds"),
    [
        ({}, True),
        ({"pre_tokenizer": METASPACE | {"prepend_scheme": "never"}}, False),
        (
            {
                "pre_tokenizer": None,
                "normalizer": {
                    "type": "Sequence",
                    "normalizers": [
                        {"type": "Prepend", "prepend": SPACE},
                        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
                    ],
                },
            },
            True,
        ),
    ],
)
def test_the_space_before_a_text_is_kept_or_not(read, parts, adds):
    assert read(sentencepiece(**parts), n_rows=268).settings()["tokenizer.ggml.add_space_prefix"] is adds


def test_sentencepiece_with_another_normalizer_is_refused(read):
    assert "prepares text" in refusal(read, sentencepiece(normalizer={"type": "NFKC"}), n_rows=268)


def without_one_split(tokenizer):
    sentencepiece()(tokenizer)
    tokenizer["model"]["merges"].remove(["t", "he"])


def with_many_pairs(tokenizer):
    """225 more tokens, so that one odd token is less than one in a hundred."""
    pairs = [left + right for left in "abcdefgijklmnop" for right in "abcdefgijklmnop"]
    known = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = known | {text: len(known) + index for index, text in enumerate(pairs)}
    tokenizer["model"]["merges"] += [list(text) for text in pairs]


def test_merges_that_scores_cannot_tell_are_refused(read):
    assert "merges in a way" in refusal(read, without_one_split, n_rows=268)


def test_a_rare_merge_that_scores_cannot_tell_is_a_warning(read):
    def change(tokenizer):
        without_one_split(tokenizer)
        with_many_pairs(tokenizer)

    (warning,) = read(change, n_rows=268 + 225).warnings
    assert warning.startswith("1 of 233 tokens")


def test_a_space_in_an_added_token_is_written_as_typed(read):
    def change(tokenizer):
        sentencepiece()(tokenizer)
        add(268, f"{SPACE}hello")(tokenizer)

    assert read(change, n_rows=269).words.tokens[268].text == " hello"
