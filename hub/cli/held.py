"""`hub held`, `release`, `discard`: leads that a person has to look at first."""

from typing import Any

import click

from adapters.contract.fields import rfc3339
from hub.cli.context import actor, now, open_hub, open_settings, wake, wanted_id
from hub.cli.tables import print_json, print_rows
from hub.core.leads import held as leads
from hub.core.models import EventState
from hub.core.queries import rows as listing


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--before", metavar="ID", help="Only what is older than this row.")
@click.option("--limit", type=click.IntRange(1, listing.MOST_ROWS), default=50, show_default=True)
def held(*, as_json: bool, before: str | None, limit: int) -> None:
    """List the leads that are held, and why: `hub release` or `hub discard` them."""
    oldest = wanted_id(before) if before else None
    with open_hub(open_settings()).store.read() as connection:
        found = leads.list_held(connection, limit=limit, before=oldest)
    rows = [
        {
            "id": str(row.id),
            "source": row.source,
            "type": row.type,
            "received_at": rfc3339(row.received_at),
            "reason": row.held_reason,
        }
        for row in found
    ]
    print_rows(rows, ("id", "source", "received_at", "reason"), as_json=as_json)


@click.command()
@click.argument("id")
@click.option("--reason", help="How you know; kept in the audit log.")
@click.option("--json", "as_json", is_flag=True)
def release(id: str, *, reason: str | None, as_json: bool) -> None:
    """Let a held lead run as if it came now, by today's routes."""
    settings = open_settings()
    hub = open_hub(settings)
    with hub.store.write() as connection:
        released = leads.release(
            connection, hub, wanted_id(id), actor=actor(), now=now(), reason=reason
        )
    wake(settings)
    count = released.deliveries
    made = "1 delivery" if count == 1 else f"{count} deliveries"
    _say(id, released.state, f"{id} is {released.state}: {made}", as_json, deliveries=count)


@click.command()
@click.argument("id")
@click.option("--reason", required=True, help="How you know; kept in the audit log.")
@click.option("--json", "as_json", is_flag=True)
def discard(id: str, *, reason: str, as_json: bool) -> None:
    """Put a held lead aside for good. It is kept, and nothing follows from it."""
    hub = open_hub(open_settings())
    with hub.store.write() as connection:
        leads.discard(connection, wanted_id(id), actor=actor(), now=now(), reason=reason)
    _say(id, EventState.DISCARDED, f"{id} is discarded", as_json)


def _say(id: str, state: EventState, sentence: str, as_json: bool, **more: Any) -> None:
    if as_json:
        print_json({"id": id, "state": state, **more})
    else:
        click.echo(sentence)
