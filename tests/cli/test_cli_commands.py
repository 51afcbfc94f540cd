"""The commands as a person types them: real processes, a real engine, exit codes and words."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing

import pytest

from carryon.base.paths import Home
from carryon.chat.message import State
from carryon.chat.store import Store

COUNTED = " one two three four five six seven eight nine ten"


def carryon(*words, stdin=None):
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "carryon", *map(str, words)], capture_output=True, text=True, input=stdin
    )


def test_run_prints_the_answer(tiny_model):
    done = carryon("run", tiny_model, "-p", "Count, please.", "--temperature", "0")
    assert (done.returncode, done.stdout) == (0, COUNTED + "\n")


def test_run_says_on_stderr_what_the_plan_chose(tiny_model):
    done = carryon("run", tiny_model, "-p", "Count", "--temperature", "0")
    assert "Fits in RAM" in done.stderr
    assert "Context 4k, KV cache f16." in done.stderr


def test_run_as_told_plans_nothing(tiny_model):
    done = carryon("run", tiny_model, "-p", "Count", "--temperature", "0", "--gpu-layers", "0")
    assert (done.stdout, done.stderr) == (COUNTED + "\n", "")


def test_run_takes_every_way_to_load(tiny_model):
    how = ("--gpu-layers", "0", "--cpu-experts", "1", "--kv", "q8_0", "--ubatch", "128", "--no-mmap", "--ctx", "512")
    done = carryon("run", tiny_model, "-p", "Count", "--temperature", "0", *how)
    assert done.stdout == COUNTED + "\n"


def test_run_json_has_text_usage_and_timings(tiny_model):
    answer = json.loads(carryon("run", tiny_model, "-p", "Count", "--temperature", "0", "--json").stdout)
    assert answer["text"] == COUNTED
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == 10
    assert {"prompt_n", "prompt_ms", "predicted_n", "predicted_ms", "cached_n"} == set(answer["timings"])


def test_run_reads_the_question_from_standard_input(tiny_model):
    assert carryon("run", tiny_model, "-p", "-", "--temperature", "0", stdin="Count!").stdout == COUNTED + "\n"


def test_run_save_keeps_the_exchange_for_the_window(tiny_model, carryon_home):
    done = carryon("run", tiny_model, "-p", "Count", "--save", "--temperature", "0", "--system", "Be brief.")
    assert done.stdout == COUNTED + "\n"
    store = Store(carryon_home.chats)
    (chat,) = store.conversations()
    messages = store.messages(chat.id)
    store.close()
    assert [one.role for one in messages] == ["system", "user", "assistant"]
    assert (messages[-1].text, messages[-1].state, messages[-1].model_name) == (COUNTED, State.WHOLE, "tiny")


def test_run_says_when_it_cut_the_answer(tiny_model):
    done = carryon("run", tiny_model, "-p", "Count", "--temperature", "0", "--max-tokens", "3")
    assert done.stdout == " one two three\n"
    assert "cut at --max-tokens" in done.stderr


def test_run_says_when_the_question_is_longer_than_the_context(tiny_model):
    done = carryon("run", tiny_model, "-p", "word " * 400, "--ctx", "256")
    assert done.returncode == 2
    assert "the context holds 256" in done.stderr


def test_without_a_gpu_asking_for_one_is_said(tiny_model):
    done = carryon("run", tiny_model, "-p", "Count", "--temperature", "0", "--gpu-layers", "all")
    assert done.stdout == COUNTED + "\n"
    assert "No GPU" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "absent", "-p", "x"), "no model “absent”"),
        (("run", "pyproject.toml", "-p", "x"), "not a GGUF file"),
        (("run", "guide", "-p", "  "), "question is empty"),
        (("run", "guide"), "-p"),
        (("run", "guide", "-p", "x", "--ctx", "0"), "not a number above 0"),
        (("run", "guide", "-p", "x", "--gpu-layers", "most"), "'all' or 'auto'"),
        (("run", "guide", "-p", "x", "--gpu-layers", "-1"), "'all' or 'auto'"),
        (("run", "guide", "-p", "x", "--cpu-experts", "-1"), "not a number from 0 up"),
        (("run", "guide", "-p", "x", "--kv", "q9_0"), "invalid choice"),
        (("run", "guide", "-p", "x", "--ctx", "2000000000"), "context cannot be"),
        (("run", "guide", "-p", "x", "--rpc", "nonsense"), "HOST:PORT"),
        (("serve", "guide", "--port", "99999"), "not a port"),
        (("bench", "guide", "--prompt-tokens", "99999"), "context holds"),
        (("dance",), "invalid choice"),
    ],
)
def test_bad_input_is_said_and_exits_with_2(words, says):
    done = carryon(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_rpc_server_that_is_not_there_is_said(tiny_model):
    done = carryon("run", tiny_model, "-p", "x", "--rpc", "127.0.0.1:9")
    assert done.returncode == 2
    assert "127.0.0.1:9 does not answer" in done.stderr


def test_a_truncated_file_is_said(tiny_model, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_model.read_bytes()[:-5000])
    done = carryon("run", cut, "-p", "x")
    assert done.returncode == 2
    assert "cut.gguf is not whole" in done.stderr


@pytest.mark.parametrize("command", ["run", "serve", "bench", "machine"])
def test_help_teaches_with_an_example(command):
    assert f"carryon {command}" in carryon(command, "--help").stdout.split("options:")[1]


def test_bench_measures_both_speeds(tiny_model):
    words = ("bench", tiny_model, "--prompt-tokens", "64", "--answer-tokens", "32", "--repeat", "2", "--json")
    bench = json.loads(carryon(*words).stdout)
    assert bench["prompt"]["n_tokens"] == 64
    assert bench["answer"]["median"] > 0
    assert len(bench["answer"]["all"]) == 2


@pytest.fixture
def server(tiny_model):
    """`carryon serve` on a free port; its output up to the empty line, and the process."""
    words = [sys.executable, "-m", "carryon", "serve", str(tiny_model), "--port", "0", "--api-key", "my-key"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [line.strip() for line in iter(process.stdout.readline, "\n") if line]
    yield process, lines
    if process.poll() is None:
        process.kill()
    process.communicate()


def ask(lines, key):
    url = lines[0].split()[-1] + "/chat/completions"
    body = json.dumps({"messages": [{"role": "user", "content": "Count"}], "temperature": 0}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def test_serve_answers_other_programs_and_asks_for_the_key(server):
    _, lines = server
    assert ask(lines, "my-key") == COUNTED
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(lines, "guessed")


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_serve_ends_with_ctrl_c_and_leaves_nothing(server):
    process, _ = server
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert process.wait(5) == 130
    assert time.monotonic() - began < 3


def test_everything_is_written_into_the_home(tiny_model, carryon_home):
    carryon("run", tiny_model, "-p", "Count", "--save")
    home = Home(carryon_home.root)
    databases = {f"{name}.sqlite{end}" for name in ("chats", "library") for end in ("", "-wal", "-shm")}
    assert {one.name for one in home.root.iterdir()} <= {*databases, "logs"}


def observations(home):
    """How many devices and speeds were kept, by kind."""
    with closing(sqlite3.connect(home.library)) as db:
        return dict(db.execute("SELECT kind, count(*) FROM observation GROUP BY kind").fetchall())


def test_a_load_for_a_question_teaches_the_next_prediction(tiny_model, carryon_home):
    assert carryon("run", tiny_model, "-p", "Count", "--temperature", "0").returncode == 0
    assert observations(carryon_home) == {"memory": 1}  # ten words say nothing of a speed


def test_a_bench_teaches_speeds(tiny_model, carryon_home):
    done = carryon("bench", tiny_model, "--prompt-tokens", "200", "--answer-tokens", "32", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert observations(carryon_home) == {"memory": 1, "speed": 2}
