"""Standard Webhooks: both versions, both families of headers, and data in the hub's own words."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from standardwebhooks import Webhook

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.event import EVENT_TYPES, FAMILIES, Event
from adapters.contract.signatures.standard_webhooks import sign_standard_webhook
from adapters.standard_webhooks.asymmetric import sign_v1a
from adapters.standard_webhooks.inbound import StandardWebhooksInbound
from adapters.standard_webhooks.settings import StandardWebhooksSettings
from tests.adapters.posting import NOW, NOW_S, URL, posted, posted_sample, vectors

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_bW9yZSB0aGFuIHR3ZW50eS1mb3VyIGJ5dGVz"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE = "whsk_" + b64encode(bytes(range(32)) + KEY.public_key().public_bytes_raw()).decode()
PUBLIC = "whpk_" + b64encode(KEY.public_key().public_bytes_raw()).decode()
BODY = b'{"type":"user.locked","data":{"id":"u_1"}}'


def adapter(**settings: Any) -> StandardWebhooksInbound:
    return StandardWebhooksInbound(StandardWebhooksSettings().load(settings))


BY_SECRET = adapter(secrets=[OTHER, SECRET])
BY_KEY = adapter(public_keys=[PUBLIC], sample_key=PRIVATE)


def parsed(payload: Any, headers: dict[str, str] | None = None) -> Event:
    sent = headers or {"webhook-id": "msg_1", "webhook-timestamp": str(NOW_S)}
    (event,) = BY_SECRET.parse(posted(json.dumps(payload).encode(), sent))
    return event


def told(kind: str, data: Any) -> dict[str, Any]:
    """Return the canonical fields of an event that a sender tells in the hub's own words."""
    event = parsed({"type": kind, "data": data})
    assert event.type == kind
    return {name: value for name, value in event.data.items() if name != "native"}


@pytest.mark.parametrize("vector", vectors("standard_webhooks_v1a"), ids=lambda one: one["id"])
def test_vectors_of_v1a(vector: dict[str, Any]) -> None:
    ours = adapter(public_keys=[PUBLIC, *vector["public_keys"]])
    at = datetime.fromtimestamp(vector["now"], UTC)
    request = posted(vector["body"], vector["headers"], at=at)
    assert ours.verify(request) == "public_keys[1]"
    with pytest.raises(NotVerified, match="fits none"):
        BY_KEY.verify(request)


@pytest.mark.parametrize("vector", vectors("standard_webhooks"), ids=lambda one: one["id"])
def test_vectors_of_v1(vector: dict[str, Any]) -> None:
    # The official libraries take a bare secret for base64; here only `whsec_` says that it is.
    ours = adapter(secrets=[f"whsec_{one.removeprefix('whsec_')}" for one in vector["secrets"]])
    request = posted(
        vector["body"], vector["headers"], at=datetime.fromtimestamp(vector["now"], UTC)
    )
    if vector["expect"] == "valid":
        assert ours.verify(request) == "secrets[0]"
    else:
        with pytest.raises(NotVerified):
            ours.verify(request)


@given(st.text(max_size=200), st.from_regex(r"[!-\-/-~]{1,40}", fullmatch=True))
def test_the_library_signs_for_us_and_verifies_what_we_sign(text: str, message_id: str) -> None:
    now = datetime.now(UTC)
    library = Webhook(SECRET)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": library.sign(message_id, now, text),
    }
    assert BY_SECRET.verify(posted(text.encode(), headers, at=now)) == "secrets[1]"
    sample = adapter(secrets=[SECRET]).sample("contact.created", "evt-1", now, live=True, url=URL)
    library.verify(sample.body, dict(sample.headers))


@given(st.binary(max_size=200), st.integers(0, 10**6), st.integers(1, 255))
def test_a_v1a_signature_fits_its_body_alone(body: bytes, place: int, change: int) -> None:
    headers = sign_v1a(PRIVATE, "msg_1", NOW_S, body)
    assert BY_KEY.verify(posted(body, headers)) == "public_keys[0]"
    changed = bytearray(body or b"\x00")
    changed[place % len(changed)] ^= change
    for other in (bytes(changed), body + b"\x00"):
        with pytest.raises(NotVerified):
            BY_KEY.verify(posted(other, headers))


