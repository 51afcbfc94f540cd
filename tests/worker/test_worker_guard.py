"""Who may talk to the engine: only those with the key, and no page of another site."""

import http.client

import pytest

PATHS = ["/v1/models", "/props", "/v1/nothing"]


def status(worker, path="/v1/models", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return worker.get(path, headers=headers).status


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Bearer {token}x", "Basic {token}", "{token}",
                                           "Bearer {token} {token}", "Bearer ké"])
def test_without_the_key_nothing_is_told(speaker, path, authorization):
    sent = authorization.format(token=speaker.ready.token)
    answer = speaker.get(path, headers={"Authorization": sent.encode("latin-1")})
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert speaker.ready.token not in answer.raw.decode()


def test_no_header_is_no_key(speaker):
    connection = http.client.HTTPConnection("127.0.0.1", speaker.ready.port)
    connection.request("GET", "/props")
    assert connection.getresponse().status == 401
    connection.close()


def test_health_needs_no_key(speaker):
    answer = speaker.get("/health", headers={"Authorization": ""})
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example",
                                  "10.0.0.5", "0.0.0.0", "", "[", "a b", "[::1", "user@evil.example"])
def test_a_borrowed_name_is_refused_even_with_the_key(speaker, host):
    assert status(speaker, Host=host) == 403
    assert status(speaker, "/health", Host=host) == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:99", "127.8.8.8", "localhost."])
def test_loopback_has_many_names(speaker, host):
    assert status(speaker, Host=host) == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "file://", "http://", "http://10.0.0.5",
                                    "http://localhost.evil.example", "http://["])
def test_pages_of_other_sites_are_refused(speaker, origin):
    answer = speaker.get("/v1/models", headers={"Origin": origin})
    assert answer.status == 403
    assert answer.error["code"] == "origin_not_allowed"


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"])
def test_pages_of_this_machine_are_welcome(speaker, origin):
    assert status(speaker, Origin=origin) == 200


def test_a_key_of_ones_own(start_worker, models):
    worker = start_worker(models / "speaker.gguf", api_key="my own key", model_name="talker")
    assert worker.ready.token == "my own key"
    assert worker.get("/v1/models").json["data"][0]["id"] == "talker"


def test_every_engine_has_a_key_of_its_own(speaker, endless):
    assert speaker.ready.token != endless.ready.token
    assert len(speaker.ready.token) >= 32


def test_the_key_is_not_in_the_log(speaker):
    speaker.get("/props", headers={"Authorization": "Bearer guess-of-a-stranger"})
    log = speaker.log_path.read_text("utf-8", "replace")
    assert speaker.ready.token not in log
    assert "guess-of-a-stranger" not in log


def test_what_is_said_is_not_in_the_log(speaker):
    speaker.chat("a very private question")
    assert "very private" not in speaker.log_path.read_text("utf-8", "replace")


def test_the_key_is_not_on_the_command_line(speaker):
    import psutil

    assert speaker.ready.token not in " ".join(psutil.Process(speaker.process.pid).cmdline())


def test_a_server_for_everyone_answers_to_its_addresses_but_to_no_strange_name(start_worker, models):
    worker = start_worker(models / "speaker.gguf", host="0.0.0.0")
    assert status(worker, Host="192.168.1.20:8080") == 200
    assert status(worker, Host="rebound.example") == 403
