"""Searching a Hub on this machine: what is asked, what comes back, and answers that no Hub should give."""

import json
import threading
import time

import pytest
from fakes.fakehub import FakeHub
from hypothesis import given
from hypothesis import strategies as st

from carryon.base.errors import NoAccess, Offline
from carryon.base.jobs import drained
from carryon.hub import asking as asking_module
from carryon.hub.asking import REACHED_WITHIN_S, Question, asking
from carryon.hub.model_json import found_model, found_models
from carryon.hub.names import Reference
from carryon.hub.repo import Format, Gate, Sort
from carryon.hub.search import SearchWish, pasted, question_for, searching
from carryon.hub.site import Site

GGUF = {"total": 8_190_735_360, "architecture": "qwen3", "context_length": 40960}
TAGS = ["gguf", "license:apache-2.0", "base_model:Qwen/Qwen3-8B", "base_model:quantized:Qwen/Qwen3-8B"]


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


def test_a_model_is_found_with_what_the_hub_says_of_it(hub):
    told = {"downloads": 1200, "likes": 34, "tags": TAGS, "gguf": GGUF, "lastModified": "2026-05-06T07:08:09.000Z"}
    hub.add_repo("Qwen/Qwen3-8B-GGUF", {"m-Q4_0.gguf": b"x"}, gated="auto", **told)
    (found,) = _search(hub, SearchWish("qwen3")).models
    assert (found.repo_id, found.downloads, found.likes) == ("Qwen/Qwen3-8B-GGUF", 1200, 34)
    assert (found.n_params, found.architecture, found.n_ctx_train) == (8_190_735_360, "qwen3", 40960)
    assert (found.licence, found.base_model, found.gate) == ("apache-2.0", "Qwen/Qwen3-8B", Gate.AUTOMATIC)
    assert found.updated == "2026-05-06T07:08:09.000Z"
    assert found.formats == {Format.GGUF}


def test_the_order_is_the_one_that_was_wished(hub):
    hub.add_repo("a/loved-GGUF", {}, likes=9, downloads=1)
    hub.add_repo("a/used-GGUF", {}, likes=1, downloads=9)
    by = {sort: _search(hub, SearchWish(sort=sort)).models[0].name for sort in (Sort.LIKES, Sort.DOWNLOADS)}
    assert by == {Sort.LIKES: "loved-GGUF", Sort.DOWNLOADS: "used-GGUF"}


def test_every_filter_is_asked_of_the_hub():
    wish = SearchWish(" coder ", "bartowski", "text-generation", "mit", Format.SAFETENSORS, 6_000_000_000,
                      14_500_000_000, Sort.RECENT)  # fmt: skip
    asked = question_for(wish, 50)
    assert asked.path == "/api/models"
    assert [told for name, told in asked.query if name == "filter"] == ["safetensors", "license:mit"]
    others = {name: told for name, told in asked.query if name not in ("filter", "expand")}
    assert others == {
        "search": "coder", "author": "bartowski", "pipeline_tag": "text-generation",
        "num_parameters": "min:6B,max:14.5B", "sort": "lastModified", "limit": "50",
    }  # fmt: skip


def test_filters_narrow_what_is_found(hub):
    hub.add_repo("a/one-GGUF", {}, tags=["gguf", "license:mit"])
    hub.add_repo("a/two-GGUF", {}, tags=["gguf"], pipeline_tag="image-text-to-text")
    hub.add_repo("b/three", {}, tags=["safetensors"])
    assert _names(hub, SearchWish(licence="mit")) == ["one-GGUF"]
    assert _names(hub, SearchWish(task="image-text-to-text")) == ["two-GGUF"]
    assert _names(hub, SearchWish(format=Format.SAFETENSORS)) == ["three"]
    assert _names(hub, SearchWish(author="b")) == []


def test_pages_follow_each_other_until_the_end(hub):
    for number in range(70):
        hub.add_repo(f"a/m{number:02}-GGUF", {}, downloads=number)
    wish, site = SearchWish(sort=Sort.DOWNLOADS), Site(hub.url)
    seen, after = [], None
    for _ in range(3):
        page = drained(searching(site, wish, after))
        seen += [one.name for one in page.models]
        after = page.next
    assert seen == [f"m{number:02}-GGUF" for number in reversed(range(70))]
    assert after is None


def test_a_next_page_of_another_host_is_not_followed(hub):
    hub.add_repo("a/m-GGUF", {})
    link = {"Link": '<https://elsewhere.example/api/models?cursor=1>; rel="next"'}
    hub.fault("status", path="/api/models", code=200, body=b"[]", headers=link)
    assert _search(hub, SearchWish()).next is None


@pytest.mark.parametrize(
    "body", [b"null", b"{}", b"[1, null, [], {}]", b'[{"id": 5}]', b'[{"id": "../../etc"}]', b'{"error": "x"}']
)
def test_json_of_another_kind_holds_no_models(hub, body):
    hub.fault("status", path="/api/models", code=200, body=body)
    assert _search(hub, SearchWish()).models == ()


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"[" + b"9" * 5000 + b"]"])
def test_what_is_no_json_is_told(hub, body):
    hub.fault("status", path="/api/models", code=200, body=body)
    with pytest.raises(Offline, match="cannot be read"):
        _search(hub, SearchWish())


def test_a_login_page_of_a_hotel_is_told_as_one(hub):
    hub.fault("html")
    with pytest.raises(Offline, match="web page"):
        _search(hub, SearchWish())


