from __future__ import annotations

import hmac

import pytest

from stepaudio_serve.guard import GuardConfigError
from stepaudio_serve.guard.keys import parse_keys


@pytest.mark.parametrize(
    "content",
    [b"first\nsecond", b"first\nsecond\n", b"first\r\nsecond\r\n", b"\n\n  first \n\t\nsecond\t\n"],
)
def test_a_file_holds_one_key_a_line_and_blank_lines_and_margins_do_not_count(content: bytes) -> None:
    keys = parse_keys(content)
    assert keys.accept(b"first")
    assert keys.accept(b"second")
    assert len(keys.digests) == 2


@pytest.mark.parametrize("key", [b"", b"firs", b"first ", b"FIRST", b"firstsecond", b"first\nsecond", b"\xff"])
def test_anything_but_a_whole_key_is_not_accepted(key: bytes) -> None:
    assert not parse_keys(b"first\nsecond\n").accept(key)


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n"])
def test_a_file_without_a_key_is_an_error(content: bytes) -> None:
    with pytest.raises(GuardConfigError, match="no key"):
        parse_keys(content)


@pytest.mark.parametrize("bad", ["two words", "schlüssel", "bell\x07", "\ufefffirst"])
def test_a_key_that_no_header_can_carry_is_named_by_its_line_and_never_printed(bad: str) -> None:
    with pytest.raises(GuardConfigError, match="line 3") as caught:
        parse_keys(f"good\n\n{bad}\n".encode())
    assert bad not in str(caught.value)


def test_no_key_is_kept_in_the_clear() -> None:
    assert "secret" not in repr(parse_keys(b"secret"))


def test_every_key_is_compared_in_constant_time_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = parse_keys(b"first\nsecond\nthird")
    compared = []
    compare_digest = hmac.compare_digest

    def spy(left: bytes, right: bytes) -> bool:
        compared.append(right)
        return compare_digest(left, right)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert keys.accept(b"first")
    assert compared == list(keys.digests)
