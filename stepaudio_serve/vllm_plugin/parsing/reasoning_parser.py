"""vLLM's `--reasoning-parser step_audio`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.reasoning.abs_reasoning_parsers import ReasoningParser

from .thinking import (
    CLOSE,
    OPEN,
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
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.responses.protocol import ResponsesRequest


class StepAudioReasoningParser(ReasoningParser):
    """The thinking of one answer, told from its text; tokens count only where vLLM has nothing but tokens."""

    engine_based_streaming = True
    """vLLM asks the parser, not the tokens, whether the thinking has ended, and at the end for what it holds back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._separator = Separator()
        self._start: Start | None = None

    @property
    def reasoning_start_str(self) -> str:
        """The mark that opens the thinking."""
        return OPEN

    @property
    def reasoning_end_str(self) -> str:
        """The mark that ends the thinking."""
        return CLOSE

    def adjust_request(
        self, request: ChatCompletionRequest | ResponsesRequest
    ) -> ChatCompletionRequest | ResponsesRequest:
        """Let the marks of thinking through where they are special tokens."""
        if {OPEN, CLOSE} & set(self.model_tokenizer.all_special_tokens):
            request.skip_special_tokens = False
        return request

    # ---- text

    def extract_reasoning(
        self, model_output: str, request: ChatCompletionRequest | ResponsesRequest
    ) -> tuple[str | None, str | None]:
        """The thinking and the answer of a whole output; without `</think>` all of it is thinking."""
        self._start = self._start or _start_of(request)
        piece = separate(model_output, self._start)
        return piece.thinking or None, piece.answer or None

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
    ) -> DeltaMessage | None:
        """What a delta adds to the thinking and to the answer."""
        return _message(self._separator.feed(delta_text))

    def has_engine_confirmed_reasoning_end(self) -> bool:
        """Whether the answer has begun; the white space before it is not yet the answer."""
        return self._separator.settled

    def finish_streaming(self) -> DeltaMessage | None:
        """What was held back as the possible start of a mark, now that no more comes."""
        return _message(self._separator.finish())

    # ---- prompts

    def set_prompt_token_ids(self, prompt_token_ids: Sequence[int]) -> None:
        """Take from the prompt where the output starts (vLLM from 0.33 on says it of whole outputs too)."""
        self._start = start_after(prompt_token_ids, self._decode)
        self._separator = Separator(self._start)

    adjust_initial_state_from_prompt = set_prompt_token_ids

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """Whether what follows these tokens is the answer; earlier turns of the conversation do not count."""
        return start_after(input_ids, self._decode) == "answer"

    # ---- tokens of the output

    def is_reasoning_end_streaming(self, input_ids: Sequence[int], delta_ids: Iterable[int]) -> bool:
        """Whether the thinking ends in the newest tokens."""
        return ends_within(input_ids, len(list(delta_ids)), self._decode)

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """The tokens after those that end the thinking; none where nothing does."""
        mark = self._closing_tokens(input_ids)
        return [] if mark is None else input_ids[mark.stop :]

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """How many tokens of the output come before those that end the thinking."""
        if self._start == "answer":
            return 0
        mark = self._closing_tokens(token_ids)
        if mark is None:
            return 0 if self._start == "undecided" else len(token_ids)
        return mark.start

    def _closing_tokens(self, tokens: Sequence[int]) -> range | None:
        return closing_tokens(tokens, self._decode, self.vocab.get(CLOSE))

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.model_tokenizer.decode(list(tokens), skip_special_tokens=False))


def _message(piece: Piece) -> DeltaMessage | None:
    fields = {"reasoning": piece.thinking, "content": piece.answer}
    fields = {name: words for name, words in fields.items() if words}
    return DeltaMessage(**fields) if fields else None


def _start_of(request: ChatCompletionRequest | ResponsesRequest) -> Start:
    """Where an output starts, by the request: a new turn opens the thinking, a continued one may have ended it."""
    messages = getattr(request, "messages", [])
    if getattr(request, "add_generation_prompt", True) or not messages or messages[-1].get("role") != "assistant":
        return "thinking"
    return start_of_continuation(_text_of(messages[-1].get("content")))


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Iterable) else ()
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))
