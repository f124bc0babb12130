"""Run by a Python that has vLLM 0.32: renders requests with vLLM's own code, from JSON on stdin to JSON on stdout.

Only the decoding of audio is left out: a clip counts, whatever its bytes.
"""

from __future__ import annotations

import json
import sys

from transformers.utils.chat_template_utils import render_jinja_template
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.renderers import chat_utils, hf


class Settings:
    """The one field of vLLM's ModelConfig that parsing text looks at."""

    enable_prompt_embeds = False


class Clips(chat_utils.BaseMultiModalContentParser):
    """Counts the clips of one message."""

    model_config = Settings()

    def create_parser(self, **_):
        return Clips()

    def parse_audio(self, *_):
        self._add_placeholder("audio", "<audio_patch>")

    parse_input_audio = parse_audio
    parse_image = parse_image_embeds = parse_image_pil = parse_video = parse_audio
    parse_audio_embeds = parse_video_embeds = parse_prompt_embeds = parse_audio


def render(source, request, content_format, add_generation_prompt):
    checked = ChatCompletionRequest.model_validate(request)
    conversation = [
        seen
        for message in checked.messages
        for seen in chat_utils._parse_chat_message_content(
            message, Clips(), content_format, interleave_strings=content_format == "string"
        )
    ]
    chat_utils._postprocess_messages(conversation)
    if any(message["role"] == "developer" for message in conversation):
        conversation = hf._consolidate_system_messages(hf._convert_developer_to_system(conversation))
    rendered, _ = render_jinja_template(
        [conversation],
        tools=None if checked.tools is None else [tool.model_dump() for tool in checked.tools],
        chat_template=source,
        add_generation_prompt=add_generation_prompt,
        continue_final_message=checked.continue_final_message,
    )
    return rendered[0]


def main():
    task = json.load(sys.stdin)
    json.dump(
        {
            "detected": [hf._detect_content_format(source, default="string") for source in task["sources"]],
            "prompts": [render(**case) for case in task["cases"]],
        },
        sys.stdout,
    )


main()
