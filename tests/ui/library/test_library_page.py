"""The Library page as a person uses it: keys, clicks, and what stands there."""

import json

import pytest
from fakes import machines
from fakes.model_shelves import tiny_model
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QMenu, QMessageBox, QPushButton, QToolButton

from carryon.app.workshop_list import Source, SourceKind
from carryon.base.settings import Theme
from carryon.hub.library.scanning import Scan
from carryon.ui import theme
from carryon.ui.library import texts
from carryon.ui.library.duplicates_dialog import DuplicatesDialog
from carryon.ui.library.form import Column
from carryon.ui.library.metadata_dialog import MetadataDialog
from carryon.ui.library.page import WATCH_MS

LONG = "A-very-long-name.of_a_model" * 3


def said(page):
    """Every word that stands on the page now."""
    words = [one.text() for one in page.findChildren(QLabel) if one.isVisible()]
    buttons = [one.text().strip() for one in page.findChildren(QPushButton) if one.isVisible()]
    return "\n".join([*words, *buttons])


def names(page):
    return [row.cells[Column.NAME] for row in page._table.entries.rows]


def cell(page, name, column):
    row = next(row for row in page._table.entries.rows if row.cells[Column.NAME] == name)
    return row.cells[column]


def choose(page, qtbot, name):
    """The row of this name, as a click does."""
    place = names(page).index(name)
    page._table.setCurrentIndex(page._table.entries.index(place, Column.NAME))
    qtbot.waitUntil(lambda: page._detail._name.accessibleName() == name)


def button(page, text):
    return next(one for one in page.findChildren(QPushButton) if one.isVisible() and one.text().strip() == text)


def dialog_of(page, kind):
    return next(one for one in page.findChildren(kind) if one.isVisible())


# what is shown when


def test_models_of_all_programs_stand_in_one_table(make_page, full):
    page = make_page()
    assert names(page) == ["bad-Q4_K_M", "llama3.2:3b", "Qwen3-8B-Q4_K_M", "style", "tiny-Q8_0"]
    assert cell(page, "llama3.2:3b", Column.WHERE) == "Ollama"
    assert cell(page, "style", Column.QUANT) == "LoRA"
    assert cell(page, "bad-Q4_K_M", Column.FIT) == "broken"
    assert "5 models · 5.0 GB" in said(page)


def test_without_models_the_page_says_what_to_do_and_where_it_looked(make_page, qtbot):
    page = make_page()
    assert texts.EMPTY_TITLE in said(page)
    for program in ("Hugging Face", "LM Studio", "Ollama", "Jan", "GPT4All"):
        assert program in said(page)
    with qtbot.waitSignal(page.discover_wanted):
        button(page, texts.DISCOVER).click()


def test_every_seen_model_gets_the_verdict_of_the_fit_page(make_page, full, qtbot, capsys, tmp_path):
    page = make_page()
    qtbot.waitUntil(lambda: cell(page, "Qwen3-8B-Q4_K_M", Column.FIT).startswith("Fits"))
    qtbot.waitUntil(lambda: cell(page, "tiny-Q8_0", Column.FIT).startswith("Fits"))
    assert cell(page, "style", Column.FIT) == "—"


def test_the_detail_tells_what_is_known(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "Qwen3-8B-Q4_K_M")
    qtbot.waitUntil(lambda: "Fits on the GPU" in page._detail._verdict.accessibleName())
    for words in ("qwen3", "8.2 B", "40,960 tokens", "Qwen/Qwen3-8B-GGUF", "tokens/s expected"):
        assert words in said(page).replace("\u200b", "")


def test_a_broken_file_shows_its_reason_and_cannot_be_used(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "bad-Q4_K_M")
    assert "not a GGUF file" in said(page)
    assert "Choose a GGUF model" in said(page)
    assert not page._detail._use.isVisible()
    with qtbot.assertNotEmitted(page.use_wanted):
        qtbot.keyClick(page._table, Qt.Key.Key_Return)


