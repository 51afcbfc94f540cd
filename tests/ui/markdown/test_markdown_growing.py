"""A text that comes in pieces ends as the same blocks as the whole text, and what is finished is not parsed again."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_markdown_parsing import MARKDOWN, words_of

from carryon.ui.markdown.blocks import Table
from carryon.ui.markdown.growing import Growing
from carryon.ui.markdown.parsing import blocks


def grown(pieces):
    """The blocks after all pieces, put together from the changes alone."""
    growing, have = Growing(), []
    for piece in pieces:
        change = growing.add(piece)
        have = [*have[: change.keep], *change.blocks]
    change = growing.end()
    return (*have[: change.keep], *change.blocks)


def cut(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


SAMPLES = {
    "paragraphs": "One **two**\nthree.\n\nFour.\n\n\nFive",
    "heading under": "Title\n---\n\ntext\n===\nmore",
    "list": "- a\n- b\n\n  more b\n  - c\n- d\n\ntext",
    "loose list": "- a\n\n- b\n\n\n- c\n* other",
    "numbers": "1. a\n1. b\n1. c\n   text\n5. d\n\n2) e",
    "code": "text\n```py\nx = 1\n\ny\n```\nafter\n    indented\n\n    code\n",
    "code in list": "1. a\n   ```\n   - no item\n   ```\n2. b",
    "table": "before\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nafter",
    "no table": "a | b\n--|-x\nc",
    "quote": "> a\n> - b\nlazy\n\n> c",
    "hash": "para\n#no heading\n# heading",
    "rule": "a\n\n---\n\n***\nb",
}


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("name", SAMPLES)
def test_pieces_give_the_same_as_the_whole(name, size):
    assert grown(cut(SAMPLES[name], size)) == blocks(SAMPLES[name])


@settings(max_examples=600, deadline=None)
@given(MARKDOWN, st.integers(1, 9))
def test_pieces_of_anything_give_the_same_as_the_whole(source, size):
    assert grown(cut(source, size)) == blocks(source)


def test_a_finished_block_is_never_parsed_again():
    growing = Growing()
    growing.add("first\n\nsecond\n\nthird\n")
    change = growing.add("more of the third")
    assert (change.keep, change.blocks) == (2, blocks("third\nmore of the third"))


def test_a_finished_item_is_never_parsed_again():
    growing = Growing()
    growing.add("1. a\n1. b\n1. c\n")
    change = growing.add("   d")
    assert change.keep == 2
    assert [(one.place.marker, words_of(one)) for one in change.blocks] == [("3.", "c\nd")]


def test_the_beginning_of_a_rule_does_not_flash_up_as_a_heading():
    growing = Growing()
    change = growing.add("text\n-")
    assert change.blocks == blocks("text")


@pytest.mark.parametrize(
    ("so_far", "shown"),
    [
        ("some **bo", "some **bo**"),
        ("some **", "some"),
        ("some **bold*", "some **bold**"),
        ("run `code", "run `code`"),
        ("was ~~gone", "was ~~gone~~"),
        ("see [the docs](https://exam", "see the docs"),
        ("**a** and **b", "**a** and **b**"),
        ("**a\n\nb", "**a\n\nb"),
        ("```\n**a", "```\n**a"),
    ],
)
def test_marks_that_are_still_open_do_not_flash_up_as_text(so_far, shown):
    assert Growing().add(so_far).blocks == blocks(shown)


def test_a_table_comes_row_by_row_and_its_header_not_before_the_line_under_it():
    growing, shown = Growing(), []
    for piece in cut("text\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n", 1):
        shown.append(growing.add(piece).blocks[-1:])
    kinds = [type(one[0]).__name__ for one in shown if one]
    assert kinds == sorted(kinds)  # Paragraph, then Table, and never back
    assert {len(one[0].rows) for one in shown if one and isinstance(one[0], Table)} == {1, 2, 3}


def test_a_long_stream_costs_the_same_at_its_end_as_at_its_beginning():
    growing = Growing()
    paragraph = "Some **words** of a paragraph that is not very long. " * 4 + "\n\n"
    for _ in range(300):
        growing.add(paragraph)
    began_s = time.process_time()
    for piece in cut(paragraph, 4):
        growing.add(piece)
    assert time.process_time() - began_s < 0.2  # parsing all 60,000 characters 50 times takes seconds
