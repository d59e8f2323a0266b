"""Form bodies: any bytes are parts or `Unreadable`, and what we encode is read as it was."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import TooManyFields, Unreadable
from adapters.contract.form_bodies import (
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    Part,
    read_form,
    read_head,
    read_multipart,
    split_parts,
)
from tests.timing import little_work

BOUNDARY = "xYzZY"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
MARK = f"--{BOUNDARY}".encode()

words = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n\x00%'), min_size=1)
# A CR before a line end of LF alone belongs to the line end.
contents = st.binary().filter(lambda content: MARK not in content and not content.endswith(b"\r"))
pieces = st.sampled_from(
    [MARK, b"--", b"\r\n", b"\n", b"\r", b" ", b"x", b"\xff", b"\x00", b":", b";", b'"',
     b'Content-Disposition: form-data; name="a"', b"; filename=", b"\r\n\r\n"]
)  # fmt: skip


@st.composite
def forms(draw: st.DrawFn) -> list[Part]:
    def part() -> Part:
        filename = draw(st.none() | words)
        kind = draw(st.sampled_from(["text/plain", "image/png"])) if filename else None
        return Part(draw(words), draw(contents), filename, kind)

    return [part() for _ in range(draw(st.integers(0, 5)))]


def encoded(parts: list[Part], line: bytes = b"\r\n") -> bytes:
    """Return the parts as a browser sends them."""
    body = b""
    for part in parts:
        filename = "" if part.filename is None else f'; filename="{part.filename}"'
        head = f'Content-Disposition: form-data; name="{part.name}"{filename}'.encode()
        kind = line + f"Content-Type: {part.content_type}".encode() if part.content_type else b""
        body += MARK + line + head + kind + line + line + part.content + line
    return body + MARK + b"--" + line


@given(parts=forms(), line=st.sampled_from([b"\r\n", b"\n"]), preamble=st.sampled_from([b"", b"x"]))
def test_what_we_encode_is_read_byte_for_byte(
    parts: list[Part], line: bytes, preamble: bytes
) -> None:
    body = (preamble + line if preamble else b"") + encoded(parts, line) + b"epilogue"
    assert list(read_multipart(body, CONTENT_TYPE)) == parts


@given(body=st.binary() | st.lists(pieces, max_size=40).map(b"".join))
def test_any_bytes_are_parts_or_unreadable(body: bytes) -> None:
    try:
        parts = read_multipart(body, CONTENT_TYPE)
    except Unreadable:
        return
    assert all(part.content in body for part in parts)


@given(
    content_type=st.none() | st.text() | st.text().map("multipart/form-data; boundary={}".format)
)
def test_any_content_type_is_read_or_unreadable(content_type: str | None) -> None:
    with suppress(Unreadable):
        assert read_multipart(encoded([Part("a", b"1")]), content_type) == [Part("a", b"1")]


@given(body=st.binary())
def test_any_urlencoded_bytes_are_fields_and_none_is_lost(body: bytes) -> None:
    for name, value in read_form(body):
        (name + value).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_body_that_breaks_off_is_unreadable(cut: int) -> None:
    body = encoded([Part("name", b"Jane")]).removesuffix(b"--\r\n")
    with pytest.raises(Unreadable):
        read_multipart(body[:-cut], CONTENT_TYPE)


def test_a_boundary_counts_only_at_the_beginning_of_a_whole_line() -> None:
    content = MARK + b"a\r\n" + MARK + b"-\r\n x" + MARK + b"\r\n-" + MARK + b"--"
    assert read_multipart(encoded([Part("a", content)]), CONTENT_TYPE)[0].content == content


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "multipart/form-data", "multipart/form-data; boundary=",
     "multipart/mixed; boundary=xYzZY", f"multipart/form-data; boundary={'b' * 1_000_000}"],
)  # fmt: skip
def test_without_a_boundary_that_can_be_one_it_is_unreadable(content_type: str | None) -> None:
    with pytest.raises(Unreadable, match="boundary"):
        read_multipart(encoded([Part("a", b"1")]), content_type)


@pytest.mark.parametrize(
    "head",
    [b"", b"Content-Type: text/plain", b"Content-Disposition: form-data",
     b'Content-Disposition: attachment; name="a"', b"X: " + b"y" * MAX_HEAD_BYTES],
)  # fmt: skip
def test_a_part_that_is_no_part_of_a_form_is_unreadable(head: bytes) -> None:
    body = MARK + b"\r\n" + head + b"\r\n\r\n1\r\n" + MARK + b"--\r\n"
    with pytest.raises(Unreadable):
        read_multipart(body, CONTENT_TYPE)


def test_as_many_fields_as_allowed_are_read_and_one_more_is_too_many() -> None:
    enough = [Part("a", b"1")] * MAX_FIELDS
    assert len(read_multipart(encoded(enough), CONTENT_TYPE)) == MAX_FIELDS
    assert len(read_form(b"&".join([b"a=1"] * MAX_FIELDS))) == MAX_FIELDS
    with pytest.raises(TooManyFields):
        read_multipart(encoded([*enough, Part("a", b"1")]), CONTENT_TYPE)
    with pytest.raises(TooManyFields):
        read_form(b"&".join([b"a=1"] * (MAX_FIELDS + 1)))


def test_a_file_name_that_is_no_utf8_loses_nothing() -> None:
    body = encoded([Part("a", b"1", "NAME")]).replace(b"NAME", "caf\u00e9.txt".encode("latin-1"))
    [part] = read_multipart(body, CONTENT_TYPE)
    assert part.filename is not None
    assert part.filename.encode("utf-8", "surrogateescape") == b"caf\xe9.txt"


def test_the_first_of_a_repeated_header_counts_and_folds_are_joined() -> None:
    head = read_head(b"From: a\r\nSubject: one\r\n\ttwo\r\nfrom: b\r\nno header\r\n")
    assert (head["from"], head["subject"]) == ("a", "one two")


@pytest.mark.parametrize(
    "body",
    [MARK * 1_000_000, (b"\r\n" + MARK + b"a") * 1_000_000, b"-" * 30_000_000,
     (b"\r\n" + MARK + b" " * 1000 + b"a") * 10_000, b"\r\n" * 15_000_000],
    ids=["marks", "lines", "dashes", "padding", "empty lines"],
)  # fmt: skip
def test_a_large_body_is_looked_through_in_time(body: bytes) -> None:
    with little_work(20):
        assert split_parts(body, BOUNDARY.encode()).closed is False


@pytest.mark.parametrize("line", [b"--b", b"x--b\n", b"\n--bX"])
def test_a_boundary_of_one_letter_everywhere_keeps_nobody_busy(line: bytes) -> None:
    body = b"--b\r\n" + line * (10_000_000 // len(line))
    with little_work(20):
        assert split_parts(body, b"b").closed is False
