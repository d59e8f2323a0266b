"""Fixtures of the command-line tests: a desk on SQLite, or `desk_anywhere` on both databases."""

import logging
from collections.abc import Iterator

import pytest

from tests.cli.commanding import Desk


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def postgresql_url(emptied_postgresql_url: str) -> str:
    return emptied_postgresql_url


@pytest.fixture
def desk(tmp_path, sqlite_url, monkeypatch, capsys) -> Iterator[Desk]:
    desk = Desk(tmp_path, sqlite_url, monkeypatch, capsys)
    yield desk
    desk.store.engine.dispose()


@pytest.fixture
def desk_anywhere(tmp_path, database_url, monkeypatch, capsys) -> Iterator[Desk]:
    desk = Desk(tmp_path, database_url, monkeypatch, capsys)
    yield desk
    desk.store.engine.dispose()
