"""Models of every program are found where they lie, each once, with what is known of it; nothing is ever written."""

import os
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.header_models import write_split_model
from fakes.model_shelves import COMMIT, OLD_COMMIT, Disk, sha256_of, tiny_adapter, tiny_model, tiny_projector
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from carryon.base.jobs import Progress, drained
from carryon.hub.library import walking
from carryon.hub.library.entry import Kind
from carryon.hub.library.index import Index
from carryon.hub.library.scanning import checking, scanning
from carryon.hub.library.shelves import Program, Shelf, Surroundings, shelves
from carryon.hub.origin import Origin, write_origin

_NOBODY = 65534


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "person")


@pytest.fixture
def index(carryon_home):
    made = Index(carryon_home.library)
    yield made
    made.close()


@pytest.fixture
def scan(disk, index, carryon_home):
    """Looks at everything on the disk."""

    def call(*added):
        return drained(scanning(shelves(carryon_home.models, added, disk.around), index))

    return call


@pytest.fixture
def checked(scan, index):
    """The same after a closer look."""

    def call(*added):
        found = scan(*added)
        return found.with_known(drained(checking(found.entries, index, 60)))

    return call


@pytest.fixture
def as_anybody():
    """A disk, and a look at it by somebody who may not read everything, even where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    disk, index = Disk(folder / "person"), Index(Path(":memory:"))

    def call(act=lambda: drained(scanning(shelves(folder / "own", (), disk.around), index))):
        was = os.geteuid()
        if was == 0:
            os.seteuid(_NOBODY)
        try:
            return act()
        finally:
            os.seteuid(was)

    yield disk, call
    index.close()
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def only(found):
    (entry,) = found.listed
    return entry


# the programs


def test_a_download_of_carryon_knows_where_it_came_from(scan, carryon_home):
    path = tiny_model(carryon_home.models / "acme" / "tiny" / "tiny-Q4_K_M.gguf")
    origin = Origin("acme/tiny", path.name, COMMIT, sha256_of(path), path.stat().st_size, "mit")
    write_origin(path, origin)
    entry = only(scan())
    assert (entry.name, entry.origin, entry.repo_id, entry.is_own) == ("tiny-Q4_K_M", origin, "acme/tiny", True)
    assert (entry.known.licence, entry.sha256) == ("mit", origin.sha256)


def test_an_origin_of_another_size_is_of_another_file(scan, carryon_home):
    path = tiny_model(carryon_home.models / "acme" / "tiny" / "tiny.gguf")
    write_origin(path, Origin("acme/tiny", path.name, COMMIT, "a" * 64, 1, "mit"))
    assert (only(scan()).origin, only(scan()).sha256) == (None, None)


def test_the_hugging_face_cache_tells_repository_commit_and_hash(scan, disk):
    link = disk.in_cache("acme/tiny", "q4/tiny-Q4_K_M.gguf")
    entry = only(scan())
    assert entry.path == link
    assert entry.origin.repo_id == "acme/tiny"
    assert entry.origin.commit == COMMIT
    assert entry.origin.path == "q4/tiny-Q4_K_M.gguf"
    assert entry.sha256 == sha256_of(link)
    assert entry.shelf.program is Program.HUGGING_FACE


def test_a_blob_of_two_snapshots_is_shown_once_and_by_the_main_one(scan, disk):
    disk.in_cache("acme/tiny", "tiny.gguf", OLD_COMMIT, is_main=False)
    disk.in_cache("acme/tiny", "tiny.gguf", COMMIT)
    assert only(scan()).origin.commit == COMMIT


def test_a_cache_without_links_is_read_too(scan, disk):
    """As huggingface_hub writes it on a Windows without them."""
    tiny_model(disk.hugging_face / "models--acme--tiny" / "snapshots" / COMMIT / "tiny.gguf")
    entry = only(scan())
    assert (entry.repo_id, entry.origin.commit, entry.sha256) == ("acme/tiny", COMMIT, None)


def test_a_shared_blob_keeps_the_hash_of_the_repository(scan, disk):
    """huggingface_hub 2 keeps one file for several repositories, behind a second link with another name."""
    link = disk.in_cache("acme/tiny", "tiny.gguf")
    blob = link.resolve()
    shared = disk.hugging_face / "blobs" / "ab" / ("d" * 64)
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(shared)
    assert only(scan()).sha256 == blob.name


def test_lm_studio_names_the_repository_by_its_folders(scan, disk):
    tiny_model(disk.lm_studio / "acme" / "tiny-GGUF" / "tiny-Q4_K_M.gguf")
    entry = only(scan())
    assert (entry.repo_id, entry.origin, entry.is_own) == ("acme/tiny-GGUF", None, False)


def test_ollama_keeps_its_names(scan, disk):
    blob = disk.in_ollama("llama3.2", "3b")
    disk.in_ollama("llama3.2", "latest")
    entry = only(scan())
    assert (entry.path, entry.name, entry.other_names) == (blob, "llama3.2:3b", ("llama3.2:latest",))
    assert entry.sha256 == sha256_of(blob)


def test_ollama_names_of_other_hosts_are_whole(scan, disk):
    disk.in_ollama("tiny-GGUF", "Q4_K_M", host="hf.co/acme")
    entry = only(scan())
    assert (entry.name, entry.repo_id) == ("hf.co/acme/tiny-GGUF:Q4_K_M", "acme/tiny-GGUF")


def test_ollama_projectors_go_with_their_model_and_adapters_are_shown(scan, disk):
    disk.in_ollama("llava", "7b", projector=tiny_projector, adapter=tiny_adapter)
    found = scan()
    assert [(one.name, one.known.kind) for one in found.listed] == [
        ("llava:7b", Kind.MODEL), ("llava:7b (adapter)", Kind.ADAPTER),
    ]  # fmt: skip
    assert len(found.listed[0].projectors) == 1


def test_an_ollama_model_whose_blob_is_gone_says_how_to_get_it_again(scan, disk):
    disk.in_ollama("llama3.2", "3b").unlink()
    assert "ollama pull llama3.2:3b" in only(scan()).known.trouble.hint


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", '{"layers": 1}', '{"layers": [1]}', '{"layers": [{"mediaType": "x"}]}', "[" * 100_000,
     '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../etc/passwd"}]}',
     '{"layers": [{"mediaType": "application/vnd.ollama.image.tensor", "digest": "sha256:%s"}]}' % ("a" * 64)],
)  # fmt: skip
def test_a_manifest_that_names_no_blob_is_passed_over(scan, disk, manifest):
    blob = disk.in_ollama("a", "1")
    place = disk.ollama / "manifests" / "registry.ollama.ai" / "library" / "b" / "1"
    place.parent.mkdir(parents=True)
    place.write_text(manifest)
    assert only(scan()).path == blob


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
@example(content=b"\0")
@example(content=b"/\0")
def test_whatever_others_write_stops_nothing(disk, index, carryon_home, content):
    """In every file that is read beside the models, and as a model."""
    tiny_model(disk.gpt4all / "good.gguf")
    for place in (
        disk.ollama / "manifests" / "h" / "n" / "m" / "t", disk.jan / "m" / "model.yml", disk.jan / "m" / "model.gguf",
        disk.gpt4all / "good.gguf.origin.json", disk.person / ".lmstudio" / "settings.json",
        disk.hugging_face / "models--a--b" / "refs" / "main", disk.person / ".lmstudio-home-pointer",
        disk.hugging_face / "models--a--b" / "snapshots" / "x" / "m.gguf",
    ):  # fmt: skip
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    found = drained(scanning(shelves(carryon_home.models, (), disk.around), index))
    assert "good" in [one.name for one in found.listed]
    assert len(found.with_known(drained(checking(found.entries, index, 60))).entries) == len(found.entries)


def test_jan_calls_its_models_in_model_yml(scan, disk):
    disk.in_jan("Jan-v1-4B-Q4_K_M", "Jan v1 4B")
    disk.in_jan("Other-4B")
    assert {one.name for one in scan().listed} == {"Jan v1 4B", "Other-4B"}


def test_gpt4all_and_added_folders_are_looked_into(scan, disk, tmp_path):
    tiny_model(disk.gpt4all / "a.gguf")
    tiny_model(tmp_path / "added" / "deep" / "b.gguf")
    assert [(one.name, one.shelf.program) for one in scan(tmp_path / "added").listed] == [
        ("a", Program.GPT4ALL), ("b", Program.FOLDER),
    ]  # fmt: skip


def test_a_folder_within_another_one_counts_once(scan, disk):
    tiny_model(disk.lm_studio / "acme" / "tiny" / "tiny.gguf")
    assert only(scan(disk.lm_studio / "acme", disk.person)).shelf.program is Program.LM_STUDIO


def test_every_folder_that_was_looked_for_is_told(scan, disk):
    disk.in_ollama("a", "1")
    there = {one.shelf.program for one in scan().looked if one.is_there}
    assert there == {Program.OLLAMA}
    assert {one.shelf.program for one in scan().looked} == set(Program) - {Program.FOLDER}


@pytest.mark.parametrize(
    ("variable", "below", "program"),
    [
        ("HF_HUB_CACHE", "models--a--b/snapshots/x/m.gguf", Program.HUGGING_FACE),
        ("HF_HOME", "hub/models--a--b/snapshots/x/m.gguf", Program.HUGGING_FACE),
        ("XDG_DATA_HOME", "nomic.ai/GPT4All/m.gguf", Program.GPT4ALL),
        ("XDG_CONFIG_HOME", "Jan/data/llamacpp/models/m/model.gguf", Program.JAN),
    ],
)
def test_folders_that_variables_move_are_found(index, disk, tmp_path, variable, below, program):
    tiny_model(tmp_path / "moved" / below)
    around = replace(disk.around, environment={variable: str(tmp_path / "moved")})
    found = drained(scanning(shelves(tmp_path / "own", (), around), index))
    assert [one.shelf.program for one in found.listed] == [program]


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("darwin", {}, "Library/Application Support/Jan/data/llamacpp/models"),
        ("darwin", {}, "Library/Application Support/nomic.ai/GPT4All"),
        ("win32", {"APPDATA": "/p/AppData/Roaming"}, "AppData/Roaming/Jan/data/llamacpp/models"),
        ("win32", {"LOCALAPPDATA": "/p/AppData/Local"}, "AppData/Local/nomic.ai/GPT4All"),
    ],
)
def test_each_platform_has_its_places(tmp_path, platform, environment, expected):
    person = tmp_path / "p"
    around = Surroundings(platform, person, {name: str(tmp_path) + value for name, value in environment.items()})
    assert person / expected in [one.root for one in shelves(tmp_path / "own", (), around)]


def test_lm_studio_may_have_been_moved(tmp_path):
    person = tmp_path / "p"
    (person / ".lmstudio").mkdir(parents=True)
    (person / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'studio'}\n")
    (person / ".lmstudio" / "settings.json").write_text('{"downloadsFolder": "/big/models"}')
    roots = [str(one.root) for one in shelves(tmp_path / "own", (), Surroundings("linux", person, {}))]
    assert {str(tmp_path / "studio" / "models"), "/big/models"} <= set(roots)


# what is known of a file


def test_the_first_bytes_say_what_it_is(scan, disk):
    tiny_model(disk.gpt4all / "x.gguf", **{"general.license": "apache-2.0"})
    known = only(scan()).known
    assert (known.architecture, known.quant, known.n_ctx_train, known.licence) == (
        "llama", "Q4_K_M", 4096, "apache-2.0",
    )  # fmt: skip
    assert (known.n_params, known.has_template, known.is_checked) == (None, None, False)


def test_a_closer_look_says_the_rest_and_is_remembered(checked, scan, disk):
    tiny_model(disk.gpt4all / "x.gguf")
    known = only(checked()).known
    assert (known.n_params, known.has_template, known.is_checked) == (2 * 256 * (256 + 512) + 256 * 201, True, True)
    assert only(scan()).known == known


def test_a_file_that_says_nothing_of_its_quant_is_asked_by_its_tensors_and_its_name(scan, checked, disk):
    tiny_model(disk.gpt4all / "a-Q5_K_M.gguf", **{"general.file_type": None})
    assert only(scan()).known.quant == "Q5_K_M"
    assert only(checked()).known.quant == "Q4_K_M"  # what its tensors are


def test_a_model_without_a_template_is_told_apart(checked, disk):
    tiny_model(disk.gpt4all / "base.gguf", **{"tokenizer.chat_template": None})
    assert only(checked()).known.has_template is False


def test_a_split_model_is_one(checked, disk):
    disk.gpt4all.mkdir(parents=True)
    parts = write_split_model("smollm2-1.7b", disk.gpt4all, 3)
    entry = only(checked())
    assert entry.parts == tuple(parts)
    assert entry.name == "smollm2-1.7b"
    assert entry.size_bytes == sum(one.stat().st_size for one in parts)
    assert 1.6e9 < entry.known.n_params < 1.8e9


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_split_model_without_a_part_is_broken_and_says_so(scan, checked, disk, missing):
    disk.gpt4all.mkdir(parents=True)
    write_split_model("smollm2-1.7b", disk.gpt4all, 3)[missing].unlink()
    assert "One of the 3 parts" in only(scan()).known.trouble.message
    assert only(checked()).is_broken


def test_a_projector_goes_with_the_models_of_its_repository(scan, disk):
    disk.in_cache("acme/see-GGUF", "see-Q4_K_M.gguf")
    link = disk.in_cache("acme/see-GGUF", "mmproj-F16.gguf", make=tiny_projector)
    assert only(scan()).projectors == (link,)


def test_in_a_folder_of_everything_a_projector_goes_by_its_name(scan, disk):
    tiny_model(disk.gpt4all / "gemma-3-4b-it-Q4_K_M.gguf")
    tiny_model(disk.gpt4all / "qwen3-8b-Q4_K_M.gguf")
    tiny_projector(disk.gpt4all / "mmproj-gemma-3-4b-it-f16.gguf")
    found = scan()
    assert {one.name: len(one.projectors) for one in found.listed} == {
        "gemma-3-4b-it-Q4_K_M": 1, "qwen3-8b-Q4_K_M": 0,
    }  # fmt: skip


def test_a_projector_without_a_model_is_shown(scan, disk):
    tiny_projector(disk.gpt4all / "mmproj-x.gguf")
    assert only(scan()).known.kind is Kind.PROJECTOR


NO_MODELS = (b"", b"GGUF", b"<html>404</html>" * 100, b"\0" * 5000, b"GGUF\3\0\0\0" + b"\xff" * 99)


@pytest.mark.parametrize("content", NO_MODELS)
def test_what_is_no_model_is_shown_as_broken_with_the_reason(scan, disk, content):
    path = disk.gpt4all / "bad.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    entry = only(scan())
    assert entry.is_broken
    assert entry.known.trouble.message.startswith("bad.gguf")
    assert entry.known.trouble.hint


def test_a_download_that_was_cut_is_found_by_the_closer_look(checked, disk):
    path = tiny_model(disk.gpt4all / "cut.gguf")
    os.truncate(path, path.stat().st_size - 100_000)
    assert "not whole" in only(checked()).known.trouble.message


@pytest.mark.skipif(os.name == "nt", reason="rights are another thing there")
def test_a_file_that_may_not_be_read_is_not_remembered_as_broken(as_anybody):
    disk, look = as_anybody
    path = tiny_model(disk.gpt4all / "mine.gguf")
    path.chmod(0)
    assert only(look()).is_broken
    path.chmod(0o644)
    assert not only(look()).is_broken


# the index


def test_a_second_scan_reads_no_file(scan, disk, monkeypatch):
    tiny_model(disk.gpt4all / "x.gguf")
    first = scan()
    monkeypatch.setattr("carryon.hub.library.making.at_a_glance", None)
    assert scan() == first


def test_a_file_that_changed_is_read_again(scan, disk):
    path = tiny_model(disk.gpt4all / "x.gguf")
    scan()
    tiny_model(path, quant_type=7)
    os.utime(path, ns=(1, 1))
    assert only(scan()).known.quant == "Q8_0"


def test_a_damaged_index_is_set_aside_and_made_anew(disk, carryon_home):
    tiny_model(disk.gpt4all / "x.gguf")
    carryon_home.library.parent.mkdir(parents=True)
    carryon_home.library.write_bytes(b"SQLite format 3\0" + b"\x55" * 8192)
    index = Index(carryon_home.library)
    assert len(drained(scanning(shelves(carryon_home.models, (), disk.around), index)).listed) == 1
    index.close()


# what a disk may hold


def test_links_lead_nowhere_but_into_the_cache(scan, disk, tmp_path):
    elsewhere = tiny_model(tmp_path / "elsewhere" / "x.gguf")
    disk.gpt4all.mkdir(parents=True)
    (disk.gpt4all / "x.gguf").symlink_to(elsewhere)
    (disk.gpt4all / "folder").symlink_to(elsewhere.parent)
    (disk.gpt4all / "loop").symlink_to(disk.gpt4all)
    link = disk.hugging_face / "models--a--b" / "snapshots" / COMMIT / "x.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    (link.parent / "dangling.gguf").symlink_to("nothing")
    (link.parent / "loop.gguf").symlink_to("loop.gguf")
    assert scan().listed == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_sockets_are_not_waited_for(scan, disk, monkeypatch):
    disk.gpt4all.mkdir(parents=True)
    os.mkfifo(disk.gpt4all / "pipe.gguf")
    monkeypatch.chdir(disk.gpt4all)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.gguf")
    for place in (disk.ollama / "manifests" / "h" / "n" / "m", disk.person / ".lmstudio"):
        place.mkdir(parents=True)
    os.mkfifo(disk.ollama / "manifests" / "h" / "n" / "m" / "tag")
    os.mkfifo(disk.person / ".lmstudio" / "settings.json")
    os.mkfifo(disk.person / ".lmstudio-home-pointer")
    assert scan().listed == ()


def test_a_folder_with_the_name_of_a_model_is_looked_into(scan, disk):
    tiny_model(disk.gpt4all / "x.gguf" / "y.gguf")
    assert only(scan()).name == "y"


@pytest.mark.skipif(os.name == "nt", reason="rights are another thing there")
def test_a_folder_that_cannot_be_read_is_told(as_anybody):
    disk, look = as_anybody
    tiny_model(disk.gpt4all / "x.gguf")
    (disk.gpt4all / "closed").mkdir(mode=0)
    found = look()
    assert len(found.listed) == 1
    troubles = [one.trouble for one in found.looked if one.trouble]
    assert "One folder" in troubles[0].message


@pytest.mark.skipif(os.name == "nt", reason="rights are another thing there")
@pytest.mark.parametrize("closed", [".ollama", ".ollama/models", ".ollama/models/manifests"])
def test_a_service_that_keeps_its_models_to_itself_is_told_and_stops_nothing(as_anybody, closed):
    """As Ollama's service on Linux may do: even whether the folder is there cannot be asked."""
    disk, look = as_anybody
    disk.in_ollama("a", "1")
    tiny_model(disk.gpt4all / "x.gguf")
    (disk.person / closed).chmod(0)
    found = look()
    assert [one.name for one in found.listed] == ["x"]
    (looked,) = [one for one in found.looked if one.shelf.root == disk.ollama]
    assert "Permission denied" in looked.trouble.message
    assert not look(lambda: any(one.has_changed() for one in found.looked))  # else it was looked at for ever
    (disk.person / closed).chmod(0o755)
    assert len(look().listed) == 2


