"""Unknown outcomes: the ledger's transition table against the real SQL, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from adapters import Action, Effect, LookupResult, LookupVerdict, Outcome, Verdict
from adapters.http.outbound import HttpOutbound
from hub.core.configuration import RetryPlan
from hub.core.delivery import claim as claiming
from hub.core.delivery.evidence import confirm
from hub.core.delivery.lanes import Lease
from hub.core.delivery.reconcile import (
    alert_unsettled,
    close_confirmed,
    due_for_lookup,
    record_lookup,
)
from hub.core.delivery.record import abandon, orphans, record
from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.delivery.status_callbacks import apply_status_callback
from hub.core.delivery.transitions import RetryPolicy
from hub.core.event_kinds import STATUS_ORDER
from hub.core.models import Alert, Attempt, Delivery
from hub.core.replays.replay import Plan, preview_deliveries, replay_deliveries
from tests.core.delivery.doubting import LOST, ONCE, DoubtfulTown, begin, doubt_it, end
from tests.core.making import (
    NOW,
    attempts_of,
    deliveries_of,
    end_lease,
    lease_of,
    make_due,
    one_delivery,
    route,
    rows,
    until_somebody_waits,
)

TAKEN = Outcome(Verdict.SUCCEEDED, status=201, provider_ref="SM1")
BUSY = Outcome(Verdict.NOT_PROCESSED, "busy")
KEYED = RetryPolicy(Effect.KEYED, RetryPlan())
THERE = LookupResult(LookupVerdict.THERE, "it is listed", provider_ref="SM1")
NOT_THERE = LookupResult(LookupVerdict.NOT_THERE, "it is not listed")
CANNOT_TELL = LookupResult(LookupVerdict.CANNOT_TELL, "several are alike")


@pytest.fixture
def town() -> DoubtfulTown:
    return DoubtfulTown()


@pytest.fixture
def connection(database, town):
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"})
        yield connection


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def news(connection, town, kind="sms.sent", *, n=1, message_id="SM1", source="provider", **data):
    """Apply a source's status callback of an attempt; return the delivery that it matched."""
    token = f"{one_delivery(connection)}.{n}"
    told = {"hub_attempt": token} | ({"message_id": message_id} if message_id else {}) | data
    return apply_status_callback(
        connection, town, event_type=kind, source=source, data=told, now=NOW
    )


def look(connection, town, lookup, at_s: float, *, keyed=False):
    """Look up the one unknown attempt as the clock does; return None when it is not due."""
    doubts = due_for_lookup(connection, town, most=50, now=later(at_s))
    if not doubts:
        return None
    [doubt] = doubts
    return record_lookup(connection, doubt, lookup, keyed=keyed, now=later(at_s))


def states(connection) -> tuple[str, list[str]]:
    [delivery] = deliveries_of(connection)
    return delivery.state, [row.state for row in attempts_of(connection)]


def open_alerts(connection) -> list[str]:
    return [row.kind for row in rows(connection, Alert) if row.ended_at is None]


def person(connection, answer: SettleAnswer) -> None:
    settle(connection, one_delivery(connection), answer, reason="asked", actor="cli:jo", now=NOW)


def test_the_providers_own_word_closes_what_is_unknown(connection, town) -> None:
    doubt_it(connection, town)
    assert states(connection) == ("unknown", ["unknown"])
    assert news(connection, town) == one_delivery(connection)
    [delivery], [attempt] = deliveries_of(connection), attempts_of(connection)
    assert (delivery.state, delivery.provider_ref, delivery.status) == ("succeeded", "SM1", "sent")
    assert (attempt.state, attempt.closed_by, attempt.provider_ref) == (
        "accepted", "webhook", "SM1",
    )  # fmt: skip
    assert delivery.finished_at is not None
    assert [(one["by"], one["said"]) for one in attempt.evidence] == [
        ("webhook", "provider told: sms.sent")
    ]


@pytest.mark.parametrize("message_id", ["SM1", None])
def test_its_word_before_our_record_counts_when_the_record_is_in_doubt(
    connection, town, message_id
) -> None:
    """I7; also from a provider that names no id."""
    lease, claimed = begin(connection, town)
    news(connection, town, message_id=message_id)
    assert states(connection) == ("running", ["calling"])
    end(connection, lease, claimed, LOST)
    assert states(connection) == ("unknown", ["unknown"])
    assert close_confirmed(connection, now=later(5)) == 1
    assert states(connection) == ("succeeded", ["accepted"])
    assert close_confirmed(connection, now=later(10)) == 0


