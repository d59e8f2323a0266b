"""Keys, answers, replays, alerts, sessions, tokens, audit entries and old routes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from hub.core.audit import record_action
from hub.core.configuration import Retention
from hub.core.delivery.transitions import WORKER_DIED
from hub.core.ids import new_id
from hub.core.inbound.config_versions import note_version
from hub.core.models import (
    Alert,
    Attempt,
    AuditEntry,
    ConfigVersion,
    Delivery,
    EventKey,
    HubIdentity,
    RecoveryCode,
    Replay,
    ReplayItem,
    Session,
    SignInTry,
    StoredEvent,
    Ticket,
    User,
)
from hub.core.monitoring import alerts
from tests.core.making import NOW, attempts_of, rows
from tests.core.retention.aging import DAY, Attic, count

SECOND = timedelta(seconds=1)


def test_a_key_goes_after_800_days_unless_its_event_must_stay(attic) -> None:
    with attic.database.write() as connection:
        for name, state in (("e1", "failed"), ("e2", "unknown")):
            [event_id] = attic.store(connection, NOW - 801 * DAY, name)
            attic.attempt(connection, event_id, state)
        attic.store(connection, NOW - 799 * DAY, "e3")
        connection.execute(
            update(Delivery).where(Delivery.state == "pending").values(state="failed")
        )
    found = attic.clean()
    assert (found["events"], found["keys"]) == (2, 1)
    with attic.database.write() as connection:
        kept = select(EventKey.external_id).order_by(EventKey.external_id)
        assert connection.execute(kept).scalars().all() == ["e2", "e3"]
        assert len(attic.store(connection, NOW, "e1")) == 1, "it is a new event now"
        assert attic.store(connection, NOW, "e2") == []
        assert attic.store(connection, NOW, "e3") == []


def test_the_words_of_a_far_end_go_and_what_the_hub_noted_stays(attic) -> None:
    with attic.database.write() as connection:
        for name, days, values in (
            ("old", 31, {"code": "no_contact", "status": 400}),
            ("died", 31, {"message": WORKER_DIED.message}),
            ("new", 29, {}),
        ):
            [event_id] = attic.store(connection, NOW - days * DAY, name)
            attic.attempt(connection, event_id, "failed", **values)
        [event_id] = attic.store(connection, NOW - 31 * DAY, "open")
        at = attic.received_at(connection, event_id)
        attic.attempt(connection, event_id, "unknown")
        connection.execute(
            update(Attempt).where(Attempt.n == 1, Attempt.started_at == at).values(state="unknown")
        )
    assert attic.clean() == {"answers": 1}
    with attic.database.read() as connection:
        found = connection.execute(
            select(StoredEvent.external_id, Attempt.message, Attempt.code, Attempt.status)
            .join(Delivery, Delivery.event_id == StoredEvent.id)
            .join(Attempt, Attempt.delivery_id == Delivery.id)
        )
        told = {row.external_id: row for row in found}
    assert tuple(told["old"])[1:] == (None, "no_contact", 400)
    assert told["died"].message == WORKER_DIED.message
    assert told["new"].message == told["open"].message == "no such contact: jane@example.com"


def test_replays_go_with_their_items_once_they_are_over_for_as_long_as_events(attic) -> None:
    with attic.database.write() as connection:
        for n, (state, ended) in enumerate(
            [("done", 401), ("cancelled", 401), ("done", 399), ("paused", None)]
        ):
            at = NOW - 500 * DAY + n * SECOND
            replay_id = new_id(at)
            connection.execute(
                insert(Replay).values(
                    id=replay_id, token=str(n), fingerprint="f", state=state, actor="jane",
                    filter={}, again=False, per_minute=1, total=3, left_out=[], paid_until=at,
                    created_at=at, finished_at=ended and NOW - ended * DAY,
                )
            )  # fmt: skip
            connection.execute(
                insert(ReplayItem),
                [{"replay_id": replay_id, "delivery_id": new_id(at), "plan": "anew",
                  "state": "queued"} for _ in range(3)],
            )  # fmt: skip
    assert attic.clean(most=2) == {"replays": 2}
    with attic.database.read() as connection:
        assert [row.token for row in rows(connection, Replay)] == ["2", "3"]
        assert count(connection, ReplayItem) == 6


def test_alerts_go_once_they_ended_and_open_ones_stay(attic) -> None:
    with attic.database.write() as connection:
        for name, ended in (("a", 401), ("b", 399), ("c", None)):
            alerts.begin(connection, alerts.CAP_REACHED, name, "x", now=NOW - 500 * DAY)
            if ended:
                at = NOW - ended * DAY
                alerts.end(connection, alerts.CAP_REACHED, name, now=at)
    assert attic.clean() == {"alerts": 1}
    with attic.database.read() as connection:
        assert {row.subject for row in rows(connection, Alert)} == {"b", "c"}


def test_sessions_and_tokens_go_once_they_are_over_for_a_month(attic) -> None:
    users = attic.configuration.users
    with attic.database.write() as connection:
        user_id = new_id(NOW)
        connection.execute(
            insert(User).values(id=user_id, name="jane", role="admin", created_at=NOW)
        )
        for name, created, seen, ended in (
            ("ended", 40, 40, 31),
            ("ended lately", 31, 29, 29),
            ("idle", 40, 31, None),
            ("in use", 40, 0, None),
        ):
            began = NOW - created * DAY
            if name == "in use":
                began = NOW - users.longest + SECOND
            connection.execute(
                insert(Session).values(
                    id=new_id(began), user_id=user_id, digest=name.encode(), created_at=began,
                    seen_at=NOW - seen * DAY, proved_at=began,
                    ended_at=None if ended is None else NOW - ended * DAY,
                )
            )  # fmt: skip
        for days in (29, 31):
            at = NOW - days * DAY
            digest = str(days).encode()
            connection.execute(
                insert(Ticket).values(digest=digest, purpose="first", created_at=at, ends_at=at)
            )
            connection.execute(
                insert(RecoveryCode).values(user_id=user_id, digest=digest, used_at=at)
            )
            connection.execute(insert(SignInTry).values(key=digest, n=1, last_at=at, free_at=at))
        connection.execute(insert(RecoveryCode).values(user_id=user_id, digest=b"unused"))
    assert attic.clean() == {"sessions": 2, "tokens": 3}
    with attic.database.read() as connection:
        left = connection.execute(select(Session.digest)).scalars()
        assert set(left) == {b"ended lately", b"in use"}
        codes = connection.execute(select(RecoveryCode.digest)).scalars()
        assert set(codes) == {b"29", b"unused"}


def audited(attic: Attic) -> list[str]:
    with attic.database.read() as connection:
        return [row.subject for row in rows(connection, AuditEntry)]


def fill_the_audit_log(attic: Attic) -> None:
    with attic.database.write() as connection:
        for days in (800, 366, 364, 0):
            at = NOW - days * DAY
            record_action(connection, actor="jane", action="x", subject=str(days), now=at)


def test_the_audit_log_is_kept_for_ever_unless_hub_yaml_says_otherwise(attic) -> None:
    fill_the_audit_log(attic)
    assert attic.clean() == {}
    attic.retention = Retention(audit=365 * DAY)
    assert attic.clean() == {"audit entries": 2}
    assert audited(attic) == ["364", "0"]
    with attic.database.read() as connection:
        assert rows(connection, HubIdentity)[0].audited_from == NOW - 365 * DAY
    assert attic.clean() == {}


@pytest.mark.parametrize(
    "change",
    [
        delete(AuditEntry).where(AuditEntry.subject == "364"),
        delete(AuditEntry),
        update(AuditEntry).values(actor="lee"),
        update(AuditEntry).where(AuditEntry.subject == "800").values(actor="lee"),
    ],
)
def test_no_other_entry_of_the_audit_log_can_be_changed_or_deleted(attic, change) -> None:
    fill_the_audit_log(attic)
    with attic.database.write() as connection:
        connection.execute(update(HubIdentity).values(audited_from=NOW - 365 * DAY))
    with (
        pytest.raises(DBAPIError, match="the audit log is only ever added to"),
        attic.database.write() as connection,
    ):
        connection.execute(change)
    assert audited(attic) == ["800", "366", "364", "0"]


def test_a_version_of_the_routes_goes_when_no_event_refers_to_it(attic) -> None:
    with attic.database.write() as connection:
        for version, days in (("gone", 500), ("used", 500), ("late", 400), ("of-today", 500)):
            older = replace(attic.configuration, version=version)
            note_version(connection, older, now=NOW - days * DAY)
        event_id = attic.old(connection, state="unknown")
        mine = StoredEvent.id == event_id
        connection.execute(update(StoredEvent).where(mine).values(config_version="used"))
        note_version(connection, attic.configuration, now=NOW - 500 * DAY)
    attic.version = "of-today"
    found = attic.clean()
    assert found == {"versions of hub.yaml": 2}
    with attic.database.read() as connection:
        kept = {
            row.version: row.last_seen_at
            for row in rows(connection, ConfigVersion, ConfigVersion.version)
        }
    assert kept == {"used": NOW - 500 * DAY, "late": NOW - 400 * DAY, "of-today": NOW}


def test_a_version_that_an_earlier_release_noted_is_in_force_from_now_on(attic) -> None:
    with attic.database.write() as connection:
        connection.execute(
            insert(ConfigVersion).values(version="older", first_seen_at=NOW - 500 * DAY, routes={})
        )
    assert attic.clean() == {}
    assert attic.clean(now=NOW + 402 * DAY + SECOND) == {"versions of hub.yaml": 1}


def test_attempts_of_open_deliveries_keep_their_words(attic) -> None:
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - 60 * DAY, "e1")
        attic.attempt(connection, event_id, "retrying")
    assert attic.clean() == {}
    with attic.database.read() as connection:
        assert attempts_of(connection)[0].message


def test_calls_without_words_are_left_alone(attic) -> None:
    """Most calls succeed, with an empty message."""
    with attic.database.write() as connection:
        [event_id] = attic.store(connection, NOW - 60 * DAY, "e1")
        attic.attempt(connection, event_id, "succeeded", message="")
    assert attic.clean() == {}
