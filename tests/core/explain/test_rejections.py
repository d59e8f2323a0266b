"""Rejections of requests in plain words, with the remedy."""

import pytest

from adapters.contract.errors import NotVerified
from adapters.twilio.signature import verify
from hub.core.explain.rejections import advice_for

HTTP = "http://hooks.example.org/webhooks/twilio"


def refusal() -> str:
    with pytest.raises(NotVerified) as caught:
        verify({"secrets[0]": "x" * 16}, {"x-twilio-signature": "bm8="}, HTTP, ())
    return str(caught.value)


def test_http_behind_a_proxy_is_told_with_the_setting_that_mends_it():
    headers = {"x-forwarded-proto": "https"}
    found = advice_for(refusal(), url=HTTP, headers=headers, public_url=None)
    assert "proxy" in found.words
    assert "HUB_PUBLIC_URL" in found.hint


def test_an_address_that_may_be_another_is_named():
    found = advice_for(refusal(), url=HTTP, headers={}, public_url="https://other.example")
    assert "http://hooks.example.org" in found.words


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Stripe-Signature: signed with none of this source's secrets", "another secret"),
        ("webhook-signature: fits none of this source's secrets and keys", "another secret"),
        ("signed 900 s ago; at most 300 s. Is this machine's clock right?", "too long ago"),
        ("Stripe-Signature: missing", "no signature"),
        ("Origin: none of this form's `origins`", "another website"),
        ("the secret in the path is none of this source's secrets", "end of its address"),
        ("405: this address takes POST", "before its signature"),
        ("422: wrong or missing: email", "what this source asks for"),
        ("bodySHA256 in the address is not the digest of the body", "changed on the way"),
    ],
)
def test_a_reason_has_plain_words(reason, words):
    assert words in advice_for(reason, public_url=None).words


def test_what_nobody_foresaw_is_told_as_it_is():
    found = advice_for("something new.", url="http://[", public_url=None)
    assert found.words == "Something new"
    assert found.hint