def test_its_word_before_our_record_of_an_answer_changes_nothing(connection, town) -> None:
    lease, claimed = begin(connection, town)
    news(connection, town)
    end(connection, lease, claimed, TAKEN)
    news(connection, town, "sms.delivered")
    assert states(connection) == ("succeeded", ["accepted"])
    assert attempts_of(connection)[0].closed_by is None
    assert open_alerts(connection) == []


@pytest.mark.parametrize("outcome", [BUSY, LOST])
def test_no_further_call_leaves_when_the_last_was_told_of_meanwhile(
    connection, town, outcome
) -> None:
    """Its outcome made it due again, also by a policy of repeats: the callback comes first."""
    lease, claimed = begin(connection, town)
    news(connection, town)
    end(connection, lease, claimed, outcome, KEYED)
    assert states(connection)[0] == "retrying"
    end_lease(connection)
    make_due(connection)
    assert town.claim(connection, lease_of(connection)) == []
    assert states(connection) == ("succeeded", ["accepted"])
    assert deliveries_of(connection)[0].provider_ref == "SM1"


def test_its_word_while_a_retry_waits_closes_it(connection, town) -> None:
    end(connection, *begin(connection, town), BUSY)
    news(connection, town)
    assert states(connection) == ("succeeded", ["accepted"])
    make_due(connection)
    assert town.claim(connection, Lease("ops", 99, "me")) == []


def again(connection, town) -> tuple[Any, Any]:
    """Leave the first attempt in doubt, settle it as *again*, and begin the second."""
    doubt_it(connection, town)
    person(connection, SettleAnswer.AGAIN)
    return begin(connection, town)


def test_a_second_acceptance_is_told_once_and_never_hidden(connection, town) -> None:
    end(connection, *again(connection, town), Outcome(Verdict.SUCCEEDED, provider_ref="SM2"))
    assert open_alerts(connection) == []
    for _ in range(3):
        news(connection, town, n=1, message_id="SM1")
    assert states(connection) == ("succeeded", ["accepted", "accepted"])
    assert open_alerts(connection) == ["double effect"]
    assert len(rows(connection, Alert)) == 1


def test_a_second_acceptance_by_the_calls_own_answer_is_told_too(connection, town) -> None:
    lease, claimed = again(connection, town)
    news(connection, town, n=1)
    assert states(connection) == ("running", ["accepted", "calling"])
    assert open_alerts(connection) == []
    end(connection, lease, claimed, Outcome(Verdict.SUCCEEDED, provider_ref="SM2"))
    assert open_alerts(connection) == ["double effect"]


def test_two_messages_of_one_attempt_are_a_double_effect(connection, town) -> None:
    end(connection, *begin(connection, town), TAKEN)
    news(connection, town, message_id="SM1")
    assert open_alerts(connection) == []
    news(connection, town, message_id="SM2")
    assert open_alerts(connection) == ["double effect"]


def test_two_doubts_that_are_both_told_of_leave_nothing_open(connection, town) -> None:
    end(connection, *again(connection, town), LOST)
    news(connection, town, n=1, message_id="SM1")
    assert states(connection) == ("unknown", ["accepted", "unknown"])
    news(connection, town, n=2, message_id="SM2")
    assert states(connection) == ("succeeded", ["accepted", "accepted"])
    assert open_alerts(connection) == ["double effect"]


@pytest.mark.parametrize("outcome", [BUSY, LOST])
def test_what_an_earlier_attempt_did_is_not_done_again_after_a_later_one(
    connection, town, outcome
) -> None:
    lease, claimed = again(connection, town)
    news(connection, town, n=1)
    end(connection, lease, claimed, outcome)
    if outcome is LOST:
        look(connection, town, NOT_THERE, 130)
        look(connection, town, NOT_THERE, 190)
    end_lease(connection)
    make_due(connection)
    assert town.claim(connection, lease_of(connection)) == []
    assert states(connection)[0] == "succeeded"
    assert open_alerts(connection) == []


def test_a_replay_that_a_person_asked_for_is_no_alert(connection, town) -> None:
    end(connection, *begin(connection, town), TAKEN)
    news(connection, town, "sms.failed")
    [planned] = preview_deliveries(connection, town, {}, again=True)
    assert (
        replay_deliveries(connection, town, [planned], actor="cli:jo", now=NOW, reason="asked") == 1
    )
    end(connection, *begin(connection, town), Outcome(Verdict.SUCCEEDED, provider_ref="SM2"))
    news(connection, town, "sms.delivered", n=2, message_id="SM2")
    news(connection, town, "sms.read", n=1, message_id="SM1")
    assert open_alerts(connection) == []
    assert deliveries_of(connection)[0].status == "delivered", "that of the one it stands for"


