"""Webhooks as Twilio would send them, for trying a hub without an account there."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import urlencode

_THEIRS, _OURS = "+12025550123", "+15005550006"
_NO_ACCOUNT = "AC" + "0" * 32
_BODIES = {"received": "Hello from the sample", "received.stop": "STOP", "received.start": "START"}
_STATUSES = ("delivered", "undelivered", "failed", "sent", "queued", "accepted", "read")
_CALLS = ("ringing", "completed", "no-answer", "busy", "failed", "canceled")
_ERRORS = {"undelivered": "30003", "failed": "30008"}
SAMPLE_TYPES = (*_BODIES, *_STATUSES, *(f"call.{status}" for status in _CALLS))


def sample_fields(
    native_type: str, external_id: str, now: datetime, account_sid: str | None
) -> dict[str, str]:
    """Return the form's fields; the ids derive from `external_id` alone.

    Raises:
        LookupError: there is no sample of that type.
    """
    fields = {"AccountSid": account_sid or _NO_ACCOUNT, "ApiVersion": "2010-04-01"}
    if native_type in _BODIES:
        return fields | _received(_BODIES[native_type], _sid("SM", external_id))
    if native_type in _STATUSES:
        return fields | _status(native_type, _sid("SM", external_id))
    kind, _, status = native_type.partition(".")
    if kind == "call" and status in _CALLS:
        return fields | _call(status, _sid("CA", external_id), now)
    raise LookupError(f"there are samples of {', '.join(SAMPLE_TYPES)}")


def encoded(fields: Mapping[str, str]) -> bytes:
    """Return the fields as a form body."""
    return urlencode(fields).encode("ascii")


def _received(body: str, sid: str) -> dict[str, str]:
    return {
        "MessageSid": sid,
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "SmsStatus": "received",
        "From": _THEIRS,
        "FromCity": "",
        "FromCountry": "US",
        "To": _OURS,
        "ToCountry": "US",
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
    }


def _status(status: str, sid: str) -> dict[str, str]:
    ids = {"MessageSid": sid, "SmsSid": sid, "SmsStatus": status, "MessageStatus": status}
    error = {"ErrorCode": _ERRORS[status]} if status in _ERRORS else {}
    return ids | error | {"From": _OURS, "To": _THEIRS}


def _call(status: str, sid: str, now: datetime) -> dict[str, str]:
    call = {"CallSid": sid, "CallStatus": status, "Direction": "inbound"}
    call |= {"From": _THEIRS, "Caller": _THEIRS, "To": _OURS, "Called": _OURS}
    if status == "ringing":
        return call
    duration = {"CallDuration": "42", "Duration": "1"} if status == "completed" else {}
    return call | duration | {"Timestamp": format_datetime(now), "SequenceNumber": "0"}


def _sid(prefix: str, external_id: str) -> str:
    given = external_id.partition(":")[0]
    if re.fullmatch(rf"{prefix}[0-9a-f]{{32}}", given, re.ASCII):
        return given
    return prefix + sha256(external_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
