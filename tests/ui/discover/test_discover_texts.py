"""The words of the Discover page, without a window."""

from datetime import date

import pytest
from fakes.fits import GB, ROOMS, fit

from carryon.app.discovery import Look, RoughFit, Sureness
from carryon.app.download_list import Download, DownloadWish, Paused, Queued, Running, Verifying, WaitingForNetwork
from carryon.base.errors import NoAccess, Offline
from carryon.fit.plan import Limit, Plan, Verdict, Wishes
from carryon.hub.names import Reference
from carryon.hub.quants import gguf_files
from carryon.hub.repo import Format, FoundModel, Gate, Repo, RepoFile
from carryon.hub.search import Next, Question, SearchWish
from carryon.hub.search_words import ago_text, day_text, licence_text
from carryon.ui.discover import texts
from carryon.ui.discover.form import Line, Phase, RepoForm, SearchForm

TODAY = date(2026, 5, 8)
FOUND = FoundModel("Qwen/Qwen3-8B-GGUF", frozenset([Format.GGUF]), 1_234_567, 340, "2026-05-06T07:08:09.000Z",
                   "text-generation", "apache-2.0", n_params=8_190_735_360)  # fmt: skip
FILES = (RepoFile("m-Q8_0.gguf", 9 * GB), RepoFile("m-Q4_K_M.gguf", 5 * GB), RepoFile("mmproj-F16.gguf", GB))
LINES = (Line(FOUND, rough=RoughFit(Verdict.GPU, 5 * GB)), Line(FoundModel("a/b", frozenset())))


def look(found=FOUND, **others):
    return Look(Repo(found, "0" * 40, FILES), gguf_files(FILES), **others)


def form(**others):
    return RepoForm(Reference("Qwen/Qwen3-8B-GGUF"), look(), chosen="Q4_K_M", **others)


def planned(**others):
    fits = (fit("Q8_0", Verdict.SPLIT), fit("Q4_K_M"))
    made = Plan(ROOMS, Wishes(), fits[1], fits, Limit.VRAM, ("First.",), (), fits[1])
    return form(plan=made, best_quant="Q4_K_M", **others)


def download(state, done_bytes=0):
    wish = DownloadWish("Qwen/Qwen3-8B-GGUF", "0" * 40, "t", (FILES[1],), None)
    return Download("1", wish, state, done_bytes)


def test_a_line_says_what_a_choice_depends_on():
    assert texts.facts(LINES[0], TODAY) == "8.2B · 1.2M downloads · 340 likes · 2 days ago · Apache 2.0"
    assert texts.facts(LINES[1], TODAY) == ""


def test_the_tip_says_what_the_signs_mean():
    gated = Line(FoundModel("a/b", frozenset(), gate=Gate.AUTOMATIC), rough=RoughFit(Verdict.RAM, 5 * GB))
    assert texts.tip(gated).split("\n") == [
        "a/b", "Not open to everybody: log in and accept its conditions.",
        "Fits in RAM as Q4_K_M, about 5.4 GB: estimated by its number of parameters",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("updated", "words"),
    [("2026-05-08T23:00:00Z", "today"), ("2026-05-07T00:00:00Z", "1 day ago"), ("2026-04-20", "2 weeks ago"),
     ("2025-01-01", "1 year ago"), ("2027-01-01", "today"), ("", ""), ("nonsense", "")],
)  # fmt: skip
def test_how_long_ago(updated, words):
    assert ago_text(updated, TODAY) == words


def test_unknown_licences_keep_their_name():
    assert (licence_text("bigcode-openrail-m"), licence_text(""), day_text("")) == ("bigcode-openrail-m", "—", "—")


def test_the_heading_counts_what_is_shown():
    found = SearchForm(phase=Phase.FOUND, all_lines=LINES)
    assert texts.heading(found) == "2 models"
    fitting = SearchForm(phase=Phase.FOUND, all_lines=LINES, only_fitting=True, next=Next(Question("/")))
    assert texts.heading(fitting) == "1+ models · 1 that do not fit, or do not say, are hidden"
    assert texts.heading(SearchForm(phase=Phase.SEARCHING)) == texts.SEARCHING


