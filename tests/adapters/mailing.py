"""E-mails as SendGrid Inbound Parse posts them, for tests of their adapter."""

import json
from typing import Any

from adapters.contract.event import Event
from adapters.sendgrid_inbound.inbound import SendgridInboundMail, SendgridInboundMailSettings
from tests.adapters.posting import FIXTURES, posted

ABOUT = json.loads((FIXTURES / "sendgrid_inbound" / "fixture.json").read_text())
KEYS = ABOUT["settings"]["public_keys"]
SAMPLE_KEY = ABOUT["settings"]["sample_key"]
SECRET = "a-secret-in-the-path"
CONTENT_TYPE = {"content-type": "multipart/form-data; boundary=xYzZY"}

Fields = dict[str, str | bytes]
BASIC: Fields = {
    "headers": "Message-ID: <1@mail.example.org>\nDate: Fri, 20 Nov 2026 10:00:00 +0000\n",
    "from": "Jane Doe <jane@example.org>",
    "to": "Somebody <somebody@elsewhere.example>",
    "subject": "Hello",
    "text": "It leaks.",
    "envelope": '{"to":["hello@inbound.example.com"],"from":"bounce@example.org"}',
}


def adapter(**settings: Any) -> SendgridInboundMail:
    return SendgridInboundMail(SendgridInboundMailSettings().load(settings))


def body_of(fields: Fields, *files: tuple[str, str, bytes]) -> bytes:
    """Return a body as SendGrid makes it; a file is its field, its name, its content."""
    parts = [(f'name="{name}"', value) for name, value in fields.items()]
    parts += [(f'name="{field}"; filename="{name}"', content) for field, name, content in files]
    body = b""
    for disposition, value in parts:
        content = value.encode() if isinstance(value, str) else value
        body += f"--xYzZY\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()
        body += content + b"\r\n"
    return body + b"--xYzZY--\r\n"


def event_of(fields: Fields, *files: tuple[str, str, bytes]) -> Event:
    [event] = adapter(secrets=[SECRET]).parse(posted(body_of(fields, *files), CONTENT_TYPE))
    return event
