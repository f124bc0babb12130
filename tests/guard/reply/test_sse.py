from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard.reply import sse
from stepaudio_serve.guard.reply.sse import EventStream
from stepaudio_serve.guard.reply.thinking import separate

DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def event(content: object, end: str = "\n\n") -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}{end}".encode()


def spoken(words: list[str], finish: str = "stop", index: int = 0) -> list[bytes]:
    said = [event(chunk({"content": word, "tts_content": ""}, index)) for word in words]
    first = event(chunk({"role": "assistant", "content": ""}, index))
    return [first, *said, event(chunk({"content": ""}, index, finish))]


def passed(pieces: list[bytes], mode: Any = "opened") -> list[dict[str, Any]]:
    """The chunks that came out, as a reader of the stream sees them."""
    stream = EventStream(mode)
    out = b"".join([*map(stream.feed, pieces), stream.end()])
    lines = [line.removeprefix(b"data: ") for line in out.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def read(chunks: list[dict[str, Any]], index: int = 0) -> dict[str, str]:
    """What the fields of one choice's deltas say together."""
    said = {"reasoning_content": "", "reasoning": "", "content": ""}
    for choice in (choice for chunk in chunks for choice in chunk.get("choices", ()) if choice["index"] == index):
        for name in said:
            said[name] += choice["delta"].get(name) or ""
    return said


class TestThinking:
    def test_it_goes_under_both_names_and_the_text_after_it_as_content(self) -> None:
        said = read(passed([*spoken(["I", " listen.", "\n", "</think>", "\n\n", "A", " dog."]), DONE]))
        assert said == {"reasoning_content": "I listen.\n", "reasoning": "I listen.\n", "content": "A dog."}

    def test_a_chunk_of_thinking_has_no_content_and_one_of_text_no_thinking(self) -> None:
        deltas = [found["choices"][0]["delta"] for found in passed(spoken(["I", "</think>A"]))]
        assert deltas[1] == {"tts_content": "", "reasoning_content": "I", "reasoning": "I"}
        assert deltas[2] == {"tts_content": "", "content": "A"}

    def test_a_mark_may_come_in_any_pieces(self) -> None:
        assert read(passed(spoken(["I", "<", "/thi", "nk", ">", "A"])))["content"] == "A"

    def test_the_last_chunk_may_hold_words(self) -> None:
        last = event(chunk({"content": ".</think>A dog."}, finish="stop"))
        said = read(passed([event(chunk({"content": "Hm"})), last]))
        assert (said["reasoning"], said["content"]) == ("Hm.", "A dog.")

    def test_one_chunk_out_for_each_that_comes(self) -> None:
        stream = EventStream("opened")
        pieces = spoken(["I", " <", "/think>", "\n", "A"])
        assert all(stream.feed(piece).count(b"data:") == 1 for piece in pieces)

    def test_each_choice_has_its_own(self) -> None:
        first, second = spoken(["I", "</thi", "nk>A"], index=0), spoken(["You", "</", "think>B"], index=1)
        mixed = [piece for pair in zip(first, second, strict=True) for piece in pair]
        chunks = passed(mixed)
        assert [(read(chunks, n)["reasoning"], read(chunks, n)["content"]) for n in (0, 1)] == [
            ("I", "A"),
            ("You", "B"),
        ]

    def test_two_choices_may_share_a_chunk(self) -> None:
        both = chunk({"content": "I</think>A"})
        both["choices"].append({"index": 1, "delta": {"content": "You</think>B"}, "finish_reason": None})
        chunks = passed([event(both)])
        assert (read(chunks, 0)["content"], read(chunks, 1)["content"]) == ("A", "B")

    @pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
    def test_one_that_still_thinks_is_not_mistaken_for_one_that_answers(self, separators: tuple[str, str]) -> None:
        def compact(*choices: dict[str, Any]) -> bytes:
            return b"data: " + json.dumps({"choices": choices}, separators=separators).encode() + b"\n\n"

        answering, thinking = ({"index": n, "delta": {"content": words}} for n, words in enumerate(["dog", "You"]))
        first = compact({"index": 0, "delta": {"content": "I</think>A "}})
        calling = compact({"index": 1, "delta": {"content": "You", "tool_calls": [{"index": 0, "delta": ""}]}})
        for chunk in (compact(thinking), compact(answering, thinking), calling):
            assert read(passed([first, chunk]), 1) == {"reasoning_content": "You", "reasoning": "You", "content": ""}

    def test_one_that_stopped_without_a_mark_is_not_left_without_an_answer(self) -> None:
        said = read(passed(spoken(["A", " dog."])))
        assert said == {"reasoning_content": "A dog.", "reasoning": "A dog.", "content": "A dog."}

    def test_one_that_was_cut_off_is(self) -> None:
        assert read(passed(spoken(["I", " think"], finish="length")))["content"] == ""


class TestCuts:
    STREAM = b"".join([*spoken(["Né 🎵", " <", "/thi", "nk>", "\nÜ", "ber"]), b": ping\n\n", DONE])

    @given(places=st.sets(st.integers(1, len(STREAM))))
    def test_however_the_bytes_are_cut_the_same_comes_out(self, places: set[int]) -> None:
        edges = [0, *sorted(places), len(self.STREAM)]
        pieces = [self.STREAM[start:end] for start, end in pairwise(edges)]
        stream, whole = EventStream("opened"), EventStream("opened")
        assert b"".join([*map(stream.feed, pieces), stream.end()]) == whole.feed(self.STREAM) + whole.end()

    @given(
        words=st.lists(
            st.sampled_from(["<think>", "</think>", "<", "/th", "ink>", "\n", "é", "🎵", "</"]), max_size=12
        ),
        reason=st.sampled_from(["stop", "length"]),
        mode=st.sampled_from(["opened", "closed"]),
    )
    def test_the_stream_says_what_the_whole_answer_says(self, words: list[str], reason: str, mode: Any) -> None:
        said = read(passed(spoken([word for word in words if word], reason), mode))
        assert said["content"] == (separate("".join(words), reason, mode).text or "")

    def test_lines_may_end_as_those_of_windows_do(self) -> None:
        assert EventStream("opened").feed(event(chunk({"content": "I"}), "\r\n\r\n")).endswith(b"}]}\r\n\r\n")

    def test_a_stream_may_end_within_a_line(self) -> None:
        assert read(passed([event(chunk({"content": "I"}), "")]))["reasoning"] == "I"

    def test_a_line_without_end_is_not_collected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sse, "LONGEST_LINE", 100)
        stream = EventStream("opened")
        assert stream.feed(b"data: " + b"x" * 100) == b"data: " + b"x" * 100
        assert stream.feed(b"y" * 50) == b"y" * 50
        assert stream.feed(b"z\n" + event(chunk({"content": "I"}), "\n")).startswith(b"z\ndata: {")
        assert stream.end() == b""


