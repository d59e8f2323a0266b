"""Command `hub send`: post a signed sample as the provider would, and print the resulting event."""

from typing import Any

import click
import requests
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from adapters import InboundRequest
from hub.cli.context import agreed, now, open_hub, open_settings
from hub.cli.show import describe_event, print_event
from hub.cli.tables import print_json
from hub.core.errors import HubError
from hub.core.hub import Hub
from hub.core.inbound.samples import address_of, external_id_of, live_destinations, make_sample
from hub.core.models import EventState
from hub.core.queries.deliveries import count_open
from hub.core.queries.event_rows import event_json
from hub.core.queries.events import find_event_id

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
    url = url or f"http://127.0.0.1:{settings.port}{address_of(hub, source)}"
    origin = url.removesuffix(address_of(hub, source))
    sent = make_sample(hub, source, native_type, origin=origin, live=not test, now=now())
    reached = live_destinations(hub, source, sent)
    if reached:
        agreed(f"This reaches {', '.join(reached)}, live. Go on?", yes=yes)
    for _ in range(times):
        status = _post(url, sent)
        click.echo(f"{url} answered {status}", err=True)
    if not 200 <= status < 300:
        raise HubError(f"it was not taken: {status}. `hub requests` may say why")
    external_id = external_id_of(hub, source, sent)
    event = _await(hub, source, external_id, wait_s)
    if event["state"] == EventState.HELD:
        click.echo(f"it is held: {event['held_reason']}", err=True)
    print_json(event) if as_json else print_event(event)


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
    """Return the event once its deliveries have ended, or its state after `wait_s` seconds."""
    looks = Retrying(
        retry=retry_if_result(bool),
        wait=wait_fixed(LOOK_EVERY_S),
        stop=stop_after_delay(wait_s),
        retry_error_callback=lambda _: None,
    )
    with hub.store.read() as connection:
        event_id = find_event_id(connection, source, external_id)
        if event_id is None:
            raise HubError("it was answered 2xx, but this database has no such event: is the"
                           " hub running on another one?")  # fmt: skip
        looks(count_open, connection, [event_id])
        event = event_json(connection, event_id)
        return describe_event(connection, hub, event or {})
