"""What a person sees of a long work in a terminal, and what is kept of it in a file."""

import io

import pytest

from carryon.base.errors import NoRoom
from carryon.base.jobs import Progress
from carryon.cli.progress_bar import Bar, Clock, Lines, bar_line, counted, show


def work(*news, result="done"):
    yield from news
    return result


def test_the_result_is_given_and_the_tenths_are_told(capsys):
    steps = (Progress(at * 10**6, 10**8) for at in range(101))
    assert show(work(None, *steps), "Quantizing to Q4_K_M") == "done"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "carryon: Quantizing to Q4_K_M"
    assert lines[1] == "0 %, 0 of 100 MB"
    assert len(lines) == 1 + 11


def test_an_error_comes_through_and_the_work_is_closed(capsys):
    closed = []

    def failing():
        try:
            yield Progress(1, 2)
            raise NoRoom("The disk is full.")
        finally:
            closed.append(True)

    with pytest.raises(NoRoom):
        show(failing(), "Writing")
    assert closed == [True]


def test_what_is_left_is_guessed_from_this_stretch():
    times = iter([0.0, 0.0, 10.0, 10.0, 12.0])
    clock = Clock(lambda: next(times))
    assert clock.left_s(0, 100) is None
    assert clock.left_s(25, 100) == 30.0
    assert clock.left_s(0, 40) is None  # the next stretch, with a total of its own
    assert clock.left_s(10, 40) == 6.0


@pytest.mark.parametrize("width", [1, 8, 24, 60, 200])
@pytest.mark.parametrize("fraction", [None, 0.0, 0.43, 1.0, 1.5])
def test_a_line_is_never_wider_than_the_terminal(width, fraction):
    assert len(bar_line(fraction, ["12 of 291 tensors", "3 min left", "blk.3.ffn_down.weight"], width)) <= width


def test_what_has_no_total_shows_its_note():
    assert bar_line(None, ["reading the text"], 60) == "reading the text"
    out = io.StringIO()
    Lines(out).draw(None, ["reading the text"])
    assert out.getvalue() == ""


def test_a_bar_leaves_its_line_empty():
    out = io.StringIO()
    bar = Bar(out, lambda: 20)
    bar.draw(0.5, [counted("tensors")(1, 2)])
    bar.end()
    assert out.getvalue().endswith("\r" + " " * 19 + "\r")
