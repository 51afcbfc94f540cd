"""Every fault of a network is survived: the exact file, or a clear state and no wrong file; and little comes twice."""

import random
import time
from dataclasses import replace

import pytest
from fakes.downloads import MIB, QUICK, Trial
from fakes.fakehub import Blob, FakeHub

from carryon.base.errors import BadFile, NoAccess, Offline
from carryon.base.jobs import Progress, drained
from carryon.hub.fetching.download import Checking, Retrying, StartedOver, part_bytes
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site
from carryon.hub.wire import BadAnswer

TOKEN = "hf_" + "T" * 30


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def trial(hub, tmp_path):
    return Trial(hub, tmp_path)


# ---- what breaks off


@pytest.mark.parametrize("kind", ["cut", "fin"])
def test_cut_at_a_random_byte_twenty_times_in_a_row(hub, tmp_path, kind):
    trial, chance = Trial(hub, tmp_path, 32 * MIB), random.Random(4)
    for n_before in range(20):
        hub.fault(kind, "/cdn/", times=1, skip=n_before, after=chance.randrange(100_000))
    trial.run()
    assert trial.is_exact
    assert trial.sent_twice < 0.05
    assert sum(row.get("faulted", False) for row in hub.log) == 20


@pytest.mark.parametrize("n_connections", [1, 4])
@pytest.mark.parametrize("after", [0, 1, MIB - 1])
def test_cut_at_the_edges_of_pieces(trial, n_connections, after):
    trial.hub.fault("cut", "/cdn/", times=5, after=after)
    trial.run(n_connections=n_connections)
    assert trial.is_exact


