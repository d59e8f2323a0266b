"""Lead commands: held leads, the people who own leads, and acknowledgement.

`hub held`, `hub release` and `hub discard` list and decide the leads that a person has to check
first. `hub people` lists the possible owners, and `hub acknowledge` records that a lead has one.
"""

from typing import Any

import click

from adapters.contract.fields import rfc3339
from hub.cli.context import actor, now, open_hub, open_settings, wake, wanted_id
from hub.cli.tables import print_json, print_rows, shown
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.leads import held as leads
from hub.core.leads.acknowledgement import acknowledge as take
from hub.core.leads.on_call import people_rows
from hub.core.leads.people import Person
from hub.core.models import EventState
from hub.core.queries.rows import MOST_ROWS

_COLUMNS = ("person", "name", "on_duty", "away", "hours", "last_assigned", "open_leads")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--before", metavar="ID", help="Only what is older than this row.")
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), default=50, show_default=True)
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
    wake(settings, hub)
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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def people(*, as_json: bool) -> None:
    """List the people who look after leads, and who is on duty now."""
    hub = open_hub(open_settings())
    with hub.store.read() as connection:
        rows = people_rows(connection, hub.configuration, now=now())
    print_rows(rows, _COLUMNS, as_json=as_json)


@click.command()
@click.argument("event")
@click.option("--person", metavar="NAME", help="Who takes it, as `people` in hub.yaml says.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def acknowledge(event: str, person: str | None, *, as_json: bool) -> None:
    """Say that somebody looks after the lead EVENT: nobody else is told of it."""
    hub = open_hub(open_settings())
    wanted, taker = wanted_id(event), _person(hub, person)
    with hub.store.write() as connection:
        found = take(connection, wanted, taker, how="command", actor=actor(), now=now())
    who = found.person or "somebody"
    if as_json:
        print_json(
            {"event": event, "person": found.person, "how": found.how, "at": found.at,
             "new": found.is_new}
        )  # fmt: skip
    elif found.is_new:
        click.echo(f"{who} has it; nobody else is told")
    else:
        click.echo(f"{shown(who)} took it already, by {found.how}")


def _person(hub: Hub, slug: str | None) -> Person | None:
    if slug is None:
        return None
    found = hub.configuration.people.get(slug)
    if found is None:
        known = ", ".join(hub.configuration.people) or "nobody"
        raise NotFound(f"there is nobody {shown(slug)} under `people`; there are {known}")
    return found