@pytest.mark.parametrize("answer", [SettleAnswer.DROP, SettleAnswer.AGAIN])
def test_the_providers_word_outweighs_a_persons(connection, town, answer) -> None:
    doubt_it(connection, town)
    person(connection, answer)
    news(connection, town)
    assert states(connection) == ("succeeded", ["accepted"])


def test_a_replay_of_what_failed_after_an_earlier_attempt_arrived_is_refused(
    connection, town
) -> None:
    lease, claimed = again(connection, town)
    news(connection, town, n=1)
    end(connection, lease, claimed, Outcome(Verdict.PERMANENT, "21211"))
    assert states(connection)[0] == "failed"
    [planned] = preview_deliveries(connection, town, {})
    assert planned.plan is Plan.REFUSED


def test_a_late_answer_that_it_was_taken_is_not_thrown_away(connection, town) -> None:
    """Look-ups settled it as not made meanwhile: the answer closes it before a second call."""
    lease, claimed = begin(connection, town)
    end_lease(connection)
    new = lease_of(connection, holder="new")
    [orphan] = orphans(connection, new)
    record(connection, [abandon(orphan, ONCE, chance=0.5)])
    look(connection, town, NOT_THERE, 130)
    look(connection, town, NOT_THERE, 190)
    assert states(connection) == ("retrying", ["not_processed"])
    assert end(connection, lease, claimed, TAKEN) == 1
    assert states(connection) == ("succeeded", ["accepted"])
    assert attempts_of(connection)[0].closed_by == "answer"


@pytest.mark.parametrize("outcome", [BUSY, LOST, Outcome(Verdict.PERMANENT, "no")])
def test_a_stale_worker_changes_nothing(connection, town, outcome) -> None:
    """I5."""
    lease, claimed = begin(connection, town)
    connection.execute(update(Delivery).values(lane_token=lease.token + 1))
    before = deliveries_of(connection), attempts_of(connection)
    assert end(connection, lease, claimed, outcome) == 1
    assert (deliveries_of(connection), attempts_of(connection)) == before


def test_found_by_a_look_up_it_has_happened(connection, town) -> None:
    doubt_it(connection, town)
    assert look(connection, town, THERE, 119) is None, "I8: nothing is asked before it has settled"
    look(connection, town, THERE, 120)
    [delivery], [attempt] = deliveries_of(connection), attempts_of(connection)
    assert (delivery.state, delivery.provider_ref) == ("succeeded", "SM1")
    assert (attempt.closed_by, attempt.evidence[0]["said"]) == ("lookup", "it is listed")


def test_not_found_twice_a_minute_apart_it_goes_out_again_with_the_same_bytes(
    connection, town
) -> None:
    """I8, I9."""
    doubt_it(connection, town)
    look(connection, town, NOT_THERE, 120)
    assert states(connection)[0] == "unknown"
    assert look(connection, town, NOT_THERE, 179) is None
    look(connection, town, NOT_THERE, 180)
    assert states(connection) == ("retrying", ["not_processed"])
    assert deliveries_of(connection)[0].finished_at is None
    _, claimed = begin(connection, town)
    first, second = attempts_of(connection)
    assert (first.parameters, first.key) == (second.parameters, second.key)
    assert claimed.n == 2


def test_two_who_look_at_once_count_as_one_look(connection, town) -> None:
    doubt_it(connection, town)
    [doubt] = due_for_lookup(connection, town, most=5, now=later(130))
    for seconds in (130, 131, 140):
        record_lookup(connection, doubt, NOT_THERE, keyed=False, now=later(seconds))
    assert states(connection)[0] == "unknown"


def test_a_look_that_cannot_tell_lets_the_count_begin_anew(connection, town) -> None:
    doubt_it(connection, town)
    for seconds, lookup in [(120, NOT_THERE), (200, CANNOT_TELL), (300, NOT_THERE)]:
        look(connection, town, lookup, seconds)
        assert states(connection)[0] == "unknown"
    look(connection, town, NOT_THERE, 400)
    assert states(connection)[0] == "retrying"


def test_a_clock_that_is_set_back_settles_nothing_early(connection, town) -> None:
    doubt_it(connection, town)
    [doubt] = due_for_lookup(connection, town, most=5, now=later(130))
    record_lookup(connection, doubt, NOT_THERE, keyed=False, now=later(130))
    record_lookup(connection, doubt, NOT_THERE, keyed=False, now=later(10))
    assert states(connection)[0] == "unknown"


