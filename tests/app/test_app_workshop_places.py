"""Which stages an order has, and which orders make no sense."""

from dataclasses import replace
from pathlib import Path

import pytest

from carryon.app.workshop_list import Order, Source, SourceKind, StageKind
from carryon.app.workshop_places import Places, check_targets, id_of, settled, stages_of
from carryon.base.errors import BadFile, BadInput
from carryon.convert.forms import OutType

C, Q = StageKind.CONVERT, StageKind.QUANTIZE
FOLDER = Source(SourceKind.FOLDER, "/m")
FILE = Source(SourceKind.GGUF, "/m.gguf")
REPO = Source(SourceKind.REPOSITORY, "acme/m")


def order(*quants, source=FOLDER, **more):
    return Order(source, quants, Path("/out"), "m", **more)


@pytest.mark.parametrize(
    ("asked", "stages"),
    [
        (order("Q8_0"), [(C, "Q8_0")]),
        (order("Q4_K_M"), [(C, ""), (Q, "Q4_K_M")]),
        (order("Q4_K_M", "BF16"), [(C, "BF16"), (Q, "Q4_K_M")]),
        (order("Q8_0", "F16", "Q6_K"), [(C, "F16"), (C, "Q8_0"), (Q, "Q6_K")]),
        (order("Q8_0", "Q6_K"), [(C, "Q8_0"), (C, ""), (Q, "Q6_K")]),
        (order("Q8_0", measures=True), [(C, "Q8_0"), (C, ""), (StageKind.MEASURE, "")]),
        (order("IQ2_M", imatrix_text=Path("/t")), [(C, ""), (StageKind.IMATRIX, ""), (Q, "IQ2_M")]),
        (order("IQ2_M", imatrix=Path("/i"), imatrix_text=Path("/t")), [(C, ""), (Q, "IQ2_M")]),
        (order("Q8_0", "Q4_K_M", source=FILE), [(Q, "Q8_0"), (Q, "Q4_K_M")]),
        (order("Q8_0", source=REPO), [(StageKind.DOWNLOAD, ""), (C, "Q8_0")]),
    ],
)
def test_the_stages_of_an_order(asked, stages):
    assert [(one.kind, one.quant) for one in stages_of(asked)] == stages


def test_the_base_is_what_the_others_are_made_from(tmp_path):
    assert Places(order("Q4_K_M", source=FILE), "x").base == Path("/m.gguf")
    assert Places(order("Q4_K_M", "F16"), "x").base == Path("/out/m-F16.gguf")
    places = Places(replace(order("Q4_K_M"), folder=tmp_path), "x")
    assert places.base.name == "m-BF16.work"
    places.work.mkdir(parents=True)
    places.middle_of(OutType.F16).touch()
    assert places.base.name == "m-F16.work"


def test_the_same_order_has_the_same_id():
    assert id_of(order("Q8_0")) == id_of(order("Q8_0"))
    others = {
        id_of(one) for one in (order("Q8_0"), order("Q6_K"), order("Q8_0", measures=True), order("Q8_0", source=REPO))
    }
    assert len(others) == 4


def test_names_of_types_are_taken_as_people_write_them():
    assert settled(order("q4_k_m", "Q4_K", "q8_0")).quants == ("Q4_K_M", "Q8_0")


@pytest.mark.parametrize(
    "asked",
    [
        order(),
        order("Q9_9"),
        replace(order("Q8_0"), name=""),
        replace(order("Q8_0"), name="../up"),
        replace(order("Q8_0"), name=".hidden"),
        replace(order("Q8_0", "Q6_K"), file_name="x.gguf"),
    ],
)
def test_what_is_no_order_is_refused(asked):
    with pytest.raises(BadInput) as caught:
        settled(asked)
    assert caught.value.hint


def test_a_target_that_is_there_is_never_overwritten(tmp_path):
    asked = replace(order("Q8_0", "Q6_K"), folder=tmp_path)
    check_targets(asked, frozenset())
    asked.target("Q6_K").touch()
    with pytest.raises(BadFile, match="not overwritten"):
        check_targets(asked, frozenset())
    check_targets(asked, frozenset({"Q6_K"}))
