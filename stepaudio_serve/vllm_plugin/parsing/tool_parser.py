"""vLLM's `--tool-call-parser step_audio_2`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vllm.entrypoints.generate.base.protocol import (
    DeltaFunctionCall,
    DeltaMessage,
    DeltaToolCall,
    ExtractedToolCallInformation,
    FunctionCall,
    ToolCall,
    make_tool_call_id,
)
from vllm.tool_parsers.abstract_tool_parser import ToolParser

from .tool_calls import Arguments, Begun, Ended, Event, Reader, Text, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.responses.protocol import ResponsesRequest


class StepAudio2ToolParser(ToolParser):
    """The tool calls of one answer; a stream's are told from its deltas alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader = Reader()

    def adjust_request(
        self, request: ChatCompletionRequest | ResponsesRequest
    ) -> ChatCompletionRequest | ResponsesRequest:
        """Let the marks of a call through where they are special tokens."""
        request = super().adjust_request(request)
        if request.tools and request.tool_choice != "none":
            request.skip_special_tokens = False
        return request

    def extract_tool_calls(self, model_output: str, request: ChatCompletionRequest) -> ExtractedToolCallInformation:
        """The text and the calls of a whole answer."""
        reading = read(model_output)
        return ExtractedToolCallInformation(
            tools_called=bool(reading.calls),
            tool_calls=[
                ToolCall(function=FunctionCall(name=call.name, arguments=call.arguments)) for call in reading.calls
            ],
            content=reading.content,
        )

    def extract_tool_calls_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
        request: ChatCompletionRequest,
    ) -> DeltaMessage | None:
        """What a delta adds to the text and to the calls."""
        # vLLM asks a parser with this mark, at the end, for what it has held back. To carry it from the start would
        # say as well that `tool_choice: required`, which vLLM parses by itself, can do without the text before.
        self.engine_based_streaming = True
        return self._message(self._reader.feed(delta_text))

    def finish_streaming(self) -> DeltaMessage | None:
        """What was held back as the possible start of a mark, now that no more comes."""
        return self._message(self._reader.finish())

    def _message(self, events: list[Event]) -> DeltaMessage | None:
        content = ""
        calls: dict[int, DeltaToolCall] = {}
        for event in events:
            match event:
                case Text():
                    content += event.words
                case Begun():
                    self._begin(event.name)
                    calls[self.current_tool_id] = self._announcement(event.name)
                case Arguments():
                    self._add(event.words)
                    call = calls.setdefault(self.current_tool_id, self._continuation())
                    call.function.arguments += event.words
                case Ended():
                    self.current_tool_name_sent = False
        fields: dict[str, Any] = {"content": content} if content else {}
        if calls:
            fields["tool_calls"] = list(calls.values())
        return DeltaMessage(**fields) if fields else None

    # ---- what vLLM's serving code reads to see what was called, and whether all of it went out

    def _begin(self, name: str) -> None:
        self.prev_tool_call_arr.append({"name": name, "arguments": ""})
        self.streamed_args_for_tool.append("")
        self.current_tool_id, self.current_tool_name_sent = len(self.prev_tool_call_arr) - 1, True

    def _add(self, arguments: str) -> None:
        self.prev_tool_call_arr[self.current_tool_id]["arguments"] += arguments
        self.streamed_args_for_tool[self.current_tool_id] += arguments

    def _announcement(self, name: str) -> DeltaToolCall:
        function = DeltaFunctionCall(name=name, arguments="")
        return DeltaToolCall(index=self.current_tool_id, id=make_tool_call_id(), type="function", function=function)

    def _continuation(self) -> DeltaToolCall:
        return DeltaToolCall(index=self.current_tool_id, function=DeltaFunctionCall(arguments=""))
