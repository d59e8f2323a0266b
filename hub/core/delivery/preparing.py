"""What a due delivery becomes: a call with its parameters, or an end without one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError

from adapters import Action
from hub.core.configuration import Route
from hub.core.delivery.ledger import DEADLY
from hub.core.delivery.uncalled import Uncalled
from hub.core.errors import ExpressionError
from hub.core.expressions.context import Contexts
from hub.core.ids import new_id
from hub.core.inbound.routing import FETCH, Router
from hub.core.models import DeliveryState
from hub.core.trouble import Trouble, trouble_of

GRACE = timedelta(minutes=10)
"""How long a new version of the file may take to reach every process."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery whose attempt is committed and may be called now."""

    delivery_id: UUID
    attempt_id: UUID
    n: int
    action: str
    key: str
    parameters: Mapping[str, Any]
    route: Route
    tries: int
    since: datetime


def delivery_key(delivery_id: UUID, key_n: int) -> str:
    """Return the key that the provider sees: the delivery's id, and the number of its replay."""
    return f"{delivery_id}.{key_n}" if key_n else str(delivery_id)


def prepare(
    row: Row[Any], router: Router, contexts: Contexts, actions: Mapping[str, Action], now: datetime
) -> Claimed | Uncalled:
    """Return what becomes of a row of `due.DUE`. `now` is for the attempt's id."""
    if row.is_deadly:  # a look-up has let it be tried again
        return Uncalled(row.id, DeliveryState.FAILED, DEADLY)
    key = delivery_key(row.id, row.key_n)
    route = router.named(row.route)
    error = _mismatch(row, route, actions, frozen=row.last_key == key)
    if route is None or error:
        # Another version of the file may be on its way to this process.
        waits = row.event_config_version != router.version and row.since > now - GRACE
        return Uncalled(row.id, None if waits else DeliveryState.FAILED, error)
    if why := contexts.cancelled(route, row):
        return Uncalled(row.id, DeliveryState.SKIPPED, why)
    try:
        if row.last_key == key:  # its outcome may still be open: the same bytes again
            parameters = row.last_parameters
        else:
            parameters = contexts.parameters(route, row)
    except ExpressionError as failure:
        return Uncalled(row.id, DeliveryState.FAILED, f"it cannot be rendered: {failure}")
    except DBAPIError as failure:
        if trouble_of(failure) is not Trouble.ROW:
            raise
        return Uncalled(row.id, DeliveryState.FAILED, "what it needs cannot be kept or read")
    except Exception as failure:  # noqa: BLE001 - the last resort: one poison row stops no lane
        error = f"it cannot be rendered ({type(failure).__name__})"
        return Uncalled(row.id, DeliveryState.FAILED, error)
    if parameters is None:
        return Uncalled(row.id, DeliveryState.SKIPPED, "condition")
    return Claimed(
        delivery_id=row.id,
        attempt_id=new_id(now),
        n=row.attempts + 1,
        action=row.action,
        key=key,
        parameters=parameters,
        route=route,
        tries=row.tries + 1,
        since=row.since if row.attempts else now,
    )


def _mismatch(
    row: Row[Any], route: Route | None, actions: Mapping[str, Action], *, frozen: bool
) -> str:
    """Return why a delivery cannot be made as today's file says; empty when it can."""
    if route is None and row.route.startswith(FETCH):
        return "its source has no account with credentials any more: give it some and replay"
    if route is None:
        return f"route {row.route} is not in hub.yaml any more: put it back, or name it in `was`"
    if not frozen and (route.destination, route.action) != (row.destination, row.action):
        return f"route {row.route} now does {route.destination}.{route.action}: replay to do that"
    if row.action not in actions:
        return f"the destination has no action {row.action}: mend `do` of the route and replay"
    return ""
