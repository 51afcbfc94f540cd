"""Looking into a repository: its commit, its files with safe names, who may read it, its card."""

import time

import pytest
from fakes.fakehub import FakeHub

from carryon.base.errors import AppError, BadFile, NoAccess
from carryon.base.jobs import drained
from carryon.hub.card import LARGEST_BYTES, card_text, reading_card
from carryon.hub.model_json import repo_files
from carryon.hub.names import Reference
from carryon.hub.repo import Format, Gate
from carryon.hub.repository import file_of, opening, page_address
from carryon.hub.site import Site


@pytest.fixture
def hub():
    with FakeHub(page=5) as hub:
        yield hub


def test_it_is_opened_at_the_commit_of_its_branch(hub):
    repo = hub.add_repo("a/m-GGUF", {"m-Q4_0.gguf": b"one", "README.md": b"# hi"}, downloads=7, likes=2)
    opened = _open(hub)
    assert opened.commit == repo.refs["main"]
    assert opened.found.downloads == 7
    assert {one.path: one.size_bytes for one in opened.files} == {"m-Q4_0.gguf": 3, "README.md": 4}
    assert file_of(opened, "m-Q4_0.gguf").sha256 == repo.commits[opened.commit]["m-Q4_0.gguf"].sha256
    assert file_of(opened, "README.md").sha256 is None


def test_another_revision_is_another_commit(hub):
    repo = hub.add_repo("a/m-GGUF", {"old.gguf": b"1"})
    old = repo.refs["main"]
    repo.commit({"new.gguf": b"2"})
    assert [one.path for one in _open(hub, revision=old).files] == ["old.gguf"]
    assert [one.path for one in _open(hub).files] == ["new.gguf"]


def test_all_pages_of_its_files_are_read(hub):
    hub.add_repo("a/m-GGUF", {f"m-{number:02}.gguf": b"x" for number in range(23)})
    assert len(_open(hub).files) == 23


def test_unsafe_names_are_left_out_and_counted(hub):
    names = ["ok.gguf", "../up.gguf", "/abs.gguf", "CON.gguf", "a:b.gguf", ".hidden.gguf", "a/../b.gguf", "OK.gguf"]
    hub.add_repo("a/m-GGUF", dict.fromkeys(names, b"x"))
    opened = _open(hub)
    assert [one.path.lower() for one in opened.files] == ["ok.gguf"]
    assert opened.n_unsafe == 7


def test_what_nobody_would_fetch_is_not_missed(hub):
    hub.add_repo("a/m-GGUF", {".gitattributes": b"x", "m.gguf": b"x", ".github/run.sh": b"x"})
    assert _open(hub).n_unsafe == 0


@pytest.mark.parametrize(
    "entry",
    [None, 5, "x", [], {}, {"type": "file"}, {"type": "file", "path": 5, "size": 1}, {"type": "file", "path": "a"},
     {"type": "file", "path": "a", "size": -1}, {"type": "file", "path": "a", "size": True},
     {"type": "file", "path": "a", "size": 1e9}, {"type": "directory", "path": "a", "size": 0},
     {"type": "file", "path": "a\0b", "size": 1}, {"type": "file", "path": "e\u0301.gguf", "size": 1}],
)  # fmt: skip
def test_entries_that_make_no_sense_are_no_files(entry):
    assert repo_files([entry])[0] == ()


def test_a_sum_that_is_none_is_not_believed():
    row = {"type": "file", "path": "a.gguf", "size": 1, "lfs": {"oid": "../../etc/passwd"}}
    assert repo_files([row])[0][0].sha256 is None


def test_it_says_who_may_read_it(hub):
    hub.add_repo("a/m-GGUF", {"m.gguf": b"x"}, gated="manual", cardData={"license": "llama3.1"})
    assert _open(hub).found.gate is Gate.MANUAL
    assert _open(hub).found.licence == "llama3.1"


