"""Secrets taken out of text that is about to be shown: log tails, commands, messages of the container engine."""

from __future__ import annotations

import re

HIDDEN = "***"

_QUOTED = r"""\\"[^"\\]*\\"|\\'[^'\\]*\\'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_BARE = r"""[\['"]*(?:[^\s'",\]})]|,(?=\S))+"""
_NAME = (
    r"(?i:api[_-]?key|(?:hf|hub|access|auth|refresh|session|security)[_-]?token"
    r"|passw(?:or)?d|secret(?:[_-]?access)?(?:[_-]?key)?)"
)
_RULES = (
    # --api-key X, --api-key=X, and the same as two items of a printed list
    rf"(?P<keep>--(?i:api-key|hf-token|password)(?:=|(?:['\"],?\s*|\s+)(?!-)))(?:{_QUOTED}|[^\s'\",\]]+|['\"]\S+)",
    # api_key='X', "api_key": ["X"], HF_TOKEN=X, also inside escaped JSON; `None` and `null` tell something and stay
    rf"(?P<keep>{_NAME}\\?['\"]?\s*[=:]\s*)(?!None\b|null\b|//)(?:\[[^\]]{{0,4000}}\]|{_QUOTED}|{_BARE})",
    r"(?P<keep>(?i:\bbearer) +)(?!(?i:tokens?|auth\w*)\b)[^\s'\",]+",
    r"(?P<keep>(?i:\bauthorization['\"]?\s*[:=]\s*['\"]?basic) +)[^\s'\",]+",
    r"(?P<keep>://)[^/\s@'\"]+(?=@)",
    r"(?P<keep>[?&](?i:x-amz-(?:signature|credential|security-token)|signature|sig|token|key)=)[^&\s'\"]+",
    r"(?P<keep>)(?<![A-Za-z0-9])(?:hf|api_org)_(?:(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{8,}|[a-z]{20,})",
    r"(?P<keep>)(?<![A-Za-z0-9])(?:sk|nvapi|ghp|gho|glpat|github_pat)[-_][\w-]{16,}",
    r"(?P<keep>)\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
)


def redact(text: str) -> str:
    """Return `text` with `***` in place of API keys, tokens, passwords and credentials inside addresses.

    What gives a secret away is its name (`api_key=`, `--api-key`, `HF_TOKEN=`, `Authorization: Bearer`), its place
    (`https://user:secret@host`) or its shape (`hf_...`, `sk-...`, `AKIA...`).
    """
    for rule in _RULES:
        text = re.sub(rule, rf"\g<keep>{HIDDEN}", text)
    return text
