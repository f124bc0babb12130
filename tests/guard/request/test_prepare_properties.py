"""Whatever a client sends is prepared or refused, and what is prepared holds nothing that harms the engine."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import sounds
from support.preparing import CHAT, COMPLETIONS, TOKENIZE, TRANSCRIPTIONS, Engine, input_audio

from stepaudio_serve.guard.config import GuardConfig, Limits
from stepaudio_serve.guard.prepared import Prepared
from stepaudio_serve.guard.refusal import RefusedError
from stepaudio_serve.guard.request.decoding import DecoderPool
from stepaudio_serve.guard.request.fields import route_rules
from stepaudio_serve.guard.request.messages import ROLES
from stepaudio_serve.guard.request.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = GuardConfig(limits=Limits(audio_parts=4, text_characters=2000, tokens=500), stop_token_ids=(7,))
SOUND = input_audio(sounds.wav(seconds=0.3))
TOKEN = re.compile(r"<\||</?(?:audio_|tts_|tool_call)", re.IGNORECASE)
NAMES = sorted({name for path in (CHAT, COMPLETIONS, TOKENIZE) for name in route_rules(path).fields})
OTHER_NAMES = ["chat_template", "echo", "user", "logit_bias", "response_format", "tempreature", "", "<|EOT|>"]

SCRAPS = st.sampled_from(
    ["<|EOT|>", "<|", "<", "|EOT|>", "<aud", "io_patch>", "<audio_patch>", "<think>", "a", " ", "\n"]
)
TEXTS = st.lists(SCRAPS | st.text(max_size=3), max_size=6).map("".join)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
PARTS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    TEXTS,
    st.just(SOUND),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "input_audio", "audio", "audio_url", "image_url"])},
        optional=dict.fromkeys(("text", "input_audio", "audio_data", "audio", "audio_url", "x"), JSON_VALUES),
    ),
    JSON_VALUES,
)
CALLS = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {"name": TEXTS, "arguments": TEXTS | JSON_VALUES.map(json.dumps) | JSON_VALUES}
        )
    },
    optional={"id": TEXTS, "type": TEXTS},
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from([*ROLES, "user", "user", "x"]), "content": TEXTS | st.lists(PARTS, max_size=4)},
    optional={"name": TEXTS, "tool_call_id": TEXTS, "tool_calls": st.lists(CALLS, max_size=2)},
)
TOOLS = st.builds(
    lambda name, more: {"type": "function", "function": {"name": name, "parameters": more}}, TEXTS, JSON_VALUES
)
GENERATION = {
    "temperature": st.floats(0, 2),
    "max_tokens": st.integers(1, 40_000),
    "stream": st.booleans(),
    "stop": TEXTS | st.lists(TEXTS, max_size=3),
}
CONVERSATION = {
    "tools": st.lists(TOOLS, max_size=2),
    "continue_final_message": st.booleans(),
    "add_generation_prompt": st.booleans(),
}
THREE_MESSAGES = {"messages": st.lists(MESSAGES, min_size=1, max_size=3)}
PROMPT = {"prompt": TEXTS | st.lists(TEXTS, max_size=3)}
ANYTHING = st.dictionaries(st.sampled_from([*NAMES, *OTHER_NAMES]), JSON_VALUES, max_size=4) | JSON_VALUES
REQUESTS = {
    CHAT: st.fixed_dictionaries(
        THREE_MESSAGES, optional={**GENERATION, **CONVERSATION, "separate_reasoning": st.booleans()}
    ),
    COMPLETIONS: st.fixed_dictionaries(PROMPT, optional=GENERATION),
    TOKENIZE: st.fixed_dictionaries(PROMPT) | st.fixed_dictionaries(THREE_MESSAGES, optional=CONVERSATION),
}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(CONFIG.limits)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def outcome(loop: asyncio.AbstractEventLoop, pool: DecoderPool) -> Any:
    def run(path: str, content_type: str, body: bytes) -> Prepared | RefusedError:
        asked = prepare(path, content_type, body, config=CONFIG, decoder=pool, engine=Engine(context=1000))
        try:
            return loop.run_until_complete(asked)
        except RefusedError as error:
            return error

    return run


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value.startswith("{"):
            yield from texts_in(json.loads(value)) if _is_json(value) else ()
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, list):
        if value and all(isinstance(item, dict) and item.get("type") == "text" for item in value):
            yield "".join(item["text"] for item in value)
        for item in value:
            yield from texts_in(item)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def assert_harmless(result: Prepared) -> None:
    request = json.loads(result.body, parse_constant=pytest.fail)
    assert set(request) <= set(route_rules(result.path).fields) - {"separate_reasoning"}
    for name in ("messages", "tools", "prompt"):
        for text in texts_in(request.get(name)):
            text.encode()
            assert not TOKEN.search(text)
            assert not TOKEN.search(unicodedata.normalize("NFC", text))
    for message in request.get("messages", ()):
        assert message["role"] in ROLES.values()
        for part in message["content"] if isinstance(message["content"], list) else ():
            assert part["type"] in {"text", "input_audio"}


def assert_told(error: RefusedError) -> None:
    refusal = error.refusal
    assert refusal.status in {400, 415}
    assert len(refusal.message) > 20
    assert len(refusal.body) < 4000
    json.loads(refusal.body)["error"]["message"].encode()


@pytest.mark.parametrize("path", REQUESTS)
@given(data=st.data())
def test_any_json(outcome: Any, path: str, data: st.DataObject) -> None:
    request = data.draw(REQUESTS[path] | ANYTHING)
    result = outcome(path, "application/json", json.dumps(request).encode())
    if isinstance(result, Prepared):
        assert_harmless(result)
    else:
        assert_told(result)


@pytest.mark.parametrize("path", REQUESTS)
@given(data=st.data())
def test_what_was_prepared_is_prepared_again_unchanged(outcome: Any, path: str, data: st.DataObject) -> None:
    request = data.draw(REQUESTS[path])
    once = outcome(path, "application/json", json.dumps(request).encode())
    if isinstance(once, Prepared):
        again = outcome(path, "application/json", once.body)
        assert isinstance(again, Prepared)
        assert json.loads(again.body) == json.loads(once.body)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, TOKENIZE, TRANSCRIPTIONS])
@given(
    content_type=st.sampled_from(["application/json", "multipart/form-data; boundary=b"]) | st.text(), body=st.binary()
)
def test_any_bytes(outcome: Any, path: str, content_type: str, body: bytes) -> None:
    result = outcome(path, content_type, body)
    if isinstance(result, RefusedError):
        assert_told(result)


@given(
    fields=st.lists(
        st.tuples(
            st.sampled_from(["file", "model", "language", "prompt", "response_format", "temperature", "stream", "x"]),
            TEXTS.map(str.encode) | st.binary(max_size=20) | st.just(sounds.wav(seconds=0.2)),
        ),
        max_size=5,
    )
)
def test_any_form(outcome: Any, fields: list[tuple[str, bytes]]) -> None:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in fields
    )
    result = outcome(TRANSCRIPTIONS, "multipart/form-data; boundary=b", b"".join(parts) + b"--b--")
    if isinstance(result, Prepared):
        assert result.path == CHAT
        assert result.transcript is not None
        assert_harmless(result)
    else:
        assert_told(result)
