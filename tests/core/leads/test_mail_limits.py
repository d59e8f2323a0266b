"""Send limits of e-mails: a form cannot make the hub bomb a mailbox, or its own people."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from marshmallow import Schema
from sqlalchemy import select, update

from adapters import Action, Effect
from adapters.sendgrid.outbound import SendgridOutbound
from hub.core.configuration import Destination, MailLimits, Rate, TextLimits
from hub.core.events.edited_copies import copy_event
from hub.core.ids import new_id
from hub.core.inbound.ingest import ingest
from hub.core.leads.cap_alerts import end_expired_alerts
from hub.core.leads.held import hold, release
from hub.core.leads.send_limits import SendRequest, limits_of
from hub.core.models import Attempt, LimitCount, database_later
from hub.core.monitoring import alerts
from hub.core.replays.replay import preview_deliveries, replay_deliveries
from tests.core.leads.sending import Sending, mailing_hub, open_alerts, reasons, texting_hub
from tests.core.making import (
    NOW,
    attempts_of,
    deliveries_of,
    events_of,
    make_due,
    one_delivery,
    route,
    until_somebody_waits,
)

VICTIM = "victim@elsewhere.example"
MAIL = {"to": VICTIM, "subject": "Thanks", "text": "Hello"}
DEFAULTS = MailLimits()
WIDE = MailLimits(Rate(100_000, 60), 100_000, 100_000)
TO_ONE, IN_ALL = "cap: 3 in 1d to one e-mail address", "cap: 200 in 1d by this destination"
TO_PEOPLE = "cap: 60 in 1h to your own people"
DANA = SimpleNamespace(slug="dana", email="dana@acme.example", phone="+12025550101")


def mail(to: Any = "{{ data.email }}", **with_: Any) -> Any:
    written = MAIL | {"to": to} | with_
    return route("confirm", on=("*",), destination="email", action="send", with_=written)


def mailing(limits: MailLimits = DEFAULTS, **changes: Any) -> Sending:
    return mailing_hub(changes.pop("route", mail()), limits, **changes)


def mailed(database, town: Sending, *emails: str, **options: Any) -> list[Any]:
    """Ingest leads with these addresses and claim; return the `to` of each e-mail that goes out."""
    with database.write() as connection:
        town.leads(connection, *({"email": email} for email in emails), **options)
        return [one.parameters["to"] for one in town.claim_all(connection)]


def replayed(database, town: Sending, **wanted: Any) -> list[str]:
    """Replay what was skipped and claim; return the recipients."""
    with database.write() as connection:
        planned = preview_deliveries(connection, town, {"state": "skipped"} | wanted)
        assert replay_deliveries(connection, town, planned, actor="dana", now=town.now) > 0
        make_due(connection)
        return [one.parameters["to"] for one in town.claim_all(connection)]


def test_sixty_posts_that_name_one_victim_send_three_confirmations(database) -> None:
    assert mailed(database, mailing(), *[VICTIM] * 60) == [VICTIM] * 3
    assert reasons(database) == [TO_ONE]
    with database.read() as connection:
        skipped = [one for one in deliveries_of(connection) if one.state == "skipped"]
        assert len(attempts_of(connection)) == 3
    assert len(skipped) == 57
    assert all(one.finished_at is not None for one in skipped)


def test_each_way_to_write_a_mailbox_counts_as_that_mailbox(database) -> None:
    ways = ["victim@gmail.com", "VICTIM@gmail.com", "vic.tim+1@gmail.com", "victim@googlemail.com"]
    assert mailed(database, mailing(), *ways) == ways[:3]
    assert reasons(database) == [TO_ONE]


def test_a_day_has_200_however_the_addresses_differ(database) -> None:
    emails = [f"person{n}@elsewhere.example" for n in range(210)]
    assert mailed(database, mailing(), *emails) == emails[:200]
    assert reasons(database) == [IN_ALL]


def test_the_file_may_allow_more_or_less(database) -> None:
    town = mailing(MailLimits(per_recipient=Rate(1, 3600), per_day=2))
    emails = [VICTIM, VICTIM, "b@elsewhere.example", "c@elsewhere.example"]
    assert mailed(database, town, *emails) == [emails[0], emails[2]]
    assert reasons(database) == ["cap: 1 in 1h to one e-mail address",
                                 "cap: 2 in 1d by this destination"]  # fmt: skip


def test_the_day_has_to_pass_until_a_mailbox_gets_more(database) -> None:
    town = mailing()
    mailed(database, town, *[VICTIM] * 3)
    town.now = NOW + timedelta(hours=23)
    assert mailed(database, town, VICTIM) == []
    town.now = NOW + timedelta(hours=27)
    assert mailed(database, town, VICTIM) == [VICTIM]


@pytest.mark.parametrize("name", ["to", "cc", "bcc"])
def test_one_recipient_over_the_cap_keeps_the_whole_mail_back(database, name: str) -> None:
    town = mailing(
        route=mail(
            **{"to": "{{ data.email }}", name: ["{{ data.email }}", f"V <{'{{ data.other }}'}>"]}
        )
    )
    data = [{"email": f"person{n}@elsewhere.example", "other": VICTIM} for n in range(5)]
    with database.write() as connection:
        town.leads(connection, *data)
        assert len(town.claim_all(connection)) == 3
    assert reasons(database) == [TO_ONE]


def test_a_mail_that_was_skipped_is_counted_for_none_of_its_recipients(database) -> None:
    town = mailing(MailLimits(Rate(1, 86400)), route=mail(["{{ data.email }}", "{{ data.other }}"]))
    pairs = [("a", "b"), ("b", "c"), ("c", "d")]
    data = [{"email": f"{a}@x.example", "other": f"{b}@x.example"} for a, b in pairs]
    with database.write() as connection:
        town.leads(connection, *data)
        sent = [one.parameters["to"] for one in town.claim_all(connection)]
    assert sent == [["a@x.example", "b@x.example"], ["c@x.example", "d@x.example"]]


def test_a_thousand_recipients_of_one_mail_are_counted(database) -> None:
    """More parts than a statement of SQLite may have in one condition."""
    town = mailing(route=mail("{{ data.all }}"))
    everybody = [f"person{n}@elsewhere.example" for n in range(1000)]
    with database.write() as connection:
        town.leads(connection, *[{"all": everybody}] * 4)
        assert len(town.claim_all(connection)) == 3


@pytest.mark.parametrize(
    "to",
    [
        "office@acme.example",
        "The Office <office@acme.example>",
        "{{ 'office@acme.example' if data.email else '' }}",
        "dana@acme.example",
    ],
)
def test_what_stands_in_the_file_has_no_cap_but_the_budget_of_people(database, to: str) -> None:
    town = mailing(route=mail(to), people={"dana": DANA})
    assert len(mailed(database, town, *[VICTIM] * 70)) == 60
    assert reasons(database) == [TO_PEOPLE]
    town.now = NOW + timedelta(hours=1, minutes=7)
    assert len(mailed(database, town, VICTIM)) == 1


def test_mails_to_people_are_not_counted_for_the_day(database) -> None:
    town = mailing(MailLimits(per_day=2), people={"dana": DANA})
    emails = ["Dana@acme.example"] * 5 + ["a@x.example", "b@x.example", "c@x.example"]
    assert mailed(database, town, *emails) == emails[:7]


def test_a_mail_to_a_stranger_with_a_copy_to_people_is_counted_for_both(database) -> None:
    town = mailing(replace(DEFAULTS, people_per_hour=2), route=mail(bcc="office@acme.example"))
    emails = [f"person{n}@x.example" for n in range(4)]
    assert mailed(database, town, *emails) == emails[:2]
    assert reasons(database) == ["cap: 2 in 1h to your own people"]


def test_the_texts_to_people_have_the_same_budget(database) -> None:
    tell = route("tell", destination="sms", action="send", with_={"to": DANA.phone, "body": "A"})
    town = texting_hub(tell, TextLimits())
    with database.write() as connection:
        town.leads(connection, *[{"email": VICTIM}] * 65)
        assert len(town.claim_all(connection)) == 60
    assert reasons(database) == [TO_PEOPLE]


def test_what_a_provider_vouches_for_has_no_limits_of_mail(database) -> None:
    town = mailing(MailLimits(Rate(1, 60), 1, 1), adapter="stripe")
    assert mailed(database, town, *[VICTIM] * 5) == [VICTIM] * 5
    with database.read() as connection:
        assert list(connection.execute(select(LimitCount.key))) == []


def test_what_is_stored_of_a_request_says_whether_it_came_from_a_form(database) -> None:
    """Its source may have been renamed since, and another one may have its name."""
    town = mailing(unsigned=["gone", "provider"])
    with database.write() as connection:
        town.leads(connection, *[{"email": VICTIM}] * 2, source="gone")
        town.leads(connection, *[{"email": VICTIM}] * 2)
        town.adapter = "stripe"
        assert len(town.claim_all(connection)) == 3
    signed = mailing(unsigned=[])
    assert mailed(database, signed, *[VICTIM] * 5, source="renamed") == [VICTIM] * 5


def test_what_follows_from_the_mail_of_a_form_is_caused_by_that_form(database) -> None:
    """A bounce that is answered by a mail would be another way to the victim."""
    town = mailing()
    mailed(database, town, *[VICTIM] * 3)
    with database.read() as connection:
        first = str(deliveries_of(connection)[0].id)
    with database.write() as connection:
        about = {"email": VICTIM, "delivery_id": first}
        town.leads(connection, about, about, source="reports")
        assert town.claim_all(connection) == []
        second = str(deliveries_of(connection)[-1].id)
        town.leads(connection, about | {"delivery_id": second}, source="reports")
        assert town.claim_all(connection) == []
    assert mailed(database, town, VICTIM, source="reports") == [VICTIM]


def test_what_is_too_far_from_its_cause_may_be_caused_by_a_form(database) -> None:
    town = mailing()
    mailed(database, town, VICTIM)
    for _ in range(7):
        with database.read() as connection:
            last = max(deliveries_of(connection), key=lambda one: one.id)
        with database.write() as connection:
            about = {"email": VICTIM, "delivery_id": str(last.id)}
            town.leads(connection, about, source="reports")
            town.claim_all(connection)
    with database.read() as connection:
        assert len(attempts_of(connection)) == 3
    assert reasons(database) == [TO_ONE]


def test_what_follows_from_a_delivery_that_is_not_there_may_be_caused_by_a_form(database) -> None:
    town = mailing()
    about = {"email": VICTIM, "delivery_id": str(uuid4())}
    with database.write() as connection:
        town.leads(connection, *[about] * 4, source="reports")
        assert len(town.claim_all(connection)) == 3


def test_an_invoice_to_a_customer_is_an_e_mail_to_a_recipient(database) -> None:
    """Stripe mails whoever the customer is; of some e-mails no recipient can be read at all."""
    invoice = {
        "customer": "{{ data.customer_id }}", "amount": 5, "currency": "USD", "description": "Roof"
    }  # fmt: skip
    one = route("bill", destination="bills", action="send_invoice", with_=invoice)
    bills = Destination("bills", "stripe", {}, mail_limits=MailLimits(per_day=4))
    town = Sending([one], destination=bills)
    wanted = [*["cus_A"] * 4, "nobody", "cus_B", "cus_C"]
    with database.write() as connection:
        town.leads(connection, *({"customer_id": one} for one in wanted))
        billed = [one.parameters["customer"] for one in town.claim_all(connection)]
    assert billed == [*["cus_A"] * 3, "nobody", "cus_B"]
    assert reasons(database) == [TO_ONE, "cap: 4 in 1d by this destination"]
    with database.write() as connection:
        actions = {"send": Action(Effect.KEYED, Schema, recipients=("to",))}
        limits = limits_of(connection, town.configuration, bills, actions, now=NOW)
        assert limits is not None
        unread = SendRequest(new_id(NOW), "send", {})
        assert limits.refusal(unread) == "cap: 4 in 1d by this destination"


def test_an_edited_copy_and_a_released_lead_count_as_their_form_does(database) -> None:
    town = mailing()
    mailed(database, town, *[VICTIM] * 2)
    with database.write() as connection:
        first = events_of(connection)[0].id
        for name in ("one", "two"):
            copy_event(connection, town, first, {"email": VICTIM, "name": name}, actor="d", now=NOW)
        assert len(town.claim_all(connection)) == 1
        town.taken += 1
        held = hold(town.prepared({"id": "h", "data": {"email": VICTIM}}), "links")
        ingest(connection, held)
        [event_id] = [one.id for one in events_of(connection) if one.external_id == "h"]
        release(connection, town, event_id, actor="dana", now=NOW)
        assert town.claim_all(connection) == []
    assert reasons(database) == [TO_ONE]


def test_a_mail_that_is_tried_once_more_is_one_mail(database) -> None:
    town = mailing(MailLimits(Rate(1, 3600)))
    assert mailed(database, town, VICTIM) == [VICTIM]
    with database.write() as connection:
        connection.execute(update(Attempt).values(state="not_processed"))
        one_delivery(connection, state="retrying", next_attempt_at=database_later(-1))
        assert len(town.claim_all(connection)) == 1


def test_a_persons_replay_beyond_the_cap_goes_out_when_it_may(database) -> None:
    """As with texts: the cap is what the business may do, whoever asks."""
    town = mailing(MailLimits(Rate(1, 3600)))
    mailed(database, town, VICTIM, VICTIM)
    assert replayed(database, town) == []
    assert reasons(database) == ["cap: 1 in 1h to one e-mail address"]
    town.now = NOW + timedelta(hours=1, minutes=7)
    assert replayed(database, town) == [VICTIM]


def test_the_alert_says_how_many_were_skipped_and_for_what(database) -> None:
    town = mailing(replace(DEFAULTS, people_per_hour=2), people={"dana": DANA})
    mailed(database, town, *[VICTIM] * 4)
    [message] = open_alerts(database).values()
    assert message.startswith("an e-mail was skipped: 3 in 1d to one e-mail address. `hub deliv")
    mailed(database, town, *[VICTIM] * 9)
    [message] = open_alerts(database).values()
    assert message.startswith("10 e-mails were skipped: 3 in 1d to one e-mail address. `hub")
    mailed(database, town, *["dana@acme.example"] * 7)
    [(kind, subject)] = open_alerts(database)
    assert (kind, subject) == (alerts.CAP_REACHED, "email")
    assert open_alerts(database)[kind, subject] == (
        "15 e-mails were skipped: 10 for 3 in 1d to one e-mail address, 5 for 2 in 1h to your own "
        "people. So your people were 5 times not told of a lead: the dashboard has the leads. "
        "`hub deliveries --state skipped --destination email` lists them, `limits` in hub.yaml "
        "says what may go out; replay what was right"
    )


def test_the_alert_ends_when_the_window_of_its_last_refusal_has_passed(database) -> None:
    town = mailing()
    mailed(database, town, *[VICTIM] * 4)

    def after(**time: int) -> int:
        with database.write() as connection:
            end_expired_alerts(connection, now=NOW + timedelta(**time))
        return len(open_alerts(database))

    assert after(hours=23) == 1
    assert after(hours=27) == 0


def test_no_address_is_kept_by_the_counters_or_said_by_the_alert(database) -> None:
    mailed(database, mailing(), *[VICTIM] * 5)
    with database.read() as connection:
        kept = repr(list(connection.execute(select(LimitCount.__table__))))
        said = repr([one.error for one in deliveries_of(connection)])
    assert "victim" not in (kept + said + repr(open_alerts(database))).lower()


def test_a_text_that_is_no_address_is_left_to_the_adapter_which_refuses_it(database) -> None:
    town = mailing(MailLimits(per_day=1))
    emails = ["nobody", "a@b@c", "", *[VICTIM] * 2]
    assert sorted(mailed(database, town, *emails)) == sorted(emails[:4])


def test_two_workers_that_claim_at_once_keep_the_caps_together(database) -> None:
    town = mailing(MailLimits(Rate(1, 3600)), shards=2)
    wanted = SendRequest(new_id(NOW), "send", MAIL)

    def refusal(connection) -> str | None:
        actions = SendgridOutbound.actions
        limits = limits_of(connection, town.configuration, town.destination, actions, now=NOW)
        return limits.refusal(wanted) if limits else "none"

    def other() -> str | None:
        with database.write() as connection:
            return refusal(connection)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            assert refusal(connection) is None
            asking = pool.submit(other)
            until_somebody_waits(database, or_has_ended=asking)
        assert asking.result() == "cap: 1 in 1h to one e-mail address"


def test_many_workers_that_claim_at_once_let_no_more_through_than_the_cap(database) -> None:
    town = mailing(shards=4)
    wanted = SendRequest(new_id(NOW), "send", MAIL)

    def refusal(_: int) -> str | None:
        with database.write() as connection:
            actions = SendgridOutbound.actions
            limits = limits_of(connection, town.configuration, town.destination, actions, now=NOW)
            assert limits is not None
            refused = limits.refusal(wanted)
            limits.report()
            return refused

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(refusal, range(20)))
    assert found.count(None) == 3
    assert found.count(TO_ONE) == 17
    [message] = open_alerts(database).values()
    assert message.startswith("17 e-mails were skipped")


def test_what_writes_to_nobody_has_no_caps(database) -> None:
    quiet = {name: one for name, one in SendgridOutbound.actions.items() if name != "send"}
    with database.read() as connection:
        destination = Destination("email", "sendgrid", {})
        configuration = mailing().configuration
        assert limits_of(connection, configuration, destination, quiet, now=NOW) is None
