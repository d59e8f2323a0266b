"""Fuzzing of headers and bodies: an answer of the contract, and never a 5xx."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.running import stripe_event, stripe_signature
from tests.web.calling import call, make_app
from tests.web.serving import Web, read_answer, request

NAMED = {200, 400, 401, 404, 405, 408, 413, 415, 431}
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Stripe-Signature", "Content-Type", "Content-Length", "Content-Encoding", "Host",
         "Transfer-Encoding", "X-Forwarded-For", "Cookie", "Accept", "Expect", "X-\u00e4"]
    ),
    LATIN | st.sampled_from(["chunked", "gzip", "0", "-1", "1" * 30, "\u00b2", "[::1]", "a:b:c"]),
    max_size=6,
)  # fmt: skip
PATHS = st.sampled_from(["/webhooks/stripe", "/webhooks/small", "/webhooks/stripe/x", "/metrics"])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Build a strategy of Stripe events with some values replaced by strange ones."""
    event = json.loads(stripe_event("evt_fuzz"))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([event, event["data"], event["data"]["object"]]))
        if isinstance(place, dict) and place:
            place[draw(st.sampled_from(sorted(place)) | ANY_TEXT)] = draw(JSON)
        if not isinstance(event.get("data"), dict) or not isinstance(
            event["data"].get("object"), dict
        ):
            break
    return json.dumps(event).encode()


@pytest.fixture(scope="module")
def app(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder: Path = tmp_path_factory.mktemp("app")
    app = make_app(folder, module_database_url)
    yield app
    app.extensions["hub"].store.engine.dispose()


@settings(max_examples=200)
@given(headers=HEADERS, body=st.binary(max_size=200), path=PATHS)
def test_any_headers_get_an_answer_of_the_contract(
    app: Flask, headers: dict[str, str], body: bytes, path: str
) -> None:
    answer = call(app, body, headers, path=path)
    assert answer.status in NAMED
    assert "set-cookie" not in answer.headers


@settings(max_examples=200)
@given(body=events() | st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_signed_body_is_taken(app: Flask, body: bytes) -> None:
    answer = call(app, body, {"Stripe-Signature": stripe_signature(body)})
    assert (answer.status, answer.body) == (200, b"")


@settings(max_examples=100)
@given(body=events(), extra=LATIN)
def test_strange_headers_of_a_signed_request_are_kept(app: Flask, body: bytes, extra: str) -> None:
    headers = {"Stripe-Signature": stripe_signature(body), "X-Extra": extra, "User-Agent": extra}
    assert call(app, body, headers).status == 200


@settings(max_examples=100)
@given(
    body=events(),
    extra=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
    size=st.integers(1, 400),
    is_chunked=st.booleans(),
)
def test_over_the_socket_too(
    web: Web, body: bytes, extra: str, size: int, is_chunked: bool
) -> None:
    chunks = [body[at : at + size] for at in range(0, len(body), size)] if is_chunked else None
    answer = web.exchange(request(body, ("X-Extra", extra), chunks=chunks))
    assert answer is not None
    assert answer.status == 200


@settings(max_examples=150)
@given(
    body=st.binary(max_size=100),
    at=st.integers(0, 200),
    noise=st.binary(min_size=1, max_size=8),
    is_chunked=st.booleans(),
)
def test_a_request_with_noise_in_it_is_answered_or_dropped(
    web: Web, body: bytes, at: int, noise: bytes, is_chunked: bool
) -> None:
    raw = request(body, chunks=[body] if is_chunked and body else None)
    raw = raw[:at] + noise + raw[at:]
    with web.connect() as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        try:
            status = read_answer(sock).status
        except (ConnectionError, http.client.HTTPException):
            return
    assert status in NAMED