def test_an_adapter_has_no_button_that_chats_with_it(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "style")
    assert not page._detail._use.isVisible()
    assert "loaded with the model" in said(page)


def test_files_of_other_programs_have_no_button_that_deletes_them(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "llama3.2:3b")
    assert not page._detail._trash.isVisible()
    assert "Ollama keeps this file" in said(page)


# search, filter, order


def test_a_search_narrows_the_table_and_escape_takes_it_back(make_page, full, qtbot):
    page = make_page()
    qtbot.keyClicks(page._search, "qwen q4")
    qtbot.waitUntil(lambda: names(page) == ["Qwen3-8B-Q4_K_M"])
    assert "1 of 5 models" in said(page)
    page._search.setFocus()
    qtbot.keyClick(page._search, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: len(names(page)) == 5)


def test_a_search_without_an_answer_offers_the_way_back(make_page, full, qtbot):
    page = make_page()
    page._search.setText("zzz")
    qtbot.waitUntil(lambda: "No model matches “zzz”" in said(page))
    button(page, texts.CLEAR_SEARCH).click()
    qtbot.waitUntil(lambda: len(names(page)) == 5)


def test_the_filter_shows_one_program(make_page, full, qtbot):
    page = make_page()
    choices = [page._filter.itemText(place) for place in range(page._filter.count())]
    assert choices == [texts.EVERYWHERE, "Carryon", "LM Studio", "Ollama", "GPT4All"]
    page._filter.setCurrentIndex(3)
    page._filter.activated.emit(3)
    qtbot.waitUntil(lambda: names(page) == ["llama3.2:3b"])


@pytest.mark.parametrize("column", list(Column))
def test_a_click_on_a_title_sorts_and_another_one_turns_it(make_page, full, qtbot, column):
    page = make_page()
    header = page._table.horizontalHeader()
    before = names(page)
    orders = []
    for _ in range(2):
        header.sectionClicked.emit(column)
        assert header.property("sorted") == column
        orders.append(page.presenter.form.is_descending)
    assert sorted(orders) == [False, True]
    assert sorted(names(page)) == sorted(before)


def test_the_menu_sorts_too(make_page, full, qtbot):
    page, menu = make_page(), QMenu()
    page._add_orders(menu)
    checked = [one.text() for one in menu.actions() if one.isChecked()]
    assert checked == ["Name"]
    menu.actions()[Column.SIZE].trigger()
    assert (page.presenter.form.column, page.presenter.form.is_descending) == (Column.SIZE, False)
    menu.actions()[Column.NAME].trigger()
    assert (page.presenter.form.column, page.presenter.form.is_descending) == (Column.NAME, True)


def test_the_largest_come_first_when_asked(make_page, full, qtbot):
    page = make_page()
    page.presenter.sort(Column.SIZE, is_descending=True)
    qtbot.waitUntil(lambda: names(page)[0] == "Qwen3-8B-Q4_K_M")


def test_the_chosen_row_stays_chosen_when_the_order_changes(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "style")
    page.presenter.sort(Column.SIZE, is_descending=True)
    qtbot.waitUntil(lambda: names(page)[0] == "Qwen3-8B-Q4_K_M")
    assert page._table.currentIndex().row() == names(page).index("style")


# what can be done


def test_enter_and_the_buttons_say_what_is_wanted(make_page, own, qtbot):
    page = make_page()
    choose(page, qtbot, own.stem)
    with qtbot.waitSignal(page.use_wanted) as wanted:
        qtbot.keyClick(page._table, Qt.Key.Key_Return)
    assert wanted.args == [own]
    with qtbot.waitSignal(page.fit_wanted) as wanted:
        button(page, texts.FIT).click()
    assert wanted.args == [own]


