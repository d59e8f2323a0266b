"""One line per provider. Nothing here imports a provider until somebody asks for it."""

from importlib import import_module
from typing import cast

from adapters.contract.inbound import Inbound
from adapters.contract.outbound import Outbound

INBOUND = {
    "stripe": "adapters.stripe.inbound:StripeInbound",
}

OUTBOUND = {
    "http": "adapters.http.outbound:HttpOutbound",
    "hubspot": "adapters.hubspot.outbound:HubspotOutbound",
    "slack": "adapters.slack.outbound:SlackOutbound",
}

PLANNED_INBOUND = frozenset(
    """
    calendly form github hmac hubspot sendgrid sendgrid_inbound shopify standard_webhooks twilio
    """.split()
)
PLANNED_OUTBOUND = frozenset("pipedrive salesforce sendgrid stripe twilio".split())
"""Names that `hub.yaml` may not use yet; they get a fault that says so."""


def inbound(name: str) -> type[Inbound]:
    """Return the inbound adapter of that name.

    Raises:
        LookupError: there is none.
    """
    return cast("type[Inbound]", _load(INBOUND[name]))


def outbound(name: str) -> type[Outbound]:
    """Return the outbound adapter of that name.

    Raises:
        LookupError: there is none.
    """
    return cast("type[Outbound]", _load(OUTBOUND[name]))


def _load(path: str) -> object:
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
