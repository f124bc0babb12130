from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard.reply import thinking as guard
from stepaudio_serve.vllm_plugin.parsing.thinking import (
    CLOSE,
    OPEN,
    TURN,
    Piece,
    Separator,
    Start,
    closing_tokens,
    ends_within,
    separate,
    start_after,
    start_of_continuation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = st.lists(st.sampled_from([OPEN, CLOSE, "<", "</", "</think", "think>", "\n", " ", "a", "né", "🎵", ">"])).map(
    "".join
)
STARTS = st.sampled_from(["thinking", "undecided", "answer"])
PROMPT = f"{TURN}assistant\n{OPEN}\n"


class Vocabulary:
    """Tokens as a byte-level tokenizer has them: pieces of bytes, and the marks that are one token."""

    def __init__(self, marks: Sequence[str] = (), size: int = 1) -> None:
        self.marks = marks
        self._size = size
        self._tokens: list[bytes] = []

    def encode(self, words: str) -> list[int]:
        if not words:
            return []
        parts = re.split(f"({'|'.join(map(re.escape, self.marks))})", words) if self.marks else [words]
        pieces: list[bytes] = []
        for part in parts:
            data = part.encode()
            step = len(data) if part in self.marks else self._size
            pieces += [data[place : place + step] for place in range(0, len(data), step or 1)]
        for piece in pieces:
            if piece not in self._tokens:
                self._tokens.append(piece)
        return [self._tokens.index(piece) for piece in pieces]

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(self._tokens[token] for token in tokens).decode(errors="replace")

    def token(self, mark: str) -> int | None:
        return self.encode(mark)[0] if mark in self.marks else None


VOCABULARIES = [
    pytest.param(lambda: Vocabulary([OPEN, CLOSE, TURN]), id="marks are tokens"),
    pytest.param(lambda: Vocabulary([TURN], size=3), id="pieces of three bytes"),
    pytest.param(Vocabulary, id="bytes"),
]


def streamed(pieces: list[str], start: Start) -> Piece:
    """All the thinking and all the answer that a stream's reader puts together."""
    separator = Separator(start)
    sorted_ = [*map(separator.feed, pieces), separator.finish()]
    return Piece("".join(piece.thinking for piece in sorted_), "".join(piece.answer for piece in sorted_))


def cut(words: str, places: set[int]) -> list[str]:
    edges = [0, *sorted(place for place in places if place < len(words)), len(words)]
    return [words[start:end] for start, end in pairwise(edges)]


class TestWhole:
    @pytest.mark.parametrize(
        ("words", "piece"),
        [
            ("I listen.\n</think>\n\nA dog.\n", Piece("I listen.\n", "A dog.\n")),
            ("<think>\nI listen.</think>A dog.", Piece("I listen.", "A dog.")),
            ("\n <think> I listen.</think>A dog.", Piece("I listen.", "A dog.")),
            ("</think>A dog.", Piece("", "A dog.")),
            ("I listen.</think>", Piece("I listen.", "")),
            ("I listen.</think>\n", Piece("I listen.", "")),
            ("a < b, </thin, </think >\n</think>c", Piece("a < b, </thin, </think >\n", "c")),
            ("one</think>two</think>three", Piece("one", "two</think>three")),
            ("one<think>two</think>three", Piece("one<think>two", "three")),
        ],
    )
    def test_the_mark_ends_the_thinking(self, words: str, piece: Piece) -> None:
        assert separate(words, "thinking") == piece

    @pytest.mark.parametrize("words", ["I listen.", "I listen, and then </thi", "<thi", "<think>I", "I <think>"])
    def test_without_a_mark_all_is_thinking(self, words: str) -> None:
        assert separate(words, "thinking") == Piece(words.removeprefix(OPEN))

    def test_an_undecided_text_is_the_answer_to_the_letter_unless_it_opens_its_thinking(self) -> None:
        assert separate("  and so on</think>\n", "undecided") == Piece("", "  and so on</think>\n")
        assert separate("\n<think>Hm.</think>\nYes.", "undecided") == Piece("Hm.", "Yes.")
        assert separate("\n<thin", "undecided") == Piece("", "\n<thin")

    def test_where_the_thinking_is_over_all_is_the_answer(self) -> None:
        assert separate("<think>a</think> b", "answer") == Piece("", "<think>a</think> b")

    @given(words=WORDS)
    def test_the_guard_says_the_same_of_an_answer_that_was_cut_off(self, words: str) -> None:
        piece = separate(words, "thinking")
        assert guard.separate(words, "length", "opened") in {
            guard.Answer(piece.thinking or None, piece.answer or None),
            guard.Answer(piece.thinking or None, ""),
        }

    @given(words=WORDS)
    def test_the_guard_says_the_same_of_a_continued_answer(self, words: str) -> None:
        piece = separate(words, "undecided")
        answer = guard.separate(words, "length", "closed")
        assert (answer.thinking or "", answer.text or "") == (piece.thinking, piece.answer)


class TestStream:
    @given(words=WORDS, places=st.sets(st.integers(1, 60)), start=STARTS)
    def test_however_it_is_cut_the_sum_is_the_same(self, words: str, places: set[int], start: Start) -> None:
        assert streamed(cut(words, places), start) == streamed([*words], start) == separate(words, start)

    @given(words=WORDS)
    def test_no_mark_and_no_more_than_a_mark_is_held_back(self, words: str) -> None:
        separator = Separator()
        given_in = words.partition(CLOSE)[0]
        shown = "".join(separator.feed(character).thinking for character in given_in)
        held = separator.finish().thinking
        assert len(held) < len(CLOSE)
        assert (shown + held).strip() == given_in.lstrip().removeprefix(OPEN).strip()

    def test_words_come_as_soon_as_they_cannot_be_a_mark(self) -> None:
        separator = Separator()
        pieces = [separator.feed(words).thinking for words in ["I", " see", " <", "/th", "e", "</think"]]
        assert pieces == ["I", " see", " ", "", "</the", ""]

    def test_it_is_settled_when_the_answer_has_begun(self) -> None:
        separator = Separator()
        assert [(separator.feed(words), separator.settled) for words in ["I", CLOSE, "\n\n", "\nYes", " \n"]] == [
            (Piece("I"), False),
            (Piece(), False),
            (Piece(), False),
            (Piece("", "Yes"), True),
            (Piece("", " \n"), True),
        ]

    @pytest.mark.parametrize("start", ["undecided", "answer"])
    def test_it_is_settled_at_the_first_word_that_opens_no_thinking(self, start: Start) -> None:
        separator = Separator(start)
        separator.feed("A")
        assert separator.settled


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
class TestPrompts:
    @pytest.mark.parametrize(
        ("prompt", "start"),
        [
            (PROMPT, "thinking"),
            (PROMPT + "I see", "thinking"),
            (PROMPT + CLOSE + "\n\n", "answer"),
            (PROMPT + "I see." + CLOSE + "A dog", "answer"),
            (f"{TURN}assistant\n{OPEN}a{CLOSE}b<|EOT|>{TURN}human\nc<|EOT|>" + PROMPT, "thinking"),
            (f"{TURN}assistant\na{CLOSE}b<|EOT|>" + PROMPT, "thinking"),
            (f"{TURN}human\nWhat is {CLOSE}?<|EOT|>" + PROMPT, "thinking"),
            (f"{TURN}human\nWhat is {CLOSE}?<|EOT|>{TURN}assistant\nIt is", "undecided"),
            (PROMPT + "I hear 🎵 " * 100, "thinking"),
            (PROMPT + CLOSE + "é🎵" * 100, "answer"),
            (f"{TURN}human\n" + "é🎵" * 100, "undecided"),
            ("Another template's prompt", "thinking"),
            ("", "thinking"),
        ],
    )
    def test_the_last_turn_says_where_the_output_starts(self, vocabulary, prompt: str, start: Start) -> None:
        words = vocabulary()
        assert start_after(words.encode(prompt), words.decode) == start

    def test_a_long_conversation_is_not_read_from_its_begin(self, vocabulary) -> None:
        words = vocabulary()
        read: list[int] = []

        def decode(tokens: Sequence[int]) -> str:
            read.append(len(tokens))
            return words.decode(tokens)

        start_after(words.encode("word " * 10_000 + PROMPT), decode)
        assert sum(read) < 100


@pytest.mark.parametrize(
    ("turn", "start"),
    [
        ("I see", "undecided"),
        ("<think>\n", "thinking"),
        ("<think>a</think>", "answer"),
        ("</think>b<think>", "thinking"),
    ],
)
def test_a_continued_turn_says_where_the_output_starts(turn: str, start: Start) -> None:
    assert start_of_continuation(turn) == start


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
class TestTokens:
    @given(before=st.text(), after=st.text("ab<é🎵\n"), size=st.integers(1, 4))
    def test_the_thinking_ends_in_the_step_that_brings_the_last_of_the_mark(
        self, vocabulary, before: str, after: str, size: int
    ) -> None:
        words = vocabulary()
        prompt = words.encode(f"{TURN}assistant\nOne{CLOSE}<|EOT|>" + PROMPT)
        output = words.encode(before.replace("<", "") + CLOSE + after)
        ends = [
            ends_within(prompt + output[: place + size], size, words.decode) for place in range(0, len(output), size)
        ]
        mark = closing_tokens(output, words.decode, words.token(CLOSE))
        assert mark is not None
        assert ends.index(True) == (mark.stop - 1) // size

    @given(before=st.text(), after=st.text())
    def test_the_tokens_of_the_mark_part_those_of_the_thinking_from_those_of_the_answer(
        self, vocabulary, before: str, after: str
    ) -> None:
        words = vocabulary()
        before = before.replace("<", "")
        tokens = words.encode(before + CLOSE + after)
        mark = closing_tokens(tokens, words.decode, words.token(CLOSE))
        assert mark is not None
        assert CLOSE in words.decode(tokens[mark.start : mark.stop])
        assert CLOSE not in words.decode(tokens[mark.start + 1 : mark.stop])
        assert CLOSE not in words.decode(tokens[mark.start : mark.stop - 1])
        assert CLOSE not in words.decode(tokens[: mark.stop - 1])

    def test_the_first_of_several_marks_counts(self, vocabulary) -> None:
        words = vocabulary()
        tokens = words.encode(f"abc{CLOSE}def{CLOSE}ghi")
        mark = closing_tokens(tokens, words.decode, words.token(CLOSE))
        assert mark is not None
        assert "abc".startswith(words.decode(tokens[: mark.start]))

    @pytest.mark.parametrize("text", ["", "abc", "</think", OPEN])
    def test_without_a_mark_there_are_none(self, vocabulary, text: str) -> None:
        words = vocabulary()
        tokens = words.encode(text)
        assert closing_tokens(tokens, words.decode, words.token(CLOSE)) is None
        assert not ends_within(tokens, len(tokens), words.decode)
