"""Files that come with a form: kept within limits, under safe names, as what they are."""

from typing import Any

import pytest

from adapters.contract.errors import InvalidSubmission, Unreadable
from adapters.contract.event import Event
from adapters.form.submission import JSON
from tests.adapters.submitting import faults, form, parsed

KIND = "multipart/form-data; boundary=b"
FIELDS: dict[str, Any] = {
    "name": {},
    "photos": {"type": "file", "max": 2, "max_bytes": 100, "accept": ["image/png", ".pdf"]},
    "plan": {"type": "file", "accept": [".dwg"], "required": True},
}
PLAN = ("plan", "roof.dwg", b"AC1032")


def body(*parts: tuple[str, str | None, bytes]) -> bytes:
    made = b""
    for name, filename, content in parts:
        ending = "" if filename is None else f'; filename="{filename}"'
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{ending}\r\n'
        kind = "" if filename is None else "Content-Type: text/html\r\n"
        made += f"{head}{kind}\r\n".encode() + content + b"\r\n"
    return made + b"--b--\r\n"


def sent(*parts: tuple[str, str | None, bytes]) -> Event:
    return parsed(body(*parts), KIND, form(FIELDS))


def fault(*parts: tuple[str, str | None, bytes], name: str = "photos") -> str:
    return faults(body(*parts, PLAN), KIND, form(FIELDS))[name]


def test_files_are_attachments_and_their_fields_say_which() -> None:
    event = sent(
        ("name", None, b"Ann"), ("photos", "a.png", b"1"), PLAN, ("photos", "b.PDF", b"22")
    )
    assert [(one.name, one.content_type, one.content) for one in event.attachments] == [
        ("a.png", "image/png", b"1"),
        ("b.PDF", "application/pdf", b"22"),
        ("roof.dwg", "application/octet-stream", b"AC1032"),
    ]
    assert [one["attachment"] for one in event.data["fields"]["photos"]] == [1, 2]
    assert event.data["fields"]["plan"] == [
        {"attachment": 3, "name": "roof.dwg", "content_type": "application/octet-stream", "size": 6}
    ]
    assert [one["name"] for one in event.data["attachments"]] == ["a.png", "b.PDF", "roof.dwg"]


@pytest.mark.parametrize(("told", "name"), [
    ("../../etc/passwd.png", "passwd.png"), ("C:/temp/con.png", "_con.png"),
    ("a\u202egnp.exe.png", "agnp.exe.png"), ("x" * 400 + ".png", None),
])  # fmt: skip
def test_names_are_safe_to_save_under(told: str, name: str | None) -> None:
    [photo, _] = sent(("photos", told, b"1"), PLAN).attachments
    assert photo.name == (name or photo.name)
    assert len(photo.name.encode()) <= 255
    assert not set(photo.name) & set("/\\\x00")


def test_two_files_of_one_name_are_told_apart() -> None:
    event = sent(("photos", "a.png", b"1"), ("photos", "A.png", b"2"), PLAN)
    assert len({one.name.casefold() for one in event.attachments}) == 3


def test_files_beyond_the_limits_are_told() -> None:
    assert (
        fault(("photos", "a.exe", b"1"))
        == "Files of this kind cannot be sent; these can: pdf, png."
    )
    assert fault(("photos", "a.png.html", b"1")).startswith("Files of this kind")
    assert fault(("photos", "png", b"1")).startswith("Files of this kind")
    assert fault(("photos", "a.png", b"")) == "This file is empty."
    assert fault(("photos", "a.png", b"x" * 101)) == "A file may have 100 bytes; this one has more."
    three = [("photos", f"{n}.png", b"1") for n in range(3)]
    assert fault(*three) == "These are 3 files; at most 2 can be sent."
    assert sent(("photos", "a.png", b"x" * 100), PLAN).attachments


def test_a_file_input_left_alone_brings_nothing() -> None:
    assert len(sent(("photos", "", b""), PLAN).attachments) == 1
    assert "plan" in faults(body(("plan", "", b"")), KIND, form(FIELDS))


def test_a_name_instead_of_a_file_is_told() -> None:
    told = "The file itself did not arrive."
    assert faults(b"plan=roof.dwg", on=form(FIELDS)) == {"plan": told}
    assert faults(b'{"plan": "roof.dwg"}', JSON, form(FIELDS)) == {"plan": told}
    assert faults(b'{"plan": [1]}', JSON, form(FIELDS)) == {"plan": told}


@pytest.mark.parametrize("name", ["name", "other", "_token", "_gotcha"])
def test_a_file_that_nobody_asked_for_is_unreadable(name: str) -> None:
    """B81."""
    with pytest.raises(Unreadable) as refused:
        sent((name, "a.png", b"1"), PLAN)
    assert not isinstance(refused.value, InvalidSubmission)


def test_another_content_is_another_submission() -> None:
    one, same, other = (sent(("plan", "a.dwg", content)) for content in (b"1", b"1", b"2"))
    assert one.fingerprint == same.fingerprint != other.fingerprint
