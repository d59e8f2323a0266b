"""`hub audit`: who did what, to what, when and why."""

from typing import Any

import click

from hub.cli.session import open_hub, open_settings, wanted_id
from hub.cli.tables import print_rows
from hub.core.access import log
from hub.core.inbound.routing import rfc3339


@click.command()
@click.option("--actor", help="Only what they did: user:jane, cli:jane, nobody.")
@click.option("--action", help="Only that: sign_in, user.add, delivery.replay, ...")
@click.option("--subject", help="Only what was done to it: 'user jane', 'delivery ID'.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--before", metavar="ID", help="Only what is older than this row.")
@click.option("--limit", type=click.IntRange(1, log.MOST_ROWS), default=50, show_default=True)
def audit(
    *, actor: str | None, action: str | None, subject: str | None, as_json: bool,
    before: str | None, limit: int,
) -> None:  # fmt: skip
    """List what people and commands did, newest first."""
    given = {"actor": actor, "action": action, "subject": subject}
    filters = {name: value for name, value in given.items() if value}
    before_id = wanted_id(before) if before else None
    with open_hub(open_settings()).store.read() as connection:
        rows = log.list_entries(connection, filters=filters, limit=limit, before=before_id)
    columns = ("at", "actor", "action", "subject", "reason")
    print_rows([_shown(row) for row in rows], columns, as_json=as_json)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"id": str(row["id"]), "at": rfc3339(row["at"])}
