"""Doors of the hub: which addresses there are, and that none opens without a proof."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from adapters import InboundRequest, NotVerified, registry
from adapters.stripe.inbound import StripeInbound
from tests.adapters.contract.recorded import recorded
from tests.listing import request_rows
from tests.running import STRIPE_SECRET, stripe_event, stripe_signature
from tests.web.calling import call, make_app

# A form is open to visitors of the pages that it names: `tests/web/forms/test_submit.py`.
OPEN = {"form"}
# First parts of the addresses that are not the dashboard's.
ADDRESSES = {"webhooks", "forms", "a", "healthz", "readyz", "metrics"}


class Faulty(StripeInbound):
    """Inbound adapter whose verifier has a defect."""

    def verify(self, request: InboundRequest) -> str:
        raise KeyError(request.url)


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Flask:
    return make_app(tmp_path, sqlite_url)


@pytest.mark.parametrize("provider", sorted(registry.INBOUND.keys() - OPEN))
def test_every_adapter_refuses_what_proves_nothing(provider: str) -> None:
    fixture = recorded(provider)[0]
    adapter, request = fixture.adapter(), fixture.signed()
    assert adapter.verify(request)
    for headers in ({}, dict.fromkeys(request.headers, "")):
        with pytest.raises(NotVerified):
            adapter.verify(replace(request, headers=headers, path_secret=None))


def test_a_verifier_with_a_defect_opens_no_door(app: Flask) -> None:
    app.extensions["hub"]._inbound["stripe"] = Faulty({"secrets": [STRIPE_SECRET]})
    body = stripe_event("evt_1")
    answer = call(app, body, {"Stripe-Signature": stripe_signature(body)})
    assert answer.status == 500
    with app.extensions["hub"].store.read() as connection:
        assert request_rows(connection) == []


def test_there_are_no_addresses_but_the_known_ones(app: Flask) -> None:
    others = {
        rule.rule.split("/")[1]
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("dashboard.")
    }
    assert others == ADDRESSES


@pytest.mark.parametrize(
    "path",
    [
        "/console", "/debug", "/rq", "/rq/0/queues", "/api/docs", "/openapi.json", "/.env",
        "/hub.yaml", "/.git/HEAD", "/var/hub.db", "/static/../hub.yaml", "/server-status",
    ],
)  # fmt: skip
def test_neither_tools_nor_files_of_the_hub_are_served(app: Flask, path: str) -> None:
    answer = call(app, path=path, method="GET")
    assert answer.status in (302, 303, 404)
    assert not app.debug
    assert not app.testing
