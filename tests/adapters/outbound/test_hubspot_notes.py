"""hubspot.add_note: written once, and found again by its token."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from adapters import (
    AnswerLost,
    Call,
    Effect,
    InvalidParameters,
    LookupResult,
    LookupVerdict,
    NotSent,
    Verdict,
)
from adapters.contract.answers import TRIES
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.crm import Crm, marks, said
from tests.far_end import FarEnd, Received, Reply
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]
DELIVERY = "01990000-0000-7000-8000-000000000001"
TOKEN = f"{DELIVERY}.1"
EMAIL = "jane@example.org"


def adapter(url: str, transport: Any) -> HubspotOutbound:
    return HubspotOutbound({"token": "pat-na1-secret", "base_url": url}, transport)


def note(call: Calls, token: str = TOKEN, **about: Any) -> Call:
    about = about or {"contact": EMAIL}
    return call("add_note", {"text": "Called back.\nWants <two> roofs & more"} | about, "d", token)


def look(behave: Callable[[Received], Reply], transport: Any, one: Call) -> LookupResult:
    with FarEnd(behave) as far:
        return adapter(far.url, transport).look_up(one, NOW - timedelta(minutes=5))


def test_a_note_has_its_token_and_its_contact(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    jane = crm.add("contacts", email=EMAIL)
    with FarEnd(crm.behave) as far:
        outcome = adapter(far.url, transport).perform(note(call))
        sent = far.received[-1].json
    ((note_id, kept),) = crm.objects["notes"].items()
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, note_id)
    assert kept["hs_note_body"] == (
        f"Called back.<br>Wants &lt;two&gt; roofs &amp; more<br><br>hub_attempt: {TOKEN}"
    )
    assert kept["hs_timestamp"] == str(int(NOW.timestamp()) * 1000)
    assert sent["associations"] == [
        {
            "to": {"id": jane},
            "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}],
        }
    ]
    action = HubspotOutbound.actions["add_note"]
    assert (action.effect, action.supports_lookup) == (Effect.AT_MOST_ONCE, True)


def test_a_note_may_be_about_a_deal(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    with FarEnd(crm.behave) as far:
        adapter(far.url, transport).perform(note(call, deal=77))
        (sent,) = far.received
    (link,) = sent.json["associations"]
    assert link["to"] == {"id": "77"}
    assert link["types"][0]["associationTypeId"] == 214


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"text": "x"},
        {"text": " ", "contact": EMAIL},
        {"text": "x", "contact": EMAIL, "deal": "1"},
        {"text": "x", "contact": "jane"},
        {"text": "x", "deal": "jane@example.org"},
        {"text": "x" * 60_001, "deal": "1"},
        {"text": "<" * 20_000, "deal": "1"},
    ],
)
def test_what_is_no_note_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        adapter(far.url, transport).perform(call("add_note", wrong))
    assert far.seen == []


def test_a_contact_that_is_not_there_gets_no_note(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    with FarEnd(crm.behave) as far:
        outcome = adapter(far.url, transport).perform(note(call))
    assert outcome.verdict is Verdict.PERMANENT
    assert crm.objects["notes"] == {}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524, 200])
def test_trouble_before_the_note_is_no_doubt_about_it(
    far: Far, transport: GuardedTransport, call: Calls, status: int
) -> None:
    far.says((status, {}, b"<html>"))
    outcome = adapter(far.url, transport).perform(note(call))
    assert (outcome.verdict, outcome.status) == (Verdict.NOT_PROCESSED, status)
    assert outcome.message
    assert [seen.method for seen in far.seen] == ["GET"] * (TRIES if status >= 500 else 1)


def test_a_line_that_breaks_before_the_note_is_no_doubt_either(
    transport: GuardedTransport, call: Calls
) -> None:
    with raw_server(lambda sock: None) as url:
        with pytest.raises(NotSent):
            adapter(url, transport).perform(note(call))
        with pytest.raises(AnswerLost):
            adapter(url, transport).perform(note(call, contact="1"))


@pytest.mark.parametrize("about", ["contact", "deal"])
@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_note_whose_answer_was_lost_is_seen(
    transport: GuardedTransport, call: Calls, about: str, page: int
) -> None:
    crm = Crm(lost=1, page=page)
    named = {"contact": EMAIL} if about == "contact" else {"deal": crm.add("deals")}
    crm.add("contacts", email=EMAIL)
    with FarEnd(crm.behave) as far:
        one = adapter(far.url, transport)
        for _ in range(2):
            with pytest.raises(AnswerLost):
                one.perform(note(call, f"{DELIVERY}.7", **named))
            crm.lost = 1
        with pytest.raises(AnswerLost):
            one.perform(note(call, **named))
    note_id = next(
        i for i, n in crm.objects["notes"].items() if marks(n["hs_note_body"]) == [TOKEN]
    )
    seen = look(crm.behave, transport, note(call, **named))
    assert (seen.verdict, seen.provider_ref) == (LookupVerdict.THERE, note_id)


def test_a_note_that_is_not_there_is_not_seen(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm(page=2)
    jane, john = crm.add("contacts", email=EMAIL), crm.add("contacts", email="john@example.org")
    for body in (f"hub_attempt: {TOKEN}1", f"hub_attempt: {DELIVERY}.2", "no token", TOKEN):
        crm.links.append(("notes", crm.add("notes", hs_note_body=body), jane))
    crm.links.append(("notes", crm.add("notes", hs_note_body=f"hub_attempt: {TOKEN}"), john))
    seen = look(crm.behave, transport, note(call))
    assert seen.verdict is LookupVerdict.NOT_THERE
    assert "4 notes" in seen.message


def test_a_contact_without_notes_has_none(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    crm.add("contacts", email=EMAIL)
    assert look(crm.behave, transport, note(call)).verdict is LookupVerdict.NOT_THERE


@pytest.mark.parametrize(
    ("part", "reply"),
    [
        ("idProperty=email", said(404, {"category": "OBJECT_NOT_FOUND"})),
        ("idProperty=email", said(500, {})),
        ("associations", said(404, {})),
        ("associations", said(403, {"category": "MISSING_SCOPES"})),
        ("associations", said(429, {})),
        ("associations", Reply(200, b"<html>")),
        ("associations", said(200, {"results": [{}]})),
        ("associations", said(200, {"results": [7]})),
        ("associations", said(200, {"results": [], "paging": {"next": {"after": "\ud800"}}})),
        ("associations", said(200, {"results": [{"toObjectId": "\ud800"}]})),
        ("idProperty=email", said(200, {"id": "\ud800"})),
        ("batch/read", said(500, {})),
        ("batch/read", Reply(200, b"<html>")),
        ("batch/read", said(200, {"results": []})),
        ("batch/read", said(207, {"results": [], "errors": [{}]})),
        ("batch/read", said(200, {"results": [7]})),
    ],
)
def test_what_cannot_be_read_is_no_evidence(
    transport: GuardedTransport, call: Calls, part: str, reply: Reply
) -> None:
    crm = Crm()
    jane = crm.add("contacts", email=EMAIL)
    crm.links.append(("notes", crm.add("notes", hs_note_body="no token"), jane))

    def behave(received: Received) -> Reply:
        return reply if part in received.path else crm.behave(received)

    seen = look(behave, transport, note(call))
    assert seen.verdict is LookupVerdict.CANNOT_TELL
    assert seen.message
    assert EMAIL not in seen.message


def test_some_notes_that_cannot_be_read_hide_no_evidence(
    transport: GuardedTransport, call: Calls
) -> None:
    crm = Crm()
    jane = crm.add("contacts", email=EMAIL)
    there = crm.add("notes", hs_note_body=f"hub_attempt: {TOKEN}")
    crm.links += [("notes", "999", jane), ("notes", there, jane)]
    assert look(crm.behave, transport, note(call)).verdict is LookupVerdict.THERE
    crm.objects["notes"][there]["hs_note_body"] = "no token"
    assert look(crm.behave, transport, note(call)).verdict is LookupVerdict.CANNOT_TELL


def test_more_notes_than_are_read_are_no_evidence(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm(page=1)
    jane = crm.add("contacts", email=EMAIL)
    crm.links += [("notes", crm.add("notes", hs_note_body="no"), jane) for _ in range(21)]
    seen = look(crm.behave, transport, note(call))
    assert (seen.verdict, "more than" in seen.message) == (LookupVerdict.CANNOT_TELL, True)


def test_what_is_repeated_is_not_looked_up(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    seen = adapter(far.url, transport).look_up(call("upsert_contact", {"email": EMAIL}), NOW)
    assert seen.verdict is LookupVerdict.CANNOT_TELL
    assert far.seen == []


def test_in_the_sandbox_the_note_is_recorded(call: Calls) -> None:
    sandbox = RecordingTransport(HubspotOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    one = HubspotOutbound({}, sandbox)
    assert one.perform(note(call)).verdict is Verdict.SUCCEEDED
    assert sandbox.last is not None
    assert TOKEN.encode() in sandbox.last.body
    assert one.look_up(note(call, contact="1"), NOW).verdict is LookupVerdict.NOT_THERE
