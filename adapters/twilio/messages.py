"""Webhook forms of messages (received ones, and the status of sent ones), calls and recordings."""

from datetime import datetime
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.fields import text
from adapters.twilio import facts
from adapters.twilio.facts import Fact, Form

OPT_OUT_WORDS = frozenset(
    "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT ARRET ARRETE ARRETT".split()
)
# `YES` opts a number in again only if it had opted out, which the message does not say; with
# Advanced Opt-Out, `OptOutType` does.
OPT_IN_WORDS = frozenset({"START", "UNSTOP"})

MOST_MEDIA = 100

_KINDS = {"STOP": "received.stop", "START": "received.start"}
_AROUND_WORDS = " \t\r\n.!,\"'"


def read_message(form: Form, url: str, received_at: datetime) -> Fact:
    """Return the fact of a received message, or of the status of a sent one.

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
    """Return URL and content type of each file; fetching a file takes the credentials."""
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


_DIGITS = 9


def read_call(form: Form, received_at: datetime) -> Fact:
    """Return the fact of an incoming call, of a change in a call's status, or of a recording.

    Raises:
        Unreadable: a field that every such webhook has is missing or malformed.
    """
    facts.check_account(form)
    sid = facts.sid(form, "CallSid", "CA")
    if "CallStatus" not in form and "RecordingSid" in form:
        return _recording(form, sid, received_at)
    status = facts.status(form.get("CallStatus", ""), "CallStatus")
    step = form.get("SequenceNumber", "")
    if step and _number(step) is None:
        raise Unreadable("SequenceNumber must be a number")
    external_id = f"{sid}:{status}:{step}" if step else f"{sid}:{status}"
    data = facts.given(
        from_=facts.phone(form, "From"),
        to=facts.phone(form, "To"),
        message_id=sid,
        status=status,
        duration_s=_number(form.get("CallDuration", "")),
    )
    at = facts.occurred_at(form, received_at)
    mark = facts.fingerprint(external_id, form.get("From", ""), form.get("To", ""))
    return Fact(_call_type(form, status), external_id, at, data, mark)


def _recording(form: Form, call_sid: str, received_at: datetime) -> Fact:
    sid = facts.sid(form, "RecordingSid", "RE")
    status = facts.status(form.get("RecordingStatus", ""), "RecordingStatus")
    external_id = f"{sid}:{status}"
    data = facts.given(
        message_id=call_sid, status=status, duration_s=_number(form.get("RecordingDuration", ""))
    )
    at = facts.occurred_at(form, received_at)
    return Fact(f"recording.{status}", external_id, at, data, facts.fingerprint(external_id))


def _call_type(form: Form, status: str) -> str:
    outbound = form.get("Direction", "").startswith("outbound")
    return "call.ringing.outbound" if status == "ringing" and outbound else f"call.{status}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