def test_f2_renames_the_file_and_undo_takes_it_back(make_page, own, qtbot):
    page = make_page()
    choose(page, qtbot, own.stem)
    qtbot.keyClick(page._table, Qt.Key.Key_F2)
    field = page._table.findChild(QLineEdit)
    assert field.text() == own.stem
    field.selectAll()
    qtbot.keyClicks(field, "My qwen")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: names(page) == ["My qwen"])
    assert own.with_name("My qwen.gguf").exists()
    assert page._detail._name.accessibleName() == "My qwen"
    page.said[-1][1]()
    qtbot.waitUntil(lambda: names(page) == [own.stem])


def test_a_name_that_cannot_be_says_why_and_nothing_changes(make_page, own, qtbot):
    page = make_page()
    page.presenter.rename(own, "a/b")
    assert "cannot be the name" in page.said[-1][0]
    assert own.exists()


def test_a_refresh_does_not_take_the_field_away_in_mid_word(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "Qwen3-8B-Q4_K_M")
    qtbot.keyClick(page._table, Qt.Key.Key_F2)
    tiny_model(full.gpt4all / "another.gguf")
    page.presenter.look_again()
    qtbot.waitUntil(lambda: len(page.presenter.form.rows) == 6)
    qtbot.wait(60)
    assert page._table.findChild(QLineEdit).isVisible()
    qtbot.keyClick(page._table.findChild(QLineEdit), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: "another" in names(page))


def test_del_moves_to_the_trash_and_undo_brings_it_back(make_page, full, own, qtbot):
    page = make_page()
    choose(page, qtbot, own.stem)
    qtbot.keyClick(page._table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: own.stem not in names(page))
    assert not own.exists()
    words, undo = page.said[-1]
    assert words.startswith("Moved Qwen3-8B-Q4_K_M to the trash. Its 5.0 GB are free once")
    qtbot.waitUntil(lambda: "In the trash: 1 model, 5.0 GB" in said(page))
    assert page._detail._name.accessibleName() == "style"  # the next one is looked at
    undo()
    qtbot.waitUntil(lambda: own.stem in names(page))
    assert own.exists()


def test_del_on_a_file_of_another_program_says_why_it_stays(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "llama3.2:3b")
    qtbot.keyClick(page._table, Qt.Key.Key_Delete)
    assert "not Carryon's" in page.said[-1][0]
    assert page.said[-1][1] is None


def test_emptying_the_trash_is_asked_and_no_is_the_default(make_page, full, own, qtbot, carryon_home):
    page = make_page()
    page.presenter.move_to_trash(own)
    qtbot.waitUntil(lambda: page._empty_trash.isVisible())
    page._empty_trash.click()
    box = dialog_of(page, QMessageBox)
    assert "5.0 GB" in box.text()
    assert box.defaultButton().text() == texts.CANCEL
    next(one for one in box.buttons() if one.text() == texts.DELETE_FOR_GOOD).click()
    qtbot.waitUntil(lambda: not (carryon_home.models / ".trash").exists())
    qtbot.waitUntil(lambda: not page._empty_trash.isVisible())


def test_the_path_and_the_hash_are_copied_whole(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "llama3.2:3b")
    button(page, texts.COPY_PATH).click()
    entry = page.presenter.form.entry
    assert QGuiApplication.clipboard().text() == str(entry.path)
    copy = next(one for one in page.findChildren(QToolButton) if one.accessibleName() == "Copy SHA-256")
    copy.click()
    assert QGuiApplication.clipboard().text() == entry.sha256


def test_all_fields_can_be_searched(make_page, own, qtbot):
    page = make_page()
    choose(page, qtbot, own.stem)
    button(page, texts.METADATA).click()
    dialog = dialog_of(page, MetadataDialog)
    qtbot.waitUntil(lambda: dialog._fields.rowCount() > 10)
    dialog._search.setText("block_count")
    assert dialog._found.rowCount() == 1
    assert dialog._found.index(0, 1).data() == "36"
    assert dialog._said.text().startswith("1 of ")
    dialog.accept()


