"""The page at `/`, read once: its bytes, and headers that let nothing run but what was in it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .headers import value

if TYPE_CHECKING:
    from .asgi import Message, Scope
    from .headers import Headers

PAGE = Path(__file__).with_name("page.html")

_BLOCK = r"<{tag}(?:\s[^>]*)?>(.*?)</{tag}\s*>"


@dataclass(frozen=True, slots=True)
class Page:
    """What is served, and its entity tag."""

    content: bytes
    etag: bytes
    policy: bytes

    def answer(self, scope: Scope) -> list[Message]:
        """The ASGI messages that answer GET or HEAD."""
        headers = self._headers()
        known = [tag.strip().removeprefix(b"W/") for tag in value(scope, b"if-none-match").split(b",")]
        if self.etag in known or b"*" in known:
            return [{"type": "http.response.start", "status": 304, "headers": headers}, _body(b"")]
        headers += [(b"content-type", b"text/html; charset=utf-8")]
        headers += [(b"content-length", str(len(self.content)).encode())]
        content = b"" if scope["method"] == "HEAD" else self.content
        return [{"type": "http.response.start", "status": 200, "headers": headers}, _body(content)]

    def _headers(self) -> Headers:
        return [
            (b"etag", self.etag),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", self.policy),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]


def load_page(file: Path = PAGE) -> Page | None:
    """The page in `file`; None where there is no such file."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
    return Page(content, etag, content_security_policy(content.decode("utf-8")))


def content_security_policy(html: str) -> bytes:
    """A policy that lets only this very page's own scripts and styles run, and nothing be fetched from elsewhere."""
    directives = [
        "default-src 'none'",
        f"script-src {_hashes(html, 'script')}",
        f"style-src {_hashes(html, 'style')}",
        "connect-src 'self'",
        "media-src blob:",
        "img-src data:",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return "; ".join(directives).encode()


def _hashes(html: str, tag: str) -> str:
    blocks = re.findall(_BLOCK.format(tag=tag), html.replace("\r\n", "\n"), re.DOTALL | re.IGNORECASE)
    digests = [hashlib.sha256(block.encode()).digest() for block in blocks]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"


def _body(content: bytes) -> Message:
    return {"type": "http.response.body", "body": content}