@given(st.integers(0, 87), st.characters())
def test_a_v1a_signature_is_to_be_written_to_the_letter(place: int, letter: str) -> None:
    headers = sign_v1a(PRIVATE, "msg_1", NOW_S, BODY)
    start = len("v1a,") + place
    given = headers["webhook-signature"]
    strange = given[:start] + letter + given[start + 1 :]
    if strange != given:
        with pytest.raises(NotVerified):
            BY_KEY.verify(posted(BODY, headers | {"webhook-signature": strange}))


def test_bits_that_base64_does_not_need_are_not_free() -> None:
    headers = sign_v1a(PRIVATE, "msg_1", NOW_S, BODY)
    given = headers["webhook-signature"]
    twins = [f"{given[:-3]}{letter}==" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789+/"]
    same_bytes = [
        twin
        for twin in twins
        if twin != given and b64decode(twin[len("v1a,") :]) == b64decode(given[len("v1a,") :])
    ]
    assert same_bytes
    for twin in same_bytes:
        with pytest.raises(NotVerified):
            BY_KEY.verify(posted(BODY, headers | {"webhook-signature": twin}))


@given(st.text(), st.text(), st.text())
def test_strange_headers_are_refused_quietly(a: str, b: str, c: str) -> None:
    for family in ("webhook", "svix"):
        headers = {f"{family}-id": a, f"{family}-timestamp": b, f"{family}-signature": c}
        for ours in (BY_SECRET, BY_KEY):
            with pytest.raises(NotVerified):
                ours.verify(posted(BODY, headers))


def test_a_list_of_signatures_holds_one_that_fits() -> None:
    ours = adapter(secrets=[SECRET], public_keys=[PUBLIC])
    v1 = sign_standard_webhook(SECRET, "msg_1", NOW_S, BODY)
    old = sign_standard_webhook(OTHER, "msg_1", NOW_S, BODY)["webhook-signature"]
    v1a = sign_v1a(PRIVATE, "msg_1", NOW_S, BODY)["webhook-signature"]
    for signatures, label in (
        (f"{old} {v1['webhook-signature']}", "secrets[0]"),
        (f"{old} {v1a}", "public_keys[0]"),
        (f"v9,AAAA  {v1a}", "public_keys[0]"),
        (f"{v1a} {v1['webhook-signature']}", "secrets[0]"),
    ):
        assert ours.verify(posted(BODY, v1 | {"webhook-signature": signatures})) == label
    swapped = v1a.replace("v1a,", "v1,") + " " + v1["webhook-signature"].replace("v1,", "v1a,")
    for signatures in (old, swapped, "v1,", "v1a,", "v1a,AAAA", ""):
        with pytest.raises(NotVerified):
            ours.verify(posted(BODY, v1 | {"webhook-signature": signatures}))


@pytest.mark.parametrize("age_s", [301, -301])
def test_five_minutes_either_way(age_s: int) -> None:
    near = age_s - (1 if age_s > 0 else -1)
    for sign, ours in (
        (lambda at_s: sign_standard_webhook(SECRET, "msg_1", at_s, BODY), BY_SECRET),
        (lambda at_s: sign_v1a(PRIVATE, "msg_1", at_s, BODY), BY_KEY),
    ):
        ours.verify(posted(BODY, sign(NOW_S - near)))
        with pytest.raises(NotVerified, match="at most 300 s"):
            ours.verify(posted(BODY, sign(NOW_S - age_s)))


def svix(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("webhook-", "svix-"): value for name, value in headers.items()}


def test_svix_has_its_own_headers() -> None:
    headers = svix(sign_standard_webhook(SECRET, "msg_svix", NOW_S, BODY))
    assert BY_SECRET.verify(posted(BODY, headers)) == "secrets[1]"
    event = parsed(json.loads(BODY), headers)
    assert (event.external_id, event.occurred_at) == ("msg_svix", NOW)


def test_the_id_is_of_the_family_that_was_verified() -> None:
    good = sign_standard_webhook(SECRET, "msg_1", NOW_S, BODY)
    both = good | {"svix-id": "msg_2", "svix-timestamp": "1", "svix-signature": "v1,AAAA"}
    assert BY_SECRET.verify(posted(BODY, both)) == "secrets[1]"
    assert parsed(json.loads(BODY), both).external_id == "msg_1"
    forged = svix(good) | {"webhook-id": "msg_2"}
    assert BY_SECRET.verify(posted(BODY, forged)) == "secrets[1]"
    assert parsed(json.loads(BODY), forged).external_id == "msg_1"
    mixed = {"webhook-id": "msg_1", "svix-timestamp": str(NOW_S)}
    with pytest.raises(NotVerified):
        BY_SECRET.verify(posted(BODY, mixed | {"svix-signature": good["webhook-signature"]}))


@pytest.mark.parametrize("message_id", ["", "a.b", "é", "line\nbreak"])
def test_an_ambiguous_id_is_refused(message_id: str) -> None:
    headers = sign_standard_webhook(SECRET, "msg_1", NOW_S, BODY) | {"webhook-id": message_id}
    with pytest.raises(NotVerified, match="webhook-id"):
        BY_SECRET.verify(posted(BODY, headers))
    with pytest.raises(ValueError, match="webhook-id"):
        sign_v1a(PRIVATE, message_id, NOW_S, BODY)


def test_when_it_happened_is_in_the_body_or_signed() -> None:
    payload = json.loads(BODY)
    assert parsed(payload).occurred_at == NOW
    early = payload | {"timestamp": "2026-11-20T11:00:00+00:00"}
    assert parsed(early).occurred_at == NOW - timedelta(hours=1)
    for strange in ("yesterday", 7, "2026-11-20T11:00:00"):
        with pytest.raises(Unreadable, match="timestamp"):
            parsed(payload | {"timestamp": strange})
    for strange in ("", "x", "\u0661", "9" * 12):
        with pytest.raises(Unreadable, match="webhook-timestamp"):
            parsed(payload, {"webhook-id": "msg_1", "webhook-timestamp": strange})


@pytest.mark.parametrize("payload", [[], {}, {"type": ""}, {"type": 7}, {"type": "x" * 101}])
def test_a_payload_without_a_type_is_unreadable(payload: Any) -> None:
    with pytest.raises(Unreadable):
        parsed(payload)


def test_a_sender_that_speaks_the_hub_s_words_is_understood() -> None:
    person = {"email": "Jane@EXAMPLE.com", "phone": "+1 202-555-0123", "name": "Jane Doe"}
    clean = {"email": "Jane@example.com", "phone": "+12025550123", "name": "Jane Doe"}
    assert told("contact.created", person) == clean
    paid = person | {"amount": 4250, "currency": "usd", "object_id": 17, "color": "red"}
    assert told("payment.succeeded", paid) == clean | {
        "amount": 4250,
        "currency": "USD",
        "object_id": "17",
    }
    assert told("booking.created", {"starts_at": "2026-11-20T07:00:00-05:00"}) == {
        "starts_at": "2026-11-20T12:00:00Z"
    }


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_a_canonical_type_without_an_object_is_kept_under_its_own_name(data: Any) -> None:
    event = parsed({"type": "payment.succeeded", "data": data})
    assert event.type == "standard_webhooks.payment.succeeded"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("payment.succeeded", {"amount": 42.5, "currency": "USD"}),
        ("payment.succeeded", {"amount": "4250", "currency": "USD"}),
        ("payment.succeeded", {"amount": -1, "currency": "USD"}),
        ("payment.succeeded", {"amount": 2**53, "currency": "USD"}),
        ("payment.succeeded", {"amount": True, "currency": "USD"}),
        ("payment.succeeded", {"amount": 4250}),
        ("payment.succeeded", {"amount": 4250, "currency": "dollars"}),
        ("subscription.changed", {"period_end_at": 1795176000}),
        ("booking.created", {"starts_at": "tomorrow"}),
    ],
)
def test_money_and_times_that_are_none_are_unreadable(kind: str, data: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        told(kind, data)


def test_hostile_data_brings_nothing_but_its_own_fields() -> None:
    hostile = {
        "email": "not an address",
        "phone": "0800 CALL ME",
        "name": "",
        "url": "javascript:alert(1)",
        "object_id": "two words",
        "metadata": "no mapping",
        "native": {"forged": True},
        "fields": {"other": "family"},
        "delivery_id": "0197f0c0-0000-7000-8000-000000000000",
        "hub_attempt": "0197f0c0-0000-7000-8000-000000000000.1",
        "live": False,
        "__class__": "x",
    }
    assert told("payment.succeeded", hostile) == {}
    assert parsed({"type": "payment.succeeded", "data": hostile}).live
    for kind in ("sms.delivered", "email.delivered", "email.bounced"):
        assert not {"delivery_id", "hub_attempt"} & set(told(kind, hostile))


FIELDS = sorted({name for fields in FAMILIES.values() for name in fields})


@given(
    st.sampled_from(sorted(EVENT_TYPES)),
    st.sampled_from(FIELDS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
)
def test_any_field_of_any_type_may_be_strange(kind: str, name: str, value: Any) -> None:
    try:
        found = told(kind, {"currency": "USD", name: value})
    except Unreadable:
        return
    assert None not in found.values()
    assert set(found) <= {name, "currency"} & FAMILIES[kind.partition(".")[0]].keys()


def test_samples_of_a_source_with_public_keys_need_the_private_one() -> None:
    sample = BY_KEY.sample("contact.created", "evt-1", NOW, live=True, url=URL)
    assert BY_KEY.verify(posted_sample(sample)) == "public_keys[0]"
    without = adapter(public_keys=[PUBLIC])
    with pytest.raises(LookupError, match="set `sample_key`"):
        without.sample("contact.created", "evt-1", NOW, live=True, url=URL)


def test_a_sample_whose_id_has_a_dot_can_be_sent_all_the_same() -> None:
    sample = BY_SECRET.sample("contact.created", "evt.1", NOW, live=True, url=URL)
    assert sample.headers["webhook-id"] == "evt-1"
    assert BY_SECRET.verify(posted_sample(sample)) == "secrets[0]"


@pytest.mark.parametrize("size", [32, 64])
def test_a_private_key_is_its_seed_with_or_without_the_public_half(size: int) -> None:
    raw = b64decode(PRIVATE.removeprefix("whsk_"))[:size]
    key = "whsk_" + b64encode(raw).decode().rstrip("=")
    assert adapter(public_keys=[PUBLIC], sample_key=key).sample_types()


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({}, "_schema", "`secrets` (whsec_...) or `public_keys` (whpk_...)"),
        ({"secrets": []}, "_schema", "`secrets` (whsec_...)"),
        ({"secrets": ["whsec_not base64!"]}, "secrets", "not base64"),
        ({"secrets": [""]}, "secrets", "Shorter"),
        ({"public_keys": [SECRET]}, "public_keys", "starts with whpk_"),
        ({"public_keys": [PRIVATE]}, "public_keys", "starts with whpk_"),
        ({"public_keys": ["whpk_AAAA"]}, "public_keys", "not an Ed25519 key"),
        ({"public_keys": ["whpk_é"]}, "public_keys", "not base64"),
        ({"public_keys": [PUBLIC], "sample_key": PUBLIC}, "sample_key", "starts with whsk_"),
        (
            {"secrets": [SECRET], "sample_key": PRIVATE},
            "sample_key",
            "none of `public_keys`",
        ),
    ],
)
def test_a_fault_in_the_settings_is_told(settings: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        StandardWebhooksSettings().load(settings)
    assert list(caught.value.messages) == [path]
    assert words in str(caught.value.messages)
    assert PRIVATE not in str(caught.value)
