"""`hub requests`, `events`, `deliveries`, `unknown`: what is there, newest first.

`hub audit`: who did what, to what, when and why.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
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
from hub.core.models import DeliveryState, EventState, RequestState
from hub.core.queries import events as board
from hub.core.queries import rows as listing
from hub.core.queries.event_rows import Filters
from hub.core.search.search import read_query

Command = Callable[..., None]


def _paged(command: Command) -> Command:
    """Give a list the options that all lists have."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print a JSON array."),
        click.option("--before", metavar="ID", help="Only what is older than this row."),
        click.option(
            "--limit", type=click.IntRange(1, listing.MOST_ROWS), default=50, show_default=True
        ),
    ):
        command = option(command)
    return command


def _ago(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return the instant that a duration ago was."""
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
    columns = ("id", "received_at", "source", "state", "size_bytes", "signed_by", "reason")
    _print(listing.list_requests, columns, {"source": source, "state": state}, page)


@click.command()
@click.option("--source")
@click.option("--type", "event_type", help="An event type, or a glob: 'payment.*'.")
@click.option("--state", type=click.Choice([state.value for state in EventState]))
@click.option("--external-id", help="The provider's own id.")
@click.option("--live/--test", default=None, help="Only live or only test-mode events.")
@click.option("--since", metavar="2h", callback=_ago, help="Only what came since 30m, 2h, 3d.")
@click.option("--search", metavar="TEXT", help="Any id, e-mail, phone, amount, or words of it.")
@_paged
def events(
    source: str | None,
    event_type: str | None,
    state: str | None,
    external_id: str | None,
    live: bool | None,
    since: datetime | None,
    search: str | None,
    **page: Any,
) -> None:
    """List the events: what happened, in the hub's words."""
    columns = ("id", "received_at", "type", "source", "external_id", "state", "live", "duplicates")
    filters = {
        "source": source,
        "type": event_type,
        "state": state,
        "external_id": external_id,
        "live": live,
    }
    rows_of = partial(_found, search) if search else listing.list_events
    _print(rows_of, columns, filters, page, since=since)


def _found(
    text: str,
    connection: Connection,
    *,
    filters: dict[str, Any],
    limit: int,
    before: UUID | None,
    since: datetime | None,
) -> list[dict[str, Any]]:
    """Return the rows of the events that a search finds."""
    country = open_hub(open_settings()).configuration.site.country
    wanted = {name: filters[name] for name in ("source", "type", "state", "live")}
    query = Filters(query=read_query(text, country=country), since=since, **wanted)
    ids = [row.id for row in board.list_events(connection, query, most=limit, before=before).rows]
    return listing.list_events(connection, filters=filters, limit=limit, ids=ids)


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
    columns = (
        "id", "route", "destination", "action", "state", "attempts", "next_attempt_at", "error",
    )  # fmt: skip
    filters = {
        "state": state,
        "destination": destination,
        "route": route,
        "event_id": wanted_id(event_id) if event_id else None,
    }
    _print(listing.list_deliveries, columns, filters, page, mark_sandbox=True)


@click.command()
@_paged
def unknown(**page: Any) -> None:
    """List the deliveries of which nobody knows whether they happened: `hub settle` them."""
    columns = ("id", "route", "destination", "action", "sent_at", "error")
    _print(listing.list_unknown, columns, {}, page, show_evidence=True)


@click.command()
@click.option("--ended", is_flag=True, help="Those that are over, too.")
@_paged
def alerts(*, ended: bool, **page: Any) -> None:
    """List what a person must know of."""
    columns = ("began_at", "kind", "subject", "message")
    _print(listing.list_alerts, columns, {}, page, ended=ended)


def _print(
    rows_of: Callable[..., list[dict[str, Any]]],
    columns: tuple[str, ...],
    filters: dict[str, Any],
    page: dict[str, Any],
    *,
    mark_sandbox: bool = False,
    show_evidence: bool = False,
    **more: Any,
) -> None:
    before = wanted_id(page["before"]) if page["before"] else None
    with open_hub(open_settings()).store.read() as connection:
        rows = rows_of(connection, filters=filters, limit=page["limit"], before=before, **more)
    if mark_sandbox and not page["as_json"]:
        for row in rows:
            row["state"] += " (sandbox)" if row["sandbox"] else ""
    print_rows(rows, columns, as_json=page["as_json"])
    if show_evidence and not page["as_json"]:
        for row in rows:
            click.echo(f"{row['id']}:")
            told = {"at": row["sent_at"], "by": "the call", "said": row["error"]}
            for one in [told, *(row["evidence"] or [])]:
                click.echo(f"  {shown(one['at'])}  {one['by']}: {shown(one['said'])}")


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
