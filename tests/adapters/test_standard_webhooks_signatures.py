"""The signature schemes, against the official vectors and against the providers' own libraries."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from adapters.contract.errors import NotVerified
from adapters.contract.signatures.standard_webhooks import (
    sign_standard_webhook,
    sign_stripe,
    verify_standard_webhook,
    verify_stripe,
)

VECTORS = Path(__file__).parent.parent / "fixtures" / "vectors"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"name": "Zoë"}'.encode()


def vectors(name: str) -> list[Any]:
    cases = json.loads((VECTORS / name).read_text("utf-8"))["vectors"]
    return [pytest.param(case, id=case["id"]) for case in cases]


@pytest.mark.parametrize("vector", vectors("stripe.json"))
def test_stripe_vectors(vector: dict[str, Any]) -> None:
    at = datetime.fromtimestamp(vector["now"], UTC)
    header, body = vector["headers"]["Stripe-Signature"], vector["body"].encode()
    if vector["expect"] == "invalid":
        with pytest.raises(NotVerified):
            verify_stripe(vector["secrets"], header, body, at)
        return
    label = verify_stripe(vector["secrets"], header, body, at)
    assert vector["secrets"][int(label[8:-1])] == "whsec_test_secret"


@pytest.mark.parametrize("vector", vectors("standard_webhooks.json"))
def test_standard_webhooks_vectors(vector: dict[str, Any]) -> None:
    # The official libraries take a bare secret for base64; here only `whsec_` says that it is.
    secrets = [f"whsec_{secret.removeprefix('whsec_')}" for secret in vector["secrets"]]
    at = datetime.fromtimestamp(vector["now"], UTC)
    if vector["expect"] == "invalid":
        with pytest.raises(NotVerified):
            verify_standard_webhook(secrets, vector["headers"], vector["body"].encode(), at)
        return
    assert (
        verify_standard_webhook(secrets, vector["headers"], vector["body"].encode(), at)
        == "secrets[0]"
    )


@given(st.text(max_size=200), st.text(min_size=1, max_size=80).map("whsec_".__add__))
def test_stripe_library_accepts_what_we_sign_and_we_accept_what_it_signs(
    text: str, secret: str
) -> None:
    header = sign_stripe(secret, NOW_S, text.encode())
    assert stripe.WebhookSignature.verify_header(text, header, secret, tolerance=None)
    theirs = stripe.WebhookSignature._compute_signature(f"{NOW_S}.{text}", secret)
    label = verify_stripe([secret], f"t={NOW_S},v1={theirs}", text.encode(), NOW)
    assert label == "secrets[0]"


@given(st.text(max_size=200))
def test_standardwebhooks_library_agrees_in_both_directions(text: str) -> None:
    now = datetime.now(UTC)
    library = Webhook(SECRET)
    ours = sign_standard_webhook(SECRET, "msg_1", int(now.timestamp()), text.encode())
    library.verify(text, ours, json_parse=False)
    theirs = {**ours, "webhook-signature": library.sign("msg_1", now, text)}
    assert verify_standard_webhook([SECRET], theirs, text.encode(), now) == "secrets[0]"


def test_a_standard_webhook_has_the_three_headers() -> None:
    headers = sign_standard_webhook(SECRET, "key-1", NOW_S, BODY)
    assert list(headers) == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert headers["webhook-timestamp"] == str(NOW_S)


def test_a_secret_without_prefix_is_its_own_bytes() -> None:
    headers = sign_standard_webhook("plain text, zoë", "msg_1", NOW_S, BODY)
    assert verify_standard_webhook(["plain text, zoë"], headers, BODY, NOW) == "secrets[0]"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_A", "whsec_é"])
def test_a_secret_that_only_looks_like_base64_is_a_value_error_and_never_verifies(
    secret: str,
) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        sign_standard_webhook(secret, "msg_1", NOW_S, BODY)
    headers = sign_standard_webhook(SECRET, "msg_1", NOW_S, BODY)
    with pytest.raises(NotVerified):
        verify_standard_webhook([secret], headers, BODY, NOW)


@pytest.mark.parametrize("message_id", ["", "a.b", "é", "line\nbreak"])
def test_an_ambiguous_message_id_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="webhook-id"):
        sign_standard_webhook(SECRET, message_id, NOW_S, BODY)


@given(st.text(), st.text(), st.text())
def test_strange_standard_webhook_headers_are_refused_quietly(a: str, b: str, c: str) -> None:
    headers = {"webhook-id": a, "webhook-timestamp": b, "webhook-signature": c}
    good = sign_standard_webhook(SECRET, "msg_1", NOW_S, BODY)
    for strange in (headers, good | {"webhook-id": a}, good | {"webhook-timestamp": f"{b}x"}):
        if strange["webhook-id"] == "msg_1" and strange["webhook-timestamp"] == str(NOW_S):
            continue
        with pytest.raises(NotVerified):
            verify_standard_webhook([SECRET], strange, BODY, NOW)


@pytest.mark.parametrize(
    "t",
    ["", "abc", "-1", "+1", " 1", "1_0", "1.0", "9" * 13, "9" * 5000, "\u0661\u0662", "\u00b2"],
)
def test_a_timestamp_is_one_to_twelve_plain_digits(t: str) -> None:
    signature = sign_stripe("secret", NOW_S, BODY).partition("v1=")[2]
    with pytest.raises(NotVerified, match="digits"):
        verify_stripe(["secret"], f"t={t},v1={signature}", BODY, NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        "t=abc,v1=zz",
        "v1=",
        ",",
        "=,=",
        "t=1795176000",
        "v1=é",
        "t=\ud800,v1=a",
    ],
)
def test_a_header_that_says_nothing_is_refused(header: str | None) -> None:
    with pytest.raises(NotVerified, match="Stripe-Signature"):
        verify_stripe(["secret"], header, BODY, NOW)


def test_two_times_in_one_header_are_refused() -> None:
    header = sign_stripe("secret", NOW_S, BODY)
    with pytest.raises(NotVerified, match="more than one t"):
        verify_stripe(["secret"], f"t={NOW_S - 9999},{header}", BODY, NOW)


def test_only_v1_counts() -> None:
    header = sign_stripe("secret", NOW_S, BODY)
    with pytest.raises(NotVerified, match="no v1"):
        verify_stripe(["secret"], header.replace("v1=", "v0="), BODY, NOW)


def test_a_blank_secret_never_verifies() -> None:
    for blank in ("", " ", "\n"):
        header = sign_stripe(blank, NOW_S, BODY)
        with pytest.raises(NotVerified):
            verify_stripe([blank, "secret"], header, BODY, NOW)


def test_the_message_says_how_far_the_clocks_are_apart() -> None:
    old, new = sign_stripe("secret", NOW_S - 412, BODY), sign_stripe("secret", NOW_S + 90, BODY)
    with pytest.raises(NotVerified, match=r"signed 412 s ago; at most 300 s.*clock"):
        verify_stripe(["secret"], old, BODY, NOW)
    with pytest.raises(NotVerified, match=r"signed 90 s in the future; at most 60 s.*clock"):
        verify_stripe(["secret"], new, BODY, NOW)


def test_a_fraction_of_a_second_does_not_count() -> None:
    header = sign_stripe("secret", NOW_S, BODY)
    at = NOW + timedelta(seconds=300, milliseconds=900)
    assert verify_stripe(["secret"], header, BODY, at) == "secrets[0]"
