"""Benchmark command `python -m tests.bench`: measure the hub beside its floors, print the table.

Only ratios within one run on one machine count; docs/performance.md explains how to read them.
"""

from collections.abc import Callable
from pathlib import Path

import click

from tests.bench import (
    beside,
    crowds,
    deliveries,
    growth,
    ingest,
    latency,
    pages,
    processes,
    replay,
    retention,
    shards,
    sqlite,
    storage,
)
from tests.bench.report import Row, table
from tests.bench.stage import Stage, fsync_ms, open_stage

ROWS: dict[str, Callable[[Stage, int, float, int], Row]] = {
    "ingest": lambda stage, n, s, _: ingest.measure(stage, rounds=n, seconds=s),
    "latency": lambda stage, n, s, _: latency.measure(stage, rounds=n, seconds=s),
    "slow": lambda stage, n, s, _: deliveries.measure_slow(stage, rounds=n, seconds=s),
    "quick": lambda stage, n, s, _: deliveries.measure_quick(stage, rounds=n, seconds=s),
    "shards": lambda stage, n, s, _: shards.measure(stage, rounds=n, seconds=s),
    "beside": lambda stage, n, s, _: beside.measure(stage, rounds=n, seconds=s),
    "pages": lambda stage, n, _, events: pages.measure(stage, rounds=n, events=events),
    "growth": lambda stage, n, s, events: growth.measure(stage, rounds=n, seconds=s, events=events),
    "replay": lambda stage, n, _, __: replay.measure(stage, rounds=n),
    "retention": lambda stage, n, s, events: retention.measure(
        stage, rounds=n, seconds=s, events=events
    ),
    "storage": lambda stage, n, _, __: storage.measure(stage, rounds=n),
    "sqlite": lambda stage, n, s, _: sqlite.measure(stage, rounds=n, seconds=s),
    "crowds": lambda stage, *_: crowds.measure(stage),
    "processes": lambda stage, n, s, _: processes.measure(stage, rounds=n),
}


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often each is measured.")
@click.option("--seconds", default=4.0, show_default=True, help="How long each time.")
@click.option(
    "--events",
    type=click.IntRange(min=2 * pages.FEW),
    default=5_000_000,
    show_default=True,
    help="How many `pages` has, and at most `growth` and `retention`.",
)
@click.option("--only", multiple=True, type=click.Choice(list(ROWS)), help="These rows alone.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write JSON lines here.")
def bench(
    rounds: int, seconds: float, events: int, only: tuple[str, ...], json_path: Path | None
) -> None:
    """Measure the hub beside its floors, in turn, and print the table."""
    measured: list[Row] = []
    with open_stage() as stage:
        disk_ms = fsync_ms(stage.folder)
        for name in only or ROWS:
            click.echo(f"measuring {name} ...", err=True)
            measured.append(ROWS[name](stage, rounds, seconds, events))
    figures = [figure for row in measured for figure in row.figures.values()]
    click.echo(
        f"Medians of {rounds} rounds of {seconds:g} s; an fsync takes {disk_ms:.2f} ms here.\n"
    )
    click.echo(table(figures))
    lines = "".join(figure.as_json() + "\n" for figure in figures)
    if json_path:
        json_path.write_text(lines)
    else:
        click.echo("\n" + lines, nl=False)
    if any(figure.passed is False for figure in figures):
        raise SystemExit(1)


if __name__ == "__main__":
    bench()
