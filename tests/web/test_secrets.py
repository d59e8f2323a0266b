"""Secrets that must never be stored, logged or sent back."""

import logging
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask

from adapters import Event, InboundRequest, NotVerified
from adapters.stripe.inbound import StripeInbound
from hub.core.queries.requests import find_request
from tests.listing import request_rows
from tests.running import STRIPE_SECRET, stripe_event, stripe_signature
from tests.web.calling import call, make_app
from tests.web.serving import Web, request

PATH_SECRET = "the-secret-in-the-path"


class ByPath(StripeInbound):
    """Inbound adapter that cannot verify a signature, and checks a secret of the address."""

    takes_path_secret = True

    def verify(self, request: InboundRequest) -> str:
        if request.path_secret != PATH_SECRET:
            raise NotVerified("the address has another secret")
        return "path"


class Broken(StripeInbound):
    """Inbound adapter with a defect, whose exception quotes its input."""

    def parse(self, request: InboundRequest) -> list[Event]:
        raise KeyError(request.body.decode())


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Flask:
    app = make_app(tmp_path, sqlite_url)
    app.extensions["hub"]._inbound["stripe"] = ByPath({"secrets": [STRIPE_SECRET]})
    app.extensions["hub"]._inbound["small"] = Broken({"secrets": [STRIPE_SECRET]})
    return app


def stored(app: Flask) -> list[dict[str, object]]:
    with app.extensions["hub"].store.read() as connection:
        rows = request_rows(connection)
        return [find_request(connection, UUID(row["id"])) or {} for row in rows]


def test_a_secret_in_the_path_is_seen_by_the_adapter_and_kept_nowhere(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    body = stripe_event("evt_1")
    with caplog.at_level(logging.DEBUG):
        for secret, status in ((PATH_SECRET, 200), (PATH_SECRET + "x", 401)):
            assert call(app, body, path=f"/webhooks/stripe/{secret}?a=1").status == status
        assert call(app, body, path=f"/webhooks/stripe/{PATH_SECRET}", method="GET").status == 405
        app.extensions["hub_intake"].counters.flush()
    rows = stored(app)
    assert {row["state"] for row in rows} == {"accepted", "rejected"}
    assert {row["url"] for row in rows} == {"http://127.0.0.1/webhooks/stripe/…?a=1"}
    assert PATH_SECRET not in repr(rows)
    assert PATH_SECRET not in caplog.text


def test_a_defect_is_a_500_in_our_words_and_one_line_without_the_body(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    body = stripe_event("evt_in_no_log")
    signed = {"Stripe-Signature": stripe_signature(body)}
    answer = call(app, body, signed, path="/webhooks/small")
    assert answer.status == 500
    assert b"nothing was accepted" in answer.body
    assert b"evt_in_no_log" not in answer.body
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "KeyError" in record.getMessage()
    assert "test_secrets.parse" in record.getMessage()
    assert "evt_in_no_log" not in caplog.text
    assert "\n" not in record.getMessage()
    assert stored(app) == []


def test_credentials_in_headers_never_reach_the_database(web: Web) -> None:
    said = ("Authorization", "Cookie", "Proxy-Authorization", "authorization")
    headers = [(name, "the-credentials") for name in said]
    before = web.ids()
    assert web.send(stripe_event("evt_credentials"), *headers).status == 200
    forged = ("Stripe-Signature", "t=1,v1=0")
    assert web.send(b"{}", *headers, forged).status == 401
    rows = [web.shown(row["id"]) for row in web.kept(before).requests]
    assert len(rows) == 2
    assert "the-credentials" not in repr(rows)


def test_the_server_logs_neither_addresses_nor_headers_nor_bodies(web: Web) -> None:
    secret = "never-in-a-log"
    for raw in (
        request(b"{}", path=f"/webhooks/stripe/{secret}"),
        request(b"{}", path=f"/webhooks/stripe/{secret}\x7f"),
        request(b"{}", path=f"/webhooks/stripe/{secret} x"),
        request(b"{}", ("Authorization", secret + "\0")),
        request(b"{}", (f"X {secret}", secret)),
        request(b"{}", ("Content-Length", secret)),
        request(b"{}", ("Expect", secret)),
        request(secret.encode(), chunks=[])[:-5] + secret.encode() + b"\r\n",
        request(b"{}", method=secret),
        request(secret.encode()),
    ):
        answer = web.exchange(raw)
        assert answer is not None
        assert answer.status < 500
        assert secret.encode() not in answer.body
    assert secret not in web.running.logs()
