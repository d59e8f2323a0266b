"""Small business for the screenshots: its hub.yaml, its customers, and its far ends."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.far_end import Received, Reply

FORM_ORIGIN = "https://acme.example"
TWILIO_TOKEN = "0123456789abcdef0123456789abcdef"
TWILIO_SID = "AC0123456789abcdef0123456789abcdef"
SENDGRID_PUBLIC = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMkjrpjPgi2dtGSbKi5C/cmXgdu55C0nz49+1BDLgcO7eWj7ZkmFYp555"
    "V0e/ULSXGjEikTeTfJRZglTFuU4Iaw=="
)
SENDGRID_PRIVATE = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghNRZOD7X9q5tLOfGOq3pUo/rQgSsGRTdhAd/lK14mkSh"
    "RANCAAQySOumM+CLZ20ZJsqLkL9yZeB27nkLSfPj37UEMuBw7t5aPtmSYVinnnlXR79QtJcaMSKRN5N8lFmCVMW5Tghr"
)

CONFIG = """
site: {name: Acme Roofing, country: US, timezone: America/New_York}
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  twilio: {adapter: twilio, secrets: ["${TWILIO_TOKEN}"]}
  sendgrid: {adapter: sendgrid, public_keys: ["${SENDGRID_PUBLIC}"]}
  shop: {adapter: shopify, secrets: ["${SHOP_SECRET}"], expect: 1/4h}
  contact:
    adapter: form
    origins: ["https://acme.example"]
    redirect: "https://acme.example/thanks"
    fields:
      name: {required: true}
      email: {type: email, required: true}
      phone: {type: phone}
      message: {type: longtext}
destinations:
  crm: {adapter: hubspot, token: pat-na1-for-the-pictures, base_url: "${FAR_END}/crm",
        rate: 100/10s}
  email: {adapter: sendgrid, api_key: SG.for-the-pictures, base_url: "${FAR_END}/email",
          from: "Acme Roofing <hello@acme.example>"}
  sms: {adapter: twilio, account_sid: "${TWILIO_SID}", auth_token: "${TWILIO_TOKEN}",
        from: "+15005550006", base_url: "${FAR_END}/sms"}
  chat: {adapter: slack, url: "${FAR_END}/chat/team"}
  books: {adapter: http, url: "${FAR_END}/books/entries", secret: "${OPS_SECRET}"}
  warehouse: {adapter: http, url: "${FAR_END}/warehouse/orders", secret: "${OPS_SECRET}"}
  newsletter: {adapter: sendgrid, api_key: "", from: "Acme Roofing <news@acme.example>"}
routes:
  payment-to-crm:
    on: payment.succeeded
    when: data.email
    do: crm.upsert_contact
    with:
      email: "{{ data.email }}"
      properties: {firstname: "{{ data.name | default('', true) }}"}
  payment-receipt:
    on: payment.succeeded
    when: data.email
    do: email.send
    with:
      to: "{{ data.email }}"
      subject: "Your payment to {{ site.name }}"
      text: "Thank you, we received {{ data.amount | money(data.currency) }}."
  payment-receipt-text:
    on: payment.succeeded
    when: data.phone and data.amount >= 40000
    do: sms.send
    with:
      to: "{{ data.phone }}"
      body: "Thank you, we received {{ data.amount | money(data.currency) }}. {{ site.name }}"
  payment-to-books:
    on: [payment.succeeded, payment.refunded]
    do: books.post
    with: {body: {id: "{{ event.external_id }}", amount: "{{ data.amount }}"}}
  payment-trouble-to-chat:
    on: [payment.failed, payment.disputed]
    do: chat.post
    with:
      text: >-
        {{ event.type }}: {{ data.amount | money(data.currency) }},
        {{ data.reason | default('', true) }}
  order-to-warehouse:
    on: [payment.succeeded]
    when: data.amount >= 90000
    do: warehouse.post
    with: {body: {id: "{{ event.external_id }}", phone: "{{ data.phone | default('') }}"}}
  lead-to-crm:
    on: lead.submitted
    do: crm.upsert_contact
    with:
      email: "{{ data.email }}"
      properties: {firstname: "{{ data.name }}", lifecyclestage: lead}
  lead-confirmation:
    on: lead.submitted
    do: email.send
    with:
      to: "{{ data.email }}"
      subject: We got your message
      text: "Hello {{ data.name }}, we call you back within a working day."
  lead-to-newsletter:
    on: lead.submitted
    do: newsletter.send
    with: {to: "{{ data.email }}", subject: Roofs in winter, text: "Five things to look at."}
  bounce-to-crm:
    on: [email.bounced, email.dropped]
    when: data.email
    do: crm.add_note
    with: {contact: "{{ data.email }}", text: "An e-mail did not arrive: {{ data.reason }}"}
