"""Verdicts of Twilio's error codes for a message that was to be sent.

https://www.twilio.com/docs/api/errors
"""

from collections.abc import Mapping
from typing import Any

from adapters.contract.outbound import Verdict

BLOCKED_CODES = {
    20003: "the credentials are wrong",
    20005: "the account is not active",
}
NOT_PROCESSED_CODES = {
    20429: "too many requests",
    21611: "the queue of the sender is full",
    63018: "the channel's rate is reached",
}
IN_DOUBT_CODES = {
    20500: "an error in Twilio; it says itself that a retry may send the message twice",
    20503: "the service is not available; Twilio does not say that nothing was sent",
}
PERMANENT_CODES = {
    20404: "no such account or resource",
    21211: "`to` is no telephone number",
    21212: "`from` is no telephone number",
    21214: "`to` cannot be reached",
    21408: "the region is not enabled",
    21602: "there is no text",
    21606: "`from` cannot send this, or is not the account's",
    21608: "a trial account writes to verified numbers only",
    21610: "the person answered STOP",
    21612: "no way from this `from` to this `to`",
    21614: "`to` is no mobile telephone",
    21617: "the text is too long",
    21619: "there is no text and no media",
    21620: "an address in `media` cannot be used",
    21703: "the messaging service has no sender",
    21704: "the messaging service has no sender",
    30450: "blocked as pumping",
    63016: "outside the window in which WhatsApp takes free text: use a `template`",
}
VERDICTS: Mapping[int, Verdict] = {
    **dict.fromkeys(BLOCKED_CODES, Verdict.BLOCKED),
    **dict.fromkeys(NOT_PROCESSED_CODES, Verdict.NOT_PROCESSED),
    **dict.fromkeys(IN_DOUBT_CODES, Verdict.IN_DOUBT),
    **dict.fromkeys(PERMANENT_CODES, Verdict.PERMANENT),
}


def verdict_of(status: int, code: int | None) -> Verdict | None:
    """Return the verdict of an answer without a message, None where the status alone decides."""
    if 200 <= status < 300 or status >= 500:
        return Verdict.IN_DOUBT
    return None if code is None else VERDICTS.get(code)


def code_of(told: Mapping[str, Any]) -> int | None:
    """Return the `code` of an error in either of Twilio's two formats, or None."""
    code = told.get("code")
    return code if type(code) is int and 0 < code < 1_000_000 else None


def words_of(told: Mapping[str, Any]) -> str:
    """Return the code and the text of an error: `message`, or `detail` or `title` of RFC 9457."""
    found = (told.get(name) for name in ("message", "detail", "title"))
    words = next((value for value in found if isinstance(value, str) and value.strip()), "")
    code = code_of(told)
    return f"{code}: {words}" if code and words else words or str(code or "")
