"""Command `hub show ID`: print one event, delivery or request with its related rows."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import orjson
from sqlalchemy import Connection

from adapters.contract.fields import rfc3339
from hub.cli.context import open_hub, open_settings, wanted_id
from hub.cli.tables import inert, print_json, shown
from hub.core.errors import NotFound
from hub.core.hub import Hub
from hub.core.leads.acknowledgement import taken_lead
from hub.core.leads.assignment import assignments_of
from hub.core.queries.deliveries import DeliveryRow, attempts_of, deliveries_of, find_delivery
from hub.core.queries.event_rows import event_json
from hub.core.queries.requests import find_request
from hub.core.rehydrate import body_deleted_at, body_words, event_again, require_body
from hub.core.retention.words import gone_words

MOST_CHILDREN = 200
_NOTHING_FOLLOWS = {
    "incomplete": "it says too little, and its source has no account with credentials to fetch it",
    "held": "nothing follows until `hub release`, or `hub discard`, says what it is",
    "discarded": "somebody has put it aside",
}


@click.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--attachment", "number", type=click.IntRange(1), metavar="N",
              help="Write the Nth attachment of an event, byte for byte: ... > file.")  # fmt: skip
def show(id: str, *, as_json: bool, number: int | None) -> None:
    """Show one event, delivery or request by its ID."""
    hub = open_hub(open_settings())
    with hub.store.read() as connection:
        kind, found = describe(connection, hub, wanted_id(id))
        if number is not None:
            content = _attachment(connection, hub, kind, found, number)
            sys.stdout.buffer.write(content)
            return
    if as_json:
        print_json({"kind": kind} | found)
    elif kind == "event":
        print_event(found)
    elif kind == "delivery":
        print_delivery(found)
    else:
        _print_request(found)


def describe(connection: Connection, hub: Hub, wanted: UUID) -> tuple[str, dict[str, Any]]:
    """Return the kind of row that an id names, and the row as JSON with its related rows.

    The kind is `event`, `delivery` or `request`.

    Raises:
        NotFound: no event, delivery or request has this id.
    """
    if event := event_json(connection, wanted):
        return "event", describe_event(connection, hub, event)
    if delivery := find_delivery(connection, wanted):
        return "delivery", _with_attempts(connection, delivery)
    if request := find_request(connection, wanted):
        return "request", request
    retention = hub.configuration.retention
    gone = gone_words(connection, retention, wanted, now=datetime.now(UTC))
    raise NotFound(f"there is no event, delivery or request {wanted}{gone and f': {gone}'}")


def _attachment(
    connection: Connection, hub: Hub, kind: str, found: dict[str, Any], number: int
) -> bytes:
    if kind != "event":
        raise NotFound(f"{found['id']} is a {kind}; attachments are an event's")
    request_id = UUID(found["request_id"])
    event = event_again(connection, hub.inbound, request_id, found["external_id"])
    attachments = event.attachments if event else ()
    if number > len(attachments):
        require_body(connection, request_id)
        raise NotFound(f"the event has {len(attachments)} attachments")
    return attachments[number - 1].content


def describe_event(connection: Connection, hub: Hub, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as JSON with its native object, owners, acknowledgement and deliveries."""
    again = event_again(connection, hub.inbound, UUID(event["request_id"]), event["external_id"])
    native = again.data.get("native") if again else None
    if native is not None:
        event["data"] = {"native": native} | (event["data"] or {})
    deleted_at = body_deleted_at(connection, UUID(event["request_id"]))
    if deleted_at is not None:
        event["body_deleted_at"] = rfc3339(deleted_at)
    deliveries = deliveries_of(connection, UUID(event["id"]), limit=MOST_CHILDREN)
    event["owners"] = [asdict(one) for one in assignments_of(connection, UUID(event["id"]))]
    found = taken_lead(connection, UUID(event["id"]))
    event["taken"] = {"person": found.person, "how": found.how, "at": found.at} if found else None
    event["deliveries"] = [_with_attempts(connection, one) for one in deliveries]
    return event


def _with_attempts(connection: Connection, delivery: DeliveryRow) -> dict[str, Any]:
    return delivery.as_json() | {"attempt_rows": attempts_of(connection, delivery.id)}


def print_event(event: dict[str, Any]) -> None:
    """Print an event, its owners and its deliveries in readable form."""
    click.secho(f"event {event['id']}", bold=True)
    for name in ("type", "native_type", "source", "external_id", "occurred_at", "received_at",
                 "state", "held_reason", "live", "contact", "duplicates",
                 "data_error"):  # fmt: skip
        if event[name] is not None:
            click.echo(f"  {name.replace('_', ' '):12} {shown(event[name])}")
    data = {name: value for name, value in (event["data"] or {}).items() if name != "native"}
    click.echo("  data         " + _json(data))
    if deleted_at := event.get("body_deleted_at"):
        at = datetime.fromisoformat(deleted_at)
        click.echo(f"  body         {body_words(at)}; data.native and attachments went with it")
    for owner in event["owners"]:
        said = f"{owner['person']} ({owner['assign']}), {owner['why']}"
        click.echo(f"  owner        {shown(said)}")
    if taken_by := event["taken"]:
        who = taken_by["person"] or "somebody"
        click.echo(f"  taken        by {shown(who)}, {taken_by['how']}")
    if not event["deliveries"]:
        click.echo(f"  {_NOTHING_FOLLOWS.get(event['state'], 'no route takes it')}")
    for delivery in event["deliveries"]:
        print_delivery(delivery)


def print_delivery(delivery: dict[str, Any]) -> None:
    """Print a delivery and its attempts in readable form."""
    sandbox = " (sandbox: nothing was sent)" if delivery["sandbox"] else ""
    click.secho(f"delivery {delivery['id']}", bold=True)
    click.echo(f"  {delivery['route']} -> {delivery['destination']}.{delivery['action']}")
    click.echo(f"  {delivery['state']}{sandbox}" + _also(delivery["error"]))
    if delivery["status"]:
        click.echo(f"  then         {shown(delivery['status'])}")
    if delivery["next_attempt_at"]:
        click.echo(f"  next attempt {shown(delivery['next_attempt_at'])}")
    for attempt in delivery["attempt_rows"]:
        status = f" {attempt['status']}" if attempt["status"] else ""
        click.echo(
            f"  attempt {attempt['n']} {shown(attempt['started_at'])} {attempt['state']}"
            f"{status}{_also(attempt['message'])}"
        )
        click.echo("    sent " + _json(attempt["parameters"]))
        for one in attempt["evidence"] or ():
            click.echo(f"    {shown(one['at'])} {shown(one['by'])}: {shown(one['said'])}")


def _print_request(request: dict[str, Any]) -> None:
    click.secho(f"request {request['id']}", bold=True)
    for name in ("source", "state", "reason", "received_at", "signed_by", "method", "url",
                 "size_bytes", "event_id"):  # fmt: skip
        if request[name] is not None:
            click.echo(f"  {name.replace('_', ' '):12} {shown(request[name])}")
    if deleted_at := request.get("body_deleted_at"):
        at = datetime.fromisoformat(deleted_at)
        click.echo(f"  body         {body_words(at)}, with the headers")
    for name, value in request["headers"].items():
        click.echo(f"  {shown(name)}: {shown(value)}")
    body = request["body"]
    if body is not None:
        text = body.decode("utf-8", "replace")
        click.echo("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))


def _also(text: str | None) -> str:
    return f": {shown(text)}" if text else ""


def _json(value: Any) -> str:
    return inert(orjson.dumps(value, default=str).decode())
