from __future__ import annotations

import json
import socket
import struct
import threading

import pytest
from support.chat_server import BREAK, HANG, as_bytes, finish, piece

from stepaudio_serve.client.answer import Finish, Text, Thinking
from stepaudio_serve.client.conversation import user_message
from stepaudio_serve.client.stream import ask, stream
from stepaudio_serve.client.wire import Question, chat_url
from stepaudio_serve.errors import SettingsError, StepAudioError, TimedOutError, UnhealthyError

HELLO = [user_message("Hello?")]


def question(server, **choices) -> Question:
    return Question(server.url, "Step-Audio-R1", HELLO, **choices)


def answer(server, **choices):
    return ask(question(server, **choices))


def refusal(server, kind, **choices):
    with pytest.raises(kind) as caught:
        answer(server, **choices)
    return caught.value


def test_the_answer_is_streamed_in_pieces_that_the_finish_ends(server):
    server.says(piece("", role="assistant"), piece("Low."), piece("</think>"), piece("A tone"), *finish())
    assert list(stream(question(server))) == [
        Thinking("Low."),
        Text("A tone"),
        Finish("stop", {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}),
    ]


def test_the_whole_answer_has_text_thinking_reason_usage_and_seconds(server):
    server.says(piece("Low."), piece("</think>A tone"), *finish("length"))
    said = answer(server)
    assert (said.text, said.thinking, said.finish_reason) == ("A tone", "Low.", "length")
    assert said.usage["completion_tokens"] == 3
    assert said.seconds > 0


def test_usage_counts_wherever_it_stands(server):
    counts = {"choices": [], "usage": {"completion_tokens": 5}}
    server.says(piece("hm</think>yes"), counts, finish()[0], "[DONE]")
    assert answer(server).usage == {"completion_tokens": 5}


def test_each_event_is_shown_when_it_arrives(server):
    server.says(piece("Low."), HANG)
    arriving = stream(question(server))
    assert next(arriving) == Thinking("Low.")
    arriving.close()


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thinking_in_a_field_of_its_own_is_thinking(server, field):
    server.says(piece(None, **{field: "Low."}), piece("A tone", **{field: None}), *finish())
    said = answer(server)
    assert (said.thinking, said.text) == ("Low.", "A tone")


def test_chunks_cut_anywhere_on_their_way_say_the_same(server):
    raw = b"".join(as_bytes(step) for step in [piece("Tief"), piece("</think>Ein Ton: «über»"), *finish()])
    server.says(*(raw[place : place + 1] for place in range(len(raw))))
    said = answer(server)
    assert (said.thinking, said.text) == ("Tief", "Ein Ton: «über»")


def test_a_line_separator_within_the_words_is_not_the_end_of_a_line(server):
    server.says(piece("hm</think>one\u2028two\x85three"), *finish())
    assert answer(server).text == "one\u2028two\x85three"


def test_a_character_whose_halves_come_apart_is_whole(server):
    server.says(*map(json.dumps, [piece("hm</think>a \ud83d"), piece("\ude00 \ud83d")]), *finish())
    assert answer(server).text == "a 😀 \ufffd"


def test_a_question_that_is_not_utf8_is_refused_before_it_is_sent(server):
    with pytest.raises(SettingsError, match="is not UTF-8"):
        ask(Question(server.url, "m", [user_message("caf\udce9?")]))
    assert not server.requests


def test_comments_and_keep_alives_between_chunks_are_ignored(server):
    server.says(b": ping\r\n\r\n", piece("hm</think>yes"), b"\n\n", *finish())
    assert answer(server).text == "yes"


def test_only_what_the_question_fixes_is_asked_for(server):
    server.says(*finish())
    answer(server)
    answer(server, max_tokens=9, temperature=0)
    (plain, _), (fixed, _) = server.requests
    assert plain == {
        "model": "Step-Audio-R1",
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert fixed == plain | {"max_tokens": 9, "temperature": 0}


def test_the_key_travels_as_a_bearer_token_and_only_if_there_is_one(server):
    server.says(*finish())
    answer(server, api_key="sk-1")
    answer(server)
    assert [headers.get("authorization") for _, headers in server.requests] == ["Bearer sk-1", None]


def test_the_key_stays_out_of_what_is_printed(server):
    assert "sk-1" not in repr(question(server, api_key="sk-1"))


@pytest.mark.parametrize("key", ["sk-1\n", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused(server, key):
    assert "key" in refusal(server, SettingsError, api_key=key).what
    assert not server.requests


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_an_endpoint_is_written_with_or_without_its_version(server, suffix):
    server.says(piece("hm</think>yes"), *finish())
    assert ask(Question(server.url + suffix, "m", HELLO)).text == "yes"


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("http://joe:s3cret@127.0.0.1:1", "refused"),
        ("http://joe:s3cret@h:x", ""),
        ("joe:s3cret@h", ""),
        ("http://joe:s3/cret@h", ""),
    ],
)
def test_a_password_in_an_address_is_never_told(endpoint, why):
    asked = Question(endpoint, "m", HELLO)
    with pytest.raises(StepAudioError) as caught:
        ask(asked)
    told = f"{caught.value.what} {caught.value.why} {caught.value.fix} {asked!r}"
    assert why in told
    assert "joe" not in told
    assert "cret" not in told


@pytest.mark.parametrize("rest", ["/?a=b", "/v1?a=b", "#c"])
def test_an_address_with_a_query_is_refused_with_the_one_that_is_meant(rest):
    with pytest.raises(SettingsError) as caught:
        chat_url("http://h:1" + rest)
    assert "query" in caught.value.why
    assert chat_url(caught.value.fix) == "http://h:1/v1/chat/completions"


def test_an_address_without_its_scheme_is_told_with_it():
    with pytest.raises(SettingsError) as caught:
        chat_url("10.0.0.7:9821")
    assert caught.value.fix == "http://10.0.0.7:9821"


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9999", "ftp://a", "http://", "http://[::1", ""])
def test_what_is_no_address_is_refused_before_anything_is_sent(endpoint):
    with pytest.raises(SettingsError, match="is not an endpoint"):
        ask(Question(endpoint, "m", HELLO))


def test_no_proxy_stands_before_this_machine(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.says(piece("hm</think>yes"), *finish())
    assert answer(server).text == "yes"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}},
        {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400},
        {"detail": "too long"},
        {"error": "too long"},
        "too long",
    ],
)
def test_a_refusal_repeats_the_engines_words(server, body):
    server.refuses(400, body)
    error = refusal(server, SettingsError)
    assert "400" in error.what
    assert error.why == "too long"


