"""The texts of e-mails, in whatever charset, and the names of their files."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.filenames import MAX_NAME_BYTES, safe_name, safe_names
from adapters.sendgrid_inbound.mime import decode, decode_base64, decode_words
from tests.adapters.mailing import BASIC, event_of


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        ("\u20ac".encode("cp1252"), "windows-1252", "\u20ac"),
        ("\u20ac".encode("cp1252"), "ISO-8859-1", "\u20ac"),
        ("\u65e5\u672c".encode("shift_jis"), "Shift_JIS", "\u65e5\u672c"),
        ("caf\u00e9".encode(), None, "caf\u00e9"),
        ("caf\u00e9".encode("latin-1"), None, "caf\u00e9"),
        ("caf\u00e9".encode(), "us-ascii", "caf\u00e9"),
        ("caf\u00e9".encode(), "no-such-charset", "caf\u00e9"),
        (b"a\xff", "utf-8", "a\ufffd"),
        (b"YQ==", "base64", "YQ=="),
        (b"xn--a", "idna", "xn--a"),
        (rb"\x41", "unicode_escape", r"\x41"),
        (b"a", "\x00", "a"),
        (b"a", "../../etc", "a"),
    ],
)
def test_text_is_read_in_the_charset_that_is_meant(
    content: bytes, charset: str | None, text: str
) -> None:
    assert decode(content, charset) == text


@given(content=st.binary(), charset=st.none() | st.text() | st.sampled_from(
    ["utf-7", "utf-16", "utf-32", "hz", "iso2022_jp", "gb18030", "big5", "cp037", "undefined"]
))  # fmt: skip
def test_any_bytes_in_any_charset_are_a_text(content: bytes, charset: str | None) -> None:
    assert isinstance(decode(content, charset), str)


@given(content=st.binary())
def test_base64_is_read_and_garbage_does_no_harm(content: bytes) -> None:
    assert decode_base64(b64encode(content)) == content
    assert decode_base64(b64encode(content).rstrip(b"=")) == content
    assert isinstance(decode_base64(content), bytes)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("=?utf-8?q?caf=C3=A9?=", "caf\u00e9"),
        ("=?UTF-8?B?Y2Fmw6k=?= and =?iso-8859-1?Q?=E9t=E9?=", "caf\u00e9 and \u00e9t\u00e9"),
        ("=?utf-8?q?one_?= \t=?utf-8?q?two?=", "one two"),
        ("=?utf-8?b?!!!?=", ""),
        ("=?utf-8?x?abc?= =?", "=?utf-8?x?abc?= =?"),
        ("caf\udce9", "caf\u00e9"),
    ],
)
def test_encoded_words_are_decoded(header: str, text: str) -> None:
    assert decode_words(header) == text


word_pieces = st.sampled_from(["=?", "?=", "?q?", "?b?", "utf-8", " ", "=", "\udcff", "idna", "a"])


@given(header=st.text(st.characters(codec="utf-8")) | st.lists(word_pieces).map("".join))
def test_any_header_is_a_text(header: str) -> None:
    assert isinstance(decode_words(header), str)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        (r"\share\mail\forwarded.msg", "forwarded.msg"),
        (r"C:\temp\a:b.txt", "a_b.txt"),
        ("..", ""),
        (".htaccess", "htaccess"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("  spaced   out  .txt. . ", "spaced out.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("r\u0065\u0301sum\u0065\u0301.pdf", "r\u00e9sum\u00e9.pdf"),
        ("<b>|?*.txt", "_b____.txt"),
        ("", ""),
        ("dir/", ""),
    ],
)
def test_a_file_name_is_safe_to_save_under(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(names=st.lists(st.text(max_size=400) | st.sampled_from(["a.txt", "A.TXT", "", ".."])))
def test_safe_names_are_whole_different_and_without_a_path(names: list[str]) -> None:
    safe = safe_names(names)
    assert len({name.casefold() for name in safe}) == len(names)
    for name in safe:
        assert name.strip(". ")
        assert len(name.encode()) <= MAX_NAME_BYTES + 10
        assert not set(name) & set('/\\:*?"<>|\x00\r\n')


def test_files_are_listed_with_safe_names_and_kept_with_their_bytes() -> None:
    files = [
        ("attachment1", "a.txt", b"1"),
        ("attachment2", "", b""),
        ("attachment3", "A.txt", b"22"),
    ]
    event = event_of(BASIC | {"attachment-info": "[]"}, *files)
    assert [(one.name, one.content) for one in event.attachments] == [
        ("a.txt", b"1"), ("attachment-2", b""), ("A-2.txt", b"22"),
    ]  # fmt: skip
    assert event.data["attachments"][2] == {
        "name": "A-2.txt", "content_type": "application/octet-stream", "size": 2,
    }  # fmt: skip
    assert "22" not in repr(event.attachments[2])


def test_a_name_is_taken_from_what_sendgrid_says_about_the_file() -> None:
    about = json.dumps({"attachment1": {"filename": "\u898b\u7a4d.pdf", "type": "application/pdf"}})
    event = event_of(BASIC | {"attachment-info": about}, ("attachment1", "x", b"1"))
    assert event.attachments[0].name == "\u898b\u7a4d.pdf"