def test_another_deliverys_message_is_not_taken_for_ours(connection, town) -> None:
    doubt_it(connection, town)
    mine = one_delivery(connection)
    town.take_in(connection, {"id": "e2"})
    connection.execute(update(Delivery).where(Delivery.id != mine).values(provider_ref="SM1"))
    [doubt] = due_for_lookup(connection, town, most=5, now=later(130))
    record_lookup(connection, doubt, THERE, keyed=False, now=later(130))
    [attempt] = attempts_of(connection)
    assert attempt.state == "unknown"
    assert "another call" in attempt.evidence[0]["said"]


ALIKE = route(with_={"body": "We call you back."})


def two_alike(database, town) -> Any:
    """Claim two deliveries with the same parameters; return their lane and the claims."""
    with database.write() as connection:
        town.take_in(connection, {"id": "e1"}, {"id": "e2"})
        make_due(connection)
        lease = lease_of(connection)
        return lease, town.claim(connection, lease)


def test_a_message_of_which_a_webhook_is_just_telling_settles_no_other_doubt(database) -> None:
    """Neither transaction waits for the other's rows; that message may never have been sent."""
    town = DoubtfulTown(routes=[ALIKE])
    lease, claimed = two_alike(database, town)
    with database.write() as connection:
        for one in claimed:
            end(connection, lease, one, LOST)
        [told_of, doubt] = due_for_lookup(connection, town, most=9, now=later(300))

    def look_alone() -> None:
        with database.write() as connection:
            record_lookup(connection, doubt, THERE, keyed=False, now=later(300))

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            said = {"seen_ref": "SM1", "by": "webhook", "said": "it was sent"}
            confirm(connection, told_of.attempt_id, **said, now=NOW)
            other = pool.submit(look_alone)
            until_somebody_waits(database, or_has_ended=other)
        other.result()
    with database.read() as connection:
        assert sorted(row.state for row in deliveries_of(connection)) == ["succeeded", "unknown"]


@pytest.mark.parametrize("by_content", [True, False], ids=["by its content", "by its token"])
def test_a_message_that_a_call_under_way_may_have_made_settles_no_doubt(
    database, by_content
) -> None:
    town = DoubtfulTown(routes=[ALIKE])
    lease, [lost, under_way] = two_alike(database, town)
    with database.write() as connection:
        end(connection, lease, lost, LOST)
        [doubt] = due_for_lookup(connection, town, most=9, now=later(300))
        look = {"keyed": False, "matched_by_content": by_content}
        found = record_lookup(connection, doubt, THERE, **look, now=later(300)).delivery
        assert found == (None if by_content else "succeeded")
        end(connection, lease, under_way, replace(TAKEN, provider_ref="SM2"))
        record_lookup(connection, doubt, THERE, **look, now=later(400))
        assert [row.state for row in deliveries_of(connection)] == ["succeeded", "succeeded"]


def test_an_earlier_attempts_message_is_not_taken_for_a_later_ones(connection, town) -> None:
    end(connection, *again(connection, town), LOST)
    news(connection, town, n=1, message_id="SM1")
    look(connection, town, THERE, 130)
    assert states(connection) == ("unknown", ["accepted", "unknown"])
    assert open_alerts(connection) == []


def test_what_can_be_looked_up_is_not_starved_by_what_cannot(database) -> None:
    town = DoubtfulTown(destinations=("ops", "slow"))
    with database.write() as connection:
        town.take_in(connection, *({"id": f"e{n}"} for n in range(6)))
        town.claim(connection, lease_of(connection))
        connection.execute(update(Attempt).values(state="unknown"))
        connection.execute(update(Delivery).values(state="unknown", destination="slow"))
        last = deliveries_of(connection)[-1].id
        connection.execute(update(Delivery).where(Delivery.id == last).values(destination="ops"))
        found = due_for_lookup(connection, town, most=2, now=later(130))
        assert [one.delivery_id for one in found] == [last]
        town.can_look = False
        assert due_for_lookup(connection, town, most=2, now=later(130)) == []


def test_a_foreign_source_with_the_same_token_is_not_believed(connection, town) -> None:
    doubt_it(connection, town)
    assert news(connection, town, source="stranger") is None
    assert news(connection, town, source="nobody") is None
    assert states(connection) == ("unknown", ["unknown"])


GARBAGE = st.one_of(st.text(), st.integers(), st.none(), st.lists(st.integers(), max_size=2))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(token=GARBAGE, tail=st.text(max_size=12))
def test_a_forged_token_is_nobodys_and_harms_nothing(connection, town, token, tail) -> None:
    mine = one_delivery(connection)
    for one in (token, f"{mine}.{tail}", f"{mine}.2²", f"{mine}.99", f"{mine}", f".{tail}"):
        data = {"hub_attempt": one}
        found = apply_status_callback(
            connection, town, event_type="sms.sent", source="provider", data=data, now=NOW
        )
        assert found is None
    assert states(connection)[0] == "pending"


