"""Talking to a real engine over HTTP: chat, completions, streams, figures."""

import socket
import time

import psutil
import pytest
from fakes import tiny_gguf
from fakes.real_worker import is_gone, question, wait_until, words_of

COUNTED = " one two three four five six seven eight nine ten"


def test_a_chat_is_answered(speaker):
    answer = speaker.chat("count")
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": COUNTED}
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_a_streamed_chat_says_the_same(speaker):
    events = speaker.stream("count")
    assert "".join(words_of(events)) == COUNTED
    assert events[-1] == "[DONE]"


def test_a_stream_opens_with_who_speaks(speaker):
    chunks = [event for event in speaker.stream("count") if isinstance(event, dict)]
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}


def test_only_the_last_chunk_has_a_reason_and_the_figures(speaker):
    *others, last = [event for event in speaker.stream("count") if isinstance(event, dict)]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["completion_tokens"] == last["timings"]["predicted_n"] == 10
    assert all(other["choices"][0]["finish_reason"] is None and "usage" not in other for other in others)


def test_the_figures_add_up(speaker):
    answer = speaker.chat("how do you add up?")
    usage, timings = answer["usage"], answer["timings"]
    assert usage["prompt_tokens"] == timings["prompt_n"] + timings["cached_n"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == timings["cached_n"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert timings["prompt_ms"] > 0
    assert timings["predicted_ms"] > 0


def test_max_tokens_ends_an_answer(speaker):
    answer = speaker.chat("count", max_tokens=3)
    assert answer["choices"][0]["message"]["content"] == " one two three"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert "context_full" not in answer["choices"][0]


def test_max_completion_tokens_is_the_newer_name(speaker):
    assert speaker.says("count", max_completion_tokens=2) == " one two"


@pytest.mark.parametrize("stop", [" four", [" zero", " four"], ["e four"], [" f"], ["ree fo"]])
def test_a_stop_string_ends_the_answer_and_is_not_said(speaker, stop):
    answer = speaker.chat("count", stop=stop)
    said = answer["choices"][0]["message"]["content"]
    wanted = stop if isinstance(stop, str) else stop[-1]
    assert said == COUNTED[: COUNTED.index(wanted)]
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_ignore_eos_goes_on_to_max_tokens(speaker):
    answer = speaker.chat("count", ignore_eos=True, max_tokens=25)
    assert answer["usage"]["completion_tokens"] == 25
    assert answer["choices"][0]["finish_reason"] == "length"


def test_a_completion_continues_a_text(speaker):
    answer = speaker.complete("x\n one two")
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == COUNTED.removeprefix(" one two")


def test_a_completion_continues_token_ids(speaker):
    tokens = speaker.tokens(" five six")
    assert speaker.complete(tokens)["choices"][0]["text"] == " seven eight nine ten"


def test_a_streamed_completion_has_texts_and_no_roles(speaker):
    with speaker.streaming("/v1/completions", {"prompt": " eight", "temperature": 0}) as events:
        events = list(events)
    assert "".join(words_of(events)) == " nine ten"
    assert not any("delta" in event["choices"][0] for event in events if isinstance(event, dict))


def test_control_tokens_are_not_heard(speaker):
    """The prompt of a completion is its writer's own, so control texts in it are meant as such."""
    assert len(speaker.tokens("<|im_end|>", parse_special=True)) == 1
    assert "<|im_end|>" not in speaker.chat("count")["choices"][0]["message"]["content"]


def test_questions_asked_at_once_are_answered_in_line(endless):
    with endless.streaming("/v1/chat/completions", question("first", max_tokens=600)) as first:
        next(first)
        with endless.streaming("/v1/chat/completions", question("second", max_tokens=2)) as second:
            assert "".join(words_of(second)) == " one two"
        assert len("".join(words_of(first)).split()) == 600


def test_while_a_question_waits_its_client_is_woken(endless):
    with endless.streaming("/v1/chat/completions", question("long", max_tokens=4000)) as first:
        next(first)
        with endless.streaming("/v1/chat/completions", question("short", max_tokens=1)) as second:
            next(second)
            before = time.monotonic()
            comments = [next(second) for _ in range(4)]
            assert time.monotonic() - before < 2
    assert comments == [": waiting"] * 4


def test_the_first_word_does_not_wait_for_the_second(endless):
    words = words_of(endless.stream("go", max_tokens=300))
    assert words[0] == " one"


def test_fast_words_travel_together(endless):
    words = words_of(endless.stream("go", max_tokens=1000))
    assert sum(len(word.split()) for word in words) == 1000
    assert len(words) < 500


def test_sampling_with_a_seed_can_be_repeated(random_speaker):
    hot = {"temperature": 1.5, "top_k": 0, "top_p": 1, "min_p": 0, "max_tokens": 24}
    first, again, other = (random_speaker.says("say", **hot, seed=seed) for seed in (7, 7, 8))
    assert first == again != other


def test_greedy_answers_are_the_same_each_time(random_speaker):
    assert random_speaker.says("say", max_tokens=24) == random_speaker.says("say", max_tokens=24)


@pytest.fixture(scope="module")
def undecided(start_worker, tmp_path_factory):
    """Says ' one two one two' for ever, but only just."""
    path = tmp_path_factory.mktemp("undecided") / "circle.gguf"
    tiny_gguf.speaking_model(path, [" one", " two"], then=" one", sharpness=0.005)
    return start_worker(path)


@pytest.mark.parametrize("name", ["frequency_penalty", "presence_penalty"])
def test_a_penalty_breaks_a_circle(undecided, name):
    assert undecided.says("go", max_tokens=12) == " one two" * 6
    assert undecided.says("go", max_tokens=12, **{name: 2.0}).count(" one") < 6


def test_penalties_count_what_the_prompt_said(undecided):
    firm = {"presence_penalty": 2.0, "frequency_penalty": 1.0, "max_tokens": 1}
    assert undecided.says("go", **firm) == " one"
    assert undecided.says("say one please", **firm) != " one"


def test_repeat_penalty_finds_other_words(random_speaker):
    plain = random_speaker.says("say", max_tokens=40)
    assert random_speaker.says("say", max_tokens=40, repeat_penalty=5.0) != plain


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0}, {"min_p": 1}])
def test_the_narrowest_choice_is_greedy_at_any_heat(random_speaker, narrow):
    hot = random_speaker.says("say", max_tokens=16, temperature=5, **narrow)
    assert hot == random_speaker.says("say", max_tokens=16)


