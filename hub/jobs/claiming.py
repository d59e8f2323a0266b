"""What a claim of due deliveries needs, put together for one lane in one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from hub.core.delivery.claim import claim
from hub.core.delivery.lanes import workable
from hub.core.delivery.preparing import Claimed
from hub.core.delivery.restored import Window
from hub.core.expressions.context import Contexts
from hub.core.inbound.routing import site_scope
from hub.core.leads.caps import caps_of
from hub.core.leads.owners import Owners
from hub.jobs.hung import still_alive
from hub.jobs.lane import HeldLane
from hub.jobs.workshop import Workshop


def claim_for(
    shop: Workshop,
    connection: Connection,
    lane: HeldLane,
    room: int,
    restored: Sequence[Window],
    *,
    suspects: bool = False,
) -> tuple[list[Claimed], bool | None]:
    """Claim up to `room` due deliveries of a lane; none when it is not this worker's any more.

    Those that are suspect are claimed by themselves (`suspects`), and no others then.

    Returns the claimed, and whether there may be more that are due: without room nobody looked.
    """
    if not room:
        return [], None
    if lane.destination.slug not in workable(connection, [lane.hold]):
        return [], False
    hub, now = shop.hub, datetime.now(UTC)
    contexts = Contexts(
        connection,
        site=site_scope(hub.configuration.site),
        inbound=hub.inbound,
        now=now,
        owners=Owners(connection, hub.configuration, public_url=hub.public_url, now=now),
    )
    actions = lane.gate.adapter.actions
    return claim(
        connection,
        lane.hold,
        slots=room,
        router=hub.router,
        contexts=contexts,
        now=now,
        sandbox=lane.destination.sandbox,
        actions=actions,
        restored=restored,
        caps=caps_of(connection, hub.configuration, lane.destination, actions, now=now),
        suspects=suspects,
        on_row=still_alive,
    )
