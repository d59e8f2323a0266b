"""The sendgrid destination: what is sent, as recorded and as SendGrid's files say, and answers."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hypothesis
import pytest
from hypothesis import strategies as st
from marshmallow import ValidationError

from adapters import (
    AnswerLost,
    Attachment,
    Call,
    Effect,
    InvalidParameters,
    LookupVerdict,
    NotSent,
    Verdict,
)
from adapters.sendgrid.outbound import SendgridOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.openapi import FIXTURES, Specification
from tests.adapters.outbound.conftest import NOW
from tests.cases import each_of
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]
KEY = "SG.test_key_of_no_account"
SENDER = "Acme Roofing <hello@acme.example>"
HEADERS = ("authorization", "accept", "content-type")
ATTEMPT = "0190f1c2-7a3b-7c11-8000-0123456789ab.1"
MAIL = {"to": "Jane Doe <jane@example.com>", "subject": "Receipt", "text": "Thank you."}
TEMPLATE = "d-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
JANE = {"email": "jane@example.com"}
ACCEPTED: Said = (202, {"x-message-id": "LRzXl_NHStOGhQ4kofSm_A"}, b"")
SUPPRESSED: Said = (201, {}, b'{"recipient_emails": ["jane@example.com"]}')
GONE: Said = (204, {}, b"")
TAKEN: Said = (202, {}, b'{"job_id": "0b5e8c"}')
GOOD: dict[str, tuple[dict[str, Any], Said]] = {
    "send": (MAIL, ACCEPTED),
    "suppress": (JANE, SUPPRESSED),
    "unsuppress": (JANE, GONE),
    "upsert_marketing_contact": (JANE, TAKEN),
}
FILES = {
    "/v3/mail/": "mail",
    "/v3/asm/": "suppressions",
    "/v3/marketing/": "mc_contacts",
    "/v3/messages": "email_activity",
    "/v3/scopes": "scopes",
}


@cache
def specification(path: str) -> Specification:
    name = next(name for start, name in FILES.items() if path.startswith(start))
    return Specification(FIXTURES / "sendgrid" / f"tsg_{name}_v3.json")


def adapter(far: Far, transport: Any, **settings: Any) -> SendgridOutbound:
    schema = SendgridOutbound.settings_schema()
    loaded = schema.load({"api_key": KEY, "from": SENDER} | settings)
    return SendgridOutbound({**loaded, "base_url": far.url}, transport)


def says(status: int, *errors: dict[str, Any], **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"errors": errors}).encode()


def checked(far: Far) -> Any:
    """Return the JSON that was sent, once SendGrid's own file has accepted the call."""
    seen = far.seen[-1]
    specification(seen.path).check(seen.method, far.url + seen.path, seen.headers, seen.body)
    return json.loads(seen.body) if seen.body else None


RECORDED = json.loads((FIXTURES.parent / "wire" / "sendgrid.json").read_text("utf-8"))


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_requests_are_byte_for_byte_as_recorded_and_sendgrid_s_own_file_accepts_them(
    far: Far, transport: GuardedTransport, call: Calls, case: dict[str, Any]
) -> None:
    action, recorded = case["action"], case["request"]
    far.says(GOOD[action][1])
    files = [Attachment(*one[:2], one[2].encode()) for one in case.get("attachments", ())]
    wanted = replace(call(action, case["parameters"], attempt_id=ATTEMPT), attachments=files)
    outcome = adapter(far, transport).perform(wanted)
    assert outcome.verdict is Verdict.SUCCEEDED
    [seen] = far.seen
    checked(far)
    assert (seen.method, seen.path) == (recorded["method"], recorded["path"])
    assert seen.body.decode() == recorded["body"]
    assert {name: seen.headers.get(name) for name in HEADERS} == {
        name: recorded["headers"].get(name) for name in HEADERS
    }


def sent(far: Far, transport: GuardedTransport, wanted: Call, **settings: Any) -> Any:
    """Return the JSON body of the e-mail that a call sends."""
    far.says(ACCEPTED)
    adapter(far, transport, **settings).perform(wanted)
    return checked(far)


