"""Reconcile task: looks up unknown outcomes at the providers, beside the drain.

It only makes read calls, and blocks no other work.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.exc import DBAPIError

from adapters import AdapterError, Call, Effect, LookupResult, LookupVerdict
from hub.core.database_errors import DatabaseErrorKind, classify
from hub.core.delivery.reconcile import UnknownOutcome, due_for_lookup, record_lookup
from hub.core.delivery.transitions import Resolution
from hub.core.hub import Hub
from hub.gateways.destination_client import DestinationClient
from hub.process.background_task import BackgroundTask

AT_ONCE = 50

log = logging.getLogger(__name__)


class ReconcileTask(BackgroundTask):
    """Background task that looks up unknown outcomes, one round at a time."""

    name = "lookups"

    def __init__(self, hub: Hub, clients: Mapping[str, DestinationClient]) -> None:
        self._hub = hub
        self._clients = clients

    def run_once(self) -> None:
        try:
            look_up_some(self._hub, self._clients)
        except DBAPIError as error:
            kind = type(error.orig).__name__
            log.error("no look-ups of unknown outcomes: the database does not answer (%s)", kind)


def look_up_some(hub: Hub, clients: Mapping[str, DestinationClient]) -> int:
    """Run the look-ups at `clients` that are due; return the number of outcomes they settled.

    Raises:
        DBAPIError: the database is unavailable.
    """
    with hub.store.read() as connection:
        doubts = due_for_lookup(
            connection, hub, most=AT_ONCE, now=datetime.now(UTC), destinations=clients
        )
    settled = 0
    for unknown in doubts:
        client = clients[unknown.destination]
        at = datetime.now(UTC)  # before the look-up: a delay must not make it seem later
        turn = _record(hub, unknown, _look_up(client, unknown), at)
        if turn.delivery:
            settled += 1
            log.warning("delivery %s: a look-up settled it: %s", unknown.delivery_id, turn.delivery)
    if settled:
        hub.waker.wake(clients)
    return settled


def _record(hub: Hub, unknown: UnknownOutcome, lookup: LookupResult, at: datetime) -> Resolution:
    """Record a look-up; if its evidence cannot be stored, record one that could not tell.

    So one result that the database rejects does not block the other look-ups.
    """
    keyed = hub.effect(unknown.destination, unknown.action) is Effect.KEYED
    matched_by_content = hub.matched_by_content(unknown.destination, unknown.action)
    try:
        with hub.store.write() as connection:
            return record_lookup(
                connection,
                unknown,
                lookup,
                keyed=keyed,
                matched_by_content=matched_by_content,
                now=at,
            )
    except DBAPIError as error:
        if classify(error) is not DatabaseErrorKind.REJECTED_ROW:
            raise
    log.error("delivery %s: the database rejects a look-up's result", unknown.delivery_id)
    blank = LookupResult(LookupVerdict.CANNOT_TELL, "what was seen cannot be kept")
    with hub.store.write() as connection:
        return record_lookup(
            connection, unknown, blank, keyed=keyed, matched_by_content=matched_by_content, now=at
        )


def _look_up(client: DestinationClient, unknown: UnknownOutcome) -> LookupResult:
    call = Call(
        action=unknown.action,
        parameters=unknown.parameters,
        key=unknown.key,
        attempt_id=f"{unknown.delivery_id}.{unknown.n}",
        now=datetime.now(UTC),
    )
    try:
        return client.look_up(call, unknown.since)
    except AdapterError as error:
        return LookupResult(LookupVerdict.CANNOT_TELL, f"it could not be looked up: {error}")
    except Exception as error:  # noqa: BLE001 - the last resort: other look-ups continue
        name = type(error).__name__
        log.error("delivery %s: its look-up failed with %s", unknown.delivery_id, name)
        return LookupResult(LookupVerdict.CANNOT_TELL, f"the look-up failed: {name}")