class TestPassing:
    @pytest.mark.parametrize(
        "line",
        [
            DONE,
            b": ping\n\n",
            b"event: error\n",
            b"retry: 3\n",
            b"data: not JSON\n\n",
            b'data: {"error": {"message": "EngineCore died", "code": 500}}\n\n',
            b'data: {"choices": []  , "usage": {"total_tokens": 3}}\n\n',
            b'data: {"choices": null}\n\n',
            b'data: {"choices": [{"index": 0, "delta": null}]}\n\n',
            b'data: {"choices": [{"index": 0, "delta": {"content": null}}]}\n\n',
            b'data: {"choices": [{"index": 0, "delta": {"role": "assistant",  "content": ""}}]}\n\n',
            b"data: [1, 2]\n\n",
            b"data: " + b"[" * 100_000 + b"\n\n",
            b"data: \xff\xfe\n\n",
            b"\n",
        ],
    )
    def test_what_holds_no_words_passes_to_the_byte(self, line: bytes) -> None:
        assert EventStream("opened").feed(line) == line

    def test_text_after_the_thinking_passes_to_the_byte(self) -> None:
        stream = EventStream("opened")
        stream.feed(event(chunk({"content": "I</think>A"})))
        odd = b'data:  {"choices" : [{"index":0, "delta":{"content":"</think> dog"}}]}\n\n'
        assert stream.feed(odd) == odd

    def test_a_half_of_a_pair_stays_an_escape(self) -> None:
        out = EventStream("opened").feed(b'data: {"choices": [{"index": 0, "delta": {"content": "\\ud83d"}}]}\n\n')
        assert b'"reasoning":"\\ud83d"' in out


class TestEngineThatSeparates:
    @pytest.mark.parametrize(
        ("name", "other"), [("reasoning", "reasoning_content"), ("reasoning_content", "reasoning")]
    )
    def test_only_the_other_name_is_added(self, name: str, other: str) -> None:
        (found,) = passed([event(chunk({name: "I listen.", other: None}))])
        assert found["choices"][0]["delta"] == {name: "I listen.", other: "I listen."}

    def test_its_text_is_left_alone(self) -> None:
        stream = EventStream("opened")
        stream.feed(event(chunk({"reasoning": "I"})))
        text = event(chunk({"content": "\nA </think> dog."}, finish="stop"))
        assert stream.feed(text) == text
