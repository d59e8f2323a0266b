"""Batches as SendGrid would send them, one event each, for `hub send`."""

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

from adapters.sendgrid.facts import NATIVE_TYPES

_AGENT = {"ip": "192.0.2.1", "useragent": "Mozilla/5.0"}
_OWN: dict[str, dict[str, Any]] = {
    "delivered": {"response": "250 OK", "tls": 1},
    "deferred": {"response": "400 try again later", "attempt": "1"},
    "bounce": {
        "type": "bounce",
        "status": "5.1.1",
        "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
        "bounce_classification": "Invalid Address",
    },
    "dropped": {"reason": "Bounced Address", "status": "5.0.0"},
    "open": {**_AGENT, "sg_machine_open": False, "sg_content_type": "html"},
    "click": {**_AGENT, "url": "https://example.com/offer"},
    "group_unsubscribe": {**_AGENT, "url": "https://example.com/", "asm_group_id": 10},
    "group_resubscribe": {**_AGENT, "url": "https://example.com/", "asm_group_id": 10},
}
# The fields are those of the examples in SendGrid's documentation; people are fictional.
SAMPLE_TYPES = ("delivered", *(name for name in NATIVE_TYPES if name != "delivered"))


def sample_body(native_type: str, external_id: str, now: datetime) -> bytes:
    """Return a batch of one event that happened at `now`; its ids derive from `external_id`.

    Raises:
        LookupError: there is no sample of that type; the message lists those that exist.
    """
    if native_type not in SAMPLE_TYPES:
        known = ", ".join(SAMPLE_TYPES)
        raise LookupError(f"no sample of {native_type}; there are: {known}")
    message_id = sha256(external_id.encode()).hexdigest()[:22]
    item = {
        "email": "jane.doe@example.com",
        "timestamp": int(now.timestamp()),
        "smtp-id": f"<{message_id}@geopod-ismtpd-1>",
        "event": native_type,
        "category": ["sample"],
        "sg_event_id": external_id,
        "sg_message_id": f"{message_id}.recvd-5f6b5d7c9-abcde-1-6560E1B0-1.0",
        **_OWN.get(native_type, {}),
    }
    return json.dumps([item], separators=(",", ":")).encode("ascii") + b"\r\n"
