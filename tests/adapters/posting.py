"""A request at a source's address, for tests of one inbound adapter; and the signature vectors."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.contract.inbound import Sample
from adapters.contract.request import InboundRequest

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
URL = "https://hub.example.com/webhooks/source"


def posted(
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    at: datetime = NOW,
    url: str = URL,
    method: str = "POST",
) -> InboundRequest:
    """Return a request as the hub hands it to an adapter: header names in lower case."""
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return InboundRequest(method, url, lower, body, at)


def posted_sample(sample: Sample, *, at: datetime = NOW, url: str = URL) -> InboundRequest:
    return posted(sample.body, sample.headers, at=at, url=url)


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the vectors of `vectors/<name>.json`, each with its `body` as bytes."""
    found = json.loads((FIXTURES / "vectors" / f"{name}.json").read_text("utf-8"))["vectors"]
    return [vector | {"body": _body(vector)} for vector in found]


def _body(vector: Mapping[str, Any]) -> bytes:
    if "body_file" in vector:
        return (FIXTURES / vector["body_file"]).read_bytes()
    return str(vector["body"]).encode()
