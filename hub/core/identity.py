"""Identity of a hub: the id that is made with its database, and the names that begin with it.

A copied database has its origin's id. What tells it apart is the origin (`HUB_PUBLIC_URL`) under
which the hub last started: with another one, the processes that send refuse to start until a person
says whether the hub has moved or the database is a copy.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, insert, select, union, update

from hub.core.audit import record_actions
from hub.core.delivery.lane_rows import lock_lanes
from hub.core.delivery.lanes import ensure
from hub.core.delivery.pauses import PAUSE
from hub.core.models import (
    IS_DUE,
    IS_RUNNING,
    Delivery,
    DeliveryState,
    HubIdentity,
    Lane,
    is_among,
)

# Characters of the site's name in the names of queues.
LONGEST_SLUG = 24
ADOPT = "adopt"

# One query for each partial index.
_UNFINISHED = (IS_DUE, IS_RUNNING, is_among([DeliveryState.UNKNOWN]))


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of a hub. `public_url` is the origin that was last noted; None if there was none."""

    hub_id: UUID
    public_url: str | None


def read_identity(connection: Connection) -> Identity | None:
    """Return the identity that the database holds; None if its row was deleted.

    Raises:
        DBAPIError: the database is unavailable, or was not migrated so far.
    """
    row = connection.execute(select(HubIdentity.hub_id, HubIdentity.public_url)).one_or_none()
    return Identity(row.hub_id, row.public_url) if row else None


def moved(identity: Identity, public_url: str | None) -> bool:
    """Return whether an origin differs from the noted one: the hub moved, or this is a copy.

    No origin beside a noted one differs as well: that is how a copy on a laptop looks.
    """
    return identity.public_url is not None and identity.public_url != public_url


def moved_sentence(identity: Identity, public_url: str | None) -> str:
    """Return the sentence for an operator whose origin differs from the noted one."""
    now = f"is {public_url}" if public_url else "is not set"
    return (
        f"HUB_PUBLIC_URL {now}, but the hub of this database last ran at {identity.public_url}. "
        "Is it the same hub, moved? Then run `hub db adopt`. Is the database a copy? Then run "
        "`hub db adopt --as-copy`: it gets an id of its own, and sends nothing until you resume it"
    )


def note_public_url(connection: Connection, public_url: str | None, *, now: datetime) -> None:
    """Note the origin under which the hub starts; one that was noted before stays."""
    if public_url is not None:
        connection.execute(
            update(HubIdentity)
            .where(HubIdentity.public_url.is_(None))
            .values(public_url=public_url, noted_at=now)
        )


def adopt(
    connection: Connection, *, public_url: str | None, as_copy: bool, actor: str, now: datetime
) -> Identity:
    """Note an origin in place of the noted one, with an audit entry; return the identity.

    `as_copy`: the hub gets a new id, and every lane is paused, also those that are needed for
    unfinished deliveries and do not exist yet: nothing that the origin has to send is sent by both.
    The new id has no watermark, so that nothing is taken for lost.
    """
    known = read_identity(connection)
    before = known.public_url if known else None
    hub_id = known.hub_id if known and not as_copy else uuid4()
    values = {"hub_id": hub_id, "public_url": public_url, "noted_at": now}
    if known is None:
        connection.execute(delete(HubIdentity))
        fresh = {"id": 1, "inherits_mark": False, "encodes_from": now, "created_at": now}
        connection.execute(insert(HubIdentity).values(**fresh, **values))
    elif as_copy:
        connection.execute(
            update(HubIdentity).values(inherits_mark=False, created_at=now, **values)
        )
    else:
        connection.execute(update(HubIdentity).values(**values))
    detail = {"as_copy": as_copy, "hub_id": str(hub_id), "from": before, "to": public_url}
    paused = _pause_all(connection) if as_copy else []
    done = [(ADOPT, "database", detail), *((PAUSE, destination, None) for destination in paused)]
    record_actions(connection, done, actor=actor, now=now)
    return Identity(hub_id, public_url)


def _pause_all(connection: Connection) -> list[str]:
    """Pause every lane; return the destinations that were not paused before."""
    wanted = union(*(select(Delivery.destination).where(which) for which in _UNFINISHED))
    ensure(connection, connection.execute(wanted).scalars().all())
    every = connection.execute(select(Lane.destination).where(Lane.shard == 0)).scalars().all()
    lock_lanes(connection, every)
    paused = update(Lane).where(Lane.shard == 0, ~Lane.paused).values(paused=True)
    return sorted(connection.execute(paused.returning(Lane.destination)).scalars())


def inherits_mark(connection: Connection) -> bool:
    """Return whether the watermark of a release without identities may be this database's.

    It may once, after the upgrade of a database that had attempts: never that of a new database.
    """
    return bool(connection.execute(select(HubIdentity.inherits_mark)).scalar_one_or_none())


def end_inheritance(connection: Connection) -> None:
    """Record that the watermark of a release without identities was read: it counts only once."""
    connection.execute(update(HubIdentity).values(inherits_mark=False))


def short_id(hub_id: UUID) -> str:
    """Return the first 8 digits of a hub's id, which tell the hubs on one Redis apart."""
    return hub_id.hex[:8]


def queue_prefix(site_name: str | None, hub_id: UUID) -> str:
    """Return what the names of a hub's queues begin with, such as `acme-roofing-1f3a52c0`.

    It is a slug of the site's name, of at most `LONGEST_SLUG` letters (ASCII), digits and hyphens,
    and the first digits of the id; `hub` stands for a name of which nothing remains.
    """
    plain = unicodedata.normalize("NFKD", site_name or "").encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    return f"{words[:LONGEST_SLUG].strip('-') or 'hub'}-{short_id(hub_id)}"


def key_prefix(hub_id: UUID) -> str:
    """Return what a hub's own keys in Redis begin with: `hub:<id>:`."""
    return f"hub:{hub_id}:"


def other_hubs(names: Iterable[str], hub_id: UUID) -> list[str]:
    """Return the hubs, but this one, to which names of queues and keys in Redis belong; sorted.

    A hub is shown by its `queue_prefix`; by `hub-` and the first digits where only keys are known.
    """
    found: dict[str, str] = {}
    for name in names:
        if match := _QUEUE.fullmatch(name):
            found[match["short"]] = match["prefix"]
        elif match := _KEY.fullmatch(name):
            found.setdefault(match["short"], f"hub-{match['short']}")
    found.pop(short_id(hub_id), None)
    return sorted(found.values())


_QUEUE = re.compile(r"(?P<prefix>[a-z0-9-]+-(?P<short>[0-9a-f]{8})):.+", re.DOTALL)
_KEY = re.compile(r"hub:(?P<short>[0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:.+", re.DOTALL)
