"""The chat endpoint: format, streaming, limits and refusals."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.rehearsal import tokens
from stepaudio_serve.rehearsal.answer import cut


def test_the_text_starts_inside_the_thinking_and_the_answer_follows(engine):
    message = engine.ask().json()["choices"][0]
    thinking, answer = message["message"]["content"].split("\n</think>\n\n")
    assert thinking.startswith("This is a rehearsal. The prompt has ")
    assert answer.startswith("I am a rehearsal")
    assert message["finish_reason"] == "stop"


def test_a_prompt_that_opens_no_thinking_is_answered_at_once(engine):
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Well,"}]
    body = {"messages": messages, "add_generation_prompt": False, "continue_final_message": True}
    content = engine.post("/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
    assert content.startswith("I am a rehearsal")


def test_a_stream_carries_the_same_text_word_by_word(engine, part, read_events):
    clip = part()
    *chunks, done = read_events(engine.ask(clip, stream=True))
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["id"].startswith("chatcmpl-")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta["content"] for delta in deltas) == engine.text(clip)
    assert len(deltas) > 30
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-2:]] == [None, "stop"]


def test_usage_comes_last_when_asked_for(engine, part, read_events):
    events = read_events(engine.ask(part(2.0), stream=True, stream_options={"include_usage": True}))
    usage = events[-2]
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == len(events) - 4  # role, finish, usage, DONE
    assert usage["usage"]["prompt_tokens"] > tokens.of_clip(2.0) == 27


def test_max_tokens_cuts_off(engine):
    choice = engine.ask(max_tokens=3).json()
    assert choice["choices"][0]["message"]["content"] == "This is a"
    assert choice["choices"][0]["finish_reason"] == "length"
    assert choice["usage"]["completion_tokens"] == 3


def test_a_stop_string_ends_the_answer_before_it(engine):
    choice = engine.ask(stop=["zebra", " prompt"]).json()["choices"][0]
    assert choice["message"]["content"] == "This is a rehearsal. The"
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", " prompt")


def test_n_answers(engine, read_events):
    assert [choice["index"] for choice in engine.ask(n=2).json()["choices"]] == [0, 1]
    chunks = read_events(engine.ask(n=2, stream=True))[:-1]
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1}


def test_the_thinking_can_be_made_long(launch):
    engine = launch(environment={"STEPAUDIO_REHEARSAL_THINKING_WORDS": "300"})
    thinking = engine.text().split("</think>")[0]
    assert len(thinking.split()) == 300


@pytest.mark.parametrize("stream", [False, True])
def test_a_reasoning_parser_splits_thinking_from_answer(launch, read_events, stream):
    engine = launch("--reasoning-parser", "deepseek_r1")
    response = engine.ask(stream=stream)
    if stream:
        parts = [event["choices"][0]["delta"] for event in read_events(response)[:-1]]
    else:
        parts = [response.json()["choices"][0]["message"]]
    for name in ("reasoning", "reasoning_content"):
        assert "".join(part.get(name) or "" for part in parts).startswith("This is a rehearsal.")
    content = "".join(part.get("content") or "" for part in parts)
    assert content.strip().startswith("I am a rehearsal")
    assert "think>" not in content


def test_the_real_template_is_rendered(launch, tmp_path):
    template = tmp_path / "own.jinja"
    template.write_text("{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}<think>")
    engine = launch("--chat-template", str(template))
    prompt = engine.post("/tokenize", {"messages": [{"role": "user", "content": "Hi"}]}).json()["prompt"]
    assert prompt == "[user:Hi]<think>"


def test_the_template_may_be_given_inline_as_on_the_model_card(launch):
    engine = launch("--chat-template", "{{ messages[0].content }}!")
    assert engine.post("/tokenize", {"messages": [{"role": "user", "content": "Hi"}]}).json()["prompt"] == "Hi!"


def test_a_template_that_does_not_exist_ends_the_start(launch):
    engine = launch("--chat-template", "/no/such.jinja", ready=False)
    assert engine.ended() == 1
    assert "/no/such.jinja" in engine.errors


def test_tokenize_counts_words_and_shows_the_prompt(engine):
    body = {"messages": [{"role": "user", "content": "Hello you"}], "return_token_strs": True}
    answer = engine.post("/tokenize", body).json()
    assert answer["prompt"] == "<|BOT|>human\nHello you<|EOT|><|BOT|>assistant\n<think>\n"
    assert "".join(answer["token_strs"]) == answer["prompt"]
    assert answer["count"] == len(answer["tokens"]) == len(answer["token_strs"])
    assert 151665 in answer["tokens"]


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "other"}, 404, "The model `other` does not exist."),
        ({"max_tokens": 0}, 400, "max_tokens must be at least 1, got 0."),
        ({"max_tokens": 5000}, 400, "maximum context length is 4096 tokens"),
        ({"n": 0}, 400, "n must be at least 1, got 0."),
        ({"n": "x"}, 400, "body.n"),
        ({"temperature": -1}, 400, "temperature must be non-negative"),
        ({"messages": []}, 400, ""),
        ({"messages": "hi"}, 400, "body.messages"),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, 400, "Please reduce the length"),
        ({"chat_template": "{{ 1 }}"}, 400, "untrusted chat template"),
    ],
)
def test_a_bad_field_is_refused_as_vllm_does(engine, fields, status, message):
    response = engine.ask(**fields)
    assert response.status_code == status
    assert response.json()["error"]["code"] == status
    assert message in response.json()["error"]["message"]


def test_a_body_must_be_json_and_say_so(engine):
    with engine.client() as client:
        without = client.post("/v1/chat/completions", content=b"{}")
        broken = client.post("/v1/chat/completions", content=b"{nope", headers={"content-type": "application/json"})
    assert "Only 'application/json' is allowed" in without.json()["error"]["message"]
    assert "JSON decode error" in broken.json()["error"]["message"]
    assert (without.status_code, broken.status_code) == (400, 400)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_stops_the_generation(launch, until, stream):
    engine = launch(environment={"STEPAUDIO_REHEARSAL_TOKEN_SECONDS": "30"})
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    with engine.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", json=body, timeout=0.5)
    until(lambda: engine.metric('vllm:request_success_total{engine="0",finished_reason="abort"') == 1)
    assert engine.metric("vllm:num_requests_running{") == 0


@given(st.text() | st.from_regex(r"(<\|EOT\|>|</think>|<audio_patch>|a b|<|\n)*", fullmatch=True))
def test_pieces_joined_are_the_text(text):
    assert "".join(tokens.split(text)) == text


@given(st.text(), st.lists(st.text(min_size=1), max_size=3), st.integers(1, 50))
def test_a_cut_text_is_a_beginning_without_any_stop_string(text, stop, limit):
    reply = cut(text, stop=stop, max_tokens=limit)
    sent = "".join(reply.pieces)
    assert text.startswith(sent)
    assert not any(word in sent for word in stop)
    assert (reply.finish_reason == "length") <= (sent != text)


@pytest.mark.parametrize(("samples", "patches"), [(16000, 13), (400000, 313), (479680, 375)])
def test_a_clip_takes_the_tokens_that_the_model_takes(samples, patches):
    assert tokens.of_clip(samples / 16000) == patches + 2
