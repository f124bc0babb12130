"""API keys: read from a file's bytes, kept as digests, compared in constant time."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from .errors import GuardConfigError


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The SHA-256 digests of the keys that open the door; never the keys themselves."""

    digests: tuple[bytes, ...]

    def accept(self, key: bytes) -> bool:
        """Whether `key` is one of these; the time taken tells neither which nor how much of it matched."""
        digest = sha256(key).digest()
        matches = [hmac.compare_digest(digest, known) for known in self.digests]
        return any(matches)


def parse_keys(content: bytes) -> ApiKeys:
    """The keys in `content`, one a line; blank lines and the space around a key do not count.

    Raises GuardConfigError where there is no key, or one that no HTTP header can carry.
    """
    lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), start=1)]
    keys = [(number, line) for number, line in lines if line]
    if not keys:
        raise GuardConfigError("it holds no key; write one key on a line")
    for number, key in keys:
        if not all(0x21 <= byte <= 0x7E for byte in key):
            raise GuardConfigError(f"line {number} is not a key: use visible ASCII characters without spaces")
    return ApiKeys(tuple(sha256(key).digest() for _, key in keys))
