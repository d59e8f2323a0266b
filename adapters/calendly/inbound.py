"""Calendly's webhooks: bookings created, rescheduled and cancelled.

**Docs**: https://developer.calendly.com/api-docs/webhook-payload ·
https://developer.calendly.com/api-docs/webhook-signatures

**Signs**: `Calendly-Webhook-Signature: t=<s>,v1=<hex>`, HMAC-SHA256 over `{t}.{raw body}`, keyed
with the subscription's signing key. Create the subscription with a `signing_key`: a subscription
created by a personal token without one does not sign. The tolerance is 3 minutes either way.

**Re-sends**: on everything but a 2xx, with growing delays for 24 h, and not later than 24 h after
the meeting; then the subscription is disabled and must be created anew.

**Answers**: any 2xx; the body is not read.

**Quirks**: there is no event id: the external id is composed of the type, the `updated_at` and URI
of the invitee, and the id of the no-show record if there is one. Rescheduling is two events: a
cancellation with `rescheduled: true` (`status` is then `rescheduled`) and a booking with
`old_invitee`. The envelope's `created_at` is the time of the webhook and is not compared. `amount`
is a decimal number in whole units. The phone number is the one for text reminders. `object_id` is
the invitee's URI: a group meeting is one booking per invitee.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import (
    email_address,
    external_id,
    phone_e164,
    rfc3339,
    text,
    utc_from_text,
)
from adapters.contract.inbound import Inbound, Sample
from adapters.contract.money import currency_code, minor_units_of
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.hmac import SecretsSchema, sign_timed, verify_timed
from adapters.contract.strict_json import digest, read_json

NATIVE_TYPES = {
    "invitee.created": "booking.created",
    "invitee.canceled": "booking.cancelled",
}

IGNORED_TYPES = {
    "invitee_no_show.created": "the booking stands; that nobody came has no canonical type",
    "invitee_no_show.deleted": "the booking stands; that nobody came has no canonical type",
    "routing_form_submission.created": "a form of its own kind; invitee.created tells a booking",
}

SAMPLES = SampleFiles(
    "adapters.calendly",
    ("invitee.created", "invitee.canceled"),
    given=r"(?<=/scheduled_events/)[0-9a-f-]+|(?<=/invitees/)[0-9a-f-]+",
)

PAST_S, FUTURE_S = 180, 180

_SIGNATURE = "Calendly-Webhook-Signature"
_TYPE_LENGTH = 100


class CalendlyInbound(Inbound):
    """Adapter for the webhooks of one subscription, or of several with the same URL."""

    name = "calendly"
    settings_schema = SecretsSchema
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    setup = (
        "Calendly takes webhooks by its API alone: make a personal access token under "
        "Integrations, API and webhooks.",
        "Post to https://api.calendly.com/webhook_subscriptions: the address above as `url`, "
        "the events invitee.created and invitee.canceled, your organization, scope "
        "organization, and a `signing_key` that you make up.",
        "Put that signing key into `secrets` of this source, and restart the hub. A "
        "subscription without one is not signed, and is refused.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._secrets = tuple(settings["secrets"])

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request."""
        return verify_timed(
            self._secrets,
            request.headers.get(_SIGNATURE.lower()),
            request.body,
            request.received_at,
            name=_SIGNATURE,
            past_s=PAST_S,
            future_s=FUTURE_S,
        )

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event of a Calendly webhook."""
        native_type, payload = _read(request.body)
        kind = NATIVE_TYPES.get(native_type)
        return [
            Event(
                type=kind or f"calendly.{native_type}",
                native_type=native_type,
                external_id=_id(native_type, payload),
                occurred_at=_occurred_at(native_type, payload),
                data={**(_booking(native_type, payload) if kind else {}), "native": payload},
                fingerprint=digest([native_type, payload]),
            )
        ]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed webhook of that type; its invitee's address ends with `external_id`."""
        body = SAMPLES.body(native_type, external_id, now)
        headers = {
            "content-type": "application/json",
            "calendly-webhook-signature": sign_timed(self._secrets[0], int(now.timestamp()), body),
        }
        return Sample(body, headers)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types


def _read(body: bytes) -> tuple[str, dict[str, Any]]:
    envelope = read_json(body)
    if not isinstance(envelope, dict):
        raise Unreadable(f"a Calendly webhook is a JSON object, not {type(envelope).__name__}")
    native_type = external_id(envelope.get("event"), "event")
    if len(native_type) > _TYPE_LENGTH:
        raise Unreadable(f"event must have at most {_TYPE_LENGTH} characters")
    payload = envelope.get("payload")
    if not isinstance(payload, dict):
        raise Unreadable("payload must be an object")
    return native_type, payload


def _id(native_type: str, payload: Mapping[str, Any]) -> str:
    updated_at = external_id(payload.get("updated_at"), "payload.updated_at")
    parts = [native_type, updated_at, external_id(payload.get("uri"), "payload.uri")]
    # A second no-show mark keeps the invitee's `updated_at`; only the URI of the mark differs.
    if native_type.startswith("invitee_no_show.") and "uri" in _mapping(payload.get("no_show")):
        mark = external_id(payload["no_show"]["uri"], "payload.no_show.uri")
        parts.append(mark.rpartition("/")[2])
    return external_id(":".join(parts), "event, updated_at and uri together")


def _occurred_at(native_type: str, payload: Mapping[str, Any]) -> datetime:
    marked_at = _mapping(payload.get("no_show")).get("created_at")
    if native_type == "invitee_no_show.created" and marked_at is not None:
        return utc_from_text(marked_at, "payload.no_show.created_at")
    return utc_from_text(payload.get("updated_at"), "payload.updated_at")


def _booking(native_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    meeting = _mapping(payload.get("scheduled_event"))
    title = text(meeting.get("name"))
    data = {
        "object_id": payload["uri"],
        "email": email_address(payload.get("email")),
        "phone": phone_e164(payload.get("text_reminder_number")),
        "name": text(payload.get("name")) or _full_name(payload),
        "status": _status(native_type, payload),
        "starts_at": _time(meeting, "start_time"),
        "ends_at": _time(meeting, "end_time"),
        "items": [{"name": title}] if title else None,
        **_money(payload.get("payment")),
    }
    return {name: value for name, value in data.items() if value is not None}


def _status(native_type: str, payload: Mapping[str, Any]) -> str | None:
    if native_type != "invitee.canceled":
        return text(payload.get("status"))
    return "rescheduled" if payload.get("rescheduled") is True else "cancelled"


def _full_name(payload: Mapping[str, Any]) -> str | None:
    names = (text(payload.get("first_name")), text(payload.get("last_name")))
    return " ".join(name for name in names if name) or None


def _time(meeting: Mapping[str, Any], field: str) -> str | None:
    value = meeting.get(field)
    return None if value is None else rfc3339(utc_from_text(value, f"scheduled_event.{field}"))


def _money(payment: Any) -> dict[str, Any]:
    paid = _mapping(payment)
    if paid.get("amount") is None:
        return {}
    currency = currency_code(paid.get("currency"), "payment.currency")
    amount = minor_units_of(paid["amount"], currency, "payment.amount")
    return {"amount": amount, "currency": currency}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
