"""Command `hub backfill`: ingest events from a provider's list that no webhook delivered."""

from dataclasses import asdict
from datetime import timedelta

import click
from marshmallow import ValidationError

from adapters import AdapterError
from hub.cli.context import now, open_hub, open_settings, wake
from hub.cli.tables import print_json
from hub.config.fields import Duration
from hub.core.errors import HubError
from hub.core.events.backfill import fill_gap, listing_source
from hub.gateways.destination_client import list_records


class SinceOption(click.ParamType[timedelta]):
    """Option type of a duration in the notation of hub.yaml: `3d`, `12h`."""

    name = "duration"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        try:
            return timedelta(seconds=Duration(low="1s", high="400d").deserialize(value))
        except ValidationError as error:
            self.fail(str(error.args[0]), param, ctx)


@click.command()
@click.argument("source")
@click.option(
    "--since", type=SinceOption(), required=True, help="How far to look back: 3d, 12h, 30m."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backfill(source: str, *, since: timedelta, as_json: bool) -> None:
    """Compare the provider's own list with what SOURCE took in, and take in what is missing."""
    settings = open_settings()
    hub = open_hub(settings)
    configured, moment = listing_source(hub, source), now()
    try:
        gap = fill_gap(
            hub, configured, list_records(hub, configured, moment - since, moment), now=moment
        )
    except AdapterError as error:
        raise HubError(f"the list could not be read to its end: {error}") from error
    finally:
        wake(settings, hub)
    if as_json:
        print_json({"source": source, **asdict(gap)})
        return
    click.echo(f"{source}: {gap.listed} listed, {gap.known} were there, {gap.new} taken in")
    if gap.unreadable:
        click.echo(f"{gap.unreadable} could not be read and were left out", err=True)
