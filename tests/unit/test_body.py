"""Bytes → fields, or BadRequest; never anything else."""

import json
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.errors import BadRequest
from moderation.web.body import parse_form, parse_json, parse_multipart

BOUNDARY = "xxBOUNDARYxx"


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"{'a':1}", b'{"a":1,}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b"\xff", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\\ud800"}', b'{"a":"\n"}', b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":01}', b"{} {}", b"// x\n{}",
        '{"a":1}'.encode("utf-16"),
    ],
)  # fmt: skip
def test_json_that_cannot_be_read(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_json(raw)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"a=1&b=2", {"a": "1", "b": "2"}), (b"a=&a=2&a=3", {"a": "2"}), (b"a=x+y%20z", {"a": "x y z"}), (b"a=100%25", {"a": "100%"}), (b"a=100%", {"a": "100%"}),
        (b"a=%25D8", {"a": "%D8"}), (b"a=%25FF+%D8%B6", {"a": "%FF ض"}), ("a=ض".encode(), {"a": "ض"}), (b"a", {"a": ""}), (b"", {}), (b"&&", {}), (b"a=b=c", {"a": "b=c"}),
        (b"a=1;b=2", {"a": "1;b=2"}), (b"a=%0D%0Ab", {"a": "\r\nb"}), (b"a=%00", {"a": "\0"}), (b"a=%zz", {"a": "%zz"}), (b"a=%EF%BF%BD", {"a": "\ufffd"}),
    ],
)  # fmt: skip
def test_forms_are_read_as_browsers_write_them(raw: bytes, found: dict[str, str]) -> None:
    assert parse_form(raw) == found


@pytest.mark.parametrize("raw", [b"a=\xff", b"a=%FF", b"a=%ED%A0%80", b"a=%D8", b"%FF=a", b"a=ok&b=%C3%28", b"&" * 201])
def test_forms_that_cannot_be_read(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_form(raw)


def test_multipart_keeps_text_and_skips_files() -> None:
    raw = (
        part("author", "ليلى".encode())
        + part("f", b"\xff\x00", '; filename="x.exe"')
        + part("comment", b"a\r\nb")
        + END
    )
    assert parse_multipart(raw, BOUNDARY) == {"author": "ليلى", "comment": "a\r\nb"}


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"x", part("a", b"1"), part("a", b"\xff") + END, END[:-4], part("a", b"1") * 300 + END, f"--{BOUNDARY}\r\n\r\nx\r\n".encode() + END,
        f"--{BOUNDARY}\r\n{'X' * 9000}: 1\r\n\r\nx\r\n".encode() + END,
    ],
)  # fmt: skip
def test_multipart_that_cannot_be_read(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_multipart(raw, BOUNDARY)


@pytest.mark.parametrize("boundary", ["\udcff", "ض", "", "a" * 3000, "\r\n", "\0"])
def test_odd_boundaries_are_refused(boundary: str) -> None:
    with pytest.raises(BadRequest):
        parse_multipart(part("a", b"1") + END, boundary)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=10), st.text(max_size=30), max_size=10))
def test_forms_are_read_as_they_were_written(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,10}", fullmatch=True), st.text(st.characters(blacklist_categories=("Cs",)), max_size=30),
        min_size=1, max_size=10,
    )
)  # fmt: skip
def test_multipart_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    raw = b"".join(part(name, value.encode()) for name, value in fields.items()) + END
    assert parse_multipart(raw, BOUNDARY) == fields


SPICE = st.lists(
    st.sampled_from([b"&", b"=", b"%", b"%FF", b"%D8", b"%D8%B6", b"+", b";", b"a", b"\xff", b"\xd8\xb6", b"\0", b"[", b"{", b'"', b"\\u"])
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(SPICE)
def test_any_form_is_read_as_the_standard_library_does_or_refused(raw: bytes) -> None:
    try:
        wanted = dict[str, str]()
        for name, value in parse_qsl(raw.decode(), keep_blank_values=True, errors="strict"):
            if not wanted.get(name):
                wanted[name] = value
    except ValueError:
        with pytest.raises(BadRequest):
            parse_form(raw)
    else:
        assert parse_form(raw) == wanted


@settings(max_examples=150, deadline=None)
@given(SPICE | st.binary(max_size=200))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    try:
        parse_json(raw)
    except BadRequest:
        with pytest.raises(ValueError):  # noqa: PT011  any reason will do
            json.loads(raw.decode(), parse_constant=lambda _: json.loads(""))


PIECES = st.sampled_from(
    [f"--{BOUNDARY}".encode(), END, b"\r\n", b"\r\n\r\n", b'Content-Disposition: form-data; name="a"', b"\r\n", b"; filename=", b"\n", b"\xff", b"--", b":"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=6), max_size=20).map(b"".join), st.just(BOUNDARY) | st.text(max_size=80))
def test_any_multipart_is_read_or_refused(raw: bytes, boundary: str) -> None:
    try:
        found = parse_multipart(raw, boundary)
    except BadRequest:
        return
    assert all(isinstance(value, str) for value in found.values())