@pytest.mark.slow
def test_characters_of_several_tokens_are_never_split(start_worker, tmp_path):
    """é and 🙂 are said byte by byte, thousands of times, so some byte is the last before the text leaves."""
    words = [" one", "é", " two", "🙂"]
    model = tiny_gguf.speaking_model(tmp_path / "spelling.gguf", words, then=" one", spelled=("é", "🙂"))
    texts = words_of(start_worker(model).stream("go", max_tokens=1600))
    assert "".join(texts) == "".join(words) * 200
    assert len(texts) > 5


def test_a_token_may_be_long(start_worker, tmp_path):
    """llama-cpp-python's own loop loses what is longer than 32 bytes."""
    word = " " + "long" * 150
    model = tiny_gguf.speaking_model(tmp_path / "long.gguf", [word, " one"])
    assert start_worker(model).says("go") == word + " one"


def test_tokens_that_the_file_forbids_are_not_said(start_worker, tmp_path):
    def forbid_two(writer):
        writer.add_array("tokenizer.ggml.suppress_tokens", [257])

    model = tiny_gguf.speaking_model(tmp_path / "forbidding.gguf", extra=forbid_two)
    said = start_worker(model).says("go", max_tokens=8)
    assert said.startswith(" one")
    assert " two" not in said


def test_the_renderer_may_die_and_nobody_notices(start_worker, models):
    worker = start_worker(models / "speaker.gguf")
    (renderer,) = psutil.Process(worker.process.pid).children()
    renderer.kill()
    assert wait_until(lambda: is_gone(renderer.pid), 5) is not None
    assert worker.says("count") == COUNTED


def test_a_port_and_a_host_of_ones_own(start_worker, models):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = start_worker(models / "speaker.gguf", port=port, host="localhost")
    assert worker.ready.port == port
    assert worker.says("count") == COUNTED


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(start_worker, models):
    worker = start_worker(models / "speaker.gguf", host="::1")
    worker.address = "::1"
    assert worker.says("count") == COUNTED