def test_a_refusal_for_want_of_a_key_says_how_to_give_it(server):
    server.refuses(401, {"error": "Unauthorized"})
    assert "STEPAUDIO_API_KEY" in refusal(server, SettingsError).fix


def test_what_is_forbidden_for_another_reason_is_told_in_the_servers_words(server):
    server.refuses(403, {"error": {"message": "not from here"}})
    error = refusal(server, SettingsError)
    assert (error.why, "key" in error.what + error.fix) == ("not from here", False)


def test_a_refusal_without_an_end_is_told_as_it_is(server):
    server.refuses(400, "[" * 100_000)
    assert refusal(server, SettingsError).why.startswith("[[[")


def test_a_model_that_is_not_served_is_named(server):
    server.refuses(404, {"error": {"message": "The model `m` does not exist."}})
    error = refusal(server, SettingsError)
    assert "Step-Audio-R1" in error.what
    assert "/v1/models" in error.fix


@pytest.mark.parametrize("status", [307, 408, 429, 500, 503])
def test_an_engine_that_cannot_answer_is_unhealthy(server, status):
    server.refuses(status, {"error": {"message": "EngineCore encountered an issue."}})
    error = refusal(server, UnhealthyError)
    assert str(status) in error.what
    assert error.why == "EngineCore encountered an issue."


@pytest.mark.parametrize(
    "event", [{"error": {"message": "engine dead", "code": 500}}, {"object": "error", "message": "engine dead"}]
)
def test_a_failure_in_mid_stream_is_not_taken_for_an_answer(server, event):
    server.says(piece("Low"), event, "[DONE]")
    assert refusal(server, UnhealthyError).why == "engine dead"


@pytest.mark.parametrize("end", [(BREAK,), ("[DONE]",), ()])
def test_an_answer_without_an_end_is_broken_off(server, end):
    server.says(piece("hm</think>I hea"), *end)
    assert "broke off" in refusal(server, UnhealthyError).what


@pytest.mark.parametrize(
    "data",
    [
        *("[]", "{", "null", "{}", '{"choices": 1}', '{"choices": [1]}', "[" * 100_000),
        *('{"choices": [{"delta": {"content": ["x"]}}]}', '{"choices": [], "usage": [1]}'),
    ],
)
def test_events_that_are_no_chunks_are_called_so(server, data):
    server.says(data)
    error = refusal(server, UnhealthyError)
    assert "chat protocol" in error.what
    assert error.why


def test_a_page_instead_of_a_stream_is_called_so(server):
    server.refuses(200, json.dumps({"hello": "world"}))
    assert "chat protocol" in refusal(server, UnhealthyError).what


def test_where_nothing_listens_the_address_is_named():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(UnhealthyError) as caught:
        ask(Question(url, "m", HELLO))
    assert url in caught.value.what
    assert caught.value.fix == "stepaudio-serve status"


def test_a_port_that_accepts_and_resets_is_an_engine_still_loading():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept_and_reset, args=[listening], daemon=True).start()
        with pytest.raises(UnhealthyError) as caught:
            ask(Question(f"http://127.0.0.1:{listening.getsockname()[1]}", "m", HELLO))
    assert "loading" in caught.value.why
    assert caught.value.fix == "stepaudio-serve wait"


def accept_and_reset(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_closing_the_stream_ends_the_work_on_the_server(server):
    server.says(piece("Low."), HANG)
    arriving = stream(question(server))
    next(arriving)
    arriving.close()
    assert server.gone.wait(5)


def test_an_interrupt_ends_the_work_on_the_server(server):
    server.says(piece("Low."), HANG)

    def interrupt(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(question(server), on_event=interrupt)
    assert server.gone.wait(5)


@pytest.mark.parametrize("script", [[HANG], [piece("Low."), HANG]])
def test_a_server_that_says_no_more_is_left_when_the_time_is_up(server, script):
    server.says(*script)
    assert "0.3 s" in refusal(server, TimedOutError, timeout=0.3).what
    assert server.gone.wait(5)


def test_the_time_bounds_the_whole_answer_not_each_piece(server):
    server.drips(piece("Low. "), every=0.05)
    refusal(server, TimedOutError, timeout=0.4)
    assert server.gone.wait(5)