def test_wrong_types_are_as_good_as_nothing_said():
    told = {"id": "a/m", "downloads": "many", "likes": True, "gated": 5, "tags": [1, None, "gguf"], "gguf": [],
            "safetensors": "x", "lastModified": 7, "pipeline_tag": {}, "cardData": 3, "library_name": None}  # fmt: skip
    found = found_model(told)
    assert (found.downloads, found.likes, found.gate, found.updated, found.task) == (None, None, Gate.OPEN, "", "")
    assert found.formats == {Format.GGUF}


def test_texts_of_any_length_and_kind_are_one_short_line():
    told = {"id": "a/m", "pipeline_tag": "x" * 10_000_000, "tags": ["license:<b>\n\u202eevil</b>"]}
    found = found_model(told | {"gguf": {"architecture": "a\0b"}})
    assert len(found.task) == 120
    assert found.licence == "<b>evil</b>"  # shown as plain text
    assert found.architecture == "ab"


def test_a_name_that_is_no_name_is_left_out():
    names = ["a/b", "a/b/c", "..", "a/..", "-x/y", "a/b.git", "<i>/x", "a/" + "b" * 200, "a/b"]
    assert [one.repo_id for one in found_models([{"id": name} for name in names])] == ["a/b"]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda kind: st.lists(kind, max_size=4) | st.dictionaries(
                        st.sampled_from(["id", "tags", "gguf", "gated", "cardData", "total", "safetensors"]), kind,
                        max_size=5)))  # fmt: skip
def test_any_json_is_read_without_a_crash(told):
    found_models(told)
    found_models([told, {"id": "a/b", "tags": told, "gguf": told, "gated": told, "cardData": told}])


def test_2500_models_are_read_at_once(hub):
    rows = [{"id": f"a/m{number}", "gguf": GGUF, "tags": TAGS} for number in range(2500)]
    hub.fault("status", path="/api/models", code=200, body=json.dumps(rows).encode())
    began_s = time.monotonic()
    assert len(_search(hub, SearchWish()).models) == 2500
    assert time.monotonic() - began_s < 3


def test_it_waits_as_long_as_the_hub_asks_for(hub):
    hub.add_repo("a/m-GGUF", {})
    hub.fault("status", path="/api/models", times=1, code=429, headers={"Retry-After": "1"})
    began_s = time.monotonic()
    assert _names(hub, SearchWish()) == ["m-GGUF"]
    assert 0.9 < time.monotonic() - began_s < 3


def test_a_long_wait_is_told_instead(hub):
    hub.fault("status", path="/api/models", code=429, headers={"RateLimit": '"api";r=0;t=250'})
    with pytest.raises(Offline, match="too many requests"):
        _search(hub, SearchWish())
    assert len(hub.requests("/api/models")) == 1


def test_closing_gives_up_at_once(hub):
    hub.fault("stall", path="/api/models")
    work = searching(Site(hub.url), SearchWish())
    next(work)
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 0.2


def test_a_dead_hub_is_told_in_a_sentence_and_in_time():
    with FakeHub() as hub:
        site = Site(hub.url)
    began_s = time.monotonic()
    with pytest.raises(Offline) as caught:
        drained(searching(site, SearchWish()))
    assert time.monotonic() - began_s < REACHED_WITHIN_S + 0.5
    assert caught.value.message.endswith(".")
    assert caught.value.hint


def test_a_look_up_that_takes_for_ever_counts_as_offline(monkeypatch):
    class NobodyThere:
        is_connecting = True

    monkeypatch.setattr(asking_module, "REACHED_WITHIN_S", 0.3)
    ended = threading.Event()
    began_s = time.monotonic()
    with pytest.raises(Offline, match="does not answer"):
        drained(asking_module._reached(Site(), NobodyThere(), lambda: ended.wait(20)))
    ended.set()
    assert time.monotonic() - began_s < 1


def test_a_wrong_token_is_told(hub):
    hub.add_repo("a/m-GGUF", {})
    hub.fault("status", path="/api/models", code=401)
    with pytest.raises(NoAccess, match="token"):
        drained(searching(Site(hub.url, token="hf_wrong", trusts_mirror=True), SearchWish()))


def test_the_token_is_sent_to_the_hub_alone(hub):
    hub.add_repo("a/m-GGUF", {})
    drained(searching(Site(hub.url, token="hf_secret"), SearchWish()))
    assert hub.requests("/api/models")[-1]["auth"] is None  # a mirror that nobody trusts
    drained(searching(Site(hub.url, token="hf_secret", trusts_mirror=True), SearchWish()))
    assert hub.requests("/api/models")[-1]["auth"] == "Bearer hf_secret"


def test_a_question_with_hostile_words_stays_one_question(hub):
    drained(asking(Site(hub.url), Question("/api/models", (("search", "a&b=c#/../\r\nX: y"),))))
    (asked,) = hub.requests("/api/models")
    assert "\r" not in asked["path"]
    assert asked["path"].count("&") == 0


@pytest.mark.parametrize(
    ("text", "repo_id"),
    [("Qwen/Qwen3-8B-GGUF", "Qwen/Qwen3-8B-GGUF"), ("https://huggingface.co/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
     ("hf.co/a/b:Q4_K_M", "a/b"), ("https://huggingface.co/a/b/resolve/main/m-Q4_0.gguf?download=true", "a/b"),
     ("qwen3 8b", None), ("qwen", None), ("what is / or", None), ("https://evil.example/a/b", None)],
)  # fmt: skip
def test_what_is_pasted_is_told_from_words(text, repo_id):
    found = pasted(Site(), text)
    assert (found.repo_id if found else None) == repo_id


def test_an_address_of_the_mirror_is_one_too(hub):
    assert pasted(Site(hub.url), f"{hub.url}/a/b") == Reference("a/b")


def _search(hub, wish):
    return drained(searching(Site(hub.url), wish))


def _names(hub, wish):
    return [one.name for one in _search(hub, wish).models]
