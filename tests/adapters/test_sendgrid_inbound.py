"""E-mails by SendGrid Inbound Parse: who may post, and what a mail becomes."""

import json
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

import pytest
from marshmallow import ValidationError

from adapters.contract.errors import NotVerified, Unreadable
from adapters.contract.request import InboundRequest
from adapters.sendgrid_inbound.inbound import SendgridInboundMailSettings
from tests.adapters.mailing import (
    BASIC,
    CONTENT_TYPE,
    KEYS,
    SAMPLE_KEY,
    SECRET,
    adapter,
    body_of,
    event_of,
)
from tests.adapters.posting import NOW, posted, posted_sample


def with_path(request: InboundRequest, path_secret: str | None) -> InboundRequest:
    return replace(request, path_secret=path_secret)


def test_a_secret_in_the_path_proves_who_posted_and_is_named_by_its_place() -> None:
    mail = adapter(secrets=["another-secret-of-old", SECRET])
    request = posted(body_of(BASIC), CONTENT_TYPE)
    assert mail.verify(with_path(request, SECRET)) == "secrets[1]"
    for wrong in (None, "", SECRET[:-1], SECRET + "x", SECRET.upper(), "\udcff", "\u00e9"):
        with pytest.raises(NotVerified) as refused:
            mail.verify(with_path(request, wrong))
        assert SECRET not in str(refused.value)


def test_where_there_are_only_keys_a_path_proves_nothing() -> None:
    mail = adapter(public_keys=KEYS)
    request = posted(body_of(BASIC), CONTENT_TYPE)
    for path_secret in (None, "", SECRET):
        with pytest.raises(NotVerified):
            mail.verify(with_path(request, path_secret))


def test_with_both_either_will_do_and_a_bad_signature_is_not_excused_by_the_path() -> None:
    mail = adapter(public_keys=KEYS, secrets=[SECRET])
    signer = adapter(public_keys=KEYS, sample_key=SAMPLE_KEY)
    signed = posted_sample(signer.sample("mail", "1", NOW, live=True, url="https://hub.example"))
    assert mail.verify(signed) == "public_keys[0]"
    assert mail.verify(with_path(posted(signed.body, CONTENT_TYPE), SECRET)) == "secrets[0]"
    with pytest.raises(NotVerified):
        mail.verify(with_path(replace(signed, body=signed.body + b"x"), SECRET))


