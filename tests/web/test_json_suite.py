"""JSONTestSuite files as signed bodies: accepted, stored byte for byte, and listed."""

from pathlib import Path
from uuid import UUID

import pytest

from hub.cli.show import describe
from tests.listing import request_rows
from tests.web.serving import Web, exchange, request

FILES = sorted((Path(__file__).parents[1] / "fixtures/JSONTestSuite/test_parsing").iterdir())


@pytest.fixture(scope="module")
def sent(web: Web) -> dict[str, bytes]:
    """Post every file; return their bytes by the id of the stored request."""
    assert len(FILES) == 318
    kept: dict[str, bytes] = {}
    with web.connect() as sock:
        for path in FILES:
            body = path.read_bytes()
            answer = exchange(sock, request(body))
            assert answer is not None, path.name
            assert answer.status == 200, path.name
    with web.store.read() as connection:
        rows = request_rows(connection)
    for row, path in zip(reversed(rows), FILES, strict=True):
        kept[row["id"]] = path.read_bytes()
    return kept


def test_every_file_is_kept_byte_for_byte(web: Web, sent: dict[str, bytes]) -> None:
    bodies = {row_id: web.shown(row_id)["body"] for row_id in sent}
    assert sorted(bodies.values()) == sorted(sent.values())


def test_every_file_is_shown(web: Web, sent: dict[str, bytes]) -> None:
    with web.store.read() as connection:
        for row_id in sent:
            kind, row = describe(connection, None, UUID(row_id))  # type: ignore[arg-type]
            assert (kind, row["state"]) == ("request", "unreadable")
            assert row["reason"]


def test_the_command_line_lists_and_shows_them(web: Web, sent: dict[str, bytes]) -> None:
    rows = web.running.cli("requests", "--limit", "1000")
    assert {row["id"] for row in rows} == set(sent)
    oddest = next(row_id for row_id, body in sent.items() if b"\x00" in body)
    assert web.running.cli("show", oddest)["size_bytes"] == len(sent[oddest])
