"""`hub people` and `hub acknowledge`: who looks after leads, and that somebody does."""

import click

from hub.cli.context import actor, now, open_hub, open_settings, wanted_id
from hub.cli.tables import print_json, print_rows, shown
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.leads.acknowledgement import acknowledge as take
from hub.core.leads.on_call import people_rows
from hub.core.leads.people import Person

_COLUMNS = ("person", "name", "on_duty", "away", "hours", "last_assigned", "open_leads")


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
