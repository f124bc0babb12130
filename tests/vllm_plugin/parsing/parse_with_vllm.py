"""Run by a Python that has vLLM: parses outputs with the class by which vLLM's server combines both of our parsers.

From JSON on stdin to JSON on stdout; the plugin is importable as `stepaudio_vllm`, as in a container. What a model
would write is cut into tokens of small tokenizers: in `tokens` the marks are tokens of their own, in `special` special
ones, which an engine hides unless it is told not to, and in `pieces` they are spelled with several, some of which
reach into the text.
"""

from __future__ import annotations

import json
import sys
import tempfile
from inspect import signature

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser import ParserManager
from vllm.reasoning import ReasoningParserManager
from vllm.tokenizers import get_tokenizer
from vllm.tool_parsers import ToolParserManager

END_OF_TURN = "<|EOT|>"
TURNS = ("<|endoftext|>", "<|BOT|>", END_OF_TURN)
MARKS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
KINDS = {
    "tokens": [*(AddedToken(turn, special=True) for turn in TURNS), *MARKS],
    "special": [AddedToken(mark, special=True) for mark in (*TURNS, *MARKS)],
    "pieces": [AddedToken(END_OF_TURN, special=True)],
}
LESSON = "</think>\n\nYes.</think>\n\n{}</tool_call>\n" * 9 + "I think. <think>\n <tool_call>function\n" * 5


def tokenizer(kind):
    bytes_ = Tokenizer(models.BPE())
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bytes_.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    lessons = [LESSON] if kind == "pieces" else []
    bytes_.train_from_iterator(lessons, trainers.BpeTrainer(initial_alphabet=alphabet, vocab_size=300))
    bytes_.add_tokens([each for each in KINDS[kind] if not isinstance(each, AddedToken)])
    bytes_.add_special_tokens([each for each in KINDS[kind] if isinstance(each, AddedToken)])
    with tempfile.TemporaryDirectory() as folder:
        special = [str(each.content) for each in KINDS[kind] if isinstance(each, AddedToken)]
        PreTrainedTokenizerFast(
            tokenizer_object=bytes_, eos_token=END_OF_TURN, additional_special_tokens=special
        ).save_pretrained(folder)
        return get_tokenizer(folder)


def deltas(words, tokens, size, hide_special):
    """What an engine hands out when each of its steps brings `size` tokens, and the last one ends the turn."""
    stream = decoders.DecodeStream(skip_special_tokens=hide_special)
    said = [stream.step(words._tokenizer, token) or "" for token in tokens]
    for place in range(0, len(tokens), size):
        yield "".join(said[place : place + size]), tokens[place : place + size]
    yield "", [words.convert_tokens_to_ids(END_OF_TURN)]


class Message:
    """What a client puts together from the chunks of a stream."""

    def __init__(self):
        self.reasoning = self.content = None
        self.calls = []
        self.steps = 0

    def add(self, delta):
        self.steps += 1
        if delta.reasoning:
            self.reasoning = (self.reasoning or "") + delta.reasoning
        if delta.content:
            self.content = (self.content or "") + delta.content
        for call in delta.model_dump(exclude_unset=True).get("tool_calls", []):
            if call["index"] == len(self.calls):
                self.calls.append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
            elif call.get("id") or call["function"].get("name"):
                raise ValueError(f"announced again: {call}")
            self.calls[call["index"]]["arguments"] += call["function"].get("arguments") or ""


def parse(case, tokenizers):
    words = tokenizers[case["tokenizer"]]
    # vLLM builds the parsers once at its start to see that they can be built; 0.31 does not
    tried = {"tokenizer": words} if "tokenizer" in signature(ParserManager.get_parser).parameters else {}
    parser_class = ParserManager.get_parser(
        tool_parser_name="step_audio_2" if "tool" in case["parsers"] else None,
        reasoning_parser_name="step_audio" if "reasoning" in case["parsers"] else None,
        enable_auto_tools="tool" in case["parsers"],
        **tried,
    )
    request = ChatCompletionRequest.model_validate(case["request"])

    def new_parser():
        return parser_class(words, request.tools, model_config=None, chat_template_kwargs={})

    request = new_parser().adjust_request(request)
    prompt, output = (words.encode(case[part], add_special_tokens=False) for part in ("prompt", "output"))

    parser = new_parser()
    hides_special = request.skip_special_tokens is not False
    text = words.decode(output, skip_special_tokens=hides_special)
    reasoning, content, calls = parser.parse(text, request, enable_auto_tools=True, model_output_token_ids=output)
    called = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls or []]
    found = {"whole": {"reasoning": reasoning, "content": content, "calls": called}}
    found["reasoning_tokens"] = parser.count_reasoning_tokens(output)
    found["reasoning_text"] = words.decode(output[: found["reasoning_tokens"]])
    found["prompt_ends_reasoning"] = new_parser().is_reasoning_end(prompt)

    found["streams"] = []
    for size in (1, 2, 3, 7, len(output) or 1):
        parser, message = new_parser(), Message()
        for said, tokens in deltas(words, output, size, hides_special):
            last = tokens == [words.convert_tokens_to_ids(END_OF_TURN)] and not said
            delta = parser.parse_delta(said, list(tokens), request, prompt_token_ids=prompt, finished=last)
            if delta is not None:
                message.add(delta)
        found["streams"].append(vars(message) | noted(parser.tool_parser))
    if reasoner := parser.reasoning_parser:
        found["content_text"] = words.decode(reasoner.extract_content_ids(output))
        found["constrained_after"] = [constrained_after(reasoner, words, prompt, output, size) for size in (1, 20)]
    return found


def noted(tool_parser):
    """What a tool parser keeps for the serving code."""
    if tool_parser is None:
        return {}
    return {
        "noted": [[call["name"], call["arguments"]] for call in tool_parser.prev_tool_call_arr],
        "noted_arguments": tool_parser.streamed_args_for_tool,
        "unsent_arguments": tool_parser.get_remaining_unstreamed_args(),
    }


def constrained_after(reasoner, words, prompt, output, size):
    """The output up to where the engine core, which has nothing but tokens, begins to follow a grammar."""
    for place in range(0, len(output), size):
        step = output[place : place + size]
        if reasoner.is_reasoning_end_streaming(prompt + output[: place + size], step):
            return words.decode(output[: place + size])
    return None


def main():
    ToolParserManager.register_lazy_module("step_audio_2", "stepaudio_vllm.parsing.tool_parser", "StepAudio2ToolParser")
    ReasoningParserManager.register_lazy_module(
        "step_audio", "stepaudio_vllm.parsing.reasoning_parser", "StepAudioReasoningParser"
    )
    tokenizers = {kind: tokenizer(kind) for kind in KINDS}
    cases = json.load(sys.stdin)
    spelled = {kind: len(words.encode("</think>", add_special_tokens=False)) for kind, words in tokenizers.items()}
    print(json.dumps({"spelled": spelled, "found": [parse(case, tokenizers) for case in cases]}))


main()
