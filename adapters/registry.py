"""Registry of adapters by provider name; a provider's module is imported on first use only."""

from importlib import import_module
from typing import cast

from adapters.contract.inbound import Inbound
from adapters.contract.outbound import Outbound

INBOUND = {
    "calendly": "adapters.calendly.inbound:CalendlyInbound",
    "form": "adapters.form.inbound:Form",
    "github": "adapters.github.inbound:GithubInbound",
    "hmac": "adapters.hmac.inbound:HmacInbound",
    "hubspot": "adapters.hubspot.inbound:HubspotInbound",
    "sendgrid": "adapters.sendgrid.inbound:SendgridInbound",
    "sendgrid_inbound": "adapters.sendgrid_inbound.inbound:SendgridInboundMail",
    "shopify": "adapters.shopify.inbound:ShopifyInbound",
    "standard_webhooks": "adapters.standard_webhooks.inbound:StandardWebhooksInbound",
    "stripe": "adapters.stripe.inbound:StripeInbound",
    "twilio": "adapters.twilio.inbound:TwilioInbound",
}

OUTBOUND = {
    "http": "adapters.http.outbound:HttpOutbound",
    "hubspot": "adapters.hubspot.outbound:HubspotOutbound",
    "pipedrive": "adapters.pipedrive.outbound:PipedriveOutbound",
    "salesforce": "adapters.salesforce.outbound:SalesforceOutbound",
    "sendgrid": "adapters.sendgrid.outbound:SendgridOutbound",
    "slack": "adapters.slack.outbound:SlackOutbound",
    "stripe": "adapters.stripe.outbound:StripeOutbound",
    "twilio": "adapters.twilio.outbound:TwilioOutbound",
}


def inbound(name: str) -> type[Inbound]:
    """Return the inbound adapter class registered under `name`.

    Raises:
        LookupError: no inbound adapter has that name.
    """
    return cast("type[Inbound]", _load(INBOUND[name]))


def outbound(name: str) -> type[Outbound]:
    """Return the outbound adapter class registered under `name`.

    Raises:
        LookupError: no outbound adapter has that name.
    """
    return cast("type[Outbound]", _load(OUTBOUND[name]))


def _load(path: str) -> object:
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
