"""Markdown of a model becomes values that are safe to draw, whatever the model writes."""

import gc
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.ui.markdown.blocks import Code, Heading, Look, Nest, Paragraph, Rule, Side, Table
from carryon.ui.markdown.cleaning import LONGEST_WORD, clean, safe_link, without_breaks
from carryon.ui.markdown.parsing import blocks, plain_blocks


def words_of(block):
    """All text of a block."""
    match block:
        case Paragraph() | Heading():
            return "".join(span.text for span in block.spans)
        case Code():
            return block.text
        case Table():
            return " ".join(span.text for row in block.rows for cell in row for span in cell)
        case Rule():
            return ""


def spans_of(block):
    match block:
        case Paragraph() | Heading():
            return list(block.spans)
        case Table():
            return [span for row in block.rows for cell in row for span in cell]
        case _:
            return []


def text_of(source):
    return "\n".join(words_of(block) for block in blocks(source))


def links_of(source):
    return [span.link for block in blocks(source) for span in spans_of(block) if span.link]


def test_a_paragraph_has_looks():
    (paragraph,) = blocks("plain **bold** *slanted* `code` ~~gone~~ ***both***")
    assert [(span.text, span.look) for span in paragraph.spans if span.text.strip()] == [
        ("plain ", Look.PLAIN),
        ("bold", Look.BOLD),
        ("slanted", Look.ITALIC),
        ("code", Look.CODE),
        ("gone", Look.STRIKE),
        ("both", Look.BOLD | Look.ITALIC),
    ]


def test_lines_of_a_paragraph_stay_lines():
    assert text_of("Roses are red\nviolets are blue") == "Roses are red\nviolets are blue"


def test_headings_have_levels():
    assert [(one.level, words_of(one)) for one in blocks("# One\n\n### Three\n\nTwo\n---")] == [
        (1, "One"),
        (3, "Three"),
        (2, "Two"),
    ]


def test_code_keeps_its_lines_and_language():
    (code,) = blocks("```python title\nif x:\n\n    y()\n```")
    assert (code.language, code.text) == ("python", "if x:\n\n    y()")


def test_code_that_is_not_closed_yet_is_code():
    assert blocks("```\nhalf a li") == (Code("", "half a li"),)


def test_list_items_have_marks_and_places():
    found = blocks("3. three\n1. four\n   - inside\n   - [x] done\n   - [ ] open")
    assert [(one.place.marker, words_of(one), len(one.place.nest)) for one in found] == [
        ("3.", "three", 1),
        ("4.", "four", 1),
        ("◦", "inside", 2),
        ("☑", "done", 2),
        ("☐", "open", 2),
    ]


def test_an_item_that_begins_with_code_has_its_mark_on_a_line_of_its_own():
    mark, code = blocks("- ```\n  x\n  ```")
    assert (mark.place.marker, words_of(mark), code.text, code.place.marker) == ("•", "", "x", "")


def test_quotes_nest():
    outer, inner = blocks("> said\n> > before")
    assert (outer.place.nest, inner.place.nest) == ((Nest.QUOTE,), (Nest.QUOTE, Nest.QUOTE))


def test_tables_have_sides_and_as_many_cells_in_every_row():
    (table,) = blocks("| a | b | c |\n|:--|--:|:-:|\n| 1 | **2** |\n| 1 | 2 | 3 | 4 |")
    assert table.sides == (Side.LEFT, Side.RIGHT, Side.CENTRE)
    assert [len(row) for row in table.rows] == [3, 3, 3]
    assert table.rows[1][1][0].look is Look.BOLD


def test_a_line_break_in_a_cell_is_a_line_break():
    (table,) = blocks("| a |\n|--|\n| one<br>two |")
    assert words_of(table).endswith("one\ntwo")


@pytest.mark.parametrize(("columns", "rows"), [(25, 2), (4, 251)])
def test_a_huge_table_is_shown_as_it_was_written(columns, rows):
    source = "|a" * columns + "|\n" + "|-" * columns + "|" + ("\n" + "|x" * columns + "|") * rows
    assert blocks(source) == (Code("", source),)


# safety


def test_html_is_shown_as_the_text_it_is():
    source = '<script>alert(1)</script>\n\n<img src="file:///dev/zero"> and <b>bold</b>'
    assert text_of(source) == source.replace("\n\n", "\n")


@pytest.mark.parametrize(
    "address", ["file:///dev/zero", "https://evil.example/x.png", "//host/share", "data:image/png;base64,AAAA", "x.png"]
)
def test_an_image_is_words(address):
    assert text_of(f"![cat]({address})") == f"[image: cat - {address}]"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "vscode://x",
        "data:text/html,x",
        "//host/share",
        "/etc/passwd",
        "C:\\x",
        "https:///nohost",
    ],
)
def test_a_link_to_anything_but_the_web_is_words_with_the_address(address):
    source = f"[click](<{address}>)"
    assert links_of(source) == []
    assert text_of(source).startswith("click (")


