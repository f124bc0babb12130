from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stepaudio_serve.guard.refusal import RefusedError
from stepaudio_serve.guard.request.multipart import MAX_PARTS, FormPart, read_boundary, split_form

BOUNDARY = b"bound"
SCRAPS = [b"\r\n--bound", b"--bound", b"--", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data; name=a", b"x"]


def part(name: str, data: bytes, *, file_name: str | None = None, more: bytes = b"") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if file_name is not None:
        disposition += f'; filename="{file_name}"\r\nContent-Type: audio/wav'
    return disposition.encode() + more + b"\r\n\r\n" + data


def form(*parts: bytes) -> bytes:
    return b"".join(b"--bound\r\n" + each + b"\r\n" for each in parts) + b"--bound--\r\n"


def refused(body: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        split_form(body, BOUNDARY)
    assert (caught.value.refusal.status, caught.value.refusal.code) == (400, "invalid_form")
    return caught.value.refusal.message


class TestBoundary:
    @pytest.mark.parametrize(
        "header",
        [
            "multipart/form-data; boundary=bound",
            'multipart/form-data; boundary="bound"',
            "Multipart/Form-Data; charset=utf-8; Boundary=bound",
        ],
    )
    def test_it_is_found(self, header: str) -> None:
        assert read_boundary(header) == b"bound"

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=bound" + ";" * 20,
            "multipart/form-data; boundary=bound; x=" + "a" * 3000,
            "multipart/mixed; boundary=bound",
            "text/plain; boundary=a",
        ],
    )
    def test_without_one_it_is_no_form(self, header: str) -> None:
        with pytest.raises(RefusedError) as caught:
            read_boundary(header)
        assert caught.value.refusal.status == 415

    @pytest.mark.parametrize("boundary", ["", "b" * 71, "bä"])
    def test_it_is_short_and_plain(self, boundary: str) -> None:
        with pytest.raises(RefusedError):
            read_boundary(f'multipart/form-data; boundary="{boundary}"')


class TestParts:
    @given(st.lists(st.tuples(st.sampled_from(["a", "file", "x[]"]), st.binary(max_size=40)), max_size=5))
    @example([("file", b"\r\n--boun"), ("file", b"\r\n\r\n"), ("a", b"--boun\r\n--"), ("a", b"")])
    def test_they_come_back_byte_for_byte(self, parts: list[tuple[str, bytes]]) -> None:
        parts = [(name, data) for name, data in parts if b"--bound" not in data]
        body = form(*(part(name, data) for name, data in parts))
        assert split_form(body, BOUNDARY) == [FormPart(name, data, is_file=False) for name, data in parts]

    def test_a_file_is_told_by_its_name(self) -> None:
        body = form(part("file", b"sound", file_name='a \\"b\\".wav'), part("model", b"m"))
        assert [each.is_file for each in split_form(body, BOUNDARY)] == [True, False]

    def test_text_before_and_after_the_form_is_passed_over(self) -> None:
        body = b"preamble\r\n" + form(part("a", b"1")) + b"epilogue"
        assert split_form(body, BOUNDARY) == [FormPart("a", b"1", is_file=False)]

    def test_names_may_be_bare_and_in_utf_8(self) -> None:
        body = form("Content-Disposition: form-data; name=ä\r\n\r\n1".encode())
        assert split_form(body, BOUNDARY)[0].name == "ä"

    def test_spaces_may_follow_a_boundary(self) -> None:
        body = b"--bound" + b" \t" * 32 + b"\r\n" + part("a", b"1") + b"\r\n--bound--"
        assert split_form(body, BOUNDARY) == [FormPart("a", b"1", is_file=False)]

    def test_megabytes_come_back_whole_wherever_the_boundary_falls(self) -> None:
        for size in range((1 << 20) - 60, 1 << 20, 3):
            body = form(part("a", bytes(size)), part("b", b"1"))
            assert [len(each.data) for each in split_form(body, BOUNDARY)] == [size, 1]

    def test_an_empty_form_has_none(self) -> None:
        assert split_form(b"--bound--", BOUNDARY) == []


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "does not occur"),
            (b"text", "does not occur"),
            (b"--bounder\r\n", "does not end its line"),
            (b"--bound" + b" " * 65 + b"\r\n", "does not end its line"),
            (b"--bound", "does not end its line"),
            (b"--bound\r\n", "middle of a part"),
            (b"--bound\r\n" + part("a", b"1"), "middle of a part"),
            (form(b"no headers"), "no headers"),
            (b"--bound\r\n--bound--", "no headers"),
            (form(b"X: " + b"a" * 9000 + b"\r\n\r\n1"), "too long ones"),
            (form(part("a", b"1", more=b";" * 17)), "too long ones"),
            (form(b"Content-Type: text/plain\r\n\r\n1"), "no name"),
            (form(b"Content-Disposition: form-data\r\n\r\n1"), "no name"),
            (form(b"Content-Disposition: attachment; name=a\r\n\r\n1"), "no name"),
            (form(b"Content-Disposition: form-data; name=\xff\r\n\r\n1"), "not UTF-8"),
            (form(part("a", b"MQ==", more=b"\r\nContent-Transfer-Encoding: base64")), "is encoded"),
            (form(*[part("a", b"1")] * (MAX_PARTS + 1)), f"more than {MAX_PARTS} parts"),
        ],
    )
    def test_it_is_said_why(self, body: bytes, why: str) -> None:
        assert why in refused(body)

    @given(st.lists(st.sampled_from(SCRAPS) | st.binary(max_size=5), max_size=12).map(b"".join))
    def test_any_bytes_are_parts_or_are_refused(self, body: bytes) -> None:
        with suppress(RefusedError):
            assert isinstance(split_form(body, BOUNDARY), list)

    @given(st.text(max_size=60))
    def test_any_header_is_a_boundary_or_is_refused(self, header: str) -> None:
        with suppress(RefusedError):
            assert read_boundary(f"multipart/form-data; boundary={header}")
