"""E-mail parsing for Inbound Parse, in parsed or raw mode, and the canonical data."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import Attachment
from adapters.contract.fields import email_address, is_id, text
from adapters.contract.filenames import safe_names
from adapters.contract.form_bodies import Part, read_head, read_multipart
from adapters.contract.strict_json import read_json
from adapters.sendgrid_inbound.mime import (
    LONGEST_HEADER,
    MAX_TOP_HEAD_BYTES,
    Message,
    MimeFile,
    decode,
    decode_words,
    read_message,
)

# How far in the future an e-mail's own date may lie; it comes from the sender's clock.
AHEAD = timedelta(minutes=5)

_KNOWN_BY = ("envelope", "from", "headers", "email")
# Fields that are computed anew for each request, or name the server that handed the e-mail over.
_VOLATILE = frozenset({"dkim", "SPF", "spam_report", "spam_score", "sender_ip"})
_ANGLED = re.compile(r"<([^<>\s]{1,998})>")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Mail:
    """E-mail of a request. `fields` are the decoded form fields; `message` is its MIME form."""

    fields: Mapping[str, str]
    envelope: Mapping[str, Any]
    message: Message
    fingerprint: bytes

    @property
    def message_id(self) -> str | None:
        """Return the Message-ID of the sender's mail program without angle brackets, or None."""
        header = self.message.headers.get("message-id", "").strip()
        angled = _ANGLED.search(header)
        return (angled[1] if angled else header) or None

    @property
    def is_automatic(self) -> bool:
        """Return whether no person wrote it: a bounce (no return path) or an out-of-office reply.

        `auto-generated` does not count, since messages about orders and enquiries have it too.
        """
        answered, _, _ = self.message.headers.get("auto-submitted", "").partition(";")
        return self.envelope.get("from") == "" or answered.strip().lower() == "auto-replied"

    def occurred_at(self, received_at: datetime) -> datetime:
        """Return the time in the `Date` header if it is plausible, else the time of receipt."""
        try:
            date = parsedate_to_datetime(self.message.headers.get("date", "")[:100])
            at = date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
        except (ValueError, IndexError, TypeError, OverflowError):
            return received_at
        return at if at.year >= 2000 and at <= received_at + AHEAD else received_at

    def attachments(self) -> list[Attachment]:
        """Return the e-mail's files, each with a file name that is safe to save under."""
        files = self.message.files
        names = safe_names(file.name for file in files)
        return [
            Attachment(name, _content_type(file.content_type), file.content)
            for name, file in zip(names, files, strict=True)
        ]

    def data(self, attachments: Sequence[Attachment]) -> dict[str, Any]:
        """Return the canonical fields of `email.received`."""
        name, address = _sender(self.fields.get("from", ""))
        values = {
            "from": address,
            "to": self._recipients() or None,
            "subject": text(self.fields.get("subject")),
            "text": text(self.message.text),
            "html": text(self.message.html),
            "message_id": self.message_id,
            "attachments": [
                {"name": file.name, "content_type": file.content_type, "size": len(file.content)}
                for file in attachments
            ],
        }
        if not self.is_automatic:
            values |= {"email": address, "name": name}
        return {key: value for key, value in values.items() if value is not None}

    def _recipients(self) -> list[str]:
        """Return the addresses of the envelope: the `To` header may name others, or none."""
        given = self.envelope.get("to")
        addressed = given if isinstance(given, list) else self.fields.get("to", "").split(",")
        addresses = (_sender(item)[1] for item in addressed if isinstance(item, str))
        return [address for address in addresses if address]


def read_mail(body: bytes, content_type: str | None) -> Mail:
    """Parse the e-mail of a request.

    Raises:
        Unreadable: the body cannot be split into parts, is not an e-mail, or has a field twice.
    """
    parts = read_multipart(body, content_type)
    fields = {part.name: part.content for part in parts if part.filename is None}
    _check(parts, fields)
    charsets = _json_object(fields.get("charsets"))
    decoded = {
        name: decode(content, _text(charsets.get(name)))
        for name, content in fields.items()
        if name != "email"
    }
    if "email" in fields:
        message = read_message(fields["email"])
    else:
        headers = read_head(fields.get("headers", b"")[:MAX_TOP_HEAD_BYTES])
        files = _files(parts, decoded, charsets)
        message = Message(headers, decoded.get("text", ""), decoded.get("html", ""), files)
    for name in ("from", "to", "subject"):
        if name in message.headers:
            decoded.setdefault(name, decode_words(message.headers[name]))
    envelope = _json_object(fields.get("envelope"))
    return Mail(decoded, envelope, message, _fingerprint(parts))


def external_id(mail: Mail, body: bytes) -> str:
    """Return the Message-ID, its digest if it is not valid as an id, or a digest of the body."""
    if mail.message_id is None:
        return sha256(body).hexdigest()
    if is_id(mail.message_id):
        return mail.message_id
    return sha256(mail.message_id.encode("utf-8", "surrogatepass")).hexdigest()


def _check(parts: Sequence[Part], fields: Mapping[str, bytes]) -> None:
    if not any(name in fields for name in _KNOWN_BY):
        raise Unreadable("it has no field of an e-mail: is this posted by Inbound Parse?")
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        # SendGrid's boundary is always the same, so an e-mail can contain it and forge fields.
        raise Unreadable("it has a field twice: the boundary stands in the e-mail itself")


def _files(
    parts: Sequence[Part], decoded: Mapping[str, str], charsets: Mapping[str, Any]
) -> tuple[MimeFile, ...]:
    about = _json_object(decoded.get("attachment-info", "").encode("utf-8", "surrogatepass"))
    files = []
    for part in parts:
        if part.filename is None:
            continue
        info = about.get(part.name)
        told = _text(info.get("filename")) if isinstance(info, dict) else None
        sent = part.filename.encode("utf-8", "surrogateescape")
        name = told or decode(sent, _text(charsets.get("filename")))
        files.append(MimeFile(name, part.content_type or "", part.content))
    return tuple(files)


def _json_object(field: bytes | None) -> Mapping[str, Any]:
    """Return the JSON object of a field, or an empty one if it is missing or anything else."""
    try:
        value = read_json(field or b"")
    except Unreadable:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _sender(header: str) -> tuple[str | None, str | None]:
    """Return name and address of `Jane Doe <jane@example.com>`; each is None if it is missing."""
    short = header[:LONGEST_HEADER]
    angled = _ANGLED.search(short)
    if angled is None:
        return None, email_address(short)
    name = short[: angled.start()].strip().strip('"').replace('\\"', '"')
    return text(name[:_LONGEST_NAME]), email_address(angled[1])


def _content_type(given: str) -> str:
    kind = given.strip().lower()
    return kind if _TYPE.fullmatch(kind) else "application/octet-stream"


def _fingerprint(parts: Sequence[Part]) -> bytes:
    steady = [part for part in parts if part.name not in _VOLATILE]
    whole = sha256()
    for part in sorted(steady, key=lambda part: part.name):
        named = json.dumps([part.name, part.filename]).encode("ascii")
        whole.update(sha256(named).digest() + sha256(part.content).digest())
    return whole.digest()
