"""Body of `POST /v3/mail/send`, built by SendGrid's library.

The library is imported at the first e-mail: only a worker sends one, and it takes megabytes.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.contract.errors import InvalidParameters
from adapters.contract.event import Attachment
from adapters.contract.mailboxes import Mailbox, mailbox, recipients_of
from adapters.contract.outbound import Call

# How far ahead SendGrid takes an e-mail.
AHEAD = timedelta(hours=72)
# SendGrid takes 30 MB in all, and files travel as base64: these are 20 MiB of it.
MAX_FILE_BYTES = 15 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Part:
    """Content for the library's `Mail`, with any text.

    The library's own `Content` raises an exception at a text that begins like an API key, which is
    meant for who writes e-mails: the hub passes on what somebody wrote.
    """

    mime_type: str
    text: str

    def get(self) -> dict[str, str]:
        return {"type": self.mime_type, "value": self.text}


def mail_body(given: Mapping[str, Any], call: Call, *, sender: Mailbox) -> dict[str, Any]:
    """Return the JSON body of one e-mail; `given` was loaded by `SendParameters`.

    All recipients share one e-mail: those of `to` and `cc` see each other. SendGrid copies
    `custom_args` into every event of the e-mail. A `send_at` that has passed is left out: the
    e-mail goes at once, as a late retry of it should.

    Raises:
        InvalidParameters: `send_at` is too far ahead, or a file is missing, empty or too large.
    """
    from sendgrid.helpers import mail as sdk

    mail = sdk.Mail()
    mail.from_email = _address(sdk.From, mailbox(given["from"]) if "from" in given else sender)
    mail.add_personalization(_envelope(given, call.attempt_id))
    if "template" in given:
        mail.template_id = given["template"]
    else:
        mail.subject = given["subject"]
        for name, kind in (("text", sdk.MimeType.text), ("html", sdk.MimeType.html)):
            if name in given:
                mail.add_content(_Part(kind, given[name]))
    if "reply_to" in given:
        mail.reply_to = _address(sdk.ReplyTo, mailbox(given["reply_to"]))
    # The library puts each category and file before those that it has.
    for category in reversed(list(dict.fromkeys(given.get("categories", ())))):
        mail.add_category(sdk.Category(category))
    for file in reversed(_files(given.get("attachments", ()), call.attachments)):
        content = b64encode(file.content).decode("ascii")
        mail.add_attachment(sdk.Attachment(content, file.name, file.content_type, "attachment"))
    if "unsubscribe_group" in given:
        mail.asm = sdk.Asm(sdk.GroupId(given["unsubscribe_group"]))
    if "send_at" in given and _is_ahead(given["send_at"], call.now):
        mail.send_at = given["send_at"]
    body: dict[str, Any] = mail.get()
    return body


def _envelope(given: Mapping[str, Any], attempt_id: str) -> Any:
    """Return the library's `Personalization`: the recipients, and what is theirs."""
    from sendgrid.helpers import mail as sdk

    envelope = sdk.Personalization()
    kinds = {"to": sdk.To, "cc": sdk.Cc, "bcc": sdk.Bcc}
    for name, boxes in recipients_of(given).items():
        for box in boxes:
            envelope.add_email(_address(kinds[name], box))
    envelope.add_custom_arg(sdk.CustomArg("hub_attempt", attempt_id))
    if given.get("data"):
        envelope.dynamic_template_data = given["data"]
    return envelope


def _address(kind: Any, box: Mailbox) -> Any:
    """Return the mailbox as the library's `To`, `From` or the like."""
    # Given to the constructor without a name, an address is parsed again, by other rules.
    address = kind()
    address.email = box.email
    address.name = box.name or None
    return address


def due_at(given: Mapping[str, Any], sent_at: datetime) -> datetime:
    """Return the time from which SendGrid sends an e-mail that was given to it at `sent_at`."""
    return max(sent_at, datetime.fromtimestamp(given.get("send_at", 0), UTC))


def _is_ahead(at_s: int, now: datetime) -> bool:
    """Return whether SendGrid is to wait for that time; False if it has passed."""
    at = datetime.fromtimestamp(at_s, UTC)
    if at > now + AHEAD:
        hours = int(AHEAD.total_seconds() // 3600)
        raise InvalidParameters(
            {"send_at": f"SendGrid takes a time at most {hours} h ahead; give the route a `delay`"}
        )
    return at > now


def _files(names: Sequence[str], there: Sequence[Attachment]) -> list[Attachment]:
    """Return the attachments of those names.

    The faults never say a name: it is a person's.
    """
    by_name = {file.name: file for file in there}
    if missing := sum(name not in by_name for name in names):
        raise _file_fault(
            f"{missing} of {len(names)} are not among the event's {len(there)} files; with its "
            "request's body they are deleted, see `retention`"
        )
    files = [by_name[name] for name in names]
    if empty := sum(not file.content for file in files):
        raise _file_fault(f"{empty} of {len(files)} are empty, which SendGrid refuses")
    if sum(len(file.content) for file in files) > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // 2**20
        raise _file_fault(f"they have more than {limit} MiB in all; leave some out, or send a link")
    return files


def _file_fault(sentence: str) -> InvalidParameters:
    return InvalidParameters({"attachments": sentence})
