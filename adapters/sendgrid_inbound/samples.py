"""E-mails as Inbound Parse would post them, for `hub send`."""

import json
from datetime import datetime
from email.utils import format_datetime

BOUNDARY = "xYzZY"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"

_SENDER = "Jane Doe <jane.doe@example.com>"
_RECIPIENT = "hello@inbound.example.com"
_SUBJECTS = {"mail": "A question about my roof", "automatic": "Out of office: your estimate"}
SAMPLE_TYPES = tuple(_SUBJECTS)


def sample_body(native_type: str, external_id: str, now: datetime) -> bytes:
    """Return an e-mail sent at `now` whose Message-ID ends with `external_id`.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in _SUBJECTS:
        raise LookupError(f"no sample of {native_type}; there are: {', '.join(_SUBJECTS)}")
    headers = {
        "From": _SENDER,
        "To": _RECIPIENT,
        "Subject": _SUBJECTS[native_type],
        "Date": format_datetime(now),
        "Message-ID": f"<hub-sample@{external_id}>",
        **({"Auto-Submitted": "auto-replied"} if native_type == "automatic" else {}),
    }
    fields = {
        "headers": "".join(f"{name}: {value}\n" for name, value in headers.items()),
        "from": _SENDER,
        "to": _RECIPIENT,
        "subject": _SUBJECTS[native_type],
        "text": "Hello,\r\n\r\nit leaks above the kitchen. When could you come?\r\n\r\nJane\r\n",
        "attachments": "1",
        "attachment-info": json.dumps({"attachment1": {"filename": "roof.txt"}}),
        "charsets": json.dumps({"to": "UTF-8", "from": "UTF-8", "subject": "UTF-8"}),
        "envelope": json.dumps({"to": [_RECIPIENT], "from": "jane.doe@example.com"}),
        "sender_ip": "192.0.2.1",
        "SPF": "pass",
    }
    parts = [_part(f'name="{name}"', value) for name, value in fields.items()]
    parts.append(_part('name="attachment1"; filename="roof.txt"', "3 by 2 metres"))
    return "".join([*parts, f"--{BOUNDARY}--\r\n"]).encode()


def _part(disposition: str, content: str) -> str:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n"
