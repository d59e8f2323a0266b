"""Actions in Stripe: customers, payment links, invoices, refunds.

**Docs**: https://docs.stripe.com/api · https://docs.stripe.com/error-low-level ·
https://docs.stripe.com/api/idempotent_requests · https://docs.stripe.com/keys

**Answers**: errors are JSON with `error.type`, mostly `error.code`, and `decline_code` for cards.
402 is a declined card and permanent; 409 and 429 had no effect. A 5xx may have had one: the retry
uses the same key. 401 is a wrong key, 403 a restricted key without the permission, or a wrong
`account`.

**Quirks**: Stripe keeps the first answer to a key for 24 h and repeats it, even a 500
(`Idempotent-Replayed: true`); so once a 5xx is final, the object that it may have created is read
back. After 24 h the same key is a new request: `key_life_s` ends earlier, and `look_up` finds the
object by `metadata[hub_delivery]`. The same key with other parameters is a 400
`idempotency_error`. A 429 has no `Retry-After`. Amounts here are in the ISO 4217 minor unit and are
converted. An e-mail filter is case-sensitive. Objects have the shape of `api_version`, whatever the
account's own version is.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields

from adapters.contract.answers import judge
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    LookupResult,
    Outbound,
    Outcome,
    Probe,
    Transport,
)
from adapters.contract.requests import load_parameters
from adapters.stripe import customers, invoices, listing, payment_links, refunds
from adapters.stripe.api import Api, Listing, StripeAccount, Unfinished

_PREFIXES = {
    "customers": "cus",
    "payment_links": "plink",
    "invoices": "in",
    "invoiceitems": "ii",
    "refunds": "re",
}
_ONE = re.compile(r"/v[12]/(?:core/)?(?P<kind>[a-z_]+)/(?P<id>[A-Za-z0-9_]+)(?:/[a-z]+)?\Z")


def answer(method: str, url: str) -> Answer:
    """Return the sandbox answer: an empty list, the requested object, or a newly created one."""
    path = urlsplit(url).path
    body = json.dumps(_object(method, path)).encode("ascii")
    return Answer(200, {"content-type": "application/json"}, body)


def _object(method: str, path: str) -> dict[str, Any]:
    one = _ONE.search(path)
    if one:
        return {"id": one["id"], "object": one["kind"], "currency": "usd"}
    kind = path.rpartition("/")[2]
    if method == "GET":
        return {"object": "list", "url": path, "data": [], "has_more": False}
    return {"id": f"{_PREFIXES.get(kind, kind)}_sandbox", "object": kind}


# Stripe forgets idempotency keys after 24 h at the earliest.
KEY_LIFE_S = 23 * 3600.0

# A probe waits for nothing: it needs no time to count from.
_NO_TIME = datetime.fromtimestamp(0, UTC)

_KEY = re.compile(r"(?:sk|rk)_[A-Za-z0-9_]{8,250}")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,100}")
_VERSION = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](?:\.[a-z0-9_]{1,40})?")


def _check_key(text: str) -> None:
    key = text.strip()
    if key and not _KEY.fullmatch(key):
        raise ValidationError("expected a secret key (sk_...) or a restricted one (rk_...)")


def _check_account(text: str) -> None:
    if text and not _ACCOUNT.fullmatch(text):
        raise ValidationError("expected the id of a connected account (acct_...)")


def _check_version(text: str) -> None:
    if not _VERSION.fullmatch(text):
        raise ValidationError("expected a version of Stripe's API like 2026-10-28.endive")


class StripeOutboundSettings(Schema):
    """Settings: `account` is the connected account to use; `api_version` replaces the default."""

    api_key = fields.String(load_default="", allow_none=True, validate=_check_key)
    account = fields.String(allow_none=True, validate=_check_account)
    api_version = fields.String(validate=_check_version)


@dataclass(frozen=True, slots=True)
class _Topic:
    """Functions of an action: `perform`, and `look_up` if its effect can be looked up."""

    perform: Callable[[Api, Call, Mapping[str, Any]], Outcome]
    look_up: Callable[[Api, Call, Mapping[str, Any], datetime], LookupResult] | None = None


_TOPICS = {
    "upsert_customer": _Topic(customers.upsert, customers.look_up),
    "create_payment_link": _Topic(payment_links.create, payment_links.look_up),
    "send_invoice": _Topic(invoices.send, invoices.look_up),
    "refund": _Topic(refunds.refund, refunds.look_up),
    "fetch": _Topic(listing.fetch),
}


def _keyed(parameters: type[Schema], recipients: tuple[str, ...] = ()) -> Action:
    return Action(
        Effect.KEYED,
        parameters,
        key_life_s=KEY_LIFE_S,
        supports_lookup=True,
        recipients=recipients,
    )


class StripeOutbound(Outbound):
    """Outbound adapter for one Stripe account, or one connected account of a platform."""

    name: ClassVar[str] = "stripe"
    settings_schema: ClassVar[type[Schema]] = StripeOutboundSettings
    credentials: ClassVar[tuple[str, ...]] = ("api_key",)
    secrets: ClassVar[tuple[str, ...]] = ("api_key",)
    actions: ClassVar[Mapping[str, Action]] = {
        "upsert_customer": _keyed(customers.UpsertCustomer),
        "create_payment_link": _keyed(payment_links.CreatePaymentLink),
        "send_invoice": _keyed(invoices.SendInvoice, ("email", "customer")),
        "refund": _keyed(refunds.Refund),
        "fetch": Action(Effect.NATURAL, listing.Fetch, internal=True),
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._account = StripeAccount.of(settings)
        self._transport = transport

    def perform(self, call: Call) -> Outcome:
        parameters = load_parameters(self.actions[call.action].parameters, call.parameters)
        api = Api(self._account, self._transport, call.now)
        try:
            return _TOPICS[call.action].perform(api, call, parameters)
        except Unfinished as stop:
            return stop.outcome

    def look_up(self, call: Call, sent_at: datetime) -> LookupResult:
        look_up = _TOPICS[call.action].look_up
        if look_up is None:
            return super().look_up(call, sent_at)
        parameters = load_parameters(self.actions[call.action].parameters, call.parameters)
        return look_up(Api(self._account, self._transport, call.now), call, parameters, sent_at)

    def probe(self) -> Probe:
        mode = " (test mode)" if "_test_" in self._account.api_key else ""
        return judge(
            Answer(self._probed(), {}, b""),
            provider="Stripe",
            wrong="Put a secret key (sk_...) or a restricted one (rk_...) into `api_key`",
            forbidden=(
                "Give the restricted key leave to write Customers, Payment Links, Invoices and "
                "Charges and Refunds, and to read Events; is `account` right?"
            ),
            good=f"Stripe accepts the key{mode}, and it may read customers",
        )

    def _probed(self) -> int:
        """Return the status of the answer to a look at the newest customer."""
        api = Api(self._account, self._transport, _NO_TIME)
        try:
            next(api.objects(Listing(lambda v1: v1.customers.list, page=1)), None)
        except Unfinished as stop:
            return stop.outcome.status or 0
        return 200

    def sandbox_answer(self, method: str, url: str) -> Answer:
        return answer(method, url)
