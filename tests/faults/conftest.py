"""Fixtures of the fault tests: far end, fault to report on, and the table of `make faults`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.far_end import FarEnd
from tests.faults.checker import Fault
from tests.faults.hubs import FaultyHub, polite, slow
from tests.stores import PostgresServer, RedisServer


@pytest.fixture(params=["postgresql", slow("sqlite")])
def mostly_postgresql_url(request: pytest.FixtureRequest) -> str:
    """Return a database of the test's own: PostgreSQL, and with `make faults` SQLite too."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    with FarEnd(polite) as far_end:
        yield far_end


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Fault:
    """Return the fault of a test, named by the first line of its docstring."""
    named = (request.function.__doc__ or request.node.name).strip().splitlines()[0]
    parameters = getattr(request.node, "callspec", None)
    if parameters is not None:
        named += " [" + parameters.id.replace("postgresql", "pg") + "]"
    row: dict[str, Any] = {"fault": named}
    request.node.user_properties.append(("fault", row))
    return Fault(row)


@pytest.fixture
def make_hub(tmp_path: Path, far_end: FarEnd) -> Iterator[Callable[..., FaultyHub]]:
    """Make hubs that are stopped at the end."""
    hubs: list[FaultyHub] = []

    def make(database_url: str, redis_url: str, **options: Any) -> FaultyHub:
        folder = tmp_path / f"hub-{len(hubs)}"
        folder.mkdir()
        options = {"database_url": database_url, "redis_url": redis_url, **options}
        hubs.append(FaultyHub(folder, far_end=far_end, **options))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.__exit__()


@pytest.fixture
def own_redis(store_folder: Path) -> Iterator[RedisServer]:
    """Start a Redis that may be killed, and forgets everything then."""
    server = RedisServer(store_folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_postgres(store_folder: Path) -> Iterator[PostgresServer]:
    """Start a migrated PostgreSQL that may be killed, with the connections of a small server."""
    from hub.gateways.database.migrations import upgrade

    (store_folder / "pg").mkdir()
    server = PostgresServer(store_folder / "pg", max_connections="40")
    server.start()
    upgrade(server.url().replace("postgresql://", "postgresql+psycopg://"))
    yield server
    server.stop("immediate")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        (properties["fault"], report)
        for reports in terminalreporter.stats.values()
        for report in reports
        if (properties := dict(getattr(report, "user_properties", ()))).get("fault")
        and (report.when == "call" or report.failed)
    ]
    if not rows:
        return
    width = max(len(row["fault"]) for row, _ in rows)
    terminalreporter.section("faults")
    terminalreporter.line(
        f"{'fault':{width}} | lost | second keys | seconds to heal | result", bold=True
    )
    for row, report in sorted(rows, key=lambda one: _number(one[0]["fault"])):
        heal = f"{row['heal_s']:.1f}" if "heal_s" in row else "-"
        terminalreporter.line(
            f"{row['fault']:{width}} | {row.get('lost', '-'):>4} | {row.get('second', '-'):>11} "
            f"| {heal:>15} | {report.outcome}{row.get('note', '')}"
        )


def _number(named: str) -> tuple[int, str]:
    digits = "".join(one for one in named.split()[0] if one.isdigit())
    return int(digits or 0), named