def test_an_address_is_sent_once_and_to_wins_over_cc_and_cc_over_bcc(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    given = MAIL | {
        "to": ["Jane <jane@example.com>", "b@example.com", "JANE@example.com"],
        "cc": ["B@Example.com", "c@example.com"],
        "bcc": ["c@example.com", "d@example.com", "jane@EXAMPLE.com", "D@example.com"],
    }
    envelope = sent(far, transport, call("send", given))["personalizations"][0]
    assert envelope["to"] == [
        {"email": "jane@example.com", "name": "Jane"},
        {"email": "b@example.com"},
    ]
    assert envelope["cc"] == [{"email": "c@example.com"}]
    assert envelope["bcc"] == [{"email": "d@example.com"}]
    left = sent(far, transport, call("send", MAIL | {"cc": [], "bcc": MAIL["to"]}))
    assert left["personalizations"][0].keys() == {"custom_args", "to"}


def test_as_many_people_as_sendgrid_takes_and_no_more(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    many = [f"p{n}@example.com" for n in range(1000)]
    given = MAIL | {"to": many[:600], "cc": many[600:], "bcc": many}
    envelope = sent(far, transport, call("send", given))["personalizations"][0]
    assert (len(envelope["to"]), len(envelope["cc"]), "bcc" in envelope) == (600, 400, False)
    with pytest.raises(InvalidParameters, match="at most 1000 addresses, with cc and bcc"):
        adapter(far, transport).perform(call("send", given | {"bcc": "one.more@example.com"}))


def test_from_of_an_e_mail_stands_before_the_destination_s(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    given = MAIL | {"from": "Sales <sales@acme.example>"}
    assert sent(far, transport, call("send", given))["from"] == {
        "email": "sales@acme.example",
        "name": "Sales",
    }
    assert sent(far, transport, call("send", MAIL))["from"]["email"] == "hello@acme.example"


NOW_S = int(NOW.timestamp())
MOST_S = 72 * 3600


@pytest.mark.parametrize(
    ("at", "send_at"),
    [
        ("2026-11-20T13:00:00Z", NOW_S + 3600),
        ("2026-11-20T14:00:00.9+01:00", NOW_S + 3600),
        (NOW_S + 1, NOW_S + 1),
        (str(NOW_S + MOST_S), NOW_S + MOST_S),
        (NOW_S, None),
        ("2026-11-20T11:59:59Z", None),
        (NOW_S - 400 * 86_400, None),
    ],
)
def test_an_e_mail_for_later_waits_at_sendgrid_and_a_late_one_goes_at_once(
    far: Far, transport: GuardedTransport, call: Calls, at: Any, send_at: int | None
) -> None:
    body = sent(far, transport, call("send", MAIL | {"send_at": at}))
    assert body.get("send_at") == send_at


def test_a_time_that_sendgrid_does_not_take_says_so_and_nothing_is_sent(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    for at in (NOW_S + MOST_S + 1, "2027-01-01T00:00:00Z"):
        with pytest.raises(InvalidParameters, match=r"send_at: .* at most 72 h ahead"):
            adapter(far, transport).perform(call("send", MAIL | {"send_at": at}))
    assert far.seen == []


FILES_OF_EVENT = [
    Attachment("one.pdf", "application/pdf", b"%PDF \xff"),
    Attachment("two.txt", "text/plain", b"two"),
    Attachment("empty.txt", "text/plain", b""),
]
ROWS = [{"name": one.name, "content_type": one.content_type, "size": 9} for one in FILES_OF_EVENT]


@pytest.mark.parametrize(
    "named", [["two.txt", "one.pdf", "two.txt"], [ROWS[1], "one.pdf"], [ROWS[1], ROWS[0]]]
)
def test_the_files_of_the_event_go_along_in_the_order_they_are_named(
    far: Far, transport: GuardedTransport, call: Calls, named: list[Any]
) -> None:
    wanted = call("send", MAIL | {"attachments": named})
    body = sent(far, transport, replace(wanted, attachments=FILES_OF_EVENT))
    assert body["attachments"] == [
        {"content": "dHdv", "filename": "two.txt", "type": "text/plain",
         "disposition": "attachment"},
        {"content": "JVBERiD/", "filename": "one.pdf", "type": "application/pdf",
         "disposition": "attachment"},
    ]  # fmt: skip


def test_no_files_are_no_attachments(far: Far, transport: GuardedTransport, call: Calls) -> None:
    wanted = replace(call("send", MAIL | {"attachments": []}), attachments=FILES_OF_EVENT)
    assert "attachments" not in sent(far, transport, wanted)


@pytest.mark.parametrize(
    ("named", "there", "words"),
    [
        (["secret name.pdf", "two.txt"], FILES_OF_EVENT, "1 of 2 are not among the event's 3"),
        (["two.txt"], [], "1 of 1 are not among the event's 0 files; .*deleted, see `retention`"),
        (["one.pdf", "empty.txt"], FILES_OF_EVENT, "1 of 2 are empty"),
        (["a"], [Attachment("a", "x/y", bytes(15 * 2**20 + 1))], "more than 15 MiB in all"),
        (["a", "b"], [Attachment(name, "x/y", bytes(8 * 2**20)) for name in "ab"], "15 MiB"),
    ],
)  # fmt: skip
def test_files_that_cannot_go_along_say_so_and_nothing_is_sent(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    named: list[str],
    there: list[Attachment],
    words: str,
) -> None:
    wanted = replace(call("send", MAIL | {"attachments": named}), attachments=there)
    with pytest.raises(InvalidParameters, match=f"attachments: .*{words}") as caught:
        adapter(far, transport).perform(wanted)
    assert "secret name" not in str(caught.value)
    assert far.seen == []


def test_the_largest_files_are_sent(far: Far, transport: GuardedTransport, call: Calls) -> None:
    file = Attachment("a.bin", "application/octet-stream", bytes(15 * 2**20))
    wanted = replace(call("send", MAIL | {"attachments": ["a.bin"]}), attachments=[file])
    far.says(ACCEPTED)
    assert adapter(far, transport).perform(wanted).verdict is Verdict.SUCCEEDED
    assert 20 * 2**20 < len(far.seen[0].body) < 21 * 2**20


def test_an_e_mail_for_later_is_looked_for_after_its_time(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    """The feed has it when SendGrid sends it: until then its absence proves nothing."""
    far.says((200, {}, b'{"messages": []}'))
    one = adapter(far, transport, email_activity=True)
    for at_s, verdict in (
        (NOW_S + 3600, LookupVerdict.CANNOT_TELL),
        (NOW_S - 29 * 60, LookupVerdict.CANNOT_TELL),
        (NOW_S - 30 * 60, LookupVerdict.NOT_THERE),
        (NOW_S - 3 * 3600, LookupVerdict.NOT_THERE),
    ):
        wanted = call("send", MAIL | {"send_at": at_s}, attempt_id=ATTEMPT)
        assert one.look_up(wanted, NOW - timedelta(hours=2)).verdict is verdict


CONTACT = {
    "email": " jane@example.com ",
    "properties": {"first_name": "Jane", "last_name": " ", "city": None, "postal_code": 12345},
    "custom_fields": {"w1": "coffee", "w2": None},
    "lists": ["0190f1c2-7a3b-7c11-8000-0123456789ab"],
}


@pytest.mark.parametrize(
    ("action", "given", "said", "method", "path", "body", "ref"),
    [
        ("suppress", JANE, SUPPRESSED, "POST", "/v3/asm/suppressions/global",
         {"recipient_emails": ["jane@example.com"]}, None),
        ("suppress", JANE | {"group": 42}, SUPPRESSED, "POST", "/v3/asm/groups/42/suppressions",
         {"recipient_emails": ["jane@example.com"]}, None),
        ("unsuppress", JANE, GONE, "DELETE",
         "/v3/asm/suppressions/global/jane%40example.com", None, None),
        ("unsuppress", {"email": "jane+x@example.com", "group": "42"}, GONE, "DELETE",
         "/v3/asm/groups/42/suppressions/jane%2Bx%40example.com", None, None),
        ("unsuppress", JANE, says(404, {"message": "not found"}), "DELETE",
         "/v3/asm/suppressions/global/jane%40example.com", None, None),
        ("upsert_marketing_contact", JANE, TAKEN, "PUT", "/v3/marketing/contacts",
         {"contacts": [JANE]}, "0b5e8c"),
        ("upsert_marketing_contact", CONTACT, TAKEN, "PUT", "/v3/marketing/contacts",
         {"contacts": [{"email": "jane@example.com", "first_name": "Jane", "postal_code": "12345",
                        "custom_fields": {"w1": "coffee"}}], "list_ids": CONTACT["lists"]},
         "0b5e8c"),
    ],
)  # fmt: skip
def test_each_other_action_is_one_call_that_sendgrid_s_file_accepts(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    given: dict[str, Any],
    said: Said,
    method: str,
    path: str,
    body: Any,
    ref: str | None,
) -> None:
    far.says(said)
    outcome = adapter(far, transport).perform(call(action, given))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, ref)
    assert [(seen.method, seen.path) for seen in far.seen] == [(method, path)]
    assert checked(far) == body


def test_the_classes_of_its_actions() -> None:
    effects = {name: action.effect for name, action in SendgridOutbound.actions.items()}
    assert effects == {
        "send": Effect.AT_MOST_ONCE,
        "suppress": Effect.NATURAL,
        "unsuppress": Effect.NATURAL,
        "upsert_marketing_contact": Effect.NATURAL,
    }
    assert [
        name for name, action in SendgridOutbound.actions.items() if action.supports_lookup
    ] == ["send"]
    assert SendgridOutbound.calls_back is None


CONTROLS = ["\r\nBcc: x@evil.example", "\n", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"]


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("name", ["to", "cc", "bcc", "from", "subject", "reply_to", "categories"])
def test_control_characters_never_reach_the_head_of_an_e_mail(
    far: Far, transport: GuardedTransport, call: Calls, name: str, control: str
) -> None:
    good: dict[str, Any] = MAIL | {"reply_to": MAIL["to"], "categories": ["one"]}
    texts: dict[str, list[Any]] = {
        "to": [f"Jane{control} <jane@example.com>", f"jane@example.com{control}"],
        "cc": [["a@example.com", f"Jane{control} <jane@example.com>"]],
        "bcc": [[f"jane@example.com{control}"]],
        "from": [f"Jane{control} <jane@example.com>"],
        "reply_to": [f"Jane{control} <jane@example.com>", f"<jane@example{control}.com>"],
        "subject": [f"Receipt{control}"],
        "categories": [[f"one{control}"]],
    }
    for text in texts[name]:
        with pytest.raises(InvalidParameters) as caught:
            adapter(far, transport).perform(call("send", good | {name: text}))
        assert next(iter(caught.value.faults)).startswith(name)
    assert far.seen == []


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "to"),
        (MAIL | {"to": "jane"}, "to"),
        (MAIL | {"to": ""}, "to"),
        (MAIL | {"to": "a@example.com, b@example.com"}, "to"),
        (MAIL | {"to": "Jane <a@example.com> <b@example.com>"}, "to"),
        (MAIL | {"to": []}, "to"),
        (MAIL | {"to": {"email": "jane@example.com"}}, "to"),
        (MAIL | {"to": ["jane@example.com", "jane"]}, "to.1"),
        (MAIL | {"to": ["jane@example.com", None]}, "to.1"),
        (MAIL | {"cc": ""}, "cc"),
        (MAIL | {"cc": ["a@example.com, b@example.com"]}, "cc.0"),
        (MAIL | {"bcc": "x"}, "bcc"),
        (MAIL | {"from": "Acme"}, "from"),
        (MAIL | {"from": ["jane@example.com"]}, "from"),
        (MAIL | {"attachments": ""}, "attachments"),
        (MAIL | {"attachments": [7]}, "attachments"),
        (MAIL | {"attachments": [{"filename": "a", "content": "YQ=="}]}, "attachments"),
        (MAIL | {"send_at": "tomorrow"}, "send_at"),
        (MAIL | {"send_at": "2026-11-20T13:00:00"}, "send_at"),
        (MAIL | {"send_at": NOW_S * 1000}, "send_at"),
        (MAIL | {"send_at": str(NOW_S * 1000)}, "send_at"),
        (MAIL | {"send_at": "9" * 400}, "send_at"),
        (MAIL | {"send_at": True}, "send_at"),
        (MAIL | {"send_at": NOW_S + 0.5}, "send_at"),
        (MAIL | {"subject": " "}, "subject"),
        (MAIL | {"subject": "x" * 901}, "subject"),
        (MAIL | {"subject": None}, "subject"),
        ({"to": "jane@example.com", "text": "x"}, "subject"),
        ({"to": "jane@example.com", "subject": "x"}, "text"),
        (MAIL | {"text": "\n"}, "text"),
        (MAIL | {"html": ""}, "html"),
        (MAIL | {"text": "a\ud800"}, "text"),
        (MAIL | {"html": "a\x00"}, "html"),
        (MAIL | {"data": {}}, "data"),
        (MAIL | {"template": TEMPLATE}, "template"),
        ({"to": "jane@example.com", "template": "0a1b2c"}, "template"),
        ({"to": "jane@example.com", "template": TEMPLATE + "\n"}, "template"),
        ({"to": "jane@example.com", "template": TEMPLATE, "data": [1]}, "data"),
        ({"to": "jane@example.com", "template": TEMPLATE, "data": {"a": float("nan")}}, "data"),
        (MAIL | {"categories": ["c"] * 11}, "categories"),
        (MAIL | {"categories": ["c" * 256]}, "categories"),
        (MAIL | {"unsubscribe_group": 0}, "unsubscribe_group"),
        (MAIL | {"unsubscribe_group": "newsletter"}, "unsubscribe_group"),
        (MAIL | {"unsubscribe_group": True}, "unsubscribe_group"),
        (MAIL | {"ccc": "x@example.com"}, "ccc"),
    ],
)
def test_what_is_no_e_mail_is_refused_and_nothing_is_sent(
    far: Far, transport: GuardedTransport, call: Calls, given: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InvalidParameters) as caught:
        adapter(far, transport).perform(call("send", given))
    assert any(path.startswith(fault) for path in caught.value.faults)
    assert "jane@" not in str(caught.value).replace("jane@example.org", "")
    assert far.seen == []


@pytest.mark.parametrize(
    ("action", "given", "fault"),
    [
        ("suppress", {}, "email"),
        ("suppress", {"email": "Jane <jane@example.com>"}, "email"),
        ("suppress", {"email": "jane@example.com/../x"}, "email"),
        ("unsuppress", {"email": "jane@example.com\n"}, "email"),
        ("unsuppress", JANE | {"group": -1}, "group"),
        ("unsuppress", JANE | {"group": "1/../2"}, "group"),
        ("upsert_marketing_contact", {"email": "x"}, "email"),
        ("upsert_marketing_contact", {"email": f"{'x' * 60}@{'y' * 200}"}, "email"),
        ("upsert_marketing_contact", JANE | {"properties": {"nickname": "J"}}, "properties"),
        ("upsert_marketing_contact", JANE | {"properties": {"city": []}}, "properties"),
        ("upsert_marketing_contact", JANE | {"custom_fields": {"w1": True}}, "custom_fields"),
        ("upsert_marketing_contact", JANE | {"custom_fields": {"w": float("inf")}}, "custom_"),
        ("upsert_marketing_contact", JANE | {"lists": ["news"]}, "lists"),
    ],
)
def test_what_is_no_person_is_refused_and_nothing_is_sent(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    given: dict[str, Any],
    fault: str,
) -> None:
    with pytest.raises(InvalidParameters) as caught:
        adapter(far, transport).perform(call(action, given))
    assert any(path.startswith(fault) for path in caught.value.faults)
    assert far.seen == []


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("jane@example.com", {"email": "jane@example.com"}),
        ("<jane@example.com>", {"email": "jane@example.com"}),
        ('"Doe, Jane" <jane@example.com>', {"email": "jane@example.com", "name": "Doe, Jane"}),
        ("Zoë\u00a0👩\u200d💻 <z@bücher.example>",
         {"email": "z@bücher.example", "name": "Zoë\u00a0👩\u200d💻"}),
    ],
)  # fmt: skip
def test_a_name_is_sent_as_it_is_written(
    far: Far, transport: GuardedTransport, call: Calls, text: str, box: dict[str, str]
) -> None:
    far.says(ACCEPTED)
    adapter(far, transport).perform(
        call("send", MAIL | {"to": text, "subject": "👩\u200d💻\u00a0"})
    )
    assert json.loads(far.seen[0].body)["personalizations"][0]["to"] == [box]


