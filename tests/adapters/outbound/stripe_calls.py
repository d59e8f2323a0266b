"""Helpers for tests of the stripe destination: an adapter, calls, and what a day holds."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from adapters import Call, LookupResult, Outcome
from adapters.stripe.outbound import StripeOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.stripe_far_end import KEY, StripeFarEnd, stripe_far_end

DELIVERY = "019a9c1e-0000-7000-8000-000000000001"
OTHER = "019a9c1e-0000-7000-8000-000000000002"
SENT_AT = NOW - timedelta(minutes=5)


def destination(url: str, transport: Any, **settings: Any) -> StripeOutbound:
    loaded = StripeOutbound.settings_schema().load({"api_key": KEY} | settings)
    return StripeOutbound({**loaded, "base_url": url}, transport)


class Desk:
    """A destination before the far end, and short words for what is done with it."""

    def __init__(self, stripe: StripeFarEnd, transport: GuardedTransport) -> None:
        self.stripe = stripe
        self.adapter = destination(stripe.url, transport)

    def perform(self, action: str, parameters: dict[str, Any], key: str = DELIVERY) -> Outcome:
        return self.adapter.perform(Call(action, parameters, key, f"{key}.1", NOW))

    def look_up(self, action: str, parameters: dict[str, Any], key: str = DELIVERY) -> LookupResult:
        return self.adapter.look_up(Call(action, parameters, key, f"{key}.1", NOW), SENT_AT)


@pytest.fixture
def stripe() -> Iterator[StripeFarEnd]:
    with stripe_far_end() as far:
        yield far


@pytest.fixture
def desk(stripe: StripeFarEnd, transport: GuardedTransport) -> Desk:
    return Desk(stripe, transport)