def test_a_mail_that_sendgrid_sends_again_after_three_days_is_still_taken() -> None:
    signer = adapter(public_keys=KEYS, sample_key=SAMPLE_KEY)
    sample = signer.sample("mail", "1", NOW, live=True, url="https://hub.example")
    assert signer.verify(posted_sample(sample, at=NOW + timedelta(hours=72, minutes=30)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "`public_keys`"),
        ({"secrets": []}, "`secrets`"),
        ({"secrets": ["with/slash-and-more-of-it"]}, "address"),
        ({"secrets": ["with a blank in it"]}, "address"),
        ({"public_keys": ["not a key"]}, "public key"),
        ({"public_keys": KEYS, "sample_key": "x"}, "private key"),
        ({"secrets": [SECRET], "sample_key": SAMPLE_KEY}, "public_keys"),
    ],
)
def test_settings_that_prove_nothing_are_refused(settings: Any, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SendgridInboundMailSettings().load(settings)


def test_a_sample_for_a_secret_address_says_so_and_one_without_a_key_says_what_to_do() -> None:
    mail = adapter(secrets=[SECRET])
    sample = mail.sample("automatic", "s1", NOW, live=True, url="https://hub.example")
    assert sample.path_secret == SECRET
    assert SECRET not in repr(sample)
    [event] = mail.parse(posted_sample(sample))
    assert (event.type, event.occurred_at) == ("sendgrid_inbound.automatic", NOW)
    with pytest.raises(LookupError, match="sample_key"):
        adapter(public_keys=KEYS).sample("mail", "s1", NOW, live=True, url="https://hub.example")


def test_the_envelope_says_where_it_went_and_from_who_wrote_it() -> None:
    data = event_of(BASIC).data
    assert data["to"] == ["hello@inbound.example.com"]
    assert (data["from"], data["email"], data["name"]) == (
        "jane@example.org", "jane@example.org", "Jane Doe",
    )  # fmt: skip


def test_without_an_envelope_the_header_names_the_addressees() -> None:
    fields = BASIC | {"envelope": "not JSON", "to": '"Doe, J" <a@X.example>, b@y.example'}
    assert event_of(fields).data["to"] == ["a@x.example", "b@y.example"]


@pytest.mark.parametrize(
    ("header", "name", "address"),
    [
        ("jane@example.org", None, "jane@example.org"),
        ("<jane@EXAMPLE.org>", None, "jane@example.org"),
        ('"Doe, Jane" <jane@example.org>', "Doe, Jane", "jane@example.org"),
        (r'"Jane \"J\" Doe" <jane@example.org>', 'Jane "J" Doe', "jane@example.org"),
        ("J\u00fcrgen <j\u00fc@example.org>", "J\u00fcrgen", "j\u00fc@example.org"),
        ("somebody", None, None),
        ("", None, None),
        ("(" * 100_000, None, None),
        ("<" * 100_000, None, None),
    ],
)
def test_a_sender_is_read_as_far_as_there_is_one(
    header: str, name: str | None, address: str | None
) -> None:
    data = event_of(BASIC | {"from": header}).data
    assert (data.get("name"), data.get("email")) == (name, address)


@pytest.mark.parametrize(
    ("headers", "envelope"),
    [("Auto-Submitted: auto-replied", "jane@example.org"),
     ("Auto-Submitted: Auto-Replied; owner-email=x", "jane@example.org"), ("X: y", "")],
)  # fmt: skip
def test_what_no_person_wrote_is_no_received_mail_and_tells_of_no_contact(
    headers: str, envelope: str
) -> None:
    fields = BASIC | {"headers": headers, "envelope": json.dumps({"to": [], "from": envelope})}
    event = event_of(fields)
    assert (event.type, event.native_type) == ("sendgrid_inbound.automatic", "automatic")
    assert event.data["from"] == "jane@example.org"
    assert not {"email", "name", "phone"} & event.data.keys()


@pytest.mark.parametrize("value", ["no", "auto-generated"])
def test_a_message_that_a_machine_sends_about_an_enquiry_is_a_mail(value: str) -> None:
    event = event_of(BASIC | {"headers": f"Auto-Submitted: {value}"})
    assert event.type == "email.received"


@pytest.mark.parametrize(
    ("header", "external_id"),
    [
        ("Message-ID: <a.b+c@mail.example>", "a.b+c@mail.example"),
        ("message-id:\n <folded@mail.example>", "folded@mail.example"),
        ("Message-ID: bare@mail.example", "bare@mail.example"),
        ("Message-ID: <a@b> (added)", "a@b"),
    ],
)
def test_the_message_id_is_the_external_id(header: str, external_id: str) -> None:
    event = event_of(BASIC | {"headers": header})
    assert (event.external_id, event.data["message_id"]) == (external_id, external_id)


@pytest.mark.parametrize("odd", ["<\u00e9@x>", f"<{'a' * 300}@x>", "two words", "<\u202e@x>"])
def test_a_message_id_that_can_be_no_key_gives_a_digest(odd: str) -> None:
    event = event_of(BASIC | {"headers": f"Message-ID: {odd}"})
    assert event.external_id == sha256(odd.strip("<>").encode()).hexdigest()
    other = f"Message-ID: {odd[0]}z{odd[1:]}"
    assert event.external_id != event_of(BASIC | {"headers": other}).external_id


def test_without_a_message_id_the_body_is_the_identity() -> None:
    fields = BASIC | {"headers": "X: y"}
    assert event_of(fields).external_id == sha256(body_of(fields)).hexdigest()


@pytest.mark.parametrize(
    "date",
    ["", "yesterday", "Fri, 20 Nov 2026 13:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 +0000",
     "Fri, 20 Nov 99999 10:00:00 +0000", "Fri, 20 Nov 2026 10:00:00 +9999", "\u0661"],
)  # fmt: skip
def test_a_date_that_cannot_be_gives_the_time_of_arrival(date: str) -> None:
    assert event_of(BASIC | {"headers": f"Date: {date}"}).occurred_at == NOW


def test_a_date_becomes_utc() -> None:
    at = event_of(BASIC | {"headers": "Date: Fri, 20 Nov 2026 05:00:00 -0500"}).occurred_at
    assert format_datetime(at) == "Fri, 20 Nov 2026 10:00:00 +0000"


def test_the_fingerprint_is_that_of_the_mail_and_not_of_its_judges() -> None:
    first = event_of(BASIC | {"spam_score": "1.0", "dkim": "{@x : pass}"})
    assert event_of(BASIC | {"spam_score": "2.0", "dkim": "none"}).fingerprint == first.fingerprint
    assert event_of(BASIC | {"text": "It does not."}).fingerprint != first.fingerprint
    assert event_of(BASIC, ("attachment1", "a", b"1")).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        body_of({"unrelated": "field"}),
        body_of(BASIC).removesuffix(b"--\r\n"),
        body_of(BASIC)[:-100],
        body_of(BASIC) .replace(b"It leaks.", b"x\r\n--xYzZY\r\nContent-Disposition: form-data; "
                                b'name="SPF"\r\n\r\npass').replace(b"--xYzZY--", b"--xYzZY\r\n"
                                b'Content-Disposition: form-data; name="SPF"\r\n\r\nfail\r\n'
                                b"--xYzZY--"),
    ],
    ids=["empty", "no form", "no mail", "open end", "cut", "forged field"],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        adapter(secrets=[SECRET]).parse(posted(body, CONTENT_TYPE))
