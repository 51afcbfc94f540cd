"""The fake Hub speaks as the real one does: the Hub's own client understands it, and gives the answers that we give."""

import hashlib
from pathlib import Path

import pytest
from fakes.fakehub import FakeHub

from carryon.base.jobs import drained
from carryon.hub.names import reference_of
from carryon.hub.repository import opening
from carryon.hub.search import SearchWish, searching
from carryon.hub.site import Site

REPO = "acme/tiny-GGUF"
FILES = {
    "sub/tiny-Q4_K_M.gguf": b"GGUF" + bytes(5000), "tiny-Q8_0.gguf": b"GGUF" + bytes(9000), "README.md": b"# Tiny\n",
}  # fmt: skip


@pytest.fixture
def hub():
    with FakeHub(page=2) as hub:
        for place in range(5):
            repo_id = f"acme/other-{place}-GGUF" if place else REPO
            hub.add_repo(repo_id, FILES, downloads=100 - place, gguf={"total": 7})
        yield hub


@pytest.fixture
def client(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub.url, token=False)


def test_a_search_finds_the_same_models_page_by_page(hub, client):
    theirs = [one.id for one in client.list_models(filter="gguf", sort="downloads")]
    site, wish, ours, after = Site(hub.url), SearchWish(), [], None
    while not ours or after:
        page = drained(searching(site, wish, after, n=2))
        ours += [one.repo_id for one in page.models]
        after = page.next
    assert sorted(ours) == sorted(theirs)
    assert len(theirs) == 5


def test_a_repository_has_the_same_files_and_sums(hub, client):
    theirs = {one.path: (one.size, one.lfs.sha256 if one.lfs else None)
              for one in client.list_repo_tree(REPO, recursive=True) if hasattr(one, "size")}  # fmt: skip
    repo = drained(opening(Site(hub.url), reference_of(REPO)))
    assert {one.path: (one.size_bytes, one.sha256) for one in repo.files} == theirs
    assert repo.commit == client.model_info(REPO).sha


def test_a_file_has_the_same_address_size_and_sum(hub, client):
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    path = "tiny-Q8_0.gguf"
    commit = client.model_info(REPO).sha
    url = hf_hub_url(REPO, path, revision=commit, endpoint=hub.url)
    assert url == Site(hub.url).file_url(REPO, commit, path)
    told = get_hf_file_metadata(url, token=False)
    assert (told.size, told.etag) == (len(FILES[path]), hashlib.sha256(FILES[path]).hexdigest())


def test_its_client_downloads_what_is_there(hub, client, tmp_path):
    path = client.hf_hub_download(REPO, "sub/tiny-Q4_K_M.gguf", cache_dir=tmp_path / "cache")
    assert Path(path).read_bytes() == FILES["sub/tiny-Q4_K_M.gguf"]