def test_a_template_is_read_whole_below_the_table(make_page, disk, qtbot):
    tiny_model(disk.gpt4all / "x.gguf", **{"tokenizer.chat_template": "{% for x in y %}\n" * 100})
    page = make_page()
    choose(page, qtbot, "x")
    page.show_metadata()
    dialog = dialog_of(page, MetadataDialog)
    qtbot.waitUntil(lambda: dialog._fields.rowCount() > 5)
    dialog._search.setText("chat_template")
    dialog._table.setCurrentIndex(dialog._found.index(0, 0))
    assert dialog._value.toPlainText().count("\n") == 100
    dialog.accept()


def test_duplicates_are_shown_with_the_space_to_win_and_own_copies_can_go(make_page, disk, carryon_home, qtbot):
    copy = tiny_model(carryon_home.models / "acme" / "tiny" / "mine.gguf")
    tiny_model(disk.gpt4all / "theirs.gguf")
    page = make_page()
    button(page, texts.FIND_DUPLICATES).click()
    dialog = dialog_of(page, DuplicatesDialog)
    qtbot.waitUntil(lambda: "1 model lies here more than once" in said(dialog))
    button(dialog, texts.TO_TRASH).click()
    assert not copy.exists()
    assert texts.NO_DUPLICATES in said(dialog)
    dialog.reject()
    page.said[-1][1]()
    assert copy.exists()


def test_closing_the_dialog_ends_the_comparison(make_page, full, qtbot):
    page = make_page()
    page.find_duplicates()
    dialog_of(page, DuplicatesDialog).reject()
    page._detail.setFocus()
    qtbot.waitUntil(lambda: not page.presenter._comparing.is_running)


def test_what_another_program_does_is_seen_by_itself(make_page, full, qtbot):
    page = make_page()
    page._watch.setInterval(50)
    assert WATCH_MS <= 5000
    tiny_model(full.gpt4all / "new.gguf")
    qtbot.waitUntil(lambda: "new" in names(page))


def test_nobody_watches_while_the_page_is_not_seen(make_page, full):
    page = make_page()
    page.hide()
    assert not page._watch.isActive()


def test_a_folder_is_added_and_looked_into_no_more(make_page, full, qtbot, tmp_path):
    tiny_model(tmp_path / "mine" / "x.gguf")
    page = make_page()
    page.presenter.add_folder(tmp_path / "mine")
    qtbot.waitUntil(lambda: "x" in names(page))
    page.presenter.show_place(tmp_path / "mine")
    qtbot.waitUntil(lambda: names(page) == ["x"])
    button(page, texts.STOP_LOOKING).click()
    qtbot.waitUntil(lambda: "x" not in names(page) and len(names(page)) == 5)
    assert (tmp_path / "mine" / "x.gguf").exists()


# how it looks and sounds


def test_every_control_has_a_name(make_page, full, qtbot):
    page = make_page()
    choose(page, qtbot, "llama3.2:3b")
    kinds = (QPushButton, QToolButton, QLineEdit)
    unnamed = [one for kind in kinds for one in page.findChildren(kind) if one.isVisible() and not one.accessibleName()]
    assert unnamed == []
    assert page._table.accessibleName()
    assert page._filter.accessibleName()


def test_a_row_is_heard_whole(make_page, full, qtbot):
    page = make_page()
    place = names(page).index("llama3.2:3b")
    spoken = page._table.entries.index(place, Column.NAME).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.startswith("llama3.2:3b, Quant Q4_K_M, Size ")
    assert "Where Ollama" in spoken


