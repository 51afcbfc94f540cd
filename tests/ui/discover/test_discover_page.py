"""The Discover page as a person meets it: typing, keys, the list, a repository, its downloads."""

import json
from dataclasses import replace

import pytest
from fakes import machines
from fakes.fakehub import Blob
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from carryon.app.download_list import Download, FailedDownload, Finished, Paused, Queued, Running
from carryon.app.workshop_list import Source, SourceKind
from carryon.base.errors import NoRoom
from carryon.base.settings import Theme
from carryon.fit.plan import Verdict
from carryon.hardware.machine import MemoryUse
from carryon.hub.catalog import starters
from carryon.hub.names import Reference
from carryon.hub.search import SearchWish
from carryon.ui import theme
from carryon.ui.discover import texts
from carryon.ui.discover.form import Phase
from carryon.ui.markdown.text_view import MarkdownText

CONFIG = {"num_hidden_layers": 36, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
          "head_dim": 128, "intermediate_size": 12288, "vocab_size": 151936}  # fmt: skip


def said(page):
    """All words that are seen."""
    labels = [one.text() for one in page.findChildren(QLabel) if one.isVisibleTo(page)]
    return "\n".join(labels + [one.text().strip() for one in page.findChildren(QPushButton) if one.isVisibleTo(page)])


def press(page, words):
    button = next(one for one in page.findChildren(QPushButton) if one.text().strip() == words and one.isVisible())
    button.click()


def names(page):
    return [line.found.repo_id for line in page._list.results.lines.lines]


def opened(page, until, repo_id):
    page.open_repository(Reference(repo_id))
    until(lambda: page.repository.form.card is not None and _is_settled(page.repository.form))
    return page.repository.form


def _is_settled(form):
    return not form.look.is_reading and (form.plan is not None or form.look.subject is None)


# the list


def test_the_first_view_needs_no_network(hub, make_page, until):
    page = make_page()
    assert names(page) == [one.found.repo_id for one in starters()]
    until(lambda: all(line.rough for line in page.searching.form.lines))
    assert hub.requests() == []


def test_typing_asks_once_after_a_rest(hub, add_model, make_page, until, qtbot):
    add_model()
    page = make_page()
    qtbot.keyClicks(page._list.filters.search, "qwen3")
    until(lambda: page.searching.form.phase is Phase.FOUND)
    assert names(page) == ["Qwen/Qwen3-8B-GGUF"]
    assert len(hub.requests("/api/models")) == 1


def test_what_is_typed_meanwhile_is_not_taken_away(hub, add_model, make_page, until, qtbot):
    add_model()
    page = make_page()
    qtbot.keyClicks(page._list.filters.search, "qwen")
    until(lambda: page.searching.form.phase is Phase.SEARCHING)
    qtbot.keyClicks(page._list.filters.search, "3 8b")
    until(lambda: page.searching.form.wish.text == "qwen3 8b" and page.searching.form.phase is Phase.FOUND)
    assert page._list.filters.search.text() == "qwen3 8b"


def test_an_older_answer_never_takes_the_place_of_a_newer_one(hub, add_model, make_page, until, qtbot):
    add_model("a/old-GGUF")
    add_model("a/new-GGUF")
    hub.fault("stall", path="search=old", seconds=0.5)
    page = make_page()
    page.searching.search(SearchWish("old"))
    page.searching.search(SearchWish("new"))
    until(lambda: page.searching.form.phase is Phase.FOUND)
    qtbot.wait(700)
    assert names(page) == ["a/new-GGUF"]


def test_enter_on_a_name_opens_it(add_model, make_page, until, qtbot):
    repo_id = add_model()
    page = make_page()
    qtbot.keyClicks(page._list.filters.search, repo_id)
    qtbot.keyClick(page._list.filters.search, Qt.Key.Key_Return)
    until(lambda: page.repository.form is not None and page.repository.form.look is not None)
    assert page.currentWidget() is page._repo
    assert repo_id.split("/")[1] in said(page)