def test_the_files_show_the_format_whatever_the_tags_say(hub):
    hub.add_repo("a/m-GGUF", {"model.safetensors": b"x", "m-Q8_0.gguf": b"y"}, tags=[])
    assert _open(hub).found.formats == {Format.GGUF, Format.SAFETENSORS}


def test_a_repository_that_is_not_there_is_told(hub):
    with pytest.raises(NoAccess, match="not on"):
        _open(hub)


def test_a_revision_that_is_not_there_is_told(hub):
    hub.add_repo("a/m-GGUF", {"m.gguf": b"x"})
    with pytest.raises(BadFile):
        _open(hub, revision="v9")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id": "a/m-GGUF"}', b'{"id": "a/m-GGUF", "sha": "../x"}'])
def test_a_description_that_says_nothing_is_an_error_in_words(hub, body):
    hub.fault("status", path="/api/models", code=200, body=body)
    with pytest.raises(AppError, match=r"told nothing that can be used"):
        _open(hub)


def test_the_card_comes_without_its_front_matter(hub):
    card = b"---\r\nlicense: mit\r\ntags:\r\n- x\r\n---\r\n\r\n# Tiny\r\n<!-- hidden -->Words."
    hub.add_repo("a/m-GGUF", {"README.md": card})
    assert drained(reading_card(_site(hub), _open(hub))) == "# Tiny\nWords."


def test_a_repository_without_a_card_has_an_empty_one(hub):
    hub.add_repo("a/m-GGUF", {"m.gguf": b"x", "README.md": b""})
    assert drained(reading_card(_site(hub), _open(hub))) == ""


def test_a_card_of_many_megabytes_is_cut(hub):
    hub.add_repo("a/m-GGUF", {"readme.md": b"x" * (5 << 20)})
    assert len(drained(reading_card(_site(hub), _open(hub)))) == LARGEST_BYTES
    assert hub.requests("/resolve/")[-1]["sent"] <= LARGEST_BYTES


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"# a", "# a"), (b"---\nnever closed\n# a", "---\nnever closed\n# a"), (b"\xff\xfea", "\ufffd\ufffda"),
     (b"\xef\xbb\xbf---\nx: y\n---\nb", "b"), (b"a\n---\nb\n---\nc", "a\n---\nb\n---\nc"), (b"<!-- open", ""),
     (b"---\n---\nx", "x")],
)  # fmt: skip
def test_what_a_card_says(content, text):
    assert card_text(content) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('<div align="center"><img src="https://x/y.png"></div>\n# Tiny', "# Tiny"),
        ("# A<br>b", "# A\nb"),
        ("[![badge](https://x/b.svg)](https://x) words", "words"),
        ("![a picture](https://x/y.png) and [a link](https://x)", "and [a link](https://x)"),
        ("`a<b>` and 3 < 4 > 2", "`a` and 3 < 4 > 2"),
        ("```html\n<div>kept</div>\n```\n<div>gone</div>", "```html\n<div>kept</div>\n```\n\ngone"),
        ("<script>alert(1)</script>x<style>p {}</style>", "x"),
        ("<not-a-tag> stays", "<not-a-tag> stays"),
    ],
)
def test_what_only_a_web_page_can_show_is_taken_out(content, text):
    assert card_text(content.encode()) == text


@pytest.mark.parametrize("piece", ["<div ", "![a", "[![a](b)](", "<!--",
                                    "<style>", "```\n", "| a |\n", "---\n", "<a\n"])
def test_no_card_takes_long(piece):
    began_s = time.monotonic()
    card_text((piece * (LARGEST_BYTES // len(piece))).encode())
    assert time.monotonic() - began_s < 2


def test_its_page_is_one_of_the_hub():
    assert page_address(Site(), "a/m-GGUF") == "https://huggingface.co/a/m-GGUF"


def _site(hub):
    return Site(hub.url)


def _open(hub, revision="main"):
    return drained(opening(_site(hub), Reference("a/m-GGUF", revision)))