def test_links_to_the_web_and_to_mailboxes_are_links():
    source = "[a](https://example.org/x) <b@example.org> see http://c.example/y(z), or (https://d.example)."
    assert links_of(source) == [
        "https://example.org/x",
        "mailto:b@example.org",
        "http://c.example/y(z)",
        "https://d.example",
    ]


def test_an_address_in_code_is_no_link():
    assert links_of("`https://example.org`\n\n```\nhttps://example.org\n```") == []


def test_a_definition_elsewhere_does_not_make_a_link():
    assert links_of("[innocent]\n\n[innocent]: https://evil.example") == [
        "https://evil.example"
    ]  # the bare one, as seen


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("a\x1b[31mred\x1b[0m b", "ared b"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x00\x07\x08\x9bb", "ab"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("a\u2066b\u2069c", "abc"),
        ("a&#x202e;b", "ab"),
        ("a\ufdd0b\ufffcc", "abc"),
        ("a\ud800b", "a\ufffdb"),
        ("a\u2028b", "a b"),
        ("one\r\ntwo", "one\ntwo"),
    ],
)
def test_characters_that_deceive_are_gone(source, shown):
    assert text_of(source) == shown


def test_letters_of_every_script_stay():
    source = "שלום مرحبا नमस्ते 你好 👩‍👩‍👧 e\u0301"
    assert text_of(source) == source


def test_a_long_word_gets_places_to_break_and_loses_them_when_copied():
    cleaned = clean("x" * 500_000)
    assert max(len(part) for part in re.split("\u200b", cleaned)) <= LONGEST_WORD
    assert without_breaks(cleaned) == "x" * 500_000


def test_what_is_nested_too_deep_is_shown_as_it_was_written():
    source = ">" * 1000 + " deep"
    assert text_of(source) == source
    lists = "\n".join("  " * depth + f"- level {depth}" for depth in range(60))
    assert all(f"level {depth}" in text_of(lists) for depth in range(60))


def test_what_the_person_wrote_is_not_interpreted():
    source = "# no heading\n  <b>*x*</b>\n\n\n![a](file:///x)"
    assert "\n".join(words_of(one) for one in plain_blocks(source)) == source


def test_a_link_address_that_cannot_be_read_is_not_safe():
    assert safe_link("https://[::1") is None
    assert safe_link("https://a.example/\u202e") is None


HOSTILE = {
    "word": "a" * 500_000,
    "quotes": ">" * 1000 + "a",
    "quoted lines": (">" * 200 + "a\n") * 200,
    "brackets": "[" * 10_000,
    "image brackets": "![" * 5_000,
    "links": "[a](" * 5_000,
    "stars": "**a " * 5_000,
    "underscores": "_a__b" * 5_000,
    "ticks": "".join("`" * number + "x" for number in range(200)),
    "tags": "<a " * 20_000,
    "entities": "&#" * 20_000,
    "table": "|a" * 500 + "|\n" + "|-" * 500 + "|\n" + ("|x" * 500 + "|\n") * 20,
    "rows": "|a|b|\n|-|-|\n" + "|1|2|\n" * 5_000,
    "deep list": "\n".join("  " * depth + "- a" for depth in range(400)),
    "marks": "- " * 5_000,
    "addresses": "https://" + "a)" * 50_000,
    "escapes": "\x1b]" * 20_000,
    "lines": "\n" * 200_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_less_than_a_second(name):
    gc.collect()
    gc.freeze()  # what thousands of tests before left in this process is not the parser's to look through
    try:
        began_s = time.thread_time()
        blocks(HOSTILE[name])
        assert time.thread_time() - began_s < 1.0
    finally:
        gc.unfreeze()


MARKS = """# ; ## ; - ; * ; 1. ; 7) ; > ;```;~~~;`;**;*;_;~~;[;](;);![;<;>;https://a.b;file:///x;    ;  ;\t;\\;&#;&amp;;
---;===;<br>;<img src=;[x] ;a;b c;word;|;| a | b |\n|---|:-:|\n;\n| 1 | 2 |;\n\n- item\n;\n  - sub\n;\n> quote\n"""
DECEIVING = ("\n", "\n\n", "\x1b[", "\u202e", "\ud800")
MARKDOWN = st.lists(st.one_of(st.sampled_from([*MARKS.split(";"), *DECEIVING]), st.text(max_size=8)), max_size=40).map(
    "".join
)


@settings(max_examples=400, deadline=None)
@given(MARKDOWN)
def test_nothing_a_model_writes_raises_or_leads_away(source):
    for block in blocks(source):
        for span in spans_of(block):
            assert span.text
            assert not re.search(
                "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffc\ud800-\udfff]", span.text
            )
            assert span.link is None or re.match(r"(https?://[^/]|mailto:.)", span.link)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(whitelist_categories=("L", "N")), min_size=1))
def test_plain_words_come_out_as_they_went_in(source):
    assert text_of(source) == clean(source)
