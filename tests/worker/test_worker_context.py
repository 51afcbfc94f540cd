"""What the engine remembers between questions, and what happens when there is no more room."""

import pytest
from fakes import tiny_gguf
from fakes.real_worker import question

LONG = "please tell me more about this. " * 8


@pytest.fixture(scope="module")
def small(start_worker, models):
    """An endless speaker with room for 256 tokens."""
    return start_worker(models / "endless.gguf", n_ctx=256)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def test_a_second_turn_reads_only_what_is_new(speaker):
    first = speaker.chat(LONG)
    said = first["choices"][0]["message"]["content"]
    second = speaker.chat([user(LONG), assistant(said), user("and?")])["timings"]
    assert second["cached_n"] == first["usage"]["total_tokens"]
    assert second["prompt_n"] < 40


def test_a_second_turn_says_what_a_fresh_engine_would(random_speaker, start_worker, models):
    first = random_speaker.chat(LONG, max_tokens=20)
    said = first["choices"][0]["message"]["content"]
    turns = [user(LONG), assistant(said), user("and?")]
    reused = random_speaker.chat(turns, max_tokens=30)
    fresh = start_worker(models / "random.gguf").chat(turns, max_tokens=30)
    assert reused["timings"]["cached_n"] > 200
    assert fresh["timings"]["cached_n"] == 0
    assert reused["choices"] == fresh["choices"]


def test_the_same_question_again_decodes_one_token(speaker):
    speaker.chat(LONG)
    again = speaker.chat(LONG)["timings"]
    assert again["prompt_n"] == 1


def test_an_edited_question_keeps_what_comes_before_the_edit(random_speaker):
    random_speaker.chat(LONG + "cats", max_tokens=5)
    edited = random_speaker.chat(LONG + "dogs", max_tokens=5)["timings"]
    assert edited["cached_n"] > 200
    assert edited["prompt_n"] < 40


def test_another_conversation_starts_afresh(speaker):
    speaker.complete("abc", max_tokens=1)
    assert speaker.complete("xyz", max_tokens=1)["timings"]["cached_n"] == 0


def test_a_prompt_that_is_too_long_is_refused_with_the_numbers(small, endless):
    n_prompt = endless.chat("x" * 400, max_tokens=1)["usage"]["prompt_tokens"]
    answer = small.post("/v1/chat/completions", question("x" * 400))
    assert answer.status == 400
    assert answer.error["code"] == "context_length_exceeded"
    assert answer.error["type"] == "invalid_request_error"
    assert (answer.error["n_prompt_tokens"], answer.error["n_ctx"]) == (n_prompt, 256)
    assert str(n_prompt) in answer.error["message"]
    assert "256" in answer.error["message"]


@pytest.mark.parametrize(("n_prompt", "status"), [(255, 200), (256, 400)])
def test_the_last_prompt_that_fits(small, n_prompt, status):
    answer = small.post("/v1/completions", {"prompt": [97] * n_prompt, "max_tokens": 1})
    assert answer.status == status


def test_an_answer_that_fills_the_context_says_so(small):
    answer = small.chat("go")
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["context_full"] is True
    assert answer["usage"]["total_tokens"] == 257  # the last word is said, though there is no room to remember it


def test_after_a_full_context_the_next_question_is_answered(small):
    small.chat("go")
    assert small.says("go", max_tokens=2) == " one two"


def test_a_streamed_answer_says_too_that_the_context_is_full(small):
    last = small.stream("go")[-2]
    assert last["choices"][0]["context_full"] is True


@pytest.mark.slow
def test_a_sliding_window_is_never_rolled_back_behind_its_edge(start_worker, tmp_path):
    """llama_memory_seq_rm answers True here and the next words are wrong; the guard reads everything again."""
    model = tiny_gguf.windowed_model(tmp_path / "window.gguf")
    worker = start_worker(model, n_ctx=4096)
    start, tail = "a long way to go " * 40, "and then some more words " * 60
    worker.complete(start + tail, max_tokens=8)
    rolled_back = worker.complete(start + "but", max_tokens=24)
    fresh = start_worker(model, n_ctx=4096).complete(start + "but", max_tokens=24)
    assert rolled_back["timings"]["cached_n"] == 0
    assert rolled_back["choices"] == fresh["choices"]


@pytest.mark.slow
def test_a_model_that_cannot_go_back_reads_everything_again(start_worker, tmp_path):
    model = tiny_gguf.recurrent_model(tmp_path / "recurrent.gguf")
    worker = start_worker(model)
    assert worker.ready.architecture == "mamba"
    assert worker.ready.memory[0].kv_bytes > 0
    worker.complete("a long story about cats", max_tokens=4)
    edited = worker.complete("a long story about dogs", max_tokens=24)
    fresh = start_worker(model).complete("a long story about dogs", max_tokens=24)
    assert edited["timings"]["cached_n"] == 0
    assert edited["choices"] == fresh["choices"]


@pytest.mark.slow
def test_a_model_that_cannot_go_back_can_go_on(start_worker, tmp_path):
    worker = start_worker(tiny_gguf.recurrent_model(tmp_path / "recurrent.gguf"))
    worker.complete([97] * 50, max_tokens=1)
    assert worker.complete([97] * 50 + [98] * 5, max_tokens=1)["timings"]["cached_n"] == 50


@pytest.mark.slow
def test_a_sliding_window_still_reuses_a_conversation_that_goes_on(start_worker, tmp_path):
    worker = start_worker(tiny_gguf.windowed_model(tmp_path / "window.gguf"), n_ctx=4096)
    first = worker.complete([97] * 600, max_tokens=1)
    assert worker.complete([97] * 600 + [98] * 5, max_tokens=1)["timings"]["cached_n"] >= 600
    assert first["timings"]["cached_n"] == 0
