"""`carryon get` against a Hub on this machine: what is taken, what is shown, what stays after Ctrl+C."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import pytest
from fakes.download_desk import MIB, Desk, is_exact, leftovers, tiny_repo, wish_of
from fakes.fake_downloads import download
from fakes.fakehub import Blob, FakeHub
from fakes.header_repos import add_header_repo

from carryon.app.download_list import Queued, Running, Verifying, WaitingForNetwork
from carryon.app.hub_access import HubAccess
from carryon.base.errors import Offline
from carryon.base.settings import Settings, SettingsFile
from carryon.cli import get as command
from carryon.cli import main
from carryon.cli.download_bar import Bar, Lines, bar_line
from carryon.hub.fetching import part
from carryon.hub.origin import read_origin

REPO = "acme/tiny-GGUF"
# What `carryon` does, whether or not main.py knows the command yet.
RUN = """
import sys
from carryon.cli import main
main._COMMANDS = tuple(dict.fromkeys((*main._COMMANDS, "get")))
sys.exit(main.run(["get", *sys.argv[1:]]))
"""


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def hub(monkeypatch):
    with FakeHub() as made:
        tiny_repo(made)
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield made


@pytest.fixture
def get(capsys, monkeypatch):
    monkeypatch.setattr(main, "_COMMANDS", tuple(dict.fromkeys((*main._COMMANDS, "get"))))

    def call(*words):
        code = main.run(["get", *map(str, words)])
        return Done(code, *capsys.readouterr())

    return call


def choice(home, source):
    settings = SettingsFile(home.settings)
    return command._chosen(home, HubAccess(home, settings), source)


def test_a_quant_is_downloaded_whole(hub, get, carryon_home):
    done = get(f"{REPO}:q4_k_m")
    wish = wish_of(hub, carryon_home, "x", "a-Q4_K_M.gguf")
    assert done.code == 0, done.err
    assert done.out.strip() == str(wish.target(wish.files[0]))
    assert is_exact(hub, wish)
    assert read_origin(wish.target(wish.files[0])).repo_id == REPO
    assert leftovers(carryon_home.root) == []


@pytest.mark.parametrize("source", [f"{REPO}:F16", f"{REPO}:a-F16-00002-of-00002.gguf"])
def test_all_parts_of_a_split_model_come(hub, get, carryon_home, source):
    assert get(source).code == 0
    assert is_exact(hub, wish_of(hub, carryon_home, "x", "a-F16-00001-of-00002.gguf", "a-F16-00002-of-00002.gguf"))


def test_a_file_is_downloaded_by_its_name_or_its_address(hub, get, tmp_path):
    assert get(f"{REPO}:mmproj-f16.gguf", "--to", tmp_path / "one").code == 0
    assert (tmp_path / "one" / "mmproj-f16.gguf").stat().st_size == 2 * MIB
    assert get(f"{hub.url}/{REPO}/blob/main/README.md", "--to", tmp_path / "two").code == 0
    assert (tmp_path / "two" / "README.md").read_bytes() == b"# tiny\n"


def test_what_is_here_is_said_and_not_fetched(hub, get):
    get(f"{REPO}:Q8_0")
    hub.clear()
    done = get(f"{REPO}:Q8_0")
    assert done.code == 0
    assert "Already here" in done.out
    assert hub.requests("/cdn/") == []


def test_json_says_what_was_done(hub, get):
    first = json.loads(get(f"{REPO}:Q8_0", "--json").out)
    assert (first["repo"], first["chosen"], first["was_here"]) == (REPO, "Q8_0", False)
    assert len(first["files"][0]["sha256"]) == 64
    assert json.loads(get(f"{REPO}:Q8_0", "--json").out)["was_here"]


def test_without_a_quant_the_machine_decides_and_says_why(hub, carryon_home, tmp_path):
    add_header_repo(hub, tmp_path, "acme/Qwen3-8B-GGUF", quants=("Q8_0", "Q6_K", "Q4_K_M"))
    taken = choice(carryon_home, "acme/Qwen3-8B-GGUF")
    assert taken.named in ("Q8_0", "Q6_K", "Q4_K_M")
    assert taken.why.startswith(f"{taken.named} is the best choice for this machine.")
    assert len(hub.requests("/cdn/")) <= 3


def test_a_header_that_cannot_be_read_leaves_the_usual_choice(hub, get, carryon_home):
    done = get(REPO)  # its files are noise
    assert done.code == 0, done.err
    assert "Q4_K_M is taken" in done.err
    assert is_exact(hub, wish_of(hub, carryon_home, "x", "a-Q4_K_M.gguf"))


def test_without_q4_k_m_the_nearest_is_taken(hub, carryon_home):
    noise = {f"b-{quant}.gguf": Blob(size=1000, seed=1, name="b.gguf") for quant in ("Q8_0", "Q4_K_S", "Q2_K")}
    hub.add_repo("acme/other-GGUF", noise)
    assert choice(carryon_home, "acme/other-GGUF").named == "Q4_K_S"


def test_a_model_that_was_downloaded_is_a_model(hub, get, carryon_home, tiny_model):
    hub.add_repo("acme/real-GGUF", {"real-Q8_0.gguf": tiny_model.read_bytes()})
    assert get("acme/real-GGUF").code == 0
    target = carryon_home.models / "acme" / "real-GGUF" / "real-Q8_0.gguf"
    assert target.read_bytes() == tiny_model.read_bytes()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"{REPO}:Q5_K_M", "It has"),
        (f"{REPO}:nothing.gguf", "has no file"),
        ("acme/empty", "no GGUF file"),
        ("no name at all", "is no name"),
    ],
)
def test_what_is_not_there_is_said(hub, get, source, words):
    hub.add_repo("acme/empty", {"README.md": b"# nothing\n"})
    done = get(source)
    assert done.code == main.BAD_INPUT
    assert words in done.err
    assert done.out == ""


def test_a_gated_model_says_what_to_do(hub, get):
    hub.repos[REPO].gated = "manual"
    done = get(f"{REPO}:Q8_0")
    assert done.code == main.FAILED
    assert "consent" in done.err
    assert "token" in done.err


def test_a_gated_model_comes_with_a_token(hub, get, carryon_home):
    hub.repos[REPO].gated = "manual"
    hub.tokens["hf_good"] = {REPO}
    settings = SettingsFile(carryon_home.settings)
    settings.change(lambda now: replace(now, hub_mirror=hub.url, trusts_mirror=True))
    HubAccess(carryon_home, settings, {}, lambda: None).keep_token("hf_good")
    assert get(f"{REPO}:Q8_0").code == 0
    assert not any(one.get("leak") for one in hub.log)


def test_offline_is_said(hub, get, carryon_home):
    SettingsFile(carryon_home.settings).change(lambda _: Settings(is_offline=True))
    done = get(f"{REPO}:Q8_0")
    assert done.code == main.FAILED
    assert "switched to offline" in done.err
    assert hub.log == []


def test_a_disk_that_is_too_small_is_said_before_a_byte_comes(hub, get, monkeypatch, carryon_home):
    monkeypatch.setattr(part, "_free_bytes", lambda _folder: MIB)
    done = get(f"{REPO}:Q8_0")
    assert done.code == main.FAILED
    assert "1.0 GB are missing" in done.err
    assert hub.requests("/cdn/") == []


def test_wrong_bytes_for_ever_are_no_file(hub, get, carryon_home):
    hub.fault("corrupt", path="/cdn/", at=MIB)
    done = get(f"{REPO}:Q8_0")
    assert done.code == main.BAD_INPUT
    assert "sum" in done.err
    assert list(carryon_home.models.rglob("*Q8_0.gguf*")) == []


def test_plain_lines_come_every_tenth(hub, get):
    hub.fault("slow", path="/cdn/", bps=MIB)
    lines = [line for line in get(f"{REPO}:Q8_0").err.splitlines() if "%" in line]
    percents = [int(line.split(" ")[0]) for line in lines]
    assert percents == sorted(set(percents))
    assert all(one % 10 == 0 for one in percents)
    assert len(percents) >= 2
    assert "of 2.1 MB" in lines[-1]


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_keeps_the_part_and_says_how_to_go_on(hub, get, carryon_home):
    hub.fault("slow", path="/cdn/", bps=MIB // 4)
    child = subprocess.Popen([sys.executable, "-c", RUN, f"{REPO}:Q8_0"], stderr=subprocess.PIPE, text=True)
    until_s = time.monotonic() + 20
    while not list(carryon_home.models.rglob("*.part.json")):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert child.returncode == main.INTERRUPTED
    assert f"To go on: carryon get {REPO}:Q8_0" in err
    assert "Traceback" not in err
    assert len(list(carryon_home.models.rglob("*.part"))) == 1
    hub.faults.clear()
    hub.clear()
    assert get(f"{REPO}:Q8_0").code == 0
    assert is_exact(hub, wish_of(hub, carryon_home, "x", "a-Q8_0.gguf"))
    assert sum(one.get("sent", 0) for one in hub.requests("/cdn/")) < 2 * MIB


@pytest.mark.skipif(os.name == "nt", reason="terminals of Unix")
def test_a_terminal_shows_a_bar_and_is_left_clean(hub):
    hub.fault("slow", path="/cdn/", bps=2 * MIB)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", RUN, f"{REPO}:Q8_0"]
    environment = {**os.environ, "COLUMNS": "72", "PYTHONUTF8": "1"}
    child = subprocess.Popen(words, stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    child.communicate(timeout=20)
    os.close(ours)
    drawn = [line for line in shown.decode().split("\r") if "█" in line or "░" in line]
    assert child.returncode == 0
    assert drawn
    assert all(len(line) <= 71 for line in drawn)
    assert shown.decode().rstrip("\r").endswith(" " * 71)


RUNNING = download("a", Running(23.4e6, 158), 0.43)


@pytest.mark.parametrize("width", [1, 5, 12, 30, 50, 80, 200])
def test_a_bar_is_never_wider_than_its_line(width):
    waiting = WaitingForNetwork(Offline("No."), 9)
    for state in (Running(), Running(1e6), Running(1e6, 5), Verifying(), Queued(), waiting):
        assert len(bar_line(download("a", state, 0.43), width)) <= width


def test_what_is_least_needed_goes_first():
    assert bar_line(RUNNING, 90).endswith("43 %  2.1 of 4.9 GB  23 MB/s  3 min left")
    assert bar_line(RUNNING, 90).startswith("█" * 17 + "░" * 23)
    assert bar_line(RUNNING, 24).endswith("43 %  2.1 of 4.9 GB")
    assert bar_line(RUNNING, 8) == " 43 %"
    assert bar_line(RUNNING, 60, is_plain=True).startswith("#######---")


def test_a_bar_makes_way_for_a_sentence():
    out = io.StringIO()
    bar = Bar(out, lambda: 40)
    bar.show(RUNNING)
    bar.say("It began again.")
    bar.end()
    assert out.getvalue().endswith("\r" + " " * 39 + "\rcarryon: It began again.\n")


def test_lines_say_once_why_nothing_comes():
    out = io.StringIO()
    lines = Lines(out)
    waiting = WaitingForNetwork(Offline("The Hub does not answer."), 3)
    for again_in_s in (3, 2, 1):
        lines.show(download("a", replace(waiting, again_in_s=again_in_s), 0.43))
    lines.show(RUNNING)
    assert out.getvalue().count("does not answer") == 2  # its own sentence, and the first line of figures
    assert out.getvalue().count("40 %") == 1


@pytest.mark.slow
def test_the_window_and_the_command_want_the_same_file(hub, carryon_home):
    """Whoever comes second waits for the first and then finds the file: it is fetched once."""
    hub.fault("slow", path="/cdn/", bps=MIB // 2)
    desk = Desk(carryon_home, hub)
    wish = wish_of(hub, carryon_home, "x", "a-Q8_0.gguf")
    try:
        id = desk.downloads.add(wish)
        desk.until_here(id, 1)
        child = subprocess.Popen([sys.executable, "-c", RUN, f"{REPO}:Q8_0"], stdout=subprocess.PIPE, text=True)
        desk.until(id, "Finished")
        out, _ = child.communicate(timeout=20)
    finally:
        desk.end()
    assert child.returncode == 0
    assert out.strip() == str(wish.target(wish.files[0]))
    assert is_exact(hub, wish)
    assert leftovers(carryon_home.root) == []
    assert sum(one.get("sent", 0) for one in hub.requests("/cdn/") if "Q8_0" in one["path"]) <= wish.total_bytes * 1.05
