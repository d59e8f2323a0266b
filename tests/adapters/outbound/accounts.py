"""One account and one example call for each outbound adapter: a new adapter adds its rows here."""

from typing import Any

EMAIL = "jane.roe@example.org"
PHONE = "+442079460018"

# What must never be shown.
SECRETS = {
    "http": "whsec_YSB0ZXN0IGtleSBvZiB0aGlydHktdHdvIGJ5dGVzLi4=",
    "hubspot": "pat-na1-0123456789abcdef",
    "pipedrive": "4ec5f0a1b2c3d4e5f60718293a4b5c6d7e8f9012",
    "salesforce": "app-secret-0123456789",
    "sendgrid": "SG.0123456789abcdef.0123456789abcdef",
    "slack": "T0123456/B0123456/0123456789abcdef",
    "stripe": "sk_live_0123456789abcdef",
    "twilio": "0123456789abcdef0123456789abcdef",
}

# Settings with which an adapter is live.
ACCOUNTS: dict[str, dict[str, Any]] = {
    "http": {"url": "https://far.example/hook", "secret": SECRETS["http"]},
    "hubspot": {"token": SECRETS["hubspot"]},
    "pipedrive": {"company": "acme", "api_token": SECRETS["pipedrive"]},
    "salesforce": {
        "domain": "acme.my.salesforce.com",
        "client_id": "3MVG9.app",
        "client_secret": SECRETS["salesforce"],
    },
    "sendgrid": {"api_key": SECRETS["sendgrid"], "from": "Acme <hello@acme.example>"},
    "slack": {"url": f"https://hooks.slack.com/services/{SECRETS['slack']}"},
    "stripe": {"api_key": SECRETS["stripe"]},
    "twilio": {
        "account_sid": "AC0123456789abcdef0123456789abcdef",
        "auth_token": SECRETS["twilio"],
        "from": "+15005550006",
    },
}

# Settings that are needed in the sandbox too.
WITHOUT: dict[str, dict[str, Any]] = {"http": {"url": "https://far.example/hook"}}

# Good parameters, by adapter and action; they hold Jane's e-mail address and number.
EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("http", "post"): {"body": {"email": EMAIL, "phone": PHONE}},
    ("http", "patch"): {"body": {"email": EMAIL, "phone": PHONE}, "path": "people/1"},
    ("http", "put"): {"body": f"{EMAIL} {PHONE}"},
    ("hubspot", "upsert_contact"): {"email": EMAIL, "properties": {"phone": PHONE}},
    ("hubspot", "create_deal"): {"name": "Roof", "amount": 5000, "currency": "EUR"},
    ("hubspot", "update_deal"): {"deal": 7, "stage": "won"},
    ("hubspot", "add_note"): {"contact": "5", "text": f"{EMAIL} {PHONE}"},
    ("hubspot", "set_subscription"): {
        "email": EMAIL,
        "subscription_id": 9,
        "subscribed": True,
    },
    ("hubspot", "fetch"): {"object": "contacts", "id": "5"},
    ("pipedrive", "upsert_person"): {"email": EMAIL, "name": "Jane Roe", "phone": PHONE},
    ("pipedrive", "create_deal"): {
        "title": "Roof",
        "person": EMAIL,
        "amount": 5000,
        "currency": "EUR",
    },
    ("pipedrive", "add_note"): {"person": EMAIL, "content": f"{EMAIL} {PHONE}"},
    ("salesforce", "upsert"): {
        "object": "Contact",
        "external_id_field": "Hub_Key__c",
        "external_id": "42",
        "fields": {"LastName": "Roe", "Email": EMAIL, "Phone": PHONE},
    },
    ("salesforce", "create_task"): {"subject": f"Call {PHONE}", "description": EMAIL},
    ("sendgrid", "send"): {"to": EMAIL, "subject": "Hello", "text": PHONE},
    ("sendgrid", "suppress"): {"email": EMAIL},
    ("sendgrid", "unsuppress"): {"email": EMAIL},
    ("sendgrid", "upsert_marketing_contact"): {"email": EMAIL},
    ("slack", "post"): {"text": f"{EMAIL} {PHONE}"},
    ("stripe", "upsert_customer"): {"email": EMAIL, "name": "Jane Roe", "phone": PHONE},
    ("stripe", "create_payment_link"): {
        "amount": 5000,
        "currency": "EUR",
        "description": "Roof",
    },
    ("stripe", "send_invoice"): {
        "email": EMAIL,
        "amount": 5000,
        "currency": "EUR",
        "description": "Roof",
    },
    ("stripe", "refund"): {"payment_intent": "pi_0123456789abcdef", "amount": 500},
    ("stripe", "fetch"): {"event_id": "evt_0123456789abcdef"},
    ("twilio", "send"): {"to": PHONE, "body": f"Write to {EMAIL}"},
}
