"""Blocks drawn into a text document: the same whether written at once or piece by piece, and nothing loads anything."""

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QUrl
from PySide6.QtGui import QImage, QTextDocument
from test_markdown_growing import SAMPLES, cut
from test_markdown_parsing import HOSTILE, MARKDOWN

from carryon.ui.markdown.document import Ink, Writer
from carryon.ui.markdown.growing import Growing
from carryon.ui.markdown.parsing import blocks, plain_blocks
from carryon.ui.markdown.text_view import MarkdownText

WIDTH = 500


def document():
    made = QTextDocument()
    made.setTextWidth(WIDTH)
    return made


def look_of(made):
    """Every text block with its place and its margins."""
    found, block, layout = [], made.firstBlock(), made.documentLayout()
    while block.isValid():
        rect, form = layout.blockBoundingRect(block), block.blockFormat()
        found.append((block.text(), rect.getRect(), form.topMargin(), form.leftMargin(), form.lineHeight()))
        block = block.next()
    return found


def written(source):
    made = document()
    Writer(made, Ink.now()).replace_from(0, blocks(source))
    return made


def streamed(source, size):
    made, growing = document(), Growing()
    writer = Writer(made, Ink.now())
    for piece in cut(source, size):
        change = growing.add(piece)
        writer.replace_from(change.keep, change.blocks)
    change = growing.end()
    writer.replace_from(change.keep, change.blocks)
    return made


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_streamed_document_looks_like_one_written_at_once(qapp, name, size):
    assert look_of(streamed(SAMPLES[name], size)) == look_of(written(SAMPLES[name]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MARKDOWN, st.integers(1, 9))
def test_anything_streamed_looks_like_it_written_at_once(qapp, source, size):
    assert look_of(streamed(source, size)) == look_of(written(source))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MARKDOWN)
def test_a_document_never_names_a_picture_or_leads_to_a_file(qapp, source):
    tags = re.findall(r"<[^>]*>", written(source).toHtml())
    assert not [tag for tag in tags if "src=" in tag or "file:" in tag or tag.startswith("<img")]


def test_code_at_the_very_top_leaves_room_for_its_header(qapp):
    made = written("```py\nx\n```")
    assert look_of(made)[-1][1][1] >= 30


def test_more_code_is_added_without_writing_the_rest_again(qapp):
    made = document()
    writer = Writer(made, Ink.now())
    writer.replace_from(0, blocks("```\none\n"))
    writer.replace_from(0, blocks("```\none\ntwo\n"))
    assert writer.extended == 0
    assert made.toPlainText().endswith("one\ntwo")


def test_rows_are_added_to_a_table_without_writing_it_again(qapp):
    made = document()
    writer = Writer(made, Ink.now())
    writer.replace_from(0, blocks("|a|b|\n|-|-|\n|1|2|\n"))
    table = made.rootFrame().childFrames()[0]
    writer.replace_from(0, blocks("|a|b|\n|-|-|\n|1|2|\n|3|4|\n"))
    assert made.rootFrame().childFrames()[0] is table
    assert table.rows() == 3
    assert table.cellAt(2, 1).firstCursorPosition().block().text() == "4"


def test_what_is_the_same_is_left_alone(qapp):
    made = document()
    writer = Writer(made, Ink.now())
    writer.replace_from(0, blocks("one\n\ntwo"))
    made.size()  # a document tells its changes once it is laid out
    changes = []
    made.contentsChange.connect(lambda *change: changes.append(change))
    assert writer.replace_from(0, blocks("one\n\ntwo")) == 2
    assert writer.replace_from(0, blocks("one\n\ntwo!")) == 1
    assert min(position for position, *_ in changes) >= len("one")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_drawn_within_a_second(qapp, name):
    source = HOSTILE[name][:200_000]  # what one page shows
    began_s = time.process_time()
    made = written(source)
    made.size()
    assert time.process_time() - began_s < 2.0  # parsing and drawing, on a slow machine


def test_a_word_of_half_a_million_characters_is_drawn_within_a_second(qapp):
    made = document()
    began_s = time.process_time()
    Writer(made, Ink.now()).replace_from(0, plain_blocks("x" * 500_000))
    made.size()
    assert time.process_time() - began_s < 1.0


@pytest.mark.parametrize("address", ["file:///dev/zero", "https://evil.example/x.png", "//host/share", ""])
def test_no_resource_is_ever_loaded(qtbot, address):
    view = MarkdownText()
    qtbot.addWidget(view)
    loaded = view.loadResource(QTextDocument.ResourceType.ImageResource, QUrl(address))
    assert isinstance(loaded, QImage)
    assert (loaded.width(), loaded.height()) == (1, 1)


def test_a_copied_selection_is_what_was_written(qtbot):
    view = MarkdownText()
    qtbot.addWidget(view)
    view.replace_from(0, blocks("One **bold**\nline\n\n- item\n\n```\na  b\n```\n" + "x" * 5_000))
    view.selectAll()
    text = view.createMimeDataFromSelection().text()
    assert text == "One bold\nline\n• item\na  b\n" + "x" * 5_000