def test_a_pasted_address_opens_its_quant(hub, add_model, make_page, until, qtbot):
    repo_id = add_model()
    page = make_page()
    QGuiApplication.clipboard().setText(f"{hub.url}/{repo_id}/blob/main/Qwen3-8B-Q4_K_M.gguf")
    page._list.filters.search.setFocus()
    page._list.filters.search.paste()
    until(lambda: page.repository.form is not None and page.repository.form.plan is not None)
    assert page.repository.form.chosen == "Q4_K_M"
    assert page._list.filters.search.text() == ""


def test_typing_a_name_letter_by_letter_is_a_search(add_model, make_page, until, qtbot):
    add_model()
    page = make_page()
    qtbot.keyClicks(page._list.filters.search, "Qwen/Qwen3-8B-GGUF")
    until(lambda: page.searching.form.phase is Phase.FOUND)
    assert page.currentWidget() is page._list


def test_filters_are_asked_of_the_hub(hub, add_model, make_page, until):
    add_model("a/mit-GGUF", tags=["gguf", "license:mit"])
    add_model("a/apache-GGUF")
    page = make_page()
    page._list.filters._licences.setCurrentIndex(list(texts.LICENCE_WORDS).index("mit"))
    until(lambda: page.searching.form.phase is Phase.FOUND)
    assert names(page) == ["a/mit-GGUF"]


def test_the_models_of_one_owner(hub, add_model, make_page, until, qtbot):
    add_model("Qwen/Qwen3-8B-GGUF")
    add_model("bartowski/Qwen3-8B-GGUF")
    page = make_page()
    qtbot.keyClicks(page._list.filters.owner, "bartowski")
    until(lambda: names(page) == ["bartowski/Qwen3-8B-GGUF"])
    assert "author=bartowski" in hub.requests("/api/models")[-1]["path"]


def test_only_what_fits_is_shown_if_wished(add_model, make_page, until):
    add_model("a/small-GGUF", "smollm2-1.7b", ("Q4_K_M",))
    add_model("a/huge-GGUF", "dsv3", ("Q4_K_M",))
    page = make_page()
    page.searching.search(SearchWish("GGUF"))
    until(lambda: len([one for one in page.searching.form.lines if one.rough]) == 2)
    page._list.filters.only_fitting.setChecked(True)
    assert names(page) == ["a/small-GGUF"]
    assert "1 model · 1 that do not fit, or do not say, are hidden" in said(page)
    page.searching.search(SearchWish("huge"))
    until(lambda: page.searching.form.phase is Phase.FOUND and not page.searching.form.lines)
    until(lambda: "Nothing here fits this machine" in said(page))
    press(page, texts.RESET)
    until(lambda: names(page) == ["a/huge-GGUF"])


def test_more_comes_at_the_end_of_the_list(hub, make_page, until):
    for number in range(40):
        hub.add_repo(f"a/m{number:02}-GGUF", {}, downloads=number)
    page = make_page()
    page.searching.search(SearchWish("GGUF"))
    until(lambda: page.searching.form.phase is Phase.FOUND)
    assert len(names(page)) == 30
    page._list.results.setCurrentIndex(page._list.results.lines.index(3))
    page._list.results.verticalScrollBar().setValue(page._list.results.verticalScrollBar().maximum())
    until(lambda: len(names(page)) == 40)
    assert page._list.results.currentIndex().row() == 3
    assert not page._list._more.isVisible()


def test_nothing_found_says_what_to_try(make_page, until):
    page = make_page()
    page.searching.search(SearchWish("nothing of the kind"))
    until(lambda: "Nothing was found" in said(page))
    assert "Try fewer or other words." in said(page)
    assert texts.LOOK_AMONG_SAFETENSORS in said(page)


def test_without_a_network_the_starters_stand_in(hub, make_page, until):
    page = make_page()
    hub.stop()
    page.searching.search(SearchWish("llama"))
    until(lambda: page.searching.form.phase is Phase.FAILED and texts.TRY_AGAIN in said(page))
    assert "refuses the connection" in said(page)
    assert names(page) == [one.found.repo_id for one in starters()]


