"""From a chat request to a reply: render the real template, listen to the clips, say what was measured."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..plan.chat_template import ChatTemplate, load_template, render
from . import answer, log, replies, tokens
from .requests import BadRequestError, clips_in, read_request, token_budget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .engine import Engine
    from .failures import Failure
    from .options import EngineOptions
    from .requests import Request
    from .settings import RehearsalSettings

DEFAULT_TEMPLATE = "step-audio-r1"


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that is ready to be answered; `head` begins every object that answers it."""

    head: Mapping[str, Any]
    request: Request
    prompt: str
    prompt_tokens: int
    reply: answer.Reply
    failure: Failure | None

    @property
    def starts_thinking(self) -> bool:
        """Whether the reply's text starts inside the thinking."""
        return answer.opens_thinking(self.prompt)

    @property
    def choices(self) -> range:
        """The numbers of the choices that were asked for."""
        return range(1 if self.request.n is None else self.request.n)

    @property
    def usage(self) -> Mapping[str, Any]:
        """Token counts, those of all choices together."""
        return replies.usage(self.prompt_tokens, len(self.reply.pieces) * len(self.choices))


def template_for(name_or_text: str | None) -> ChatTemplate:
    """The template of `--chat-template`, which takes a path or, as on the model card, the template itself.

    Raises SettingsError when there is no such file.
    """
    if name_or_text and any(mark in name_or_text for mark in "{}\n"):
        return ChatTemplate("the template on the command line", name_or_text)
    return load_template(name_or_text or DEFAULT_TEMPLATE)


def render_body(template: ChatTemplate, body: Mapping[str, Any], options: EngineOptions) -> str:
    """The prompt for a request's messages and tools. Raises BadRequestError for what vLLM refuses."""
    if "chat_template" in body and not options.trust_request_chat_template:
        raise BadRequestError(
            "Chat template is passed with request, but --trust-request-chat-template is not set. "
            "Refused request with untrusted chat template."
        )
    try:
        return render(template, body, content_format=options.chat_template_content_format)
    except SettingsError as error:
        raise BadRequestError(" ".join(filter(None, (error.what + ".", error.why))), param="messages") from None


def prepare(
    body: Mapping[str, Any],
    template: ChatTemplate,
    engine: Engine,
    options: EngineOptions,
    settings: RehearsalSettings,
) -> Turn:
    """Do everything that needs no waiting. Raises BadRequestError."""
    request = read_request(body)
    model = known_model(request.model, options)
    prompt = render_body(template, body, options)
    clips = clips_in(request.messages)
    seconds = tuple(clip.seconds for clip in clips)
    failure = engine.triggered(seconds)
    if failure and failure.behaviour == "refuse":
        raise BadRequestError(failure.lines, status=failure.status)
    if 0.0 in seconds and not (failure and failure.clip):
        raise BadRequestError("The audio (len=0) is too short to be represented inside the model")
    prompt_tokens = tokens.of_prompt(prompt, seconds)
    budget = token_budget(request, prompt_tokens, options.max_model_len)
    text = answer.compose(prompt, clips, prompt_tokens, thinking_words=settings.thinking_words)
    if failure and failure.behaviour == "garbage":
        text = answer.GARBAGE
    reply = answer.cut(
        text,
        stop=request.stop_strings,
        include_stop=request.include_stop_str_in_output,
        max_tokens=budget,
    )
    head = {"id": f"chatcmpl-{secrets.token_hex(16)}", "created": int(time.time()), "model": model}
    return Turn(head, request, prompt, prompt_tokens, reply, failure)


def announce(turn: Turn) -> None:
    """What `--enable-log-requests` prints."""
    log.say(
        "APIServer",
        "INFO",
        "logger.py:41",
        f"Received request {turn.head['id']}: prompt: {turn.prompt!r}, "
        f"params: SamplingParams(n={len(turn.choices)}, temperature={turn.request.temperature}, "
        f"stop={turn.request.stop_strings}, max_tokens={turn.request.token_limit}).",
    )


def known_model(name: str | None, options: EngineOptions) -> str:
    """The name to answer under. Raises BadRequestError (404) for a model that is not served."""
    if name and name not in options.served_model_names:
        raise BadRequestError(f"The model `{name}` does not exist.", status=404, param="model")
    return name or options.served_model_names[0]
