"""Schedule of deletions: the kinds of rows, with their spans of hub.yaml, and what deletes them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

from hub.core.configuration import Configuration
from hub.core.ids import FIRST_ID, first_id
from hub.core.models import RequestState
from hub.core.retention.events import delete_events
from hub.core.retention.held import tell_and_delete
from hub.core.retention.ledger import delete_answers, delete_keys, delete_replays
from hub.core.retention.operations import (
    NOTED_EVERY,
    delete_alerts,
    delete_audit,
    delete_sessions,
    delete_tokens,
    delete_versions,
)
from hub.core.retention.requests import delete_bodies, delete_orphans, delete_rejected
from hub.core.retention.walk import Delete

# An event may have met a version of hub.yaml a day after that was last noted as in force.
_VERSIONS_STAY = 2 * NOTED_EVERY


def deletions(configuration: Configuration, *, now: datetime) -> Mapping[str, Delete]:
    """Return what deletes the rows of each kind that are older than its span, by kind.

    A kind that is kept for ever is left out.
    """
    kept = configuration.retention
    found: dict[str, Delete] = {
        "held leads": partial(tell_and_delete, kept=kept.held, now=now),
    }
    if kept.alerts is not None:
        ended = now - kept.alerts
        found["alerts"] = partial(delete_alerts, before=first_id(ended), ended=ended)
    if kept.sessions is not None:
        rules, over = configuration.users, now - kept.sessions
        found["sessions"] = partial(
            delete_sessions, over=over, idle=rules.idle, longest=rules.longest
        )
        found["tokens"] = partial(delete_tokens, over=over)
    if kept.audit is not None:
        until = now - kept.audit
        found["audit entries"] = partial(delete_audit, before=first_id(until), until=until)
    if kept.answers is not None:
        found["answers"] = partial(delete_answers, before=first_id(now - kept.answers))
    if kept.rejected is not None:
        found["rejected requests"] = partial(
            delete_rejected,
            before=first_id(now - kept.rejected),
            longest=FIRST_ID if kept.bodies is None else first_id(now - kept.bodies),
        )
    if kept.bodies is not None:
        found["bodies"] = partial(delete_bodies, before=first_id(now - kept.bodies), now=now)
    if kept.events is not None:
        found.update(_with_events(configuration.version, now - kept.events, now))
    if kept.keys is not None:
        found["keys"] = partial(delete_keys, before=first_id(now - kept.keys))
    return found


def _with_events(version: str, until: datetime, now: datetime) -> Iterator[tuple[str, Delete]]:
    """Yield what deletes events from before an instant, and what is kept as long as they are."""
    before: UUID = first_id(until)
    yield "events", partial(delete_events, before=before, now=now)
    for state in (RequestState.DUPLICATE, RequestState.UNREADABLE):
        yield f"{state} requests", partial(delete_orphans, before=before, state=state)
    yield "replays", partial(delete_replays, before=before, ended=until)
    yield (
        "versions of hub.yaml",
        partial(
            delete_versions,
            in_force=version,
            before=before,
            now=now,
            unseen=until - _VERSIONS_STAY,
        ),
    )