@pytest.mark.parametrize("waits_s", [900.0, 86400.0])
def test_a_person_is_asked_once_after_the_patience_and_no_more_when_it_is_settled(
    connection, town, waits_s
) -> None:
    """I4."""
    town.waits_s = waits_s
    doubt_it(connection, town)
    assert alert_unsettled(connection, town, now=later(waits_s - 1)) == 0
    assert [alert_unsettled(connection, town, now=later(waits_s + n)) for n in range(3)] == [
        1,
        0,
        0,
    ]
    assert open_alerts(connection) == ["unknown outcome"]
    news(connection, town)
    assert open_alerts(connection) == []


def test_the_alert_ends_whatever_settled_it(connection, town) -> None:
    lease, claimed = begin(connection, town)
    end_lease(connection)
    [orphan] = orphans(connection, lease_of(connection, holder="new"))
    record(connection, [abandon(orphan, ONCE, chance=0.5)])
    alert_unsettled(connection, town, now=later(901))
    end(connection, lease, claimed, Outcome(Verdict.PERMANENT, "no"))
    alert_unsettled(connection, town, now=later(906))
    assert open_alerts(connection) == []


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(order=st.lists(st.sampled_from(sorted(STATUS_ORDER)), min_size=1, max_size=8))
def test_a_status_never_goes_backwards(connection, town, order) -> None:
    if not attempts_of(connection):
        end(connection, *begin(connection, town), TAKEN)
    connection.execute(update(Delivery).values(status=None))
    family = order[0].partition(".")[0]
    told = [kind for kind in order if kind.startswith(family)]
    ranks = []
    for kind in told:
        news(connection, town, kind)
        ranks.append(STATUS_ORDER[f"{family}.{deliveries_of(connection)[0].status}"])
    assert ranks == sorted(ranks)
    assert ranks[-1] == max(STATUS_ORDER[kind] for kind in told)


@pytest.fixture
def short_lived(monkeypatch) -> None:
    """Give `http.post` a key that the provider forgets after 23 hours, as Stripe does."""
    known = HttpOutbound.actions["post"]
    keyed = Action(Effect.KEYED, known.parameters, key_life_s=23 * 3600.0, supports_lookup=True)
    monkeypatch.setattr(HttpOutbound, "actions", {**HttpOutbound.actions, "post": keyed})


@pytest.mark.parametrize("hours", [22.9, 23.1])
@pytest.mark.parametrize("replayed", [False, True])
def test_a_key_is_used_for_its_life_and_then_it_is_looked_up(
    connection, town, short_lived, hours, replayed
) -> None:
    """Replays of old doubts and any number of attempts count too."""
    for _ in range(2):
        end(connection, *begin(connection, town), LOST, KEYED)
    first, last = attempts_of(connection)
    ago = NOW - timedelta(hours=hours)
    connection.execute(update(Attempt).where(Attempt.n == 1).values(started_at=ago))
    if replayed:
        one_delivery(connection, state="failed")
        town.effect = lambda *_: Effect.KEYED  # type: ignore[method-assign]
        [planned] = preview_deliveries(connection, town, {})
        assert planned.plan is Plan.REPEAT
        replay_deliveries(connection, town, [planned], actor="cli:jo", now=NOW)
    end_lease(connection)
    make_due(connection)
    claimed = town.claim(connection, lease_of(connection))
    if hours < 23:
        assert [one.key for one in claimed] == [first.key]
        return
    assert claimed == []
    assert states(connection) == ("unknown", ["in_doubt", "unknown"])
    assert deliveries_of(connection)[0].error == claiming.KEY_FORGOTTEN
    [doubt] = due_for_lookup(connection, town, most=5, now=later(130))
    assert (doubt.since, doubt.sent_at) == (ago, last.started_at), "the first call may have done it"
    look(connection, town, NOT_THERE, 130, keyed=True)
    look(connection, town, NOT_THERE, 200, keyed=True)
    _, anew = begin(connection, town)
    assert anew.key == f"{first.key}.1"


def test_rows_are_whole(connection, town) -> None:
    """I10: an attempt that evidence closed has that evidence in its row."""
    doubt_it(connection, town)
    news(connection, town)
    [attempt] = attempts_of(connection)
    assert attempt.evidence
    assert attempt.ended_at is not None
