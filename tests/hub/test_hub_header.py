"""The shape of a model on the Hub by a few bytes of it, and the cache of what was read."""

import time

import pytest
from fakes.fakehub import FakeHub
from fakes.header_models import MODELS, as_quantized, header_from
from fakes.header_repos import add_header_repo, blob_of, header_blob

from carryon.base.errors import AppError, BadFile, NoAccess, Offline, Unsupported
from carryon.base.jobs import drained
from carryon.gguf.header import FIRST_BYTES
from carryon.gguf.shape import shape_of
from carryon.hub.header import MOST_BYTES, cheapest, reading_shape
from carryon.hub.header_cache import HeaderCache
from carryon.hub.names import Reference
from carryon.hub.quants import gguf_files
from carryon.hub.repository import opening
from carryon.hub.site import Site


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def cache(tmp_path):
    return HeaderCache(tmp_path / "headers")


def test_the_shape_is_the_one_of_the_whole_file(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/Qwen3-8B-GGUF", quants=("Q4_K_M",))
    found = _shape(hub, "a/Qwen3-8B-GGUF", cache)
    true = shape_of([header_from(*as_quantized(*MODELS["qwen3-8b"](), "Q4_K_M"))])
    assert not found.is_estimate
    assert found.shape.is_quant_of(true)
    assert (found.shape.weights_bytes, found.shape.quant) == (true.weights_bytes, "Q4_K_M")


@pytest.mark.parametrize("n_tokens", [1000, 32_000, 152_000, 400_000])
def test_little_more_than_the_header_is_fetched(hub, tmp_path, cache, n_tokens):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",), n_tokens=n_tokens)
    assert not _shape(hub, "a/m-GGUF", cache).is_estimate
    header_bytes = 20 * n_tokens + 40_000
    (fetched,) = hub.requests("/cdn/")
    assert fetched["range"] == f"bytes=0-{MOST_BYTES - 1}"
    # Some of what was sent waits in the socket: on loopback a few MB.
    assert fetched["sent"] <= max(FIRST_BYTES, 1.25 * header_bytes) + 5_000_000


def test_the_second_time_nothing_is_asked(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",))
    first = _shape(hub, "a/m-GGUF", cache)
    n_asked = len(hub.requests("/resolve/"))
    assert _shape(hub, "a/m-GGUF", cache) == first
    assert len(hub.requests("/resolve/")) == n_asked == 1


def test_a_vocabulary_longer_than_the_limit_gives_an_estimate(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",), n_tokens=700_000)
    found = _shape(hub, "a/m-GGUF", cache)
    true = shape_of([header_from(*as_quantized(*MODELS["qwen3-8b"](), "Q4_K_M"))])
    assert found.is_estimate
    assert found.shape.n_layers == true.n_layers
    assert found.shape.layers[0].attention == true.layers[0].attention
    assert found.shape.weights_bytes == pytest.approx(true.weights_bytes, rel=0.01)
    assert len(hub.requests("/cdn/")) == 1
    assert _shape(hub, "a/m-GGUF", cache) == found  # also from the disk


def test_two_parts_are_read_both(hub, tmp_path, cache):
    hub.add_repo("a/m-GGUF", _parts(tmp_path, 2))
    found = _shape(hub, "a/m-GGUF", cache)
    assert not found.is_estimate
    assert found.shape.n_layers == 80
    assert len(hub.requests("/cdn/")) == 2


def test_of_many_parts_the_first_gives_an_estimate(hub, tmp_path, cache):
    hub.add_repo("a/m-GGUF", _parts(tmp_path, 5))
    found = _shape(hub, "a/m-GGUF", cache)
    true = shape_of([header_from(*as_quantized(*MODELS["llama33-70b"](), "Q4_K_M"))])
    assert found.is_estimate
    assert found.shape.weights_bytes == pytest.approx(true.weights_bytes, rel=0.01)
    assert len(hub.requests("/cdn/")) == 1


def test_the_cheapest_quant_is_in_one_file(hub, tmp_path):
    hub.add_repo("a/m-GGUF", _parts(tmp_path, 2) | {"m-Q2_K.gguf": b"x" * 9, "m-Q3_K_M.gguf": b"x" * 10})
    assert cheapest(gguf_files(_open(hub, "a/m-GGUF").files).quants).quant == "Q2_K"


def test_what_is_no_gguf_is_told(hub, cache):
    hub.add_repo("a/m-GGUF", {"m-Q4_0.gguf": b"<html>" * 40_000})
    with pytest.raises(BadFile, match="not a GGUF"):
        _shape(hub, "a/m-GGUF", cache)


def test_an_architecture_that_nobody_knows_is_told(hub, tmp_path, cache):
    from fakes.header_writer import HeaderWriter

    fields = {"general.architecture": "madeup", "madeup.block_count": 2, "madeup.embedding_length": 64}
    path = HeaderWriter().write(tmp_path / "m-F16.gguf", fields, [("token_embd.weight", [64, 64], "F16")])
    hub.add_repo("a/m-GGUF", {"m-F16.gguf": blob_of(path)})
    with pytest.raises(Unsupported):
        _shape(hub, "a/m-GGUF", cache)


@pytest.mark.parametrize("kind", ["html", "wrongsize", "cut"])
def test_a_wrong_answer_is_told_and_not_kept(hub, tmp_path, cache, kind):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",), n_tokens=50_000)
    if kind == "html":
        hub.fault("html", path="/cdn/", times=1)
    elif kind == "cut":
        hub.fault("cut", path="/cdn/", times=1, after=40_000)
    else:
        hub.fault("headers", path="/cdn/", times=1, values={"Content-Range": "bytes 0-9/10"})
    with pytest.raises(Offline):
        _shape(hub, "a/m-GGUF", cache)
    assert not _shape(hub, "a/m-GGUF", cache).is_estimate


def test_a_server_without_ranges_is_read_from_its_start(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",))
    hub.fault("norange", path="/cdn/")
    assert not _shape(hub, "a/m-GGUF", cache).is_estimate


def test_a_closed_door_is_told(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",), gated="auto")
    with pytest.raises(NoAccess, match="owner's consent"):
        _shape(hub, "a/m-GGUF", cache)


def test_closing_gives_up_at_once(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",))
    repo = _open(hub, "a/m-GGUF")
    hub.fault("stall", path="/cdn/", after=1000)
    work = reading_shape(Site(hub.url), repo, gguf_files(repo.files).quants[0], cache)
    for _ in range(5):
        next(work)
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 0.2


def test_no_token_reaches_the_cdn(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",), gated="auto")
    hub.tokens["hf_secret"] = {"a/m-GGUF"}
    site = Site(hub.url, token="hf_secret", trusts_mirror=True)
    repo = drained(opening(site, Reference("a/m-GGUF")))
    drained(reading_shape(site, repo, gguf_files(repo.files).quants[0], cache))
    assert [one["auth"] for one in hub.requests("/cdn/")] == [None]


def test_a_cache_of_nonsense_is_as_good_as_none(hub, tmp_path, cache):
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",))
    first = _shape(hub, "a/m-GGUF", cache)
    (kept,) = (tmp_path / "headers").glob("*.z")
    whole = kept.read_bytes()
    for nonsense in (b"", b"x", whole[:50], whole[:-3], b"\0" * 1000):
        kept.write_bytes(nonsense)
        assert _shape(hub, "a/m-GGUF", cache) == first


def test_a_cache_never_grows_beyond_its_size(hub, tmp_path):
    cache = HeaderCache(tmp_path / "headers", largest_bytes=40_000)
    for number in range(6):
        add_header_repo(hub, tmp_path / str(number), f"a/m{number}-GGUF", quants=("Q4_K_M",))
        _shape(hub, f"a/m{number}-GGUF", cache)
    kept = list((tmp_path / "headers").iterdir())
    assert kept
    assert sum(one.stat().st_size for one in kept) <= 40_000


def test_a_cache_that_cannot_be_written_is_no_error(hub, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    add_header_repo(hub, tmp_path, "a/m-GGUF", quants=("Q4_K_M",))
    assert not _shape(hub, "a/m-GGUF", HeaderCache(tmp_path / "file")).is_estimate


def test_a_damaged_header_is_told(hub, tmp_path, cache):
    path = tmp_path / "m-Q4_0.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + b"\xff" * 16 + bytes(100_000))
    hub.add_repo("a/m-GGUF", {"m-Q4_0.gguf": blob_of(path)})
    with pytest.raises(AppError, match="damaged"):
        _shape(hub, "a/m-GGUF", cache)


def _parts(folder, count):
    names = [f"m-Q4_K_M-{part + 1:05}-of-{count:05}.gguf" for part in range(count)]
    return {name: header_blob(folder / name, "llama33-70b", "Q4_K_M", 1000, part, count)
            for part, name in enumerate(names)}  # fmt: skip


def _open(hub, repo_id):
    return drained(opening(Site(hub.url), Reference(repo_id)))


def _shape(hub, repo_id, cache):
    repo = _open(hub, repo_id)
    return drained(reading_shape(Site(hub.url), repo, cheapest(gguf_files(repo.files).quants), cache))
