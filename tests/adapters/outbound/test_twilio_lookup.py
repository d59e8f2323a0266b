"""Whether a message is there though its answer was lost: the evidence of Twilio's lists."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from adapters import Call, LookupVerdict, NotSent, Transport
from adapters.contract.errors import AdapterError
from adapters.twilio.outbound import TwilioOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.twilio_calls import (
    ATTEMPT,
    MESSAGES,
    SENDER,
    SERVICE,
    SID,
    TEXT,
    TO,
    At,
    listed,
    record,
    says,
)
from tests.adapters.outbound.twilio_calls import (
    made as made_with,
)
from tests.gateways.servers import Far, raw_server

Calls = Callable[..., Call]

SENT_AT = datetime(2026, 11, 20, 11, 58, 5, tzinfo=UTC)
OTHER = "SM" + "b" * 32
LONG_AGO = "Fri, 20 Nov 2026 11:37:59 +0000"
MEDIA = ["https://a.example/1.jpg"]


def made(transport: Transport, base_url: str, **settings: Any) -> TwilioOutbound:
    return made_with(At(transport), base_url, **settings)


def text(call: Calls, **parameters: Any) -> Call:
    given = {"to": TO, "body": TEXT} | parameters
    return call("send", {k: v for k, v in given.items() if v is not None}, attempt_id=ATTEMPT)


def test_a_message_that_was_sent_is_found_by_date(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(record(sid=OTHER, body="Other"), record()))
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (LookupVerdict.THERE, SID)
    assert lookup_result.status == "sent"
    assert "DateSent%3E=2026-11-20T11%3A38%3A05Z" in far.seen[0].path


def test_a_message_that_waits_is_found_without_a_date(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(), listed(record(status="accepted")))
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.status) == (LookupVerdict.THERE, "accepted")
    assert "DateSent" not in far.seen[1].path


def test_when_neither_list_has_it_it_is_not_there(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(), listed(record(date_created=LONG_AGO)))
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (LookupVerdict.NOT_THERE, None)
    assert [seen.method for seen in far.seen] == ["GET", "GET"]


@pytest.mark.parametrize(
    ("created", "verdict"),
    [
        ("Fri, 20 Nov 2026 11:48:04 +0000", LookupVerdict.NOT_THERE),
        ("Fri, 20 Nov 2026 11:48:05 +0000", LookupVerdict.CANNOT_TELL),
        ("Fri, 20 Nov 2026 11:57:59 +0000", LookupVerdict.CANNOT_TELL),
        ("Fri, 20 Nov 2026 11:58:00 +0000", LookupVerdict.THERE),
        ("Fri, 20 Nov 2026 13:58:00 +0200", LookupVerdict.THERE),
        ("Fri, 20 Nov 2026 12:59:59 +0000", LookupVerdict.THERE),
        (None, LookupVerdict.CANNOT_TELL),
        ("soon", LookupVerdict.CANNOT_TELL),
    ],
)
def test_the_clocks_may_differ_by_five_seconds(
    far: Far, transport: GuardedTransport, call: Calls, created: Any, verdict: LookupVerdict
) -> None:
    far.says(listed(record(date_created=created)))
    assert made(transport, far.url).look_up(text(call), SENT_AT).verdict is verdict


@pytest.mark.parametrize("ahead_s", [-599, -60, 10, 200, 599])
def test_a_clock_that_is_wrong_is_corrected_by_twilios(
    far: Far, transport: GuardedTransport, call: Calls, ahead_s: int
) -> None:
    ahead = timedelta(seconds=ahead_s)
    far.says(listed(record(date_created=format_datetime(SENT_AT - ahead))))
    sought = made_with(At(transport, NOW - ahead), far.url)
    lookup_result = sought.look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (LookupVerdict.THERE, SID)


@pytest.mark.parametrize("before_s", [6, 10, 599])
def test_without_a_date_a_message_from_shortly_before_proves_nothing(
    far: Far, transport: GuardedTransport, call: Calls, before_s: int
) -> None:
    created = format_datetime(SENT_AT - timedelta(seconds=before_s))
    for body in (TEXT, TEXT.upper()):
        far.says(listed(record(date_created=created, body=body)))
        lookup_result = made_with(At(transport, None), far.url).look_up(text(call), SENT_AT)
        assert (lookup_result.verdict, lookup_result.provider_ref) == (
            LookupVerdict.CANNOT_TELL,
            None,
        )
    far.says(listed(record(date_created=created, body="Other")))
    lookup_result = made_with(At(transport, None), far.url).look_up(text(call), SENT_AT)
    assert lookup_result.verdict is LookupVerdict.NOT_THERE


@pytest.mark.parametrize("ahead", [timedelta(minutes=11), timedelta(hours=-1)])
def test_clocks_too_far_apart_prove_nothing(
    far: Far, transport: GuardedTransport, call: Calls, ahead: timedelta
) -> None:
    for said in (listed(), listed(record())):
        far.says(said)
        lookup_result = made_with(At(transport, NOW - ahead), far.url).look_up(text(call), SENT_AT)
        assert lookup_result.verdict is LookupVerdict.CANNOT_TELL
        assert "set the clock" in lookup_result.message


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (TEXT, f"Sent from your Twilio trial account - {TEXT}", LookupVerdict.THERE),
        ("a\r\nb  c ", "a b c", LookupVerdict.THERE),
        ("It’s 5 – really", "It's 5 - really", LookupVerdict.CANNOT_TELL),
        ("😀", "?", LookupVerdict.CANNOT_TELL),
        (TEXT, TEXT.replace("120", "130"), LookupVerdict.NOT_THERE),
        (TEXT, "", LookupVerdict.NOT_THERE),
        (TEXT, None, LookupVerdict.NOT_THERE),
    ],
)
def test_a_text_that_is_merely_alike_proves_nothing(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    ours: str,
    theirs: Any,
    verdict: LookupVerdict,
) -> None:
    far.says(listed(record(body=theirs)))
    assert made(transport, far.url).look_up(text(call, body=ours), SENT_AT).verdict is verdict


@pytest.mark.parametrize(
    ("count", "verdict"),
    [
        ("1", LookupVerdict.THERE),
        ("0", LookupVerdict.CANNOT_TELL),
        ("2", LookupVerdict.CANNOT_TELL),
    ],
)
def test_media_alone_are_counted(
    far: Far, transport: GuardedTransport, call: Calls, count: str, verdict: LookupVerdict
) -> None:
    far.says(listed(record(body="", num_media=count)))
    sought = text(call, body=None, media=MEDIA)
    assert made(transport, far.url).look_up(sought, SENT_AT).verdict is verdict


def test_of_a_template_nobody_but_twilio_knows_the_text(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    sought = text(call, body=None, template="HX" + "c" * 32)
    far.says(listed(record(body="Your appointment")))
    assert made(transport, far.url).look_up(sought, SENT_AT).verdict is LookupVerdict.CANNOT_TELL
    far.says(listed())
    assert made(transport, far.url).look_up(sought, SENT_AT).verdict is LookupVerdict.NOT_THERE


def test_several_that_are_the_same_prove_nothing(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    late = record(sid=OTHER, date_created="Fri, 20 Nov 2026 12:20:00 +0000")
    far.says(listed(late, record()))
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (LookupVerdict.CANNOT_TELL, None)
    assert "2 such messages" in lookup_result.message


def test_one_message_in_both_lists_is_one(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(record()), listed(record(status="delivered")))
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.status) == (LookupVerdict.THERE, "delivered")


@pytest.mark.parametrize(
    "fields", [{"to": "+12025550198"}, {"num_media": "1"}, {"sid": None}, {"sid": "a b"}]
)
def test_the_same_text_under_odd_circumstances_proves_nothing(
    far: Far, transport: GuardedTransport, call: Calls, fields: dict[str, Any]
) -> None:
    far.says(listed(record(**fields)))
    assert (
        made(transport, far.url).look_up(text(call), SENT_AT).verdict is LookupVerdict.CANNOT_TELL
    )


def test_pages_are_read_to_the_first_that_is_older(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    more = f"{MESSAGES}?Page=1&PageToken=x"
    older = record(date_created=LONG_AGO, body="Other")
    far.says(listed(record(body="Other"), following=more), listed(record()))
    assert made(transport, far.url).look_up(text(call), SENT_AT).verdict is LookupVerdict.THERE
    assert far.seen[1].path == more
    far.says(listed(), listed(older, following=more))
    assert made(transport, far.url).look_up(text(call), SENT_AT).verdict is LookupVerdict.NOT_THERE
    assert len(far.seen) == 2


def test_a_list_without_end_cannot_tell(far: Far, transport: GuardedTransport, call: Calls) -> None:
    other = record(body="Other")
    ends = [listed(other, following=f"{MESSAGES}?Page={n}") for n in range(1, 30)]
    far.says(*ends)
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert lookup_result.verdict is LookupVerdict.CANNOT_TELL
    assert len(far.seen) <= 12


@pytest.mark.parametrize("by_date", [True, False])
@pytest.mark.parametrize("body", ["Other", TEXT])
def test_a_list_that_is_not_read_to_its_end_proves_nothing(
    far: Far, transport: GuardedTransport, call: Calls, by_date: bool, body: str
) -> None:
    found = record(body=body)
    ends = [listed(found, following=f"{MESSAGES}?Page={n}") for n in range(1, 6)]
    too_long = [*ends, listed(found)]
    far.says(*([*too_long, listed()] if by_date else [listed(), *too_long]))
    lookup_result = made(transport, far.url).look_up(text(call), SENT_AT)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (LookupVerdict.CANNOT_TELL, None)
    assert "too long" in lookup_result.message


@pytest.mark.parametrize(
    "following", ["https://evil.example/x", "/2010-04-01/Accounts/other/Messages.json?a=1", 7]
)
def test_a_list_that_goes_on_elsewhere_is_not_followed(
    far: Far, transport: GuardedTransport, call: Calls, following: Any
) -> None:
    far.says(listed(following=following))
    with pytest.raises(AdapterError, match="cannot be right"):
        made(transport, far.url).look_up(text(call), SENT_AT)
    assert len(far.seen) == 1


def test_a_list_that_goes_in_circles_ends(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(record(body="Other"), following=f"{MESSAGES}?Page=1"))
    with pytest.raises(AdapterError, match="cannot be right"):
        made(transport, far.url).look_up(text(call), SENT_AT)


def test_a_messaging_service_may_have_taken_any_sender(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(record(**{"from": "+15005550007"})))
    service = made(transport, far.url, messaging_service_sid=SERVICE, **{"from": ""})
    assert service.look_up(text(call), SENT_AT).verdict is LookupVerdict.THERE
    assert "From=" not in far.seen[0].path
    preferred = made(transport, far.url, messaging_service_sid=SERVICE)
    assert preferred.look_up(text(call), SENT_AT).verdict is LookupVerdict.THERE
    assert "From=" not in far.seen[-1].path
    made(transport, far.url).look_up(text(call, to=f"whatsapp:{TO}"), SENT_AT)
    assert f"From=whatsapp%3A%2B{SENDER[1:]}" in far.seen[-1].path


def test_a_message_to_us_is_none_of_ours(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(listed(record(direction="inbound")))
    assert made(transport, far.url).look_up(text(call), SENT_AT).verdict is LookupVerdict.NOT_THERE


@pytest.mark.parametrize(
    "said", [[listed(record())], [listed()], [listed(record(body="It's")), listed()]]
)
def test_the_evidence_names_nobody(
    far: Far, transport: GuardedTransport, call: Calls, said: list[Any]
) -> None:
    far.says(*said)
    message = made(transport, far.url).look_up(text(call), SENT_AT).message
    assert "2026-11-20T11:" in message
    for private in (TO, SENDER, TEXT, "received"):
        assert private not in message


def test_a_list_that_cannot_be_read_says_nothing(transport: GuardedTransport, call: Calls) -> None:
    with raw_server(lambda sock: None) as url, pytest.raises(NotSent):
        made(transport, url).look_up(text(call), SENT_AT)


@pytest.mark.parametrize(
    "value", [None, [], {"messages": None}, {"messages": [7]}, {"messages": {"a": 1}}]
)
def test_a_strange_list_says_nothing(
    far: Far, transport: GuardedTransport, call: Calls, value: Any
) -> None:
    far.says(says(200, value))
    with pytest.raises(AdapterError):
        made(transport, far.url).look_up(text(call), SENT_AT)
