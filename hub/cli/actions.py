"""Operator commands: `hub replay`, `settle`, `pause` and `resume`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import click
from sqlalchemy import Connection

from hub.cli.context import actor, agreed, now, open_hub, open_settings, wake, wanted_id
from hub.cli.tables import print_json
from hub.core.audit import record_action
from hub.core.delivery.pauses import set_paused
from hub.core.delivery.settle import SettleAnswer
from hub.core.delivery.settle import settle as settle_as
from hub.core.errors import NotFound, Refused
from hub.core.events.reingest import reingest
from hub.core.hub import Hub
from hub.core.models import DeliveryState, RequestState
from hub.core.queries.deliveries import find_delivery
from hub.core.queries.event_rows import event_json
from hub.core.queries.requests import find_request
from hub.core.replays.replay import FILTER_NAMES, Plan, Planned, preview_deliveries
from hub.core.replays.replay import replay_deliveries as run_again

AT_ONCE = 500
STATES = tuple(DeliveryState)

_SENTENCES = {
    Plan.ANEW: "will be rendered anew and sent under a new key",
    Plan.REPEAT: "will be sent again with the same key (an earlier attempt may have arrived)",
    Plan.NOW: "will be tried at once instead of later",
    Plan.AGAIN: "will happen A SECOND TIME",
    Plan.REFUSED: "will be left alone",
}


def batched(rows: Sequence[Planned], size: int) -> Iterator[Sequence[Planned]]:
    """Yield rows in batches of up to `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@click.command()
@click.argument("id", required=False)
@click.option(
    "--where", multiple=True, metavar="NAME=VALUE", help="Instead of an ID; all must hold."
)
@click.option("--again", is_flag=True, help="Also what happened or may have. Needs --reason.")
@click.option("--reason", help="Why; kept in the audit log.")
@click.option("--yes", is_flag=True, help="Do not ask after the preview.")
@click.option("--dry-run", is_flag=True, help="Only the preview.")
@click.option("--json", "as_json", is_flag=True)
def replay(
    id: str | None,
    where: tuple[str, ...],
    *,
    again: bool,
    reason: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run deliveries again: one, an event's, or all that --where selects.

    The ID of a request that was unreadable or rejected takes it in again.
    """
    if bool(id) == bool(where):
        raise click.UsageError("give an ID, or --where")
    settings = open_settings()
    hub = open_hub(settings)
    if id and (taken := _request_again(hub, id, dry_run=dry_run)):
        if not dry_run:
            wake(settings, hub)
        becomes = "will be verified and read again" if dry_run else f"is {taken['state']}"
        print_json(taken) if as_json else click.echo(f"request {taken['id']} {becomes}")
        return
    with hub.store.read() as connection:
        selection = _selection(connection, id) if id else _filters(where)
        planned = preview_deliveries(connection, hub, selection, again=again)
    _print_plan(planned, as_json=as_json and dry_run, err=not dry_run)
    wanted = [one for one in planned if one.plan is not Plan.REFUSED]
    if dry_run:
        return
    if not wanted:
        raise Refused(_why_nothing(planned))
    agreed(f"Replay {len(wanted)}?", yes=yes)
    count = 0
    for chunk in batched(wanted, AT_ONCE):  # short transactions: other processes wait briefly
        with hub.store.write() as connection:
            count += run_again(connection, hub, chunk, actor=actor(), now=now(), reason=reason)
    wake(settings, hub)
    if as_json:
        print_json({"replayed": count})
    click.echo(f"replayed {count}", err=True)


@click.command()
@click.argument("id")
@click.option("--as", "answer", type=click.Choice([a.value for a in SettleAnswer]), required=True)
@click.option("--reason", required=True, help="How you know; kept in the audit log.")
@click.option("--json", "as_json", is_flag=True)
def settle(id: str, answer: str, reason: str, *, as_json: bool) -> None:
    """Say what became of a delivery whose outcome is unknown."""
    settings = open_settings()
    hub = open_hub(settings)
    with hub.store.write() as connection:
        state = settle_as(
            connection, wanted_id(id), SettleAnswer(answer), reason=reason, actor=actor(), now=now()
        )
    wake(settings, hub)
    print_json({"id": id, "state": state}) if as_json else click.echo(f"{id} is {state}")


@click.command()
@click.argument("destination")
@click.option("--json", "as_json", is_flag=True)
def pause(destination: str, *, as_json: bool) -> None:
    """Let nothing out to DESTINATION until it is resumed; its deliveries wait."""
    _set_paused(destination, paused=True, as_json=as_json)


@click.command()
@click.argument("destination")
@click.option("--json", "as_json", is_flag=True)
def resume(destination: str, *, as_json: bool) -> None:
    """Let DESTINATION go on, paused or blocked."""
    _set_paused(destination, paused=False, as_json=as_json)


def _set_paused(destination: str, *, paused: bool, as_json: bool) -> None:
    settings = open_settings()
    hub = open_hub(settings)
    with hub.store.write() as connection:
        set_paused(connection, hub, destination, paused=paused, actor=actor(), now=now())
    wake(settings, hub)
    state = "paused" if paused else "resumed"
    if as_json:
        print_json({"destination": destination, "paused": paused})
    else:
        click.echo(f"{destination} is {state}")


def _request_again(hub: Hub, id: str, *, dry_run: bool) -> dict[str, Any] | None:
    """Ingest a request again; return its id and state, None if no request has this id.

    A dry run ingests nothing.

    Raises:
        NotFound: the text is no id, or the request's source is gone from hub.yaml.
        Refused: the request is neither unreadable nor rejected, its body was not kept, or it still
            does not verify.
    """
    wanted = wanted_id(id)
    with hub.store.read() as connection:
        row = find_request(connection, wanted)
    if row is None:
        return None
    if dry_run:
        if row["state"] not in (RequestState.UNREADABLE, RequestState.REJECTED):
            raise Refused(f"it is {row['state']}: replay its event or deliveries")
        return {"id": row["id"], "state": row["state"]}
    with hub.store.write() as connection:
        ingested = reingest(connection, hub, wanted)
        record_action(
            connection, actor=actor(), action="request.again", subject=f"request {id}", now=now()
        )
    return {"id": str(ingested.request_id), "state": ingested.state}


def _selection(connection: Connection, id: str) -> dict[str, Any]:
    wanted = wanted_id(id)
    if find_delivery(connection, wanted):
        return {"id": wanted}
    if event_json(connection, wanted):
        return {"event": wanted}
    raise NotFound(f"there is no event, delivery or request {id}")


def _filters(where: tuple[str, ...]) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    for pair in (part for text in where for part in text.split(",")):
        name, equals, value = pair.strip().partition("=")
        if not equals or name not in FILTER_NAMES:
            raise click.UsageError(
                f"--where takes NAME=VALUE with {', '.join(sorted(FILTER_NAMES))}"
            )
        if name == "state" and value not in STATES:
            raise click.UsageError(f"there is no state {value}: one of {', '.join(STATES)}")
        filters[name] = wanted_id(value) if name == "event" else value
    return filters


def _print_plan(planned: list[Planned], *, as_json: bool, err: bool) -> None:
    if as_json:
        print_json([{name: getattr(one, name) for name in Planned.__slots__} for one in planned])
        return
    if not planned and not err:
        click.echo("nothing", err=True)
    counts = Counter((one.plan, f"{one.destination}.{one.action}", one.why) for one in planned)
    for (plan, action, why), count in sorted(counts.items()):
        because = f": {why}" if why else ""
        click.echo(f"{count} x {action} {_SENTENCES[plan]}{because}", err=err)


def _why_nothing(planned: list[Planned]) -> str:
    reasons = sorted({one.why for one in planned if one.why})
    return "nothing to replay" + (f": {'; '.join(reasons)}" if reasons else "")