@pytest.mark.parametrize(
    ("percent", "size"), [(100, (1100, 700)), (100, (568, 480)), (200, (1100, 800)), (200, (700, 600))]
)
def test_nothing_is_cut_sideways(make_page, full, qtbot, qapp, percent, size):
    theme.apply(qapp, Theme.DARK, percent)
    tiny_model(full.gpt4all / f"{LONG}.gguf", **{"general.license": LONG})
    page = make_page(size=size)
    choose(page, qtbot, LONG)
    qtbot.waitUntil(lambda: page._detail._verdict.isVisible())
    assert page.minimumSizeHint().width() <= max(size[0], theme.px(568))
    assert page._detail.horizontalScrollBar().maximum() == 0
    table = page._table
    assert not table.isColumnHidden(Column.NAME)
    assert not table.isColumnHidden(Column.FIT)
    assert table.horizontalHeader().length() <= table.viewport().width()


def test_where_there_is_room_every_column_is_shown(make_page, full):
    table = make_page(size=(1600, 700))._table
    assert not any(table.isColumnHidden(column) for column in Column)


def test_without_a_gpu_ram_is_good(make_page, own, qtbot):
    page = make_page(machine=machines.CPU_ONLY)
    qtbot.waitUntil(lambda: cell(page, own.stem, Column.FIT) == "Fits in RAM")
    assert page._table.entries.has_gpu is False


def test_the_keyboard_goes_from_the_search_to_the_table(make_page, full, qtbot):
    page = make_page()
    page.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is page)
    page.focus_search()
    qtbot.keyClick(page._search, Qt.Key.Key_Down)
    assert page.focusWidget() is page._table


def test_a_thousand_models_are_drawn_in_a_moment(make_page, full, qtbot):
    import time
    from dataclasses import replace

    page = make_page()
    state = page.presenter.form.state
    entry = state.entries[0]
    many = tuple(replace(entry, name=f"m{n}", parts=(entry.path.with_name(f"m{n}.gguf"),)) for n in range(1000))
    page.show_form(replace(page.presenter.form, state=replace(state, scan=Scan(many, state.scan.looked))))
    began_s = time.perf_counter()
    page._draw()
    assert time.perf_counter() - began_s < 1.0
    assert len(names(page)) == 1000


def test_the_verdict_is_the_one_of_the_command(make_page, own, qtbot, capsys, tmp_path):
    from carryon.app.machine_file import read_machine_file
    from carryon.cli.main import run

    machine = tmp_path / "pc.json"
    machine.write_text('{"gpus": ["RTX 4060"], "ram_gb": 32}')
    page = make_page(machine=read_machine_file(machine))
    qtbot.waitUntil(lambda: own in page.presenter.form.judged)
    run(["fit", str(own), "--machine", str(machine), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert page.presenter.form.judged[own].verdict == told["verdict"]


# into the workshop


@pytest.mark.parametrize(("words", "measures"), [(texts.QUANTIZE, False), (texts.MEASURE, True)])
def test_a_model_goes_into_the_workshop(make_page, full, own, qtbot, words, measures):
    page = make_page()
    choose(page, qtbot, "Qwen3-8B-Q4_K_M")
    with qtbot.waitSignal(page.workshop_wanted) as told:
        button(page, words).click()
    assert told.args == [Source(SourceKind.GGUF, str(own)), measures]


@pytest.mark.parametrize("name", ["style", "bad-Q4_K_M"])
def test_what_is_no_model_does_not(make_page, full, qtbot, name):
    page = make_page()
    choose(page, qtbot, name)
    assert texts.QUANTIZE not in said(page)
    assert texts.MEASURE not in said(page)
    page._quantize()  # as the menu would
    assert "Converted by" not in said(page)


def test_how_a_model_was_made_stands_in_its_detail(make_page, carryon_home, qtbot):
    told = {"carryon.converter": "0.4.0", "carryon.quantizer": "Carryon 0.4.0 (llama.cpp 1)"}
    tiny_model(carryon_home.models / "smol-Q4_K_M.gguf", **told)
    page = make_page()
    choose(page, qtbot, "smol-Q4_K_M")
    qtbot.waitUntil(lambda: "Carryon 0.4.0 (llama.cpp 1)" in said(page).replace("\u200b", ""))
    assert "Quantized by" in said(page)
