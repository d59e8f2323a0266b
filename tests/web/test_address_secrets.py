"""Secrets in the query of an address: neither stored nor logged, whoever sent them."""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import make_url

from adapters.twilio.signature import sign
from hub.core.errors import Refused
from hub.core.events.reingest import reingest
from hub.core.queries.requests import find_request
from tests.adapters.twilio import FORM
from tests.listing import request_rows
from tests.running import STRIPE_SECRET, stripe_event, stripe_signature
from tests.web.calling import call, make_app
from tests.web.serving import CONFIG, MAIL_SECRET

ORIGIN = "http://127.0.0.1"
AUTH_TOKEN = "the auth token & more of twilio"
NEXT_SECRET = "one-that-is-not-yet-in-hub.yaml"
TEXTS = f"""sources:
  texts: {{adapter: twilio, secrets: [{AUTH_TOKEN}]}}
"""
MAIL = {"Content-Type": "multipart/form-data; boundary=xYzZY"}


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Flask:
    return make_app(tmp_path, sqlite_url, config=CONFIG.replace("sources:\n", TEXTS))


def kept(app: Flask) -> list[dict[str, Any]]:
    """Return the stored requests, the newest first."""
    with app.extensions["hub"].store.read() as connection:
        rows = request_rows(connection)
        return [find_request(connection, UUID(row["id"])) or {} for row in rows]


def queries(app: Flask) -> list[str]:
    return [urlsplit(row["url"]).query for row in kept(app)]


def is_stored(app: Flask, text: str) -> bool:
    """Return whether a text is in any file of the database."""
    app.extensions["hub_intake"].counters.flush()
    database = Path(make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database or "")
    files = list(database.parent.glob(f"{database.name}*"))
    assert any(b"/webhooks/" in file.read_bytes() for file in files)
    return any(text.encode() in file.read_bytes() for file in files)


SPELLED = {
    "secret={}": "secret=…",
    "a=1&token={}&b=2": "a=1&token=…&b=2",
    "x=%20{}%20": "x=…",
    "{}": "…",
    "{}=": "…=",
    "{}=a": "…=a",
    "a={}&a={}": "a=…&a=…",
}


@pytest.mark.parametrize(("query", "stored"), SPELLED.items())
@pytest.mark.parametrize("encoded", [False, True])
def test_a_secret_of_the_source_is_masked_in_a_query(
    app: Flask, caplog: pytest.LogCaptureFixture, query: str, stored: str, encoded: bool
) -> None:
    secret = f"%{ord(STRIPE_SECRET[0]):02x}{STRIPE_SECRET[1:]}" if encoded else STRIPE_SECRET
    path = f"/webhooks/stripe?{query.replace('{}', secret)}"
    body = stripe_event("evt_query")
    with caplog.at_level(logging.DEBUG):
        assert call(app, body, path=path).status == 401
        signed = {"Stripe-Signature": stripe_signature(body), "X-Original-Uri": path}
        assert call(app, body, signed, path=path).status == 200
        assert call(app, body, signed, path=f"{path}&c=3").status == 200
    assert queries(app) == [f"{stored}&c=3", stored, stored]
    assert "***" in kept(app)[0]["headers"]["x-original-uri"]
    assert kept(app)[2]["reason"].endswith("; a secret in its address was not kept")
    assert not is_stored(app, STRIPE_SECRET[1:])
    assert STRIPE_SECRET[1:] not in caplog.text


def test_what_only_looks_like_a_secret_is_kept(app: Flask) -> None:
    for query in (STRIPE_SECRET[:-1], "token=a", "secret=", "a=b=c", "a&&b"):
        call(app, b"{}", path=f"/webhooks/stripe?{query}")
    assert queries(app) == ["a&&b", "a=b=c", "secret=", "token=a", STRIPE_SECRET[:-1]]


@pytest.mark.parametrize("secret", [MAIL_SECRET, NEXT_SECRET, MAIL_SECRET + "%0A"])
@pytest.mark.parametrize("name", ["secret", "token", "KEY", "s%65cret"])
def test_a_secret_that_belongs_into_the_path_is_masked_in_a_query(
    app: Flask, secret: str, name: str
) -> None:
    """Also one that is not in hub.yaml, or not yet."""
    for path in ("/webhooks/mail", f"/webhooks/mail/{MAIL_SECRET}", "/webhooks/mail/wrong"):
        call(app, b"", MAIL, path=f"{path}?{name}={secret}&a=1")
    assert [row["url"] for row in kept(app)] == [
        f"{ORIGIN}/webhooks/mail/…?{name}=…&a=1",
        f"{ORIGIN}/webhooks/mail/…?{name}=…&a=1",
        f"{ORIGIN}/webhooks/mail?{name}=…&a=1",
    ]
    assert not is_stored(app, secret[:20])


@pytest.mark.parametrize("encode", [quote, quote_plus])
def test_a_signature_that_covers_the_secret_verifies_once_and_not_again(
    app: Flask, encode: Any
) -> None:
    """Twilio signs the address with its query."""
    path = f"/webhooks/texts?token={encode(AUTH_TOKEN)}"
    fields = [("MessageSid", f"SM{0:032x}"), ("SmsStatus", "received")]
    body = f"MessageSid=SM{0:032x}&SmsStatus=received".encode()

    def post(secret: str, path: str) -> int:
        signature = sign(secret, ORIGIN + path, fields)
        headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
        return call(app, body, headers, path=path).status

    assert post(AUTH_TOKEN, path) == 200
    assert post("another token than the hub's", path) == 401
    assert post("another token than the hub's", "/webhooks/texts?a=1") == 401
    assert queries(app) == ["a=1", "token=…", "token=…"]
    assert not is_stored(app, encode(AUTH_TOKEN)[-10:])
    hub = app.extensions["hub"]
    for row, says_so in zip(kept(app)[:2], (False, True), strict=True):
        with hub.store.write() as connection, pytest.raises(Refused) as refused:
            reingest(connection, hub, UUID(row["id"]))
        assert ("a secret in its address was not kept" in str(refused.value)) == says_so