def test_a_name_that_no_text_can_hold_does_no_harm(scan, disk):
    if sys.platform != "linux":
        pytest.skip("other systems refuse it")
    disk.gpt4all.mkdir(parents=True)
    tiny_model(disk.gpt4all / "x.gguf").rename(os.fsdecode(bytes(disk.gpt4all) + b"/\xff\xfe.gguf"))
    assert len(scan().listed) == 1


@pytest.mark.slow
def test_a_hundred_thousand_files_give_a_sign_of_life_all_along(disk, index):
    folder = disk.gpt4all
    folder.mkdir(parents=True)
    for number in range(100_000):
        os.close(os.open(folder / f"{number}.txt", os.O_CREAT))
    work, longest_s, last_s = scanning((Shelf(Program.GPT4ALL, folder),), index), 0.0, time.monotonic()
    for _ in work:
        longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
    assert longest_s < 0.5


def test_more_files_than_anybody_has_are_cut_and_told(scan, disk, monkeypatch):
    monkeypatch.setattr(walking, "MOST_FILES", 10)
    for number in range(20):
        tiny_model(disk.gpt4all / f"{number:02}.gguf")
    found = scan()
    assert len(found.listed) <= 10
    assert any(one.trouble and "more files" in one.trouble.message for one in found.looked)


def test_the_scan_tells_how_many_it_has_found(disk, index, carryon_home):
    tiny_model(disk.gpt4all / "x.gguf")
    news = [one for one in scanning(shelves(carryon_home.models, (), disk.around), index) if one]
    assert news[-1] == Progress(1, None)


def test_nothing_is_written_where_others_keep_their_models(checked, disk):
    disk.in_cache("acme/tiny", "tiny.gguf")
    disk.in_ollama("a", "1")
    disk.in_jan("b")
    before = {path: path.lstat().st_mtime_ns for path in disk.person.rglob("*")}
    checked()
    assert {path: path.lstat().st_mtime_ns for path in disk.person.rglob("*")} == before