def test_loading_parameters_again_changes_nothing() -> None:
    mails = [one["parameters"] for one in RECORDED if one["action"] == "send"]
    for given in (*mails, MAIL | {"attachments": ROWS}):
        schema = SendgridOutbound.actions["send"].parameters()
        once = schema.load(given)
        assert schema.load(json.loads(json.dumps(once))) == once
    schema = SendgridOutbound.actions["upsert_marketing_contact"].parameters()
    once = schema.load(CONTACT)
    assert schema.load(json.loads(json.dumps(once))) == once


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
LINES = st.text(max_size=20) | st.sampled_from(["SG.a.b", "Jane <j@x>", '"a" <.a..b@x>', "é@x.y"])


@hypothesis.given(
    st.fixed_dictionaries(
        {},
        optional={
            name: LINES | st.lists(LINES, max_size=3) | ANYTHING
            for name in SendgridOutbound.actions["send"].parameters().load_fields
        },
    )
)
def test_whatever_is_given_is_an_e_mail_or_a_fault_and_never_an_exception_of_the_library(
    given: dict[str, Any],
) -> None:
    names = {"sender": "from"}
    given = MAIL | {names.get(name, name): value for name, value in given.items()}
    sandbox = RecordingTransport(SendgridOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    wanted = Call("send", given, "d1", ATTEMPT, NOW, FILES_OF_EVENT)
    with suppress(InvalidParameters):
        assert SendgridOutbound({}, sandbox).perform(wanted).verdict is Verdict.SUCCEEDED


UNVERIFIED = {
    "message": "The from address does not match a verified Sender Identity.",
    "field": "from",
    "help": None,
}
RESET = {"x_ratelimit_reset": str(int(NOW.timestamp()) + 7)}


@each_of(
    ("said", "verdict", "code", "wait_s"),
    [
        (says(400, {"message": "Bad Request", "field": None}), "permanent", None, None),
        (says(400, {"message": "Does not contain a valid address.",
                    "field": "personalizations.0.to.0.email"}),
         "permanent", "personalizations.0.to.0.email", None),
        (says(401, {"message": "The provided authorization grant is invalid, expired, or revoked",
                    "field": None}), "blocked", None, None),
        (says(401, {"message": "Maximum credits exceeded", "field": None}), "blocked", None, None),
        (says(403, {"message": "access forbidden", "field": None}), "blocked", None, None),
        (says(403, {"message": "access forbidden", "field": "null"}), "blocked", None, None),
        (says(403, UNVERIFIED), "blocked", "from", None),
        (says(403, UNVERIFIED | {"field": "from.email"}), "blocked", "from.email", None),
        (says(403, UNVERIFIED, {"message": "no", "field": "template_id"}), "blocked", "from", None),
        (says(403, {"message": "not your template", "field": "template_id"}),
         "permanent", "template_id", None),
        (says(403, {"message": "Too many bad requests: you are temporarily blocked"}),
         "not_processed", None, 600),
        (says(403, {"message": "temporarily blocked"}, retry_after="60"),
         "not_processed", None, 60),
        (says(403), "blocked", None, None),
        ((403, {}, b"<html>"), "blocked", None, None),
        (says(404, {"message": "not found", "field": "null"}), "permanent", None, None),
        (says(405, {"message": "method not allowed"}), "permanent", None, None),
        (says(406), "permanent", None, None),
        (says(413, {"message": "content too large"}), "permanent", None, None),
        (says(415), "permanent", None, None),
        (says(429, {"message": "too many requests"}, **RESET), "not_processed", None, 7),
        (says(429, x_ratelimit_reset="1"), "not_processed", None, 1),
        (says(429, x_ratelimit_reset="soon"), "not_processed", None, None),
        (says(429, retry_after="3", **RESET), "not_processed", None, 3),
        ((429, {}, b"<html>"), "not_processed", None, None),
        (says(500, {"message": "internal server error"}), "in_doubt", None, None),
        ((502, {}, b"<html>"), "in_doubt", None, None),
        ((503, {}, b""), "in_doubt", None, None),
        (says(504), "in_doubt", None, None),
        ((302, {"location": "https://x/"}, b""), "permanent", None, None),
        ((200, {}, b"<html>"), "in_doubt", None, None),
        ((203, {}, b"[]"), "in_doubt", None, None),
    ],
)  # fmt: skip
@each_of("action", GOOD)
def test_each_documented_answer_has_its_verdict(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    verdict: str,
    code: str | None,
    wait_s: float | None,
    action: str,
) -> None:
    if action == "unsuppress" and said[0] == 404:
        verdict = "succeeded"  # it is gone, which is what was asked for
    far.says(said)
    outcome = adapter(far, transport).perform(call(action, GOOD[action][0]))
    assert (outcome.verdict, outcome.status) == (verdict, said[0])
    assert (outcome.code, outcome.retry_after_s) == (code, wait_s)
    assert outcome.provider_ref is None
    assert (outcome.message == "") is (verdict == "succeeded")
    assert len(far.seen) == 1


@pytest.mark.parametrize("action", GOOD)
@pytest.mark.parametrize("errors", [5, [5], [{"message": [], "field": {}}], {"a": 1}, None])
def test_strange_errors_are_read_all_the_same(
    far: Far, transport: GuardedTransport, call: Calls, action: str, errors: Any
) -> None:
    far.says((400, {}, json.dumps({"errors": errors}).encode()))
    outcome = adapter(far, transport).perform(call(action, GOOD[action][0]))
    assert outcome.verdict is Verdict.PERMANENT


def test_sandbox_mode_at_sendgrid_and_a_202_without_an_id_are_accepted(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    for said in ((200, {}, b""), (202, {}, b""), (202, {"x-message-id": "a b"}, b"")):
        far.says(said)
        outcome = adapter(far, transport).perform(call("send", MAIL))
        assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, None)


def test_the_message_holds_no_address_and_no_key(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(says(400, {"message": f"jane@example.com or {KEY}\nis wrong", "field": "to"}))
    message = adapter(far, transport).perform(call("send", MAIL)).message
    assert message == "SendGrid answered 400: to: [e-mail] or *** is wrong"
    assert KEY not in repr(adapter(far, transport))


@pytest.mark.parametrize("action", GOOD)
def test_a_lost_answer_is_the_caller_s_to_settle(
    transport: GuardedTransport, call: Calls, action: str
) -> None:
    with raw_server(lambda sock: None) as url:
        one = SendgridOutbound({"api_key": KEY, "from": SENDER, "base_url": url}, transport)
        with pytest.raises(AnswerLost):
            one.perform(call(action, GOOD[action][0]))
        with pytest.raises(NotSent):
            one.probe()
    with pytest.raises(NotSent):
        one.perform(call(action, GOOD[action][0]))


FOUND = {"messages": [{"msg_id": "LRzXl.recvd-1.0", "status": "delivered", "subject": "Receipt"}]}
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("said", "age", "verdict", "words"),
    [
        ((200, {}, json.dumps(FOUND).encode()), timedelta(0), LookupVerdict.THERE, "has an e-mail"),
        ((200, {}, b'{"messages": []}'), HOUR, LookupVerdict.NOT_THERE, "no e-mail"),
        (
            (200, {}, b'{"messages": []}'),
            timedelta(minutes=29),
            LookupVerdict.CANNOT_TELL,
            "may lag",
        ),
        ((200, {}, b"{}"), HOUR, LookupVerdict.CANNOT_TELL, "no list"),
        ((200, {}, b"<html>"), HOUR, LookupVerdict.CANNOT_TELL, "no list"),
        (says(400, {"message": "invalid syntax"}), HOUR, LookupVerdict.CANNOT_TELL, "answered 400"),
        (
            says(403, {"message": "access forbidden"}),
            HOUR,
            LookupVerdict.CANNOT_TELL,
            "must be bought",
        ),
        (says(429), HOUR, LookupVerdict.CANNOT_TELL, "answered 429"),
        (says(500), HOUR, LookupVerdict.CANNOT_TELL, "answered 500"),
    ],
)
def test_a_look_up_tells_what_the_feed_can_prove(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    age: timedelta,
    verdict: LookupVerdict,
    words: str,
) -> None:
    far.says(said)
    one = adapter(far, transport, email_activity=True)
    seen = one.look_up(call("send", MAIL, attempt_id=ATTEMPT), NOW - age)
    assert seen.verdict is verdict
    assert words in seen.message
    if verdict is LookupVerdict.THERE:
        assert (seen.provider_ref, seen.status) == ("LRzXl", "delivered")
    checked(far)
    query = parse_qs(urlsplit(far.seen[0].path).query)
    assert query["query"] == [f"unique_args['hub_attempt']=\"{ATTEMPT}\""]


def test_without_the_feed_nothing_is_looked_up(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    assert (
        adapter(far, transport).look_up(call("send", MAIL), NOW).verdict
        is LookupVerdict.CANNOT_TELL
    )
    one = adapter(far, transport, email_activity=True)
    assert one.look_up(call("suppress", JANE), NOW).verdict is LookupVerdict.CANNOT_TELL
    assert far.seen == []


def test_a_look_up_without_an_answer_is_no_doubt(transport: GuardedTransport, call: Calls) -> None:
    with raw_server(lambda sock: None) as url:
        one = SendgridOutbound({"api_key": KEY, "email_activity": True, "base_url": url}, transport)
        with pytest.raises(NotSent):
            one.look_up(call("send", MAIL), NOW)


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        ((200, {}, b'{"scopes": ["mail.send"]}'), True, "may send e-mails"),
        ((200, {}, b'{"scopes": ["alerts.read"]}'), False, "permission Mail Send"),
        ((200, {}, b'{"scopes": []}'), False, "permission Mail Send"),
        ((200, {}, b"<html>"), False, "base_url"),
        (says(401, {"message": "authorization required"}), False, "into `api_key`"),
        (says(403, {"message": "access forbidden"}), False, "permission Mail Send"),
        (says(404), False, "base_url"),
        (says(429), False, "try again later"),
        (says(503), False, "try again later"),
    ],
)
def test_the_probe_says_what_to_mend(
    far: Far, transport: GuardedTransport, said: Said, ok: bool, words: str
) -> None:
    far.says(said)
    probe = adapter(far, transport).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert {(seen.method, seen.path) for seen in far.seen} == {("GET", "/v3/scopes")}
    checked(far)


@pytest.mark.parametrize(
    "settings",
    [
        {"from": "Acme"},
        {"from": "Acme\r\nBcc: x <hello@acme.example>"},
        {"api_key": "SG.é"},
        {"api_key": "SG.a\nb"},
        {"email_activity": "perhaps"},
        {"token": "x"},
    ],
)
def test_settings_that_cannot_work_are_refused(far: Far, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter(far, None, **settings)
    assert "SG." not in str(caught.value)


@pytest.mark.parametrize("action", GOOD)
def test_without_credentials_it_plays_in_the_sandbox(call: Calls, action: str) -> None:
    assert SendgridOutbound.credentials == ("api_key", "from")
    assert SendgridOutbound.secrets == ("api_key",)
    settings = SendgridOutbound.settings_schema().load({})
    sandbox = RecordingTransport(SendgridOutbound(settings, None).sandbox_answer)  # type: ignore[arg-type]
    outcome = SendgridOutbound(settings, sandbox).perform(call(action, GOOD[action][0]))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.provider_ref in ("sandbox", None)
    assert sandbox.last is not None
    assert sandbox.last.url.startswith("https://api.sendgrid.com/v3/")
