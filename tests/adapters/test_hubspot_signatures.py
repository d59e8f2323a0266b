"""HubSpot's three signatures: who may come in, and when."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.errors import NotVerified
from adapters.contract.request import InboundRequest
from adapters.hubspot.signature import VERSIONS, decoded, sign_plain, sign_v3
from tests.adapters.hubspot import (
    NOW_MS,
    OLD_SECRET,
    SECRET,
    URL,
    adapter,
    request,
)

VECTORS = json.loads(
    (Path(__file__).parents[1] / "fixtures/vectors/hubspot.json").read_text("utf-8")
)["vectors"]


def v3(body: bytes = b"[]", *, secret: str = SECRET, at_ms: int = NOW_MS) -> dict[str, str]:
    return {
        "x-hubspot-signature-v3": sign_v3(secret, "POST", URL, body, at_ms),
        "x-hubspot-request-timestamp": str(at_ms),
    }


def plain(version: str, body: bytes = b"[]", secret: str = SECRET) -> dict[str, str]:
    return {
        "x-hubspot-signature": sign_plain(secret, version, "POST", URL, body),
        "x-hubspot-signature-version": version,
    }


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_official_vectors_hold(vector: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    at = datetime.fromtimestamp(vector["now"] or 0, UTC)
    body = vector["body"].encode()
    sent = InboundRequest(vector["method"], vector["url"], headers, body, at)
    verifier = adapter(secrets=vector["secrets"], signatures=VERSIONS)
    if vector["expect"] == "valid":
        assert verifier.verify(sent) == "secrets[0]"
    else:
        with pytest.raises(NotVerified):
            verifier.verify(sent)


def test_there_are_vectors_of_each_version() -> None:
    assert {vector["scheme"][-2:] for vector in VECTORS} == {"v1", "v2", "v3"}


def test_only_twelve_escapes_are_decoded() -> None:
    kept = "%20%26%3D%23%25%2B%E4"
    assert decoded("%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B") == ":/?@!$'()*,;"
    assert decoded("%3a%2f") == ":/"
    assert decoded(kept) == kept
    assert decoded("%253A") == "%253A"


@pytest.mark.parametrize(
    "headers", [v3, lambda **k: plain("v1", **k), lambda **k: plain("v2", **k)]
)
def test_either_secret_of_a_rotation_verifies(headers: Any) -> None:
    verifier = adapter(signatures=VERSIONS)
    assert verifier.verify(request(headers=headers(secret=SECRET))) == "secrets[0]"
    assert verifier.verify(request(headers=headers(secret=OLD_SECRET))) == "secrets[1]"
    with pytest.raises(NotVerified, match="none of this source's secrets"):
        verifier.verify(request(headers=headers(secret="another-client-secret")))


@pytest.mark.parametrize(
    "headers", [v3, lambda **k: plain("v1", **k), lambda **k: plain("v2", **k)]
)
def test_a_blank_secret_verifies_nothing(headers: Any) -> None:
    with pytest.raises(NotVerified):
        adapter(secrets=[" "], signatures=VERSIONS).verify(request(headers=headers(secret=" ")))


@pytest.mark.parametrize(
    ("ahead_ms", "good"),
    [(-300_000, True), (-301_000, False), (60_999, True), (61_000, False)],
)
def test_v3_is_good_for_five_minutes_and_one_ahead(ahead_ms: int, good: bool) -> None:
    sent = request(headers=v3(at_ms=NOW_MS + ahead_ms))
    if good:
        assert adapter().verify(sent) == "secrets[0]"
    else:
        with pytest.raises(NotVerified, match="clock"):
            adapter().verify(sent)


def test_a_bad_v3_is_not_saved_by_a_good_older_one() -> None:
    bad = v3(secret="another-client-secret")
    verifier = adapter(signatures=VERSIONS)
    for version in ("v1", "v2"):
        with pytest.raises(NotVerified, match="Signature-v3: signed with none"):
            verifier.verify(request(headers=plain(version) | bad))
        with pytest.raises(NotVerified, match="clock"):
            verifier.verify(request(headers=plain(version) | v3(at_ms=NOW_MS - 900_000)))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_signature_without_a_time_is_accepted_only_where_it_is_named(version: str) -> None:
    assert adapter().verify(request(headers=v3())) == "secrets[0]"
    hint = rf"does not accept {version}.*signatures: \[v3, {version}]"
    with pytest.raises(NotVerified, match=hint):
        adapter().verify(request(headers=plain(version)))
    named = adapter(signatures=["v3", version])
    assert named.verify(request(headers=plain(version))) == "secrets[0]"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_body_prolonged_without_the_secret_does_not_verify(version: str) -> None:
    """SHA-256's own padding, which a prolonged text must contain, is never UTF-8."""
    padding = b"\x80" + b"\0" * 40 + b"\x02\xa8"
    prolonged = b"[]" + padding + b"more"
    sent = request(headers=plain(version, prolonged), body=prolonged)
    with pytest.raises(NotVerified, match="not UTF-8"):
        adapter(signatures=[version]).verify(sent)


def test_only_the_versions_that_are_named_are_accepted() -> None:
    old = adapter(signatures=["v1"])
    assert old.verify(request(headers=plain("v1") | v3(secret="unused"))) == "secrets[0]"
    with pytest.raises(NotVerified, match="does not accept v2"):
        old.verify(request(headers=plain("v2")))
    with pytest.raises(NotVerified):
        old.verify(request(headers=v3()))


def test_the_method_and_the_address_are_signed_but_in_v1() -> None:
    verifier = adapter(signatures=VERSIONS)
    for headers, bound in ((v3(), True), (plain("v2"), True), (plain("v1"), False)):
        for changed in (
            replace(request(headers=headers), method="PUT"),
            request(headers=headers, url=URL + "/"),
            request(headers=headers, url=URL.replace("https", "http")),
        ):
            if bound:
                with pytest.raises(NotVerified, match="signed with none"):
                    verifier.verify(changed)
            else:
                assert verifier.verify(changed) == "secrets[0]"


@given(data=st.data())
def test_strange_headers_are_refused_quietly(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([v3(), plain("v1"), plain("v2")]))
    name = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(st.one_of(st.none(), st.text(), st.sampled_from(["é", "v4", "٣" * 13, ""])))
    headers = {key: text for key, text in good.items() if key != name}
    headers |= {} if value is None else {name: value}
    if headers == good:
        return
    with pytest.raises(NotVerified):
        adapter(signatures=VERSIONS).verify(request(headers=headers))
