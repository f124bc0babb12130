"""Secrets are hidden wherever they stand, and nothing else is."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.diagnosis import redact

SECRETS = st.text(string.ascii_letters + string.digits + "._~+/=", min_size=12, max_size=60).map(
    lambda text: f"S3{text}9"
)
HEX = st.text(string.ascii_letters + string.digits, min_size=20, max_size=40).map(lambda text: f"A1{text}")

PLACES = [
    "vllm serve /m --api-key {} --port 9999",
    "vllm serve /m --api-key={}",
    "vllm serve /m --api-key '{}'",
    "['serve', '/m', '--api-key', '{}', '--port', '9999']",
    "non-default args: {{'api_key': ['{}'], 'port': 9999}}",
    "non-default args: {{'api_key': ['{}', '{}'], 'port': 9999}}",
    "Namespace(api_key='{}', host=None)",
    '{{"api_key": "{}", "port": 9999}}',
    r"{{\"api_key\": \"{}\", \"port\": 9999}}",
    "STEPAUDIO_API_KEY={}",
    "export HF_TOKEN={}",
    "HUGGING_FACE_HUB_TOKEN: {}",
    '"Env": ["VLLM_API_KEY={}", "PATH=/bin"]',
    "AWS_SECRET_ACCESS_KEY={}",
    "AWS_SESSION_TOKEN={}",
    "password={}",
    "Authorization: Bearer {}",
    "curl -H 'authorization: bearer {}' http://127.0.0.1:9999/v1/models",
    "X-Api-Key: {}",
]
SHAPES = ["hf_{}", "sk-{}", "see hf_{}.", "nvapi-{}", "ghp_{}"]

INNOCENT = [
    "api_key=None, host='127.0.0.1'",
    '{"api_key": null}',
    "api_key_file=/run/secrets/key",
    "max_tokens=4096 stop_token_ids: [151665] tokens: 12",
    "hf_overrides={} hf_transfer hf_hub_download",
    "a Bearer token is needed; pass --api-key --host 0.0.0.0",
    "GPU KV cache size: 18,320 tokens",
    "http://127.0.0.1:9999/v1/models and user@host",
    "sk-learn",
]


@pytest.mark.parametrize("place", PLACES)
@given(secret=SECRETS)
def test_a_secret_is_hidden_by_its_name(place: str, secret: str) -> None:
    assert secret not in redact(place.format(secret, secret))


@pytest.mark.parametrize("shape", SHAPES)
@given(secret=HEX)
def test_a_secret_is_hidden_by_its_shape(shape: str, secret: str) -> None:
    assert secret not in redact(shape.format(secret))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://joe:hunter2@hub.example/m", "https://***@hub.example/m"),
        ("https://s.example/m?X-Amz-Signature=abc&part=1", "https://s.example/m?X-Amz-Signature=***&part=1"),
        ("key AKIAABCDEFGHIJKLMNOP here", "key *** here"),
        ("Authorization: Basic am9lOmh1bnRlcjI=", "Authorization: Basic ***"),
        ("--api-key=-starts-with-a-dash --port 1", "--api-key=*** --port 1"),
    ],
)
def test_what_surrounds_a_secret_stays(text: str, hidden: str) -> None:
    assert redact(text) == hidden


@pytest.mark.parametrize("text", INNOCENT)
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@given(st.lists(st.sampled_from([*PLACES, *SHAPES, *INNOCENT, "'", '"', "[", "\\", "=", "\n"])), SECRETS)
def test_hiding_twice_changes_nothing_more(pieces: list[str], secret: str) -> None:
    once = redact(" ".join(pieces).replace("{}", secret))
    assert redact(once) == once


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    redact(text)
