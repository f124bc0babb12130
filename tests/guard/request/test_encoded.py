from __future__ import annotations

import base64
from contextlib import suppress
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepaudio_serve.guard.refusal import Refusal, RefusedError
from stepaudio_serve.guard.request.encoded import MAX_PERCENT_ENCODED, decode_audio, decode_base64, decode_data_url


def refused(text: str) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        decode_audio(text, "messages[0].content[0]")
    assert caught.value.refusal.param == "messages[0].content[0]"
    assert caught.value.refusal.status == 400
    return caught.value.refusal


class TestBase64:
    @given(st.binary(max_size=200))
    def test_however_it_was_written_the_bytes_are_the_same(self, data: bytes) -> None:
        plain = base64.b64encode(data).decode()
        for text in (
            plain,
            plain.rstrip("="),
            base64.urlsafe_b64encode(data).decode(),
            base64.urlsafe_b64encode(data).decode().rstrip("="),
            base64.encodebytes(data).decode(),
            base64.encodebytes(data).decode().replace("\n", "\r\n"),
            f"data:audio/wav;base64,{plain}",
            f"data:;base64,{plain}",
        ):
            assert decode_audio(text, "x") == data

    def test_megabytes_are_decoded_whole(self) -> None:
        data = bytes(range(256)) * 12_345
        assert decode_base64(base64.b64encode(data).decode(), "x") == data
        assert decode_base64(base64.encodebytes(data).decode(), "x") == data

    @pytest.mark.parametrize(
        "text", ["!", "AAAA*AAA", "A", "AAAAA", "QQ==QQ==", "A=AA", "Ä", "\u202eQQ==", "/etc/passwd\0"]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        assert refused(text).code == "invalid_base64"

    @given(st.text(max_size=40))
    def test_any_text_is_bytes_or_is_refused(self, text: str) -> None:
        with suppress(RefusedError):
            assert isinstance(decode_audio(text, "x"), bytes)


class TestDataUrl:
    @given(st.binary(max_size=100))
    def test_percent_encoding_is_read(self, data: bytes) -> None:
        assert decode_data_url(f"data:audio/flac,{quote_from_bytes(data)}", "x") == data

    def test_only_short_ones_may_be(self) -> None:
        assert decode_data_url("data:," + "%41" * 1000, "x") == b"A" * 1000
        with pytest.raises(RefusedError, match="send base64"):
            decode_data_url("data:," + "%" * (MAX_PERCENT_ENCODED + 1), "x")

    def test_base64_in_it_may_be_percent_encoded_too(self) -> None:
        data = bytes(range(256))
        encoded = base64.b64encode(data).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        assert decode_data_url(f"data:audio/wav;base64,{encoded}", "x") == data

    @pytest.mark.parametrize("before", range(4))
    def test_megabytes_of_it_too_wherever_an_escape_stands(self, before: int) -> None:
        data = bytes(before * 3) + b"\xfb\xef\xbe" * 600_000 + b"!"
        encoded = base64.b64encode(data).decode().replace("+", "%2B").replace("=", "%3D")
        assert decode_data_url(f"data:audio/wav;base64,{encoded}", "x") == data

    @pytest.mark.parametrize("text", ["A" * ((1 << 20) - 2) + "==AAAA", "QQ%3D%3D" * 300_000, "Q" * 2_000_001])
    def test_nor_does_an_error_hide_among_megabytes(self, text: str) -> None:
        assert refused(f"data:;base64,{text}").code == "invalid_base64"

    @pytest.mark.parametrize(
        "head", ["DATA:audio/wav;BASE64,", " data:text/plain;charset=utf-8;base64,", "data:x;base64 ,"]
    )
    def test_neither_case_nor_media_type_count(self, head: str) -> None:
        assert decode_data_url(f"{head}QUJD", "x") == b"ABC"

    @pytest.mark.parametrize("url", ["data:audio/wav;base64", "data:", "data:" + "x" * 2000 + ",QUJD", "data:,ä"])
    def test_what_is_none_is_refused(self, url: str) -> None:
        assert refused(url).code == "invalid_data_url"

    @pytest.mark.parametrize(
        "url", ["http://169.254.169.254/", "HTTPS://example.org/a.wav", "file:///etc/passwd", " ftp://a/b"]
    )
    def test_nothing_is_fetched(self, url: str) -> None:
        refusal = refused(url)
        assert refusal.code == "audio_url_not_fetched"
        assert "data:audio/wav;base64" in refusal.message
        with pytest.raises(RefusedError, match="fetches nothing"):
            decode_data_url(url, "x")

    @pytest.mark.parametrize("url", ["", "a.wav", "/tmp/a.wav", "//host/a.wav", "gopher://x"])
    def test_nor_is_any_other_address(self, url: str) -> None:
        with pytest.raises(RefusedError, match="fetches nothing"):
            decode_data_url(url, "x")
