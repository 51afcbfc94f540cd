"""A token goes to the Hub and nowhere else; a mirror's address is checked."""

import pytest

from carryon.base.errors import BadInput
from carryon.hub.site import Site, endpoint_of, is_allowed, proxy_of, site_from


@pytest.mark.parametrize(("site", "url", "is_sent"), [
    (Site(token="t"), "https://huggingface.co/api/models", True),
    (Site(token="t"), "https://huggingface.co:443/x", True),
    (Site(token="t"), "http://huggingface.co/x", False),
    (Site(token="t"), "https://cdn-lfs.huggingface.co/x", False),
    (Site(token="t"), "https://huggingface.co.evil.com/x", False),
    (Site(token="t"), "https://huggingface.co:8443/x", False),
    (Site("https://mirror.org", "t"), "https://mirror.org/x", False),
    (Site("https://mirror.org", "t", trusts_mirror=True), "https://mirror.org/x", True),
    (Site("https://mirror.org", "t", trusts_mirror=True), "https://huggingface.co/x", False),
])  # fmt: skip
def test_the_token_goes_to_the_hubs_origin_only(site, url, is_sent):
    assert site.token_for(url) == ("t" if is_sent else None)


def test_a_token_is_never_printed():
    assert "secret" not in repr(Site(token="secret"))


def test_settings_come_before_the_environment():
    environment = {"HF_ENDPOINT": "https://one.org/", "HF_TOKEN": "env"}
    assert site_from(environment=environment) == Site("https://one.org", "env")
    assert site_from("two.org", "own", environment=environment) == Site("https://two.org", "own")
    assert site_from(environment={}) == Site()


@pytest.mark.parametrize("text", [
    "", "ftp://a.b", "http://mirror.org", "https://u:p@a.b", "https://a.b?x=1", "https://", "a b:c:d",
])  # fmt: skip
def test_what_is_no_address_of_a_hub_is_refused(text):
    with pytest.raises(BadInput):
        endpoint_of(text)


def test_plain_http_is_for_this_machine_only():
    assert endpoint_of("http://127.0.0.1:8080/") == "http://127.0.0.1:8080"
    assert is_allowed("http://127.0.0.1:8080/x")
    assert is_allowed("https://cdn.example.org/x")
    assert not any(map(is_allowed, ("http://example.org/x", "file:///etc/passwd", "https://u@h/x", "//x", "", "https://h:x/")))


def test_a_files_address_is_quoted():
    url = Site().file_url("a/b", "c" * 40, "sub/m x#1.gguf")
    assert url == f"https://huggingface.co/a/b/resolve/{'c' * 40}/sub/m%20x%231.gguf"


@pytest.mark.parametrize(
    ("typed", "used"),
    [
        ("", ""),
        ("  ", ""),
        ("proxy.example.org:3128", "http://proxy.example.org:3128"),
        ("http://ada:word@10.0.0.1:8080/", "http://ada:word@10.0.0.1:8080"),
    ],
)
def test_a_proxys_address_as_it_is_used(typed, used):
    assert proxy_of(typed) == used


@pytest.mark.parametrize("typed", ["https://p:1", "socks5://p:1", "http://", "p:0x", "p:70000", "a b", "http://p/x?y"])
def test_what_is_no_proxy(typed):
    with pytest.raises(BadInput):
        proxy_of(typed)