def test_an_empty_list_says_what_may_help():
    filtered = SearchForm(SearchWish("x", licence="mit"), Phase.FOUND)
    assert texts.nothing_text(filtered).startswith("Try fewer or other words. Take off the filters.")
    hidden = SearchForm(phase=Phase.FOUND, all_lines=LINES[1:], only_fitting=True)
    assert texts.nothing_title(hidden) == "Nothing here fits this machine"


def test_what_the_fit_rests_on_is_said():
    reading = RepoForm(Reference("a/b"), look(is_reading=True))
    assert texts.sure_line(reading) == texts.READING_HEADER
    assert texts.sure_line(form()) == texts.NOT_KNOWN_YET
    sure = RepoForm(Reference("a/b"), look(sureness=Sureness.HEADER))
    assert texts.sure_line(sure) == "The fit is by the header of one of its files; the other is inferred from it."
    counted = RepoForm(Reference("a/b"), look(sureness=Sureness.COUNT))
    assert texts.sure_line(counted) == "The fit is estimated by its number of parameters alone."


def test_a_gate_is_told_until_it_is_open():
    gated = FoundModel("a/b", frozenset(), gate=Gate.MANUAL)
    closed = RepoForm(Reference("a/b"), look(gated, error=NoAccess("No.", "Ask.")), chosen="Q4_K_M")
    assert texts.gate_line(closed) == "Not open to everybody: ask its owner for access."
    assert texts.gate_error(closed).message == "No."
    assert not texts.may_download(closed)
    may = RepoForm(Reference("a/b"), look(gated), chosen="Q4_K_M")
    assert texts.gate_line(may) == "You have access to it."
    assert texts.gate_error(may) is None
    offline = RepoForm(Reference("a/b"), look(gated, error=Offline("Off.")), chosen="Q4_K_M")
    assert texts.gate_error(offline) is None


def test_the_download_counts_its_projector():
    chosen = RepoForm(Reference("a/b"), look(), chosen="Q4_K_M")
    assert texts.download_text(chosen) == "Download 6.4 GB"
    bare = RepoForm(Reference("a/b"), look(), chosen="Q4_K_M", with_projector=False)
    assert texts.download_text(bare) == "Download 5.4 GB"
    assert texts.projector_text(chosen) == "With its &projector (1.1 GB)"


@pytest.mark.parametrize(
    ("state", "words"),
    [(Queued(), "queued"), (Running(), "downloading 20 %"), (Paused(), "paused at 20 %"),
     (Verifying(), "being checked"), (WaitingForNetwork(Offline("x"), 3.0), "waiting for the network")],
)  # fmt: skip
def test_every_state_of_a_download_has_words(state, words):
    assert texts.state_text(download(state, GB)) == words


def test_rows_have_the_fit_where_it_is_known():
    assert [row.verdict for row in texts.rows(form())] == [None, None]
    rows = texts.rows(planned(downloads={"Q8_0": download(Queued())}))
    assert [row.verdict for row in rows] == [Verdict.SPLIT, Verdict.GPU]
    assert rows[0].tags == ("queued",)
    assert rows[1].tags == ("best for you",)


def test_the_marked_row_is_explained_only_when_another_is_looked_at():
    assert texts.best_text(planned()) == ""
    assert texts.pace_line(planned()) == "38–46 tokens/s expected"
    assert texts.reasons(planned()) == ("First.",)


def test_what_is_left_out_is_counted():
    left = Look(Repo(FOUND, "0" * 40, (), n_unsafe=2), gguf_files([RepoFile("a-Q8_0-00001-of-00002.gguf", 1)]))
    assert texts.left_out(left) == (
        "Not whole, and therefore left out: Q8_0. 2 files with unsafe names are left out."
    )




@pytest.mark.parametrize(("number", "words"), [(0, "0 likes"), (1, "1 like"), (1_234_567, "1.2M likes")])
def test_one_is_not_many(number, words):
    assert texts.counted(number, "like") == words
