"""Answers in OpenAI's shapes, with the keys and the nulls that vLLM sends."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from . import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]


def error(message: str, status: int, param: str | None = None) -> Json:
    """OpenAI's error object, as vLLM fills it."""
    kind = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}.get(status)
    return {
        "error": {
            "message": message,
            "type": kind or HTTPStatus(status).phrase,
            "param": param,
            "code": status,
        }
    }


def usage(prompt_tokens: int, completion_tokens: int) -> Json:
    """Token counts."""
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
        "prompt_tokens_details": None,
    }


def delta(text: str, *, thinking: bool = False) -> Json:
    """A piece of text; thinking goes under both names that vLLM has had for it."""
    return {"reasoning_content": text, "reasoning": text} if thinking else {"content": text}


def chunk(head: Mapping[str, Any], choices: Sequence[Json], tokens: Mapping[str, Any] | None = None) -> Json:
    """One event of a stream; `head` holds id, created and model."""
    event = {**head, "object": "chat.completion.chunk", "choices": list(choices)}
    return event if tokens is None else event | {"usage": tokens}


def chunk_choice(index: int, change: Mapping[str, Any], finish: str | None = None, stop: str | None = None) -> Json:
    """What changed in one choice; `finish` is set in its last chunk."""
    choice = {"index": index, "delta": change, "logprobs": None, "finish_reason": finish}
    return choice if finish is None else choice | {"stop_reason": stop}


def completion(head: Mapping[str, Any], choices: Sequence[Json], tokens: Mapping[str, Any]) -> Json:
    """A whole answer."""
    return {
        **head,
        "object": "chat.completion",
        "choices": list(choices),
        "service_tier": None,
        "system_fingerprint": OWNER,
        "usage": tokens,
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    }


def choice(index: int, message: Mapping[str, Any], finish: str, stop: str | None) -> Json:
    """One choice of a whole answer."""
    return {
        "index": index,
        "message": {
            "role": "assistant",
            "content": None,
            "reasoning_content": None,
            "reasoning": None,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "tool_calls": [],
            **message,
        },
        "logprobs": None,
        "finish_reason": finish,
        "stop_reason": stop,
    }


def models(names: Sequence[str], root: str, max_model_len: int, created: int) -> Json:
    """`/v1/models`: `owned_by` tells that this is a rehearsal."""
    return {
        "object": "list",
        "data": [
            {
                "id": name,
                "object": "model",
                "created": created,
                "owned_by": OWNER,
                "root": root,
                "parent": None,
                "max_model_len": max_model_len,
                "permission": [],
            }
            for name in names
        ],
    }
