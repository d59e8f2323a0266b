"""Deletion of what runs the hub: ended alerts, sessions, tokens, audit entries, old routes.

These tables are small: what goes is found by its time, not by a walk.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, or_, select, update

from hub.core.ids import first_id
from hub.core.models import (
    Alert,
    AuditEntry,
    Base,
    ConfigVersion,
    HubIdentity,
    RecoveryCode,
    Session,
    SignInTry,
    StoredEvent,
    Ticket,
)
from hub.core.retention.walk import Step, reached

# How often it is noted that a version is in force.
NOTED_EVERY = timedelta(days=1)


def delete_alerts(
    connection: Connection, after: UUID, most: int, *, before: UUID, ended: datetime
) -> Step:
    """Delete alerts that ended before an instant; open ones stay."""
    return _walk_through(connection, Alert, Alert.ended_at < ended, after, most, before)


def delete_sessions(
    connection: Connection, after: UUID, most: int, *, over: datetime, idle: timedelta,
    longest: timedelta,
) -> Step:  # fmt: skip
    """Delete sessions that ended, or expired, before an instant."""
    is_over = or_(
        Session.ended_at < over,
        Session.seen_at < over - idle,
        Session.created_at < over - longest,
    )
    return _walk_through(connection, Session, is_over, after, most, first_id(over))


def delete_tokens(connection: Connection, _: UUID, most: int, *, over: datetime) -> Step:
    """Delete tickets that expired, codes that were used, and failed sign-ins from before then."""
    old = {
        Ticket.digest: Ticket.ends_at < over,
        RecoveryCode.digest: RecoveryCode.used_at < over,
        SignInTry.key: SignInTry.last_at < over,
    }
    deleted = 0
    for key, is_old in old.items():
        some = select(key).where(is_old).limit(most).scalar_subquery()
        deleted += connection.execute(delete(key.class_).where(key.in_(some), is_old)).rowcount
    return Step(deleted)


def delete_audit(
    connection: Connection, after: UUID, most: int, *, before: UUID, until: datetime
) -> Step:
    """Delete audit entries from before an instant, and note from when on the log is whole."""
    old = select(AuditEntry.id).where(AuditEntry.id < before, AuditEntry.at < until).limit(1)
    if connection.execute(old).first() is None:
        return Step(0)
    connection.execute(update(HubIdentity).values(audited_from=until))
    return _walk_through(connection, AuditEntry, AuditEntry.at < until, after, most, before)


def delete_versions(
    connection: Connection, _: UUID, most: int, *, in_force: str, before: UUID, now: datetime,
    unseen: datetime,
) -> Step:  # fmt: skip
    """Delete versions of the routes that no event refers to; note that `in_force` is in force.

    A version that was in force at no time since `unseen` matched no event that is younger; of the
    older ones, few are left.
    """
    seen_at = ConfigVersion.last_seen_at
    is_it = (ConfigVersion.version == in_force) & (seen_at < now - NOTED_EVERY)
    connection.execute(
        update(ConfigVersion).where(or_(is_it, seen_at.is_(None))).values(last_seen_at=now)
    )
    old = connection.execute(
        select(ConfigVersion.version)
        .where(ConfigVersion.last_seen_at < unseen, ConfigVersion.version != in_force)
        .limit(most)
    )
    versions = old.scalars().all()
    if not versions:
        return Step(0)
    left = select(StoredEvent.config_version).where(StoredEvent.id < before)
    used = connection.execute(left.where(StoredEvent.config_version.in_(versions)).distinct())
    gone = set(versions) - set(used.scalars())
    connection.execute(delete(ConfigVersion).where(ConfigVersion.version.in_(gone)))
    return Step(len(gone))


def _walk_through(
    connection: Connection,
    table: type[Base],
    condition: ColumnElement[bool],
    after: UUID,
    most: int,
    before: UUID,
) -> Step:
    """Delete the rows that meet a condition among the next ones with an id before `before`."""
    column: Any = table.__table__.c.id
    seen = connection.execute(
        select(column, condition.label("goes"))
        .where(column > after, column < before)
        .order_by(column)
        .limit(most)
    ).all()
    ids = [row.id for row in seen if row.goes]
    connection.execute(delete(table).where(column.in_(ids), condition))
    return Step(len(ids), reached([row.id for row in seen], most))