def test_every_connection_ends_after_half_a_piece(trial):
    trial.hub.fault("fin", "/cdn/", after=MIB // 2)
    trial.run()
    assert trial.is_exact
    assert trial.sent_twice < 0.01


def test_silence_is_noticed_on_each_connection(trial):
    trial.hub.fault("stall", "/cdn/", times=3, after=300_000, seconds=60)
    began_s = time.monotonic()
    trial.run(patience=replace(QUICK, silence_s=0.3))
    assert trial.is_exact
    assert time.monotonic() - began_s < 5
    assert trial.sent_twice < 0.05


def test_silence_of_the_hub_before_it_answers(trial):
    trial.hub.fault("stall", "/resolve/", times=1, seconds=60)
    trial.run(patience=replace(QUICK, silence_s=0.3))
    assert trial.is_exact
    assert "does not answer" in trial.told(Retrying)[0].why.message


def test_a_slow_link_is_waited_for(hub, tmp_path):
    trial = Trial(hub, tmp_path, 2 * MIB)
    hub.fault("slow", "/cdn/", bps=MIB)
    trial.run(patience=replace(QUICK, silence_s=0.3))
    assert trial.is_exact
    assert not trial.told(Retrying)
    assert len(trial.told(Progress)) > 5
    assert trial.sent_twice == 0


def test_a_connection_that_is_much_slower_than_others_is_relieved(trial):
    trial.hub.fault("slow", "/cdn/", times=1, skip=2, bps=50_000)  # 20 s for its piece
    began_s = time.monotonic()
    trial.run(patience=replace(QUICK, silence_s=15))
    assert time.monotonic() - began_s < 4
    assert trial.is_exact
    assert trial.sent_twice < 0.05


def test_one_that_is_silent_is_relieved_before_it_is_given_up(trial):
    trial.hub.fault("stall", "/cdn/", times=1, skip=2, after=1000, seconds=60)
    began_s = time.monotonic()
    trial.run(patience=replace(QUICK, silence_s=15))
    assert time.monotonic() - began_s < 4
    assert trial.is_exact


# ---- what asks to wait


@pytest.mark.parametrize("path", ["/resolve/", "/cdn/"])
@pytest.mark.parametrize("headers", [{"Retry-After": "1"}, {"RateLimit": '"api";r=0;t=1'}])
def test_too_many_requests_waits_as_long_as_it_is_told_and_no_shorter(hub, tmp_path, path, headers):
    trial = Trial(hub, tmp_path, MIB)
    hub.fault("status", path, times=1, code=429, headers=headers)
    began_s = time.monotonic()
    trial.run(n_connections=1)
    assert 1.0 <= time.monotonic() - began_s < 2.5
    assert trial.is_exact
    assert trial.told(Retrying)[0].again_in_s > 0.8
    first, second = [row["t"] for row in hub.requests(path)][:2]
    assert second - first >= 1.0


def test_nobody_asks_early_when_one_connection_was_told_to_wait(trial):
    trial.hub.fault("status", "/cdn/", times=1, code=429, headers={"Retry-After": "1"})
    trial.run()
    assert trial.is_exact
    told_s = next(row["t"] for row in trial.hub.requests("/cdn/") if row["status"] == 429)
    assert not [row for row in trial.hub.requests("/cdn/") if told_s + 0.1 < row["t"] < told_s + 0.95]


@pytest.mark.parametrize("code", [408, 500, 502, 503, 504])
def test_a_server_in_trouble_is_tried_again(hub, tmp_path, code):
    trial = Trial(hub, tmp_path, 4 * MIB)
    hub.fault("status", "/resolve/", times=2, code=code)
    hub.fault("status", "/cdn/", times=6, code=code)
    trial.run()
    assert trial.is_exact
    assert trial.sent_twice == 0


def test_a_wait_can_be_cancelled_at_once(trial):
    trial.hub.fault("status", "/cdn/", code=503, headers={"Retry-After": "100"})
    work = trial.work()
    news = next(one for one in work if isinstance(one, Retrying))
    assert 99 < news.again_in_s < 101.5
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 0.25


# ---- what is wrong


@pytest.mark.parametrize("at", [0, 5 * MIB + 17, 16 * MIB - 1])
def test_a_wrong_byte_is_found_and_mended_by_range(trial, at):
    trial.hub.fault("corrupt", "/cdn/", times=16, at=at)  # it has 16 pieces: the byte is wrong the first time only
    trial.run()
    assert trial.is_exact
    assert trial.told(Checking)
    assert trial.sent_bytes <= 2 * trial.blob.size + 3 * 8 * MIB


def test_a_byte_that_is_always_wrong_is_said_and_nothing_is_left(trial):
    trial.hub.fault("corrupt", "/cdn/", at=5 * MIB)
    with pytest.raises(BadFile, match="its sum is wrong"):
        trial.run()
    assert trial.is_absent
    assert trial.leftovers == []
    assert trial.sent_bytes <= 2 * trial.blob.size


def test_bytes_that_are_shifted_once_are_mended(trial):
    trial.hub.fault("wrongrange", "/cdn/", times=1, shift=13)
    trial.run()
    assert trial.is_exact


def test_bytes_that_are_always_shifted_are_never_taken(trial):
    trial.hub.fault("wrongrange", "/cdn/", shift=13)
    with pytest.raises(BadFile, match="its sum is wrong"):
        trial.run()
    assert trial.is_absent


@pytest.mark.parametrize("said", [
    "bytes 1-1048576/16777216", "bytes 0-1048575/99", "bytes */16777216", "nonsense", None, "bytes 0-0/16777216",
    "bytes " + "9" * 5000 + "-1/2",
])  # fmt: skip
def test_a_wrong_content_range_is_not_believed(trial, said):
    trial.hub.fault("headers", "/cdn/", times=3, values={"Content-Range": said})
    trial.run()
    assert trial.is_exact
    trial.target.unlink()
    trial.hub.fault("headers", "/cdn/", values={"Content-Range": said})
    with pytest.raises(BadAnswer, match="other bytes than were asked for"):
        trial.run()
    assert trial.is_absent


def test_a_server_that_gives_no_parts_is_taken_whole(trial):
    trial.hub.fault("norange", "/cdn/")
    trial.run()
    assert trial.is_exact
    assert trial.sent_bytes < 4 * trial.blob.size


def test_a_server_that_gives_no_parts_and_breaks_off(trial):
    trial.hub.fault("norange", "/cdn/")
    trial.hub.fault("cut", "/cdn/", times=1, skip=6, after=9 * MIB)
    trial.run()
    assert trial.is_exact


def test_a_resume_at_a_server_that_gives_no_parts_any_more(trial):
    trial.run_until(4 * MIB)
    trial.hub.clear()
    trial.hub.fault("norange", "/cdn/")
    trial.run()
    assert trial.is_exact


def test_a_body_without_length_is_not_taken(trial):
    trial.hub.fault("gzip", "/cdn/", times=2)
    trial.run()
    assert trial.is_exact


@pytest.mark.parametrize("value", [1, 16 * MIB - 1, 16 * MIB + 1, 0])
def test_a_size_that_is_a_lie_is_said(trial, value):
    trial.hub.fault("size", "/resolve/", value=value)
    with pytest.raises(BadFile, match="now has another"):
        trial.run()
    assert trial.is_absent
    assert trial.leftovers == []


@pytest.mark.parametrize("value", ["-1", "1e9", "9" * 400, "\xb2"])
def test_a_size_that_is_none_is_said_in_the_end(hub, tmp_path, value):
    trial = Trial(hub, tmp_path, MIB)
    hub.fault("headers", "/resolve/", values={"X-Linked-Size": value})
    with pytest.raises((BadAnswer, BadFile)):
        trial.run(patience=replace(QUICK, longest_wait_s=0.02))
    assert trial.is_absent


def test_a_hub_that_names_no_size_leaves_the_word_to_the_one_it_sends_us_to(hub, tmp_path):
    trial = Trial(hub, tmp_path, MIB)
    hub.fault("headers", "/resolve/", values={"X-Linked-Size": None, "X-Linked-ETag": None})
    trial.run()
    assert trial.is_exact


@pytest.mark.parametrize("path", ["/resolve/", "/cdn/"])
def test_a_page_instead_of_the_file_is_waited_out(hub, tmp_path, path):
    trial = Trial(hub, tmp_path, 2 * MIB)
    hub.fault("html", path, times=3)
    trial.run(n_connections=1, patience=replace(QUICK, first_wait_s=0.3))
    assert trial.is_exact
    assert "A web page came instead" in trial.told(Retrying)[0].why.message


# ---- what changes


def changing(trial):
    """A file whose sum was not known when it was chosen: the Hub may put another in its place."""
    new = Blob(size=trial.blob.size, seed=99, name="m.gguf")
    trial.with_file(sha256=None)
    return new


def test_a_file_that_changed_between_two_runs_starts_over_and_says_so(trial):
    new = changing(trial)
    trial.run_until(4 * MIB)
    trial.repo.commits[trial.fetch.commit]["m.gguf"] = trial.blob = new
    trial.run()
    assert trial.is_exact
    assert "changed on the Hub" in trial.told(StartedOver)[0].why


def test_a_file_that_changes_midway_starts_over_and_says_so(trial):
    new = changing(trial)
    trial.hub.url_ttl = 0.3
    trial.hub.fault("slow", "/cdn/", bps=2 * MIB)
    work, told = trial.work(), []
    for news in work:
        told.append(news)
        if getattr(news, "done", 0) >= 2 * MIB and trial.blob is not new:
            trial.repo.commits[trial.fetch.commit]["m.gguf"] = trial.blob = new
            trial.hub.faults.clear()
    assert trial.is_exact
    assert [one for one in told if isinstance(one, StartedOver)]


def test_a_file_that_is_no_longer_the_one_that_was_chosen_is_said(trial):
    trial.run_until(4 * MIB)
    trial.repo.commits[trial.fetch.commit]["m.gguf"] = Blob(size=trial.blob.size, seed=99, name="m.gguf")
    with pytest.raises(BadFile, match="than the one that was chosen"):
        trial.run()
    assert trial.is_absent


def test_a_file_that_never_stops_changing_is_given_up(trial):
    changing(trial)
    trial.hub.url_ttl = -1  # every address has expired, so that the Hub is asked again
    etags = iter(range(1, 1000))
    original = trial.hub.pick

    def pick(method, path):
        found = original(method, path)
        trial.hub.faults[:] = []
        trial.hub.fault("etag", "/resolve/", value=f"{next(etags):064x}")
        return found

    trial.hub.pick = pick
    with pytest.raises(BadFile, match="keeps changing"):
        trial.run()
    assert trial.is_absent


def test_an_address_that_expires_is_asked_for_again(trial):
    trial.hub.url_ttl = 0.4
    trial.hub.fault("slow", "/cdn/", bps=4 * MIB)
    trial.run()
    assert trial.is_exact
    assert 2 <= len(trial.hub.requests("/resolve/")) < 20
    assert trial.sent_twice < 0.01


def test_an_address_that_expired_while_it_was_paused(trial):
    trial.hub.url_ttl = 0.2
    trial.run_until(2 * MIB)
    time.sleep(0.3)
    trial.hub.url_ttl = 3600
    trial.run()
    assert trial.is_exact


def test_a_cdn_that_never_lets_us_in_is_said(trial):
    trial.hub.fault("status", "/cdn/", code=403)
    with pytest.raises(NoAccess):
        trial.run()
    assert trial.is_absent


def test_a_server_that_lets_one_connection_in_gets_one(trial):
    trial.hub.fault("crowd", "/cdn/", most=1)
    trial.hub.fault("slow", "/cdn/", bps=16 * MIB)
    trial.run()
    assert trial.is_exact
    assert trial.sent_twice < 0.01


# ---- where redirects lead


@pytest.mark.parametrize("location", [
    "http://example.org/x", "file:///etc/passwd", "https://user:pw@127.0.0.1/x", "//", "ftp://127.0.0.1/x", "",
    "https://h:99999999/x", "http://[::1", "data:text/plain,x", "https://" + "a" * 20_000, "\\\\host\\share",
])  # fmt: skip
def test_hostile_addresses_are_not_gone_to(hub, tmp_path, location):
    trial = Trial(hub, tmp_path, MIB)
    hub.fault("headers", "/resolve/", values={"Location": location})
    with pytest.raises((Offline, BadFile), match=r"not safe to use|in circles|does not have this"):
        trial.run(patience=replace(QUICK, longest_wait_s=0.02))
    assert trial.is_absent
    assert part_bytes(trial.target) == 0


@pytest.mark.parametrize("path", ["/resolve/", "/cdn/"])
def test_a_redirect_loop_ends(hub, tmp_path, path):
    trial = Trial(hub, tmp_path, MIB)
    hub.fault("loop", path, times=60)
    with pytest.raises(BadAnswer, match="in circles"):
        trial.run(patience=replace(QUICK, longest_wait_s=0.02))
    assert trial.is_absent


@pytest.mark.parametrize("etag", [
    "../../x", "a" * 64 + "/..", "\x00", "", "x" * 100_000, '"', "W/", "0" * 63, "Z" * 64, "%2e%2e", "nul",
])  # fmt: skip
def test_hostile_etags_go_nowhere(hub, tmp_path, etag):
    trial = Trial(hub, tmp_path / "models", MIB)
    hub.fault("etag", ".", value=etag)
    try:
        trial.run(patience=replace(QUICK, longest_wait_s=0.02))
        assert trial.is_exact
    except (Offline, BadFile):
        assert trial.is_absent
    here = {one.name for one in (tmp_path / "models").iterdir()}
    assert here <= {"m.gguf", "m.gguf.origin.json", "m.gguf.part", "m.gguf.part.json"}
    assert [one.name for one in tmp_path.iterdir() if one.name not in ("models", "home")] == []


# ---- who may read


def test_a_gated_file_without_a_token_says_what_to_do(hub, tmp_path):
    trial = Trial(hub, tmp_path, MIB, gated="manual")
    with pytest.raises(NoAccess) as caught:
        trial.run()
    assert "acme/tiny-GGUF" in caught.value.message
    assert "token" in caught.value.hint
    assert trial.is_absent


def test_a_gated_file_with_a_token_that_has_no_access_says_where_to_ask(hub, tmp_path):
    hub.tokens[TOKEN] = set()
    trial = Trial(hub, tmp_path, MIB, gated="manual", token=TOKEN)
    with pytest.raises(NoAccess) as caught:
        trial.run()
    assert f"{hub.url}/acme/tiny-GGUF" in caught.value.hint


def test_a_gated_file_comes_with_a_token_that_nobody_else_sees(hub, tmp_path, caplog):
    hub.tokens[TOKEN] = {"acme/tiny-GGUF"}
    trial = Trial(hub, tmp_path, 4 * MIB, gated="manual", token=TOKEN)
    hub.fault("status", "/cdn/", times=2, code=403)
    hub.fault("cut", "/cdn/", times=2, after=1000)
    with caplog.at_level("DEBUG"):
        trial.run()
    assert trial.is_exact
    assert trial.leaks == []
    assert {row["auth"] for row in hub.requests(side="hub")} == {f"Bearer {TOKEN}"}
    assert TOKEN not in caplog.text
    assert "Expires" not in caplog.text


def test_a_token_that_is_wrong_is_said(hub, tmp_path):
    trial = Trial(hub, tmp_path, MIB, token=TOKEN)
    with pytest.raises(NoAccess, match="does not accept the token"):
        trial.run()


def test_a_small_gated_file_comes_with_the_token(hub, tmp_path):
    hub.tokens[TOKEN] = {"acme/tiny-GGUF"}
    trial = Trial(hub, tmp_path, path="config.json", content=b"{}", gated="manual", token=TOKEN)
    trial.run()
    assert trial.is_exact


def test_a_file_that_is_not_there_is_said(trial):
    trial.with_file(path="other.gguf")
    trial.fetch = replace(trial.fetch, target=trial.target.with_name("other.gguf"))
    with pytest.raises(BadFile, match="does not have this in acme"):
        trial.run()


# ---- nobody there


def test_an_offline_start_waits_and_says_why(trial):
    port = trial.hub.url
    trial.fetch = replace(trial.fetch, site=Site("http://127.0.0.1:1"))
    work = trial.work()
    news = next(one for one in work if isinstance(one, Retrying))
    assert "127.0.0.1 refuses the connection" in news.why.message
    work.close()
    assert trial.is_absent
    trial.fetch = replace(trial.fetch, site=Site(port))
    trial.run()
    assert trial.is_exact


def test_a_network_that_comes_back_is_found(tmp_path):
    with FakeHub() as first:
        trial = Trial(first, tmp_path)
        first.fault("slow", "/cdn/", bps=MIB)
        work = trial.work()
        while getattr(next(work), "done", 0) < MIB:
            pass
    news = next(one for one in work if isinstance(one, Retrying))
    assert "refuses the connection" in news.why.message
    with FakeHub(ports=first.ports) as second:
        Trial(second, tmp_path)
        drained(work)
        assert trial.is_exact
        assert second.sent_bytes("/cdn/") <= 15 * MIB + MIB // 2


def test_waits_grow_and_end():
    waits = [QUICK.wait_s(Offline("x"), n_in_vain) for n_in_vain in range(30)]
    assert max(waits) <= QUICK.longest_wait_s
    assert waits[0] <= QUICK.first_wait_s < waits[5]


def test_the_file_of_the_wish_decides_and_not_the_hubs_word(hub, tmp_path):
    """A mirror that serves another file under the right name is found out by the sum that was known before."""
    trial = Trial(hub, tmp_path, MIB)
    real = Blob(size=MIB, seed=55, name="m.gguf")
    trial.fetch = replace(trial.fetch, file=RepoFile("m.gguf", MIB, real.sha256))
    with pytest.raises(BadFile):
        trial.run()
    hub.fault("etag", ".", value=real.sha256)
    with pytest.raises(BadFile, match="its sum is wrong"):
        trial.run()
    assert trial.is_absent
