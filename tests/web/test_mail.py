"""E-mails of SendGrid Inbound Parse on a real socket; SendGrid drops those answered with a 4xx.

Whatever an authentic e-mail contains, the answer is 2xx and its bytes are stored.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.web.serving import MAIL_SECRET, Answer, Web

FIXTURES = Path(__file__).parent.parent / "fixtures" / "sendgrid_inbound"
CONTENT_TYPE = ("Content-Type", "multipart/form-data; boundary=xYzZY")
ADDRESS = f"/webhooks/mail/{MAIL_SECRET}"


def post(web: Web, body: bytes, path: str = ADDRESS) -> Answer:
    return web.send(body, CONTENT_TYPE, path=path)


def mail(name: str, files: tuple[bytes, ...] = (), **fields: str | bytes) -> bytes:
    """Return a unique e-mail with these fields and files."""
    usual = {
        "headers": f"Message-ID: <{name}@mail.example.org>\r\n",
        "from": "Jane Doe <jane@example.org>",
        "envelope": '{"to":["hello@inbound.example.com"],"from":"jane@example.org"}',
    }
    body = b""
    for field, value in (usual | fields).items():
        body += f'--xYzZY\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'.encode()
        body += (value.encode() if isinstance(value, str) else value) + b"\r\n"
    for n, content in enumerate(files, 1):
        head = f'name="attachment{n}"; filename="../{n}.bin"\r\nContent-Type: application/x-any'
        body += f"--xYzZY\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
        body += content + b"\r\n"
    return body + b"--xYzZY--\r\n"


def accepted(web: Web, body: bytes) -> dict[str, Any]:
    """Post a mail, assert that its bytes are stored, and return its event."""
    before = web.ids()
    assert post(web, body).status == 200
    kept = web.kept(before)
    [request], [event] = kept.requests, kept.events
    assert request["state"] == "accepted"
    assert web.shown(request["id"])["body"] == body
    return web.event(event["id"])


def test_a_mail_is_stored_and_folds_into_a_contact_to_be(web: Web) -> None:
    event = accepted(web, (FIXTURES / "basic.multipart").read_bytes())
    assert event["type"] == "email.received"
    assert event["data"]["email"] == "from+test@example.org"


def test_the_secret_that_a_proxy_repeats_in_a_header_is_not_kept(web: Web) -> None:
    before = web.ids()
    repeated = ("X-Original-URI", ADDRESS)
    assert web.send(mail("proxied"), CONTENT_TYPE, repeated, path=ADDRESS).status == 200
    [request] = web.kept(before).requests
    headers = web.shown(request["id"])["headers"]
    assert headers["x-original-uri"] == "/webhooks/mail/***"
    assert MAIL_SECRET not in str(headers)


def test_the_same_mail_again_is_a_duplicate(web: Web) -> None:
    before = web.ids()
    assert [post(web, mail("twice", text="x")).status for _ in range(3)] == [200] * 3
    [event] = web.kept(before).events
    assert event["duplicates"] == 2


def test_a_field_of_600_kb_is_whole(web: Web) -> None:
    html = "<p>\u00e9</p>" * 60_000
    data = accepted(web, mail("600kb", html=html))["data"]
    assert data["html"] == html


def test_a_raw_message_of_megabytes_is_whole(web: Web) -> None:
    text = "It leaks.\r\n" * 300_000
    raw = f"Message-ID: <raw-large@mail.example.org>\r\nSubject: Large\r\n\r\n{text}"
    data = accepted(web, mail("unused", headers="", email=raw))["data"]
    assert (data["message_id"], data["subject"]) == ("raw-large@mail.example.org", "Large")
    assert data["text"] == text


def test_fields_in_charsets_of_their_own_are_read(web: Web) -> None:
    data = accepted(web, (FIXTURES / "mixed_charsets.multipart").read_bytes())["data"]
    assert data["name"] == "J\u00fcrgen M\u00fcller"
    assert data["subject"] == "\u898b\u7a4d\u3082\u308a"
    assert data["text"] == "Preis: 5 \u20ac"
    assert "\u041f\u0440\u0438\u0432\u0435\u0442" in data["html"]


def test_an_attachment_of_10_mb_is_listed_and_its_bytes_are_kept(web: Web) -> None:
    content = os.urandom(10_000_000)
    event = accepted(web, mail("10mb", (content,), text="See there."))
    assert event["data"]["attachments"] == [
        {"name": "1.bin", "content_type": "application/x-any", "size": 10_000_000}
    ]


def test_a_nul_and_what_no_charset_says_are_stored(web: Web) -> None:
    event = accepted(web, mail("nul", subject="a\x00b", text=b"\xff\xfe\x00", to=b"\xed\xa0\x80"))
    assert event["data"]["subject"] == "a\ufffdb"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no multipart",
        b"--xYzZY\r\n",
        mail("cut-1", text="x").removesuffix(b"--\r\n"),
        mail("cut-2", text="x")[:200],
        mail("twice-1", text="x\r\n--xYzZY\r\nContent-Disposition: form-data; "
             'name="from"\r\n\r\nmallory@example.org'),
        mail("headless").replace(b'Content-Disposition: form-data; name="from"', b""),
        b"--xYzZY\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n--xYzZY--\r\n",
        b"--xYzZY\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n" * 1001 + b"--xYzZY--",
    ],
    ids=["empty", "text", "open", "cut", "cut early", "forged", "headless", "no mail", "parts"],
)  # fmt: skip
def test_an_authentic_mail_that_cannot_be_read_is_kept_and_answered_2xx(
    web: Web, body: bytes
) -> None:
    before = web.ids()
    assert post(web, body).status == 200
    kept = web.kept(before)
    assert kept.events == []
    [request] = kept.requests
    assert request["state"] == "unreadable"
    assert web.shown(request["id"])["body"] == body


def test_without_the_secret_nothing_is_taken_and_it_is_never_written_down(web: Web) -> None:
    body = mail("forged", text="x")
    for path in ("/webhooks/mail", f"{ADDRESS[:-1]}", f"{ADDRESS}x"):
        assert post(web, body, path=path).status == 401
    before = web.ids()
    assert post(web, body).status == 200
    [request] = web.kept(before).requests
    shown = web.shown(request["id"])
    assert request["signed_by"] == "secrets[0]"
    assert MAIL_SECRET not in json.dumps(shown, default=str)
    assert MAIL_SECRET not in web.running.logs()
