"""The workshop's runs on the disk: what was ordered comes back as it was, and damage costs only itself."""

import sqlite3
from pathlib import Path

import pytest

from carryon.app.workshop_list import (
    FailedRun,
    FinishedRun,
    Interrupted,
    Order,
    Source,
    SourceKind,
    Stage,
    StageKind,
    Waiting,
    Working,
)
from carryon.app.workshop_store import WorkshopStore
from carryon.base.errors import NoRoom

FULL = Order(
    Source(SourceKind.REPOSITORY, "acme/x@v1", Path("/a/adapter")), ("Q4_K_M", "Q8_0"), Path("/out"), "x", True,
    Path("/t.txt"), Path("/i.gguf"), True, Path("/m.txt"), True, True, "c" * 40, "y.gguf",
)  # fmt: skip
PLAIN = Order(Source(SourceKind.FOLDER, "/a/m"), ("Q8_0",), Path("/out"), "m")


@pytest.fixture
def store(tmp_path):
    made = WorkshopStore(tmp_path / "library.sqlite")
    yield made
    made.close()


@pytest.mark.parametrize("order", [FULL, PLAIN], ids=["full", "plain"])
def test_an_order_comes_back_as_it_was(store, order):
    store.add("a", order)
    assert [one.order for one in store.runs()] == [order]


@pytest.mark.parametrize(
    ("state", "later"),
    [
        (Waiting(), Interrupted()),
        (Working(Stage(StageKind.CONVERT)), Interrupted()),
        (Interrupted(), Interrupted()),
        (FinishedRun((Path("/out/m.gguf"),)), FinishedRun((Path("/out/m.gguf"),))),
    ],
)
def test_what_was_at_work_is_interrupted_after_a_restart(store, state, later):
    store.add("a", PLAIN)
    store.set_state("a", state)
    assert store.runs()[0].state == later


def test_an_error_keeps_its_kind_and_its_words(store):
    store.add("a", PLAIN)
    store.set_state("a", FailedRun(NoRoom("The disk is full.", "Free some space.")))
    error = store.runs()[0].state.error
    assert (type(error), error.message, error.hint) == (NoRoom, "The disk is full.", "Free some space.")


def test_whole_stages_notices_and_placings_belong_to_their_run(store):
    for id in ("a", "b"):
        store.add(id, PLAIN)
    store.finish("a", Stage(StageKind.CONVERT, "Q8_0"))
    store.note("a", "mind this")
    store.placing("a", "Q8_0", 7, 9)
    store.set_revision("a", "c" * 40)
    assert store.whole("a") == {(StageKind.CONVERT, "Q8_0")}
    assert (store.notices("a"), store.placed("a", "Q8_0"), store.revision("a")) == (("mind this",), (7, 9), "c" * 40)
    assert (store.whole("b"), store.notices("b"), store.placed("b", "Q8_0")) == (frozenset(), (), None)
    store.forget("a")
    assert [one.id for one in store.runs()] == ["b"]
    assert store.whole("a") == frozenset()


def test_asking_again_begins_anew(store):
    store.add("a", PLAIN)
    store.finish("a", Stage(StageKind.CONVERT, "Q8_0"))
    store.add("a", PLAIN)
    assert store.whole("a") == frozenset()


def test_another_process_reads_what_was_written(store, tmp_path):
    store.add("a", PLAIN)
    other = WorkshopStore(tmp_path / "library.sqlite")
    assert [one.id for one in other.runs()] == ["a"]
    other.close()


@pytest.mark.parametrize("told", ["", "[]", '{"kind": "x"}', '{"kind": "folder", "place": "/m"}'])
def test_a_row_that_nobody_can_read_takes_no_other_with_it(store, tmp_path, told):
    store.add("a", PLAIN)
    store.add("b", FULL)
    with sqlite3.connect(tmp_path / "library.sqlite") as db:
        db.execute("UPDATE workshop_run SET told = ? WHERE id = 'a'", (told,))
    assert [one.id for one in store.runs()] == ["b"]


def test_a_pace_is_the_average_of_the_last_times(store):
    stage = Stage(StageKind.QUANTIZE, "Q4_K_M")
    assert store.units_per_s(StageKind.QUANTIZE, "Q4_K_M") is None
    store.keep_pace(stage, 1000, 1.0)
    store.keep_pace(stage, 3000, 1.0)
    store.keep_pace(stage, 10**9, 0.01)  # too short to say anything
    assert store.units_per_s(StageKind.QUANTIZE, "Q4_K_M") == 2000
    assert store.units_per_s(StageKind.QUANTIZE, "Q6_K") is None


def test_a_home_that_cannot_be_written_only_forgets(tmp_path):
    (tmp_path / "file").write_text("")
    store = WorkshopStore(tmp_path / "file" / "library.sqlite")
    store.add("a", PLAIN)
    assert [one.id for one in store.runs()] == ["a"]
    store.close()
