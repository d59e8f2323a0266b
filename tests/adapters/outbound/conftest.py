"""A far end for every test, and a call with a key and a time."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters import Call
from hub.gateways.http.transport import GuardedTransport
from tests.gateways.servers import Far, http_server

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def _server() -> Iterator[Far]:
    with http_server() as far:
        yield far


@pytest.fixture
def far(_server: Far) -> Far:
    return _server.says((200, {}, b"{}"))


@pytest.fixture(scope="session")
def transport() -> GuardedTransport:
    return GuardedTransport(allow_private=True, timeout_s=15)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note the pauses before a call is repeated, and wait for none."""
    noted: list[float] = []
    monkeypatch.setattr(GuardedTransport, "pause", lambda _, seconds: noted.append(seconds))
    return noted


@pytest.fixture
def call() -> Callable[..., Call]:
    def make(
        action: str, parameters: Mapping[str, Any], key: str = "d1", attempt_id: str = "a1"
    ) -> Call:
        return Call(action, parameters, key=key, attempt_id=attempt_id, now=NOW)

    return make
