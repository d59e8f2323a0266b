"""Webhooks about messages: what people send us, and what becomes of what we sent them."""

from datetime import datetime
from typing import Any

from adapters.contract.fields import text
from adapters.twilio import facts
from adapters.twilio.facts import Fact, Form

OPT_OUT_WORDS = frozenset(
    "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT ARRET ARRETE ARRETT".split()
)
OPT_IN_WORDS = frozenset({"START", "UNSTOP"})
"""`YES` takes a number back in only if it had opted out, which the message does not tell; where
Advanced Opt-Out is on, `OptOutType` does."""

MOST_MEDIA = 100

_KINDS = {"STOP": "received.stop", "START": "received.start"}
_AROUND_WORDS = " \t\r\n.!,\"'"


def read_message(form: Form, url: str, received_at: datetime) -> Fact:
    """Return a message that came, or the status of one that we sent.

    Raises:
        Unreadable: a field that every such webhook has is missing or malformed.
    """
    facts.check_account(form)
    name = "MessageSid" if "MessageSid" in form else "SmsSid"
    sid = facts.sid(form, name, "SM|MM")
    status = facts.status(form.get("MessageStatus") or form.get("SmsStatus", ""), "MessageStatus")
    facts.check_address(form, "To")
    data = _common(form, sid, status)
    at = facts.occurred_at(form, received_at)
    if status == "received":
        facts.check_address(form, "From")
        mark = facts.fingerprint(sid, form["From"], form["To"], form.get("Body", ""))
        data |= facts.given(body=text(form.get("Body")), media=_media(form) or None)
        return Fact(_kind(form), sid, at, data, mark)
    error_code = _error_code(form)
    mark = facts.fingerprint(sid, status, error_code or "")
    data |= facts.given(error_code=error_code) | facts.token(url)
    return Fact(status, f"{sid}:{status}", at, data, mark)


def _common(form: Form, sid: str, status: str) -> dict[str, Any]:
    return facts.given(
        from_=facts.phone(form, "From"),
        to=facts.phone(form, "To"),
        message_id=sid,
        status=status,
    )


def _kind(form: Form) -> str:
    told = form.get("OptOutType", "").upper()
    if told:
        return _KINDS.get(told, "received")
    word = form.get("Body", "").strip(_AROUND_WORDS).upper()
    if word in OPT_OUT_WORDS:
        return _KINDS["STOP"]
    return _KINDS["START"] if word in OPT_IN_WORDS else "received"


def _media(form: Form) -> list[dict[str, Any]]:
    """The addresses of pictures and files, as they stand: to fetch one takes the credentials."""
    found = []
    for place in range(MOST_MEDIA):
        url = text(form.get(f"MediaUrl{place}"))
        if url is None:
            break
        content_type = text(form.get(f"MediaContentType{place}"))
        found.append(facts.given(url=url, content_type=content_type))
    return found


def _error_code(form: Form) -> str | None:
    code = form.get("ErrorCode", "")
    return code if code.isascii() and code.isdigit() and code != "0" else None
