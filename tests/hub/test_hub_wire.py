"""Each failure of a network has its own plain words, and a token goes nowhere but to the Hub."""

import http.client
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from fakes.fakehub import Blob, FakeHub

from carryon.base.errors import AppError, BadFile, BadInput, NoAccess, Offline
from carryon.base.log import StrikeSecrets
from carryon.hub.connection import connected, followed, ranged
from carryon.hub.site import Site
from carryon.hub.wire import BadAnswer, Refused, error_of, hub_errors, portal_error, transport_error

TOKEN = "hf_" + "S" * 30


@pytest.fixture
def hub():
    with FakeHub() as hub:
        repo = hub.add_repo("acme/tiny", {"m.gguf": Blob(size=1 << 20, seed=3, name="m.gguf"), "README.md": b"# hi"})
        hub.commit = repo.refs["main"]
        yield hub


def url_of(hub, path="m.gguf"):
    return Site(hub.url).file_url("acme/tiny", hub.commit, path)


def failure(site, url=None):
    """The error of one request."""
    with pytest.raises(AppError) as caught, hub_errors(site), connected(site, 1.0, 0.5) as connection:
        followed(connection, "GET", url or f"{site.endpoint}/x")
    return caught.value


@contextmanager
def listening(answer):
    """A server that does this with each connection; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    answer(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Of a server that nobody trusts."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes", "-newkey", "rsa:2048"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
    return folder


def test_every_way_of_not_being_reached_has_words_of_its_own(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    silent, plain, closing = [], [], []
    with (
        listening(silent.append) as mute,
        listening(lambda one: (plain.append(one), one.recv(100), one.sendall(b"220 mail.example ESMTP\r\n"))) as mail,
        listening(lambda one: one.close()) as shut,
        listening(lambda one: closing.append(tls(context, one))) as untrusted,
    ):
        said = [
            failure(Site("https://nowhere.invalid")),
            failure(Site("http://127.0.0.1:1")),
            failure(Site(f"http://127.0.0.1:{mute}")),
            failure(Site(f"http://127.0.0.1:{shut}")),
            failure(Site(f"http://127.0.0.1:{mail}")),
            failure(Site(f"https://localhost:{mail}")),
            failure(Site(f"https://localhost:{untrusted}")),
            failure(Site("https://nowhere.invalid", proxy="http://127.0.0.1:1")),
        ]
    assert len({error.message for error in said}) == len(said)
    assert all(isinstance(error, Offline) and error.hint for error in said)
    assert "Somebody else answers" in said[6].message
    assert "proxy" in said[7].message


def tls(context, connection):
    try:
        return context.wrap_socket(connection, server_side=True)
    except OSError:
        return None


def test_a_wrong_clock_is_told_from_a_wrong_certificate():
    error = ssl.SSLCertVerificationError(1, "certificate has expired")
    error.verify_code = 10
    assert "the date and the time" in transport_error(error, Site()).hint


@pytest.mark.parametrize(("status", "code", "token", "kind"), [
    (401, "GatedRepo", None, NoAccess), (403, "GatedRepo", TOKEN, NoAccess), (401, "RepoNotFound", None, NoAccess),
    (401, "", TOKEN, NoAccess), (403, "", None, NoAccess), (404, "EntryNotFound", None, BadFile),
    (410, "", None, BadFile), (408, "", None, Offline), (429, "", None, Offline), (500, "", None, Offline),
    (503, "", None, Offline), (599, "", None, Offline), (400, "", None, BadInput), (418, "", None, BadInput),
])  # fmt: skip
def test_what_a_status_means(status, code, token, kind):
    error = error_of(status, Site(token=token), "acme/tiny", code=code)
    assert type(error) is kind
    assert error.hint
    assert "huggingface.co" in error.message + error.hint or "acme/tiny" in error.message + error.hint


def test_a_bug_of_ours_is_not_taken_for_the_network():
    with pytest.raises(ZeroDivisionError), hub_errors(Site()):
        print(1 / 0)


@pytest.mark.parametrize("kind", [http.client.BadStatusLine, http.client.LineTooLong, http.client.UnknownProtocol])
def test_nonsense_of_a_server_is_a_bad_answer(kind):
    assert isinstance(transport_error(kind("x"), Site()), BadAnswer)


def test_a_page_in_between_is_told_as_such():
    assert "log in" in portal_error("huggingface.co").hint


# ---- tokens


def test_a_token_goes_to_the_hub_and_not_where_it_sends_us(hub):
    site = Site(hub.url, TOKEN, trusts_mirror=True)
    hub.tokens[TOKEN] = set()
    assert len(ranged(site, url_of(hub), 0, 1 << 20)) == 1 << 20
    assert [bool(row["auth"]) for row in hub.log] == [True, False]


@pytest.mark.parametrize("target", ["http://example.org/x", "file:///etc/passwd", "gopher://127.0.0.1/", "http://[::1"])
def test_nobody_follows_to_an_address_that_is_not_safe(hub, target):
    hub.tokens[TOKEN] = set()
    hub.fault("headers", "/resolve/", values={"Location": target})
    assert "not safe" in failure(Site(hub.url, TOKEN, trusts_mirror=True), url_of(hub)).message


def test_a_loop_of_redirects_ends(hub):
    hub.fault("loop", "/resolve/")
    assert "in circles" in failure(Site(hub.url), url_of(hub)).message
    assert len(hub.log) == 6


def test_an_address_that_is_not_allowed_is_not_even_asked():
    with pytest.raises(BadAnswer, match="not safe"), connected(Site()) as connection:
        connection.ask("GET", "http://example.org/")


def test_no_secret_reaches_the_log(hub, caplog):
    logger = logging.getLogger("anybody")
    logger.addFilter(StrikeSecrets())
    with caplog.at_level("DEBUG"):
        logger.info("%s", {"Authorization": f"Bearer {TOKEN}"})
        logger.info("GET https://cdn/x?X-Amz-Signature=abcdef0123&Expires=1&Signature=zzzz")
        failure(Site(hub.url, TOKEN, trusts_mirror=True), url_of(hub, "none.gguf"))
    assert TOKEN not in caplog.text
    assert "abcdef0123" not in caplog.text
    assert "zzzz" not in caplog.text


def test_an_error_shows_neither_token_nor_signed_address(hub):
    hub.tokens[TOKEN] = set()
    hub.fault("status", "/cdn/", code=400)
    error = failure(Site(hub.url, TOKEN, trusts_mirror=True), url_of(hub))
    assert TOKEN not in error.message + error.hint
    assert "Expires" not in error.message + error.hint + str(error.__cause__)


# ---- the proxy


def test_a_request_through_a_proxy_names_the_host_and_the_proxys_user():
    heard = []

    def refuse(connection):
        heard.append(connection.recv(4096).decode())
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        connection.close()

    with listening(refuse) as port:
        proxy = f"http://me:secret@127.0.0.1:{port}"
        error = failure(Site("https://hub.invalid", TOKEN, proxy, trusts_mirror=True))
    assert heard[0].startswith("CONNECT hub.invalid:443 ")
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in heard[0]
    assert TOKEN not in heard[0]
    assert "proxy" in error.message


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://x", "http://"])
def test_a_proxy_of_another_kind_is_said(proxy):
    assert isinstance(failure(Site("https://hub.invalid", proxy=proxy)), BadInput)


def test_this_machine_is_never_asked_through_a_proxy(hub, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert len(ranged(Site(hub.url, proxy="http://127.0.0.1:1"), url_of(hub), 5, 10)) == 10


# ---- parts of files


@pytest.mark.parametrize(("start", "n_bytes"), [(0, 1), (0, 1000), (1000, 64), ((1 << 20) - 3, 100), (0, 1 << 22)])
def test_a_range_of_a_file(hub, start, n_bytes):
    blob = hub.repos["acme/tiny"].commits[hub.commit]["m.gguf"]
    assert ranged(Site(hub.url), url_of(hub), start, n_bytes) == bytes(blob.read(start, n_bytes))


def test_a_server_without_ranges_gives_the_beginning_only(hub):
    hub.fault("norange", ".")
    blob = hub.repos["acme/tiny"].commits[hub.commit]["m.gguf"]
    assert ranged(Site(hub.url), url_of(hub), 0, 100) == bytes(blob.read(0, 100))
    with pytest.raises(BadAnswer, match="parts of files"):
        ranged(Site(hub.url), url_of(hub), 1, 100)


def test_a_range_that_breaks_off_is_said(hub):
    hub.fault("cut", "/cdn/", after=100)
    with pytest.raises(Offline, match="broke off"):
        ranged(Site(hub.url), url_of(hub), 0, 1000)


# ---- connections


def test_a_connection_is_kept_and_one_that_ended_meanwhile_is_opened_again(hub):
    site = Site(hub.url)
    with connected(site) as connection:
        for _ in range(2):
            followed(connection, "GET", url_of(hub, "README.md")).read(100)
            connection.finish()
        connection._open.sock.shutdown(socket.SHUT_RDWR)
        assert followed(connection, "GET", url_of(hub, "README.md")).read(100) == b"# hi"


def test_a_body_that_is_longer_than_allowed_is_not_read(hub):
    with connected(Site(hub.url)) as connection, pytest.raises(BadAnswer):
        followed(connection, "GET", url_of(hub)).read(1000)


def test_an_aborted_connection_wakes_its_reader_and_opens_no_more(hub):
    hub.fault("stall", "/cdn/", after=10, seconds=30)
    with connected(Site(hub.url)) as connection:
        answer = followed(connection, "GET", url_of(hub))
        threading.Timer(0.1, connection.abort).start()
        began_s = time.monotonic()
        with pytest.raises(OSError, match="too early"):
            read_for_ever(answer)
        assert time.monotonic() - began_s < 1
        with pytest.raises(ConnectionAbortedError):
            connection.ask("GET", url_of(hub))


def read_for_ever(answer):
    while True:
        answer.readinto(memoryview(bytearray(100)))


@pytest.mark.parametrize(("headers", "wait_s"), [
    ({"Retry-After": "7"}, 7), ({"Retry-After": "999999"}, 3600), ({"Retry-After": "soon"}, None), ({}, None),
    ({"RateLimit": '"api";r=0;t=55'}, 55), ({"RateLimit": '"api";r=9;t=55'}, None), ({"Retry-After": "-3"}, None),
    ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0), ({"Retry-After": "\xb2"}, None),
])  # fmt: skip
def test_how_long_an_answer_asks_to_wait(hub, headers, wait_s):
    hub.fault("status", ".", code=429, headers=headers)
    with connected(Site(hub.url)) as connection, pytest.raises(Refused) as caught:
        followed(connection, "GET", url_of(hub))
    assert caught.value.wait_s == wait_s
