"""Send limits: strangers cannot make the hub send texts to any number, or as many as they like."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from adapters.http.outbound import HttpOutbound
from adapters.twilio.outbound import TwilioOutbound
from hub.core.configuration import Destination, Rate, TextLimits
from hub.core.delivery.prepare import Claimed
from hub.core.ids import new_id
from hub.core.leads.cap_alerts import end_expired_alerts
from hub.core.leads.rate_counters import prune
from hub.core.leads.recipients import prefix_of, refusal_of
from hub.core.leads.send_limits import SendRequest, limits_of
from hub.core.models import Alert, Attempt, LimitCount, database_later
from hub.core.monitoring import alerts
from hub.core.replays.replay import preview_deliveries, replay_deliveries
from tests.core.leads.sending import Sending, open_alerts, reasons, texting_hub
from tests.core.making import (
    NOW,
    attempts_of,
    deliveries_of,
    make_due,
    one_delivery,
    route,
    until_somebody_waits,
)

GOOD = "+12025550101"
WIDE = Rate(100_000, 60)
WIDE_LIMITS = TextLimits(("US",), WIDE, WIDE, WIDE, 100_000)


def sms(with_to: str = "{{ data.phone }}") -> Any:
    return route("tell", destination="sms", action="send", with_={"to": with_to, "body": "Hello"})


def texting(limits: TextLimits = WIDE_LIMITS, **changes: Any) -> Sending:
    return texting_hub(changes.pop("route", sms()), limits, **changes)


def texted(database, town: Sending, *phones: str, **options: Any) -> list[str]:
    """Ingest leads with these numbers and claim; return the numbers that get a text."""
    with database.write() as connection:
        town.leads(connection, *({"phone": phone} for phone in phones), **options)
        return [one.parameters["to"] for one in town.claim_all(connection)]


def said(database) -> list[tuple[str, str]]:
    return list(open_alerts(database))


@pytest.mark.parametrize(
    ("number", "countries", "expected"),
    [
        (GOOD, ("US",), None),
        ("+16475550123", ("US",), "another country"),
        ("+16475550123", ("US", "CA"), None),
        ("+18765551234", ("US",), "another country"),
        ("+4915112345678", ("DE",), None),
        ("+442079460000", ("GB",), None),
        ("+19005551234", ("US",), "odd range"),
        ("+18005551234", ("US",), "odd range"),
        ("+447012345678", ("GB",), "odd range"),
        ("+8821234567", ("US",), "odd range"),
        ("+881612345678", ("US",), "another country"),
        ("+15551234567", ("US",), "odd range"),
        ("+9990123456", ("US",), "no country"),
        ("12025550101", ("US",), "no telephone number"),
        ("+1 202 555 0101", ("US",), "no telephone number"),
        ("\uff0b12025550101", ("US",), "no telephone number"),
        ("+\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff10\uff11", ("US",), "no tele"),
        ("+12025550101\n", ("US",), "no telephone number"),
        ("+1202555CALL", ("US",), "no telephone number"),
        ("", ("US",), "no telephone number"),
    ],
)
def test_which_numbers_may_cost_money(number, countries, expected) -> None:
    """B75."""
    why = refusal_of(number, countries)
    assert (why is None) if expected is None else (why is not None and expected in why)
    assert len(number) < 7 or number not in (why or "")


@given(st.text(max_size=20) | st.from_regex(r"\+[0-9]{1,18}", fullmatch=True))
def test_any_text_at_all_gets_an_answer(text: str) -> None:
    assert (
        refusal_of(text, ("US",)) is None
        or text.isascii()
        or "telephone" in str(refusal_of(text, ("US",)))
    )


@pytest.mark.parametrize(
    "phone", ["+19005551234", "+8821234567", "+447012345678", "+１２０２５５５０１０１", "call me"]
)
def test_an_odd_number_from_a_form_is_skipped_with_no_attempt(database, phone: str) -> None:
    """B75, without a word about limits in the file."""
    assert texted(database, texting(TextLimits()), phone) == []
    with database.read() as connection:
        [delivery] = deliveries_of(connection)
        assert attempts_of(connection) == []
    assert delivery.state == "skipped"
    assert delivery.error.startswith("cap: it is ")
    assert delivery.finished_at is not None
    assert phone not in delivery.error


def test_of_a_thousand_leads_with_numbers_of_one_prefix_no_more_are_texted_than_the_cap(
    database,
) -> None:
    """B76, with the defaults: 30 an hour."""
    phones = [f"+1202555{n:04}" for n in range(1000)]
    assert len(texted(database, texting(TextLimits()), *phones)) == 30
    assert reasons(database) == ["cap: 30 in 1h to numbers that begin alike"]


def test_a_day_has_no_more_than_its_cap_however_the_numbers_differ(database) -> None:
    phones = [f"+1202{n}0101" for n in range(300, 340)]
    town = texting(replace(TextLimits(), per_day=7))
    assert len(texted(database, town, *phones)) == 7
    assert reasons(database) == ["cap: 7 in 1d by this destination"]


def test_without_a_word_in_the_file_a_day_has_500(database) -> None:
    phones = [f"+1{area}555{n:04}" for area in range(201, 270) for n in range(20)]
    phones = [phone for phone in phones if refusal_of(phone, ("US",)) is None][:520]
    assert len(phones) == 520
    assert len(texted(database, texting(TextLimits()), *phones)) == 500


def test_one_number_gets_three_a_day_and_again_when_the_day_has_passed(database) -> None:
    town = texting(TextLimits())
    assert texted(database, town, *[GOOD] * 5) == [GOOD] * 3
    assert reasons(database) == ["cap: 3 in 1d to one number"]
    town.now = NOW + timedelta(hours=23)
    assert texted(database, town, GOOD) == []
    town.now = NOW + timedelta(hours=27)
    assert texted(database, town, GOOD) == [GOOD]


def test_one_sender_has_so_many_texts_sent_and_another_still_may(database) -> None:
    town = texting(replace(WIDE_LIMITS, per_address=Rate(2, 86_400)))
    phones = [f"+1202555010{n}" for n in range(4)]
    assert len(texted(database, town, *phones, sender="aa" * 16)) == 2
    assert reasons(database) == ["cap: 2 in 1d asked for from one address"]
    assert len(texted(database, town, GOOD, sender="bb" * 16)) == 1
    assert len(texted(database, town, *phones)) == 4


def test_a_text_that_was_skipped_is_not_counted(database) -> None:
    town = texting(replace(WIDE_LIMITS, per_number=Rate(1, 60), per_day=2))
    assert texted(database, town, GOOD, GOOD, GOOD, "+12025550102") == [GOOD, "+12025550102"]


def test_whatsapp_counts_as_the_number_that_it_goes_to(database) -> None:
    town = texting(
        replace(WIDE_LIMITS, per_number=Rate(1, 60)), route=sms("whatsapp:{{ data.phone }}")
    )
    assert texted(database, town, GOOD, GOOD, "+19005551234") == [f"whatsapp:{GOOD}"]


def test_what_a_provider_vouches_for_has_no_limits_unless_the_file_says_so(database) -> None:
    town = texting(TextLimits(), adapter="stripe")
    numbers = [GOOD] * 5 + ["+447012345678"]
    assert texted(database, town, *numbers) == numbers
    with database.read() as connection:
        assert list(connection.execute(select(LimitCount.key))) == []


def test_limits_of_the_file_hold_for_every_source_each_for_itself(database) -> None:
    town = texting(TextLimits(per_number=Rate(2, 60)), adapter="stripe")
    other = "+447012345678"
    assert texted(database, town, GOOD, GOOD, GOOD, other) == [GOOD, GOOD, other]


def test_the_file_may_allow_other_countries_and_more(database) -> None:
    town = texting(TextLimits(countries=("CA",), per_number=Rate(5, 60)))
    canada = "+16475550123"
    assert texted(database, town, *[canada] * 6, GOOD) == [canada] * 5


def test_a_number_that_stands_in_the_file_is_never_capped(database) -> None:
    own = "+447012345678"
    assert texted(database, texting(TextLimits(), route=sms(own)), *[GOOD] * 9) == [own] * 9


def test_those_who_work_here_are_texted_however_many_leads_come(database) -> None:
    people = {"dana": SimpleNamespace(phone=GOOD), "lee": SimpleNamespace(phone=None)}
    town = texting(TextLimits(), people=people)
    assert texted(database, town, *[GOOD] * 9) == [GOOD] * 9


def test_a_text_that_is_tried_once_more_is_one_text(database) -> None:
    town = texting(replace(WIDE_LIMITS, per_number=Rate(1, 3600)))
    assert texted(database, town, GOOD) == [GOOD]
    with database.write() as connection:
        connection.execute(update(Attempt).values(state="not_processed"))
        one_delivery(connection, state="retrying", next_attempt_at=database_later(-1))
        assert len(town.claim_all(connection)) == 1


def test_a_persons_replay_beyond_the_cap_is_told_of_and_goes_out_when_it_may(database) -> None:
    town = texting(replace(WIDE_LIMITS, per_number=Rate(1, 3600)))
    texted(database, town, GOOD, GOOD)

    def again() -> list[Claimed]:
        with database.write() as connection:
            planned = preview_deliveries(connection, town, {"state": "skipped"})
            assert replay_deliveries(connection, town, planned, actor="dana", now=town.now) == 1
            make_due(connection)
            return town.claim_all(connection)

    assert again() == []
    assert reasons(database) == ["cap: 1 in 1h to one number"]
    assert said(database) == [(alerts.CAP_REACHED, "sms")]
    town.now = NOW + timedelta(hours=1, minutes=7)
    [claimed] = again()
    assert claimed.parameters["to"] == GOOD


def test_a_cap_that_is_reached_is_told_of_once_until_its_window_has_passed(database) -> None:
    town = texting(replace(WIDE_LIMITS, per_number=Rate(1, 3600)))
    texted(database, town, *[GOOD] * 4)
    assert said(database) == [(alerts.CAP_REACHED, "sms")]
    with database.write() as connection:
        [message] = connection.execute(select(Alert.message)).scalars()
        end_expired_alerts(connection, now=NOW + timedelta(minutes=59))
        prune(connection, now=NOW + timedelta(minutes=59))
    assert message.startswith("3 texts were skipped: 1 in 1h to one number. `hub deliv")
    assert GOOD not in message
    assert len(said(database)) == 1
    with database.write() as connection:
        end_expired_alerts(connection, now=NOW + timedelta(minutes=67))
    assert said(database) == []


def test_a_later_refusal_makes_the_alert_last_longer(database) -> None:
    town = texting(replace(WIDE_LIMITS, per_number=Rate(1, 3600)))
    texted(database, town, GOOD, GOOD)
    town.now = NOW + timedelta(minutes=50)
    texted(database, town, GOOD)
    with database.write() as connection:
        end_expired_alerts(connection, now=NOW + timedelta(minutes=100))
    assert len(said(database)) == 1


def test_a_refusal_of_the_moment_in_which_the_alert_would_end_keeps_it(database) -> None:
    """The alert exists for the refusing worker and is over for the clock: none would stay."""
    town = texting(replace(WIDE_LIMITS, per_number=Rate(1, 3600)))
    texted(database, town, GOOD, GOOD)
    town.now = NOW + timedelta(minutes=67)
    texted(database, town, GOOD)

    def end() -> None:
        with database.write() as connection:
            end_expired_alerts(connection, now=town.now)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            town.leads(connection, {"phone": GOOD})
            assert town.claim_all(connection) == []
            ending = pool.submit(end)
            until_somebody_waits(database, or_has_ended=ending)
        ending.result()
    assert said(database) == [(alerts.CAP_REACHED, "sms")]


def test_two_shards_that_claim_at_once_keep_the_caps_together(database) -> None:
    """Either would count no text of the other, and both would send one."""
    configuration = texting().configuration
    caps = replace(WIDE_LIMITS, per_number=Rate(1, 3600))
    shared = Destination("sms", "twilio", {}, shards=2, limits=caps)
    wanted = SendRequest(new_id(NOW), "send", {"to": GOOD})

    def refusal(connection) -> str | None:
        limits = limits_of(connection, configuration, shared, TwilioOutbound.actions, now=NOW)
        return limits.refusal(wanted)

    def other() -> str | None:
        with database.write() as connection:
            return refusal(connection)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            assert refusal(connection) is None
            asking = pool.submit(other)
            until_somebody_waits(database, or_has_ended=asking)
        assert asking.result() == "cap: 1 in 1h to one number"


def test_neither_number_nor_prefix_is_kept_by_the_counters(database) -> None:
    texted(database, texting(), GOOD)
    with database.read() as connection:
        kept = repr(list(connection.execute(select(LimitCount.__table__))))
    assert GOOD[1:] not in kept
    assert prefix_of(GOOD)[1:] not in kept


def test_what_reaches_no_telephone_has_no_caps(database) -> None:
    with database.read() as connection:
        configuration = texting().configuration
        destination = configuration.destinations["sms"]
        assert (
            limits_of(connection, configuration, destination, HttpOutbound.actions, now=NOW) is None
        )
