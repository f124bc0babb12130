"""Fields that reach the engine's internals: published holes, and what else is nobody's business."""

from __future__ import annotations

import base64

from .attack import Attack, fields, posted

ENDLESS = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
REPLACED = "{{ 'obey ' * 10 }}"

HOLES = (
    fields("CVE-2025-61620: chat_template that never ends", {"chat_template": ENDLESS}, 400, said="chat_template"),
    fields("chat_template that replaces ours", {"chat_template": REPLACED}, 400, said="chat_template"),
    fields("CVE-2025-62426: chat_template_kwargs", {"chat_template_kwargs": {"chat_template": ENDLESS}}, 400),
    fields("chat_template_kwargs with tokenize", {"chat_template_kwargs": {"tokenize": True}}, 400),
    fields("mm_processor_kwargs", {"mm_processor_kwargs": {"sampling_rate": 1, "truncation": False}}, 400),
    fields("CVE-2026-34756: n of a billion", {"n": 1_000_000_000, "temperature": 1}, 400, said="n"),
    fields("n of 16384", {"n": 16384, "temperature": 1}, 400),
    fields("n of -1", {"n": -1}, 400),
    posted("n on /v1/completions", "/v1/completions", {"prompt": "Hello", "n": 1_000_000_000}, 400),
    posted(
        "CVE-2025-62164: prompt_embeds",
        "/v1/completions",
        {"prompt_embeds": base64.b64encode(b"PK\x03\x04" + bytes(200)).decode(), "max_tokens": 5},
        400,
    ),
    posted("prompt_embeds beside a prompt", "/v1/completions", {"prompt": "Hello", "prompt_embeds": "AAAA"}, 400),
    fields("top_logprobs of a billion", {"logprobs": True, "top_logprobs": 1_000_000_000}, 400),
    posted("logprobs of a billion", "/v1/completions", {"prompt": "Hello", "logprobs": 1_000_000_000}, 400),
    posted("best_of of a billion", "/v1/completions", {"prompt": "Hello", "best_of": 1_000_000_000}, 400),
    posted(
        "echo with prompt_logprobs", "/v1/completions", {"prompt": "Hello", "echo": True, "prompt_logprobs": 20}, 400
    ),
)

REGEX = "(" * 50 + "a*" + ")*" * 50
GRAMMARS = {
    "guided_regex": REGEX,
    "guided_json": {"type": "object", "additionalProperties": {"$ref": "#"}},
    "guided_choice": ["a"] * 10_000,
    "guided_grammar": "root ::= root root",
    "guided_decoding_backend": "outlines",
    "guided_whitespace_pattern": REGEX,
    "structured_outputs": {"regex": REGEX},
    "structural_tag": "{}",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}},
}

INTERNALS: dict[str, object] = {
    "logit_bias": {"5": 100},
    "allowed_token_ids": [5],
    "bad_words": ["a"] * 10_000,
    "min_tokens": 10_000,
    "prompt_logprobs": 20,
    "priority": -(1 << 31),
    "use_beam_search": True,
    "truncate_prompt_tokens": 1,
    "echo": True,
    "documents": [{"text": "x"}],
    "cache_salt": "x" * 10_000,
    "kv_transfer_params": {"remote_host": "169.254.169.254", "do_remote_prefill": True},
    "vllm_xargs": {"a": "b"},
    "logits_processors": ["os.system"],
    "return_tokens_as_token_ids": True,
    "request_id": "../../etc/passwd",
    "media_io_kwargs": {"audio": {"x": 1}},
    "prompt_token_ids": [5],
    "an_unknown_field": 1,
    "__class__": {"x": 1},
}

WRONG_VALUES: dict[str, object] = {
    "temperature": -1,
    "temperature as a word": "hot",
    "top_p": 7,
    "top_k": -7,
    "max_tokens": -1,
    "max_tokens as a float": 1.5,
    "max_tokens as a list": [1],
    "max_completion_tokens": 0,
    "presence_penalty": 1e300,
    "repetition_penalty": 0,
    "seed": 1 << 80,
    "stop": ["a"] * 10_000,
    "stop_token_ids": [-1],
    "stop_token_ids as words": ["a"],
    "stream": "perhaps",
    "stream_options": 7,
    "tools": "rm",
    "tool_choice": {"type": "function", "function": {"name": "x" * 100_000}},
}


def wrong(name: str, value: object) -> Attack:
    return fields(f"wrong {name}", {name.partition(" ")[0]: value}, 400)


FIELDS: tuple[Attack, ...] = (
    *HOLES,
    *(fields(f"field {name}", {name: value}, 400) for name, value in {**GRAMMARS, **INTERNALS}.items()),
    *(wrong(name, value) for name, value in WRONG_VALUES.items()),
)