def test_the_keyboard_is_enough(add_model, make_page, until, qtbot):
    add_model()
    page = make_page()
    page.searching.search(SearchWish("qwen3"))
    until(lambda: page.searching.form.phase is Phase.FOUND)
    page.activateWindow()
    page._list.filters.search.setFocus()
    qtbot.keyClick(page._list.filters.search, Qt.Key.Key_Down)
    assert page._list.results.currentIndex().row() == 0
    qtbot.keyClick(page._list.results, Qt.Key.Key_Return)
    until(lambda: page.currentWidget() is page._repo and page.repository.form.plan is not None)
    qtbot.keyClick(page._repo, Qt.Key.Key_Escape)
    assert page.currentWidget() is page._list
    assert page._list.results.currentIndex().row() == 0  # where it was left
    qtbot.keyClick(page._list.results, Qt.Key.Key_Up)
    assert QApplication.focusWidget() in (page._list.filters.search, None)


def test_a_slash_leads_to_the_search_and_can_be_typed_there(make_page, qtbot, qapp):
    page = make_page()
    page.activateWindow()
    qtbot.waitUntil(lambda: qapp.activeWindow() is page)
    page._list.results.enter()
    qtbot.keyClick(page._list.results, Qt.Key.Key_Slash)
    assert page._list.filters.search.hasFocus()
    qtbot.keyClicks(page._list.filters.search, "a/b")
    assert page._list.filters.search.text() == "a/b"


