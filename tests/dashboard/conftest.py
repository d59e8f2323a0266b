"""Fixtures of the dashboard's tests: a board over each database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dashboard.board import SECRET_KEY, Board
from tests.running import OPS_SECRET, PLAIN, STRIPE_SECRET


@pytest.fixture
def postgresql_url(emptied_postgresql_url: str) -> str:
    return emptied_postgresql_url


@pytest.fixture
def make_board(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Callable[..., Board]]:
    """Make boards over the test's database: `make_board(config, NAME="value")`.

    At the end no request may have held two connections at once, or one after its end.
    """
    boards = []

    def make(config: str = PLAIN, **environ: str) -> Board:
        (tmp_path / "hub.yaml").write_text(config)
        board = Board(
            {
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "HUB_CONFIG": str(tmp_path / "hub.yaml"),
                "SECRET_KEY": SECRET_KEY,
                "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
                "OPS_SECRET": OPS_SECRET,
                "FAR_END": "http://127.0.0.1:1",
                "HUB_ALLOW_PRIVATE_DESTINATIONS": "1",
                **environ,
            }
        )
        boards.append(board)
        return board

    yield make
    for board in boards:
        assert board.connections.most_at_once <= 1
        assert board.connections.held == 0
        board.hub.store.engine.dispose()


@pytest.fixture
def board(make_board: Callable[..., Board]) -> Board:
    return make_board()
