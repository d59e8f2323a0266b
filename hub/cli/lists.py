"""Commands that list rows: `hub requests`, `events`, `deliveries`, `unknown`, `alerts`, `audit`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import click
from marshmallow import ValidationError
from sqlalchemy import Connection

from adapters.contract.fields import rfc3339
from hub.cli.context import now, open_hub, open_settings, wanted_id
from hub.cli.tables import print_rows, shown
from hub.config.fields import Duration
from hub.core.auth import audit_views
from hub.core.hub import Hub
from hub.core.models import DeliveryState, EventState, RequestState
from hub.core.queries.attention import alert_json, list_alerts
from hub.core.queries.deliveries import list_deliveries
from hub.core.queries.event_rows import EventFilter
from hub.core.queries.events import list_events
from hub.core.queries.requests import RequestFilter, list_requests, request_json
from hub.core.queries.rows import MOST_ROWS, first_rows
from hub.core.queries.unknown import list_unknown
from hub.core.replays.selection import Selection
from hub.core.search.search import read_query

Command = Callable[..., None]


def _paged(command: Command) -> Command:
    """Add the options of all list commands: `--limit`, `--before` and `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print a JSON array."),
        click.option("--before", metavar="ID", help="Only what is older than this row."),
        click.option("--limit", type=click.IntRange(1, MOST_ROWS), default=50, show_default=True),
    ):
        command = option(command)
    return command


def _ago(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return the instant that lies the given duration (`30m`, `2h`, `3d`) in the past.

    Raises:
        click.BadParameter: the text is no duration between 1 second and 3650 days.
    """
    if text is None:
        return None
    try:
        seconds: float = Duration(low="1s", high="3650d").deserialize(text)
    except ValidationError as error:
        raise click.BadParameter("; ".join(map(str, error.messages))) from error
    return now() - timedelta(seconds=seconds)


@click.command()
@click.option("--source")
@click.option("--state", type=click.Choice([state.value for state in RequestState]))
@_paged
def requests(source: str | None, state: str | None, **page: Any) -> None:
    """List the HTTP requests that came in."""
    filters = RequestFilter(source=source, state=state)
    with _reading(page) as (connection, _hub, before):
        found = first_rows(
            lambda most, below: list_requests(connection, filters, limit=most, before=below),
            limit=page["limit"],
            before=before,
        )
    columns = ("id", "received_at", "source", "state", "size_bytes", "signed_by", "reason")
    print_rows([request_json(row) for row in found], columns, as_json=page["as_json"])


@click.command()
@click.option("--source")
@click.option("--type", "event_type", help="An event type, or a glob: 'payment.*'.")
@click.option("--state", type=click.Choice([state.value for state in EventState]))
@click.option("--external-id", help="The provider's own id.")
@click.option("--live/--test", default=None, help="Only live or only test-mode events.")
@click.option("--since", metavar="2h", callback=_ago, help="Only what came since 30m, 2h, 3d.")
@click.option("--search", metavar="TEXT", help="Any id, e-mail, phone, amount, or words of it.")
@_paged
def events(event_type: str | None, search: str | None, **options: Any) -> None:
    """List the events: what happened, in the hub's words."""
    page = {name: options.pop(name) for name in ("as_json", "before", "limit")}
    with _reading(page) as (connection, hub, before):
        country = hub.configuration.site.country
        query = read_query(search, country=country) if search else None
        filters = EventFilter(type=event_type, query=query, **options)
        found = first_rows(
            lambda most, below: list_events(connection, filters, most=most, before=below),
            limit=page["limit"],
            before=before,
        )
    columns = ("id", "received_at", "type", "source", "external_id", "state", "live", "duplicates")
    print_rows([row.as_json() for row in found], columns, as_json=page["as_json"])


@click.command()
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]))
@click.option("--destination")
@click.option("--route")
@click.option("--event", "event_id", metavar="ID", help="Only this event's.")
@_paged
def deliveries(
    state: str | None,
    destination: str | None,
    route: str | None,
    event_id: str | None,
    **page: Any,
) -> None:
    """List the deliveries: each event through each route, and what became of it."""
    event = wanted_id(event_id) if event_id else None
    selection = Selection(state=state, event=event)
    globs = {"destination": destination, "route": route}
    with _reading(page) as (connection, _hub, before):
        found = first_rows(
            lambda most, below: list_deliveries(
                connection, selection, limit=most, before=below, **globs
            ),
            limit=page["limit"],
            before=before,
        )
    rows = [row.as_json() for row in found]
    if not page["as_json"]:
        for row in rows:
            row["state"] += " (sandbox)" if row["sandbox"] else ""
    columns = (
        "id", "route", "destination", "action", "state", "attempts", "next_attempt_at", "error",
    )  # fmt: skip
    print_rows(rows, columns, as_json=page["as_json"])


@click.command()
@_paged
def unknown(**page: Any) -> None:
    """List the deliveries of which nobody knows whether they happened: `hub settle` them."""
    with _reading(page) as (connection, hub, before):
        found = list_unknown(connection, hub, limit=page["limit"], before=before).rows
    rows = [row.as_json() for row in found]
    columns = ("id", "route", "destination", "action", "sent_at", "error")
    print_rows(rows, columns, as_json=page["as_json"])
    if not page["as_json"]:
        for row in rows:
            click.echo(f"{row['id']}:")
            told = {"at": row["sent_at"], "by": "the call", "said": row["error"]}
            for one in [told, *(row["evidence"] or [])]:
                click.echo(f"  {shown(one['at'])}  {one['by']}: {shown(one['said'])}")


@click.command()
@click.option("--ended", is_flag=True, help="Those that are over, too.")
@_paged
def alerts(*, ended: bool, **page: Any) -> None:
    """List what a person must know of."""
    with _reading(page) as (connection, _hub, before):
        found = list_alerts(connection, ended=ended, limit=page["limit"], before=before).rows
    columns = ("began_at", "kind", "subject", "message")
    print_rows([alert_json(row) for row in found], columns, as_json=page["as_json"])


@contextmanager
def _reading(page: Mapping[str, Any]) -> Iterator[tuple[Connection, Hub, UUID | None]]:
    """Open a read transaction; yield its connection, the hub, and the id of `--before`."""
    before = wanted_id(page["before"]) if page["before"] else None
    hub = open_hub(open_settings())
    with hub.store.read() as connection:
        yield connection, hub, before


@click.command()
@click.option("--actor", help="Only what they did: user:jane, cli:jane, nobody.")
@click.option("--action", help="Only that: sign_in, user.add, delivery.replay, ...")
@click.option("--subject", help="Only what was done to it: 'user jane', 'delivery ID'.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--before", metavar="ID", help="Only what is older than this row.")
@click.option(
    "--limit", type=click.IntRange(1, audit_views.MOST_ROWS), default=50, show_default=True
)
def audit(
    *, actor: str | None, action: str | None, subject: str | None, as_json: bool,
    before: str | None, limit: int,
) -> None:  # fmt: skip
    """List what people and commands did, newest first."""
    given = {"actor": actor, "action": action, "subject": subject}
    filters = {name: value for name, value in given.items() if value}
    before_id = wanted_id(before) if before else None
    with open_hub(open_settings()).store.read() as connection:
        rows = audit_views.list_entries(connection, filters=filters, limit=limit, before=before_id)
    columns = ("at", "actor", "action", "subject", "reason")
    print_rows([_shown(row) for row in rows], columns, as_json=as_json)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"id": str(row["id"]), "at": rfc3339(row["at"])}