def test_a_line_is_one_sentence_for_a_screen_reader(add_model, make_page, until):
    add_model(downloads=1200, gated="auto")
    page = make_page()
    page.searching.search(SearchWish("qwen3"))
    until(lambda: page.searching.form.phase is Phase.FOUND and page.searching.form.lines[0].rough)
    lines = page._list.results.lines
    spoken = lines.data(lines.index(0), Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.startswith("Qwen3-8B-GGUF, by Qwen, needs a token, 8.2B · 1.2k downloads")
    assert spoken.endswith("Apache 2.0, Fits on the GPU")


# a repository


def test_a_repository_shows_its_quants_and_the_best_one_chosen(add_model, make_page, until):
    page = make_page()
    form = opened(page, until, add_model())
    assert form.best_quant == form.chosen
    assert [row.quant for row in texts.rows(form)] == ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M"]
    assert next(row for row in texts.rows(form) if row.quant == form.chosen).is_best
    assert f"Download {texts.download_text(form).removeprefix('Download ')}" in said(page)
    assert "The fit is by the header of one of its files; the other 5 are inferred from it." in said(page)
    press(page, "Show 1 more quants")
    assert "IQ2_M" in [row.quant for row in texts.rows(page.repository.form)]


def test_another_row_and_another_context_are_planned_at_once(add_model, make_page, until):
    page = make_page()
    opened(page, until, add_model())
    page._repo._table.chosen.emit("Q8_0")
    form = page.repository.form
    assert form.chosen == "Q8_0"
    assert form.fit.verdict is Verdict.SPLIT
    assert "8.7 GB" in said(page)
    page._repo.answer.context_chosen.emit(16384)
    page._repo.answer.context_chosen.emit(32768)
    until(lambda: page.repository.form.fit.placement.n_ctx == 32768)
    assert page.repository.form.chosen == "Q8_0"


def test_download_wants_the_files_of_the_quant(add_model, make_page, until, qtbot):
    page = make_page()
    opened(page, until, add_model())
    page._repo._table.chosen.emit("Q4_K_M")
    with qtbot.waitSignal(page.download_wanted) as wanted:
        page._repo.answer.get.click()
    (wish,) = wanted.args
    assert [one.path for one in wish.files] == ["Qwen3-8B-Q4_K_M.gguf"]
    assert wish.title == "Qwen3-8B-GGUF · Q4_K_M"


def test_a_projector_comes_along_unless_it_is_not_wanted(add_model, make_page, until, qtbot):
    eyes = Blob(size=854_000_000, name="mmproj.gguf")
    eyes._sha256 = "a" * 64
    page = make_page()
    form = opened(page, until, add_model("ggml-org/gemma-3-12b-it-GGUF", "gemma3-12b", files={"mmproj-f16.gguf": eyes}))
    assert len(page.repository.wish().files) == 2
    whole = texts.download_text(form)
    page._repo.answer._projector.click()
    assert len(page.repository.wish().files) == 1
    assert texts.download_text(page.repository.form) != whole


def test_a_download_shows_how_far_it_is(add_model, make_page, until):
    page = make_page()
    opened(page, until, add_model())
    wish = page.repository.wish()
    quant = page.repository.form.chosen
    for state, words in ((Queued(), "queued"), (Running(1e6), "downloading 50 %"), (Paused(), "paused at 50 %")):
        page.show_downloads((Download("1", wish, state, wish.total_bytes // 2),))
        assert f"{quant}: {words}" in said(page)
        assert words in next(row for row in texts.rows(page.repository.form) if row.quant == quant).tags
    assert texts.GO_ON in said(page)
    page.show_downloads((Download("1", wish, FailedDownload(NoRoom("The disk is full.")), 0),))
    assert f"{quant}: failed" in said(page)


def test_what_has_come_can_be_used(add_model, make_page, until, qtbot):
    page = make_page()
    form = opened(page, until, add_model())
    wish, path = page.repository.wish(), None
    page.show_downloads((Download("1", wish, Running(), 5),))
    for file in wish.files:
        path = wish.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            out.truncate(file.size_bytes)
    page.show_downloads((Download("1", wish, Finished(), wish.total_bytes),))
    assert page.repository.form.is_here
    row = next(row for row in texts.rows(page.repository.form) if row.quant == form.chosen)
    assert row.tags == ("best for you", "here")
    with qtbot.waitSignal(page.use_wanted) as wanted:
        page._repo.answer.use.click()
    assert wanted.args == [path]
    assert not page._repo.answer.get.isVisible()


def test_a_closed_door_says_what_to_do_and_offers_no_download(add_model, make_page, until):
    page = make_page()
    form = opened(page, until, add_model(gated="manual"))
    assert "Not open to everybody: ask its owner for access" in said(page)
    assert "is only for people who are logged in and have its owner's consent." in said(page)
    assert texts.OPEN_PAGE in said(page)
    assert form.plan is not None  # an estimate by its parameters
    assert "estimated by its number of parameters alone" in said(page)
    assert not page._repo.answer.get.isVisible()


def test_a_header_that_cannot_be_read_leaves_sizes_and_a_reason(hub, make_page, until):
    hub.add_repo("a/m-GGUF", {"m-Q4_0.gguf": b"no gguf" * 20_000})
    page = make_page()
    form = opened(page, until, "a/m-GGUF")
    assert "m-Q4_0.gguf is not a GGUF file." in said(page)
    assert texts.rows(form)[0].cells[:3] == ("Q4_0", "140 kB", "—")


def test_a_model_to_be_converted_leads_to_a_gguf_of_it(hub, add_model, make_page, until):
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": b"x"}
    hub.add_repo("Qwen/Qwen3-8B", files, safetensors={"total": 8_190_735_360}, tags=["safetensors"])
    add_model()
    page = make_page()
    form = opened(page, until, "Qwen/Qwen3-8B")
    assert "it must be converted and quantized first, which the Workshop does" in said(page)
    assert form.plan is not None
    assert not page._repo.answer.get.isVisible()
    press(page, texts.FIND_GGUF)
    until(lambda: page.searching.form.phase is Phase.FOUND)
    assert names(page) == ["Qwen/Qwen3-8B-GGUF"]
    assert page._list.filters.search.text() == "Qwen3-8B"


def test_a_model_to_be_converted_leads_to_the_workshop(hub, make_page, until, qtbot):
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": b"x"}
    hub.add_repo("Qwen/Qwen3-8B", files, safetensors={"total": 8_190_735_360}, tags=["safetensors"])
    page = make_page()
    opened(page, until, "Qwen/Qwen3-8B")
    with qtbot.waitSignal(page.workshop_wanted) as told:
        press(page, texts.CONVERT)
    assert told.args == [Source(SourceKind.REPOSITORY, "Qwen/Qwen3-8B")]


def test_a_revision_that_was_asked_for_goes_into_the_workshop(hub, make_page, until):
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": b"x"}
    repo = hub.add_repo("Qwen/Qwen3-8B", files, safetensors={"total": 8_190_735_360}, tags=["safetensors"])
    commit = repo.resolve("main")
    page = make_page()
    page.open_repository(Reference("Qwen/Qwen3-8B", commit))
    until(lambda: page.repository.form.look is not None and not page.repository.form.look.is_reading)
    assert page.repository.source() == Source(SourceKind.REPOSITORY, f"Qwen/Qwen3-8B@{commit}")


def test_what_is_ready_to_run_is_not_converted(add_model, make_page, until):
    page = make_page()
    opened(page, until, add_model())
    assert page.repository.source() is None
    assert texts.CONVERT not in said(page)


def test_a_repository_that_is_not_there_says_so(make_page, until):
    page = make_page()
    page.open_repository(Reference("a/not-there"))
    until(lambda: page.repository.form.error is not None)
    assert "a/not-there is not on" in said(page)
    until(lambda: texts.TRY_AGAIN in said(page))  # a new button is shown with the next event


def test_the_card_is_drawn_and_nothing_of_it_is_loaded(hub, add_model, make_page, until):
    card = b"# Words\n\n![x](http://127.0.0.1:9/a.png) <img src='http://127.0.0.1:9/b.png'> **strong** [link](https://x.y)"
    page = make_page()
    opened(page, until, add_model(files={"README.md": card}))
    view = page._repo.findChild(MarkdownText)
    assert "Words" in view.toPlainText()
    assert "img" not in view.toPlainText()
    assert len(hub.requests("/resolve/.*README")) == 1


def test_going_back_gives_up_what_was_asked(hub, add_model, make_page, until, qtbot):
    repo_id = add_model()
    hub.fault("stall", path=f"/api/models/{repo_id}", seconds=1)
    page = make_page()
    page.open_repository(Reference(repo_id))
    page.back()
    assert page.repository.form is None
    qtbot.wait(200)
    assert page.currentWidget() is page._list


def test_the_machine_may_become_known_later(add_model, make_page, until):
    page = make_page(machine=None)
    page.open_repository(Reference(add_model()))
    until(lambda: page.repository.form.look is not None and not page.repository.form.look.is_reading)
    assert page.repository.form.plan is None
    page.set_machine(machines.WITH_GPU)
    until(lambda: page.repository.form.plan is not None)


def test_a_fuller_memory_is_another_fit(add_model, make_page, until):
    page = make_page()
    opened(page, until, add_model())
    before = page.repository.form.plan
    ram = machines.WITH_GPU.ram
    page.set_use(MemoryUse(replace(ram, available_bytes=ram.available_bytes // 4), ()))
    until(lambda: page.repository.form.plan is not None and page.repository.form.plan is not before)
    assert page.repository.form.plan.rooms.ram.usable_bytes < before.rooms.ram.usable_bytes


@pytest.mark.parametrize(("percent", "width"), [(100, 480), (200, 720)])
def test_nothing_is_wider_than_the_page(add_model, make_page, until, qapp, percent, width):
    theme.apply(qapp, Theme.DARK, percent)
    page = make_page(size=(width, 700))
    opened(page, until, add_model())
    assert page.width() <= width
    assert page._repo.widget().width() <= page._repo.viewport().width()


def test_every_control_has_a_name(add_model, make_page, until):
    page = make_page()
    opened(page, until, add_model())
    for button in page.findChildren(QPushButton):
        assert button.accessibleName() or button.text()
    for combo in (page._list.filters._formats, page._list.filters._sorts, page._list.filters._sizes):
        assert combo.accessibleName()
