"""`hub send`: a signed sample, posted as the provider would, and what became of it."""

import secrets
import time
from typing import Any
from uuid import UUID

import click
import requests

from adapters import InboundRequest
from hub.cli.session import agreed, now, open_hub, open_settings
from hub.cli.show import describe_event, print_event
from hub.cli.tables import print_json
from hub.core import listing
from hub.core.errors import HubError, NotFound
from hub.core.hub import Hub
from hub.core.ids import new_id

LOOK_EVERY_S = 0.1


@click.command()
@click.argument("source")
@click.argument("native_type", metavar="[TYPE]", required=False)
@click.option("--test", is_flag=True, help="Send it as a test-mode event.")
@click.option("--times", type=click.IntRange(1, 100), default=1, help="Post the same so often.")
@click.option("--url", help="Where to post it; default: the hub on this machine.")
@click.option("--wait", "wait_s", default=10.0, show_default=True, help="Seconds, for the work.")
@click.option("--yes", is_flag=True, help="Do not ask before live destinations are called.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def send(
    source: str,
    native_type: str | None,
    *,
    test: bool,
    times: int,
    url: str | None,
    wait_s: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Sign a sample of SOURCE and post it, as the provider would."""
    settings = open_settings()
    hub = open_hub(settings)
    url = url or f"http://127.0.0.1:{settings.port}{_path(hub, source)}"
    sent = _sample(hub, source, native_type, url, live=not test)
    reached = _live_destinations(hub, source, sent)
    if reached:
        agreed(f"This reaches {', '.join(reached)}, live. Go on?", yes=yes)
    for _ in range(times):
        status = _post(url, sent)
        click.echo(f"{url} answered {status}", err=True)
    if not 200 <= status < 300:
        raise HubError(f"it was not taken: {status}. `hub requests` may say why")
    external_id = _external_id(hub, source, sent)
    event = _await(hub, source, external_id, wait_s)
    print_json(event) if as_json else print_event(event)


def _sample(
    hub: Hub, source: str, native_type: str | None, url: str, *, live: bool
) -> InboundRequest:
    adapter, path = hub.inbound(source), _path(hub, source)
    moment = now()
    public = f"{hub.public_url or url.removesuffix(path)}{path}"
    wanted = native_type or adapter.sample_types()[0]
    try:
        sample = adapter.sample(wanted, secrets.token_hex(8), moment, live=live, url=public)
    except LookupError as error:
        raise NotFound(str(error.args[0])) from error
    headers = {name.lower(): value for name, value in sample.headers.items()}
    return InboundRequest("POST", public, headers, sample.body, moment, sample.path_secret)


def _path(hub: Hub, source: str) -> str:
    """Return the path that a source is posted to, without a secret that may follow.

    Raises:
        NotFound: there is no such source, or it is off.
    """
    configured = hub.configuration.sources.get(source)
    if configured is None or not configured.enabled:
        known = ", ".join(hub.configuration.sources) or "none"
        raise NotFound(f"there is no source {source}; hub.yaml has {known}")
    return f"/{'forms' if hub.inbound(source).takes_forms else 'webhooks'}/{source}"


def _live_destinations(hub: Hub, source: str, sent: InboundRequest) -> list[str]:
    """Return what it would really reach, decided as the hub will decide it."""
    reached = set()
    for event in hub.inbound(source).parse(sent):
        matches = hub.router.match(
            event, event_id=new_id(sent.received_at), source=source, received_at=sent.received_at
        )
        reached |= {match.route.destination for match in matches}
    destinations = hub.configuration.destinations
    return sorted(name for name in reached if not destinations[name].sandbox)


def _external_id(hub: Hub, source: str, sent: InboundRequest) -> str:
    return hub.inbound(source).parse(sent)[0].external_id


def _post(url: str, sent: InboundRequest) -> int:
    whole = url if sent.path_secret is None else f"{url}/{sent.path_secret}"
    try:
        return requests.post(
            whole, data=sent.body, headers=dict(sent.headers), timeout=30, allow_redirects=False
        ).status_code
    except requests.RequestException as error:
        kind = type(error).__name__
        raise HubError(f"{url} does not answer ({kind}): is `hub up` running?") from error


def _await(hub: Hub, source: str, external_id: str, wait_s: float) -> dict[str, Any]:
    """Return the event once its deliveries have ended, or as it is when the time is over."""
    deadline = time.monotonic() + wait_s
    filters = {"source": source, "external_id": external_id}
    with hub.store.read() as connection:
        while True:
            found = listing.list_events(connection, filters=filters, limit=1)
            if not found:
                raise HubError("it was answered 2xx, but this database has no such event: is the"
                               " hub running on another one?")  # fmt: skip
            event_id = UUID(found[0]["id"])
            if not listing.open_deliveries(connection, [event_id]) or time.monotonic() > deadline:
                event = listing.event_row(connection, event_id)
                return describe_event(connection, hub, event or {})
            time.sleep(LOOK_EVERY_S)