"""


@dataclass(frozen=True, slots=True)
class Customer:
    name: str
    email: str
    phone: str


_NAMES = """
Jane Doe, Amir Haddad, Rosa Delgado, Peter Lindqvist, Mei-Ling Chen, Tom Okafor, Priya Raman,
Henry Whitcombe, Sofia Marinelli, Dana Kowalski, Luis Ortega, Grace Abernathy, Noah Feldman,
Aoife Brennan, Kwame Mensah, Ingrid Solberg, Marcus Bell, Yuki Tanaka, Elena Petrova, Sam Rivers,
Olivia Hart, Bruno Costa, Nadia Karim, Walter Finch, Chloé Martin, Diego Navarro, Ruth Goldberg,
Anders Holm, Fatima Zahra, Joseph Little, Hannah Vogel, Carlos Mendes, Beatrice Lowe, Ivan Horvat,
Maya Singh, George Papadakis, Lucy Nguyen, Oscar Blum, Theresa Quinn, Victor Almeida
"""
_AREAS = ("202", "212", "303", "404", "512", "617", "718", "917")


def customers() -> list[Customer]:
    """Return all customers of the business; the same people each time."""
    names = [" ".join(name.split()) for name in _NAMES.split(",")]
    return [
        Customer(name, f"{_mailbox(name)}@example.com", f"+1{_AREAS[n % 8]}55501{n:02d}")
        for n, name in enumerate(names)
    ]


def _mailbox(name: str) -> str:
    plain = name.lower().replace("é", "e").replace("-", "")
    return ".".join(plain.split())


# Customers who opted out by STOP, those with a landline, and those whose answers get lost.
STOPPED, LANDLINES, LOST = slice(3, 5), slice(8, 11), slice(13, 16)


@dataclass
class World:
    """Far ends of all providers at one address; with `is_bad_day` some are down.

    `behave` is for a `FarEnd`.
    """

    is_bad_day: bool = False
    _refs: Any = field(default_factory=lambda: count(1))

    def behave(self, received: Received) -> Reply:
        """Answer as the provider that the first part of the path names."""
        place = received.path.split("/")[1]
        answers = {"crm": self._crm, "email": self._email, "sms": self._sms}
        if place in answers:
            return answers[place](received)
        if self.is_bad_day and place == "chat":
            return Reply(404, b"no_service", {"Content-Type": "text/plain"})
        if self.is_bad_day and place == "warehouse":
            return Reply(503, b"upgrading")
        return Reply(200, b"ok", {"Content-Type": "text/plain"})

    def _crm(self, received: Received) -> Reply:
        contact = {"id": str(90_000_000 + next(self._refs)), "properties": {}}
        return _says(201 if received.method == "POST" else 200, contact)

    def _email(self, received: Received) -> Reply:
        if received.method == "GET":
            return _says(200, {"scopes": ["mail.send"]})
        return Reply(202, b"", {"X-Message-Id": f"msg{next(self._refs):019d}"})

    def _sms(self, received: Received) -> Reply:
        if received.method == "GET":
            return _says(503, {"code": 20503, "message": "Service unavailable", "status": 503})
        form = dict(parse_qsl(unquote(received.body.decode())))
        to = form.get("To", "").strip().removeprefix("+")
        everybody = [one.phone.removeprefix("+") for one in customers()]
        if to in everybody[LOST]:
            return Reply(0)
        if to in everybody[STOPPED]:
            return _refused(21610, "Attempt to send to unsubscribed recipient")
        if to in everybody[LANDLINES]:
            return _refused(21614, "'To' number is not a valid mobile number")
        return _says(201, {"sid": f"SM{next(self._refs):032x}", "status": "queued"})


def _refused(code: int, message: str) -> Reply:
    return _says(400, {"code": code, "message": message, "status": 400})


def _says(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
