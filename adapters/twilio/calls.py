"""Webhooks about telephone calls and their recordings."""

from datetime import datetime

from adapters.contract.errors import Unreadable
from adapters.twilio import facts
from adapters.twilio.facts import Fact, Form

_DIGITS = 9


def read_call(form: Form, received_at: datetime) -> Fact:
    """Return a call that comes in, a step of one, or a recording that is ready.

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
    return Fact(_kind(form, status), external_id, at, data, mark)


def _recording(form: Form, call_sid: str, received_at: datetime) -> Fact:
    sid = facts.sid(form, "RecordingSid", "RE")
    status = facts.status(form.get("RecordingStatus", ""), "RecordingStatus")
    external_id = f"{sid}:{status}"
    data = facts.given(
        message_id=call_sid, status=status, duration_s=_number(form.get("RecordingDuration", ""))
    )
    at = facts.occurred_at(form, received_at)
    return Fact(f"recording.{status}", external_id, at, data, facts.fingerprint(external_id))


def _kind(form: Form, status: str) -> str:
    outbound = form.get("Direction", "").startswith("outbound")
    return "call.ringing.outbound" if status == "ringing" and outbound else f"call.{status}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
