"""SendGrid's signature: official vectors, Wycheproof's, SendGrid's own library, strange headers."""

import base64
import json
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.eventwebhook.eventwebhook_header import EventWebhookHeader

from adapters.contract.errors import NotVerified
from adapters.contract.signatures import ecdsa

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
BODY = '[{"name": "Zoë"}]\r\n'.encode()
KEY = ec.derive_private_key(20_261_120, ec.SECP256R1())
OTHER = ec.derive_private_key(7, ec.SECP256R1())
SIGNATURE, TIMESTAMP = ecdsa.SIGNATURE_HEADER.lower(), ecdsa.TIMESTAMP_HEADER.lower()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def shown(key: Any) -> str:
    """Return a public key as SendGrid shows it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def verify(headers: dict[str, str], body: bytes = BODY, *keys: Any, at: datetime = NOW) -> str:
    mine = [key.public_key() for key in keys or (KEY,)]
    return ecdsa.verify_ecdsa(mine, headers, body, at, past_s=600, future_s=300)


def signed(body: bytes = BODY, at_s: int = NOW_S, key: Any = KEY) -> dict[str, str]:
    return ecdsa.sign_ecdsa(key, at_s, body)


def vectors() -> list[Any]:
    text = (FIXTURES / "vectors" / "sendgrid.json").read_text("utf-8")
    return [pytest.param(case, id=case["id"]) for case in json.loads(text)["vectors"]]


@pytest.mark.parametrize("vector", vectors())
def test_the_vectors_of_sendgrid_s_own_library(vector: dict[str, Any]) -> None:
    keys = [ecdsa.public_key(text) for text in vector["public_keys"]]
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    at, body = datetime.fromtimestamp(vector["now"], UTC), vector["body"].encode()
    if vector["expect"] == "valid":
        label = ecdsa.verify_ecdsa(keys, headers, body, at, past_s=0, future_s=0)
        assert label == "public_keys[0]"
        return
    with pytest.raises(NotVerified):
        ecdsa.verify_ecdsa(keys, headers, body, at, past_s=0, future_s=0)


def wycheproof() -> list[tuple[ec.EllipticCurvePublicKey, dict[str, Any]]]:
    path = FIXTURES / "wycheproof" / "ecdsa_secp256r1_sha256_test.json"
    groups = json.loads(path.read_text("utf-8"))["testGroups"]
    return [
        (ecdsa.public_key(group["publicKeyPem"]), case)
        for group in groups
        for case in group["tests"]
    ]


def test_every_wycheproof_vector_is_judged_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """B26. The vectors sign any bytes, so the timestamp is left out of what is signed here."""
    judged = {"valid": 0, "invalid": 0}
    monkeypatch.setattr(ecdsa, "_signed_bytes", lambda _, body: body)
    for key, case in wycheproof():
        signature = base64.b64encode(bytes.fromhex(case["sig"])).decode()
        headers = {SIGNATURE: signature, TIMESTAMP: str(NOW_S)}
        try:
            ecdsa.verify_ecdsa(
                [key], headers, bytes.fromhex(case["msg"]), NOW, past_s=0, future_s=0
            )
            verdict = "valid"
        except NotVerified:
            verdict = "invalid"
        assert verdict == case["result"], f"{case['tcId']}: {case['comment']}"
        judged[verdict] += 1
    assert judged == {"valid": 174, "invalid": 310}


@given(st.text(max_size=200))
def test_sendgrid_s_library_accepts_what_we_sign(text: str) -> None:
    headers = signed(text.encode())
    webhook = EventWebhook(shown(KEY))
    assert webhook.verify_signature(text, headers[SIGNATURE], headers[TIMESTAMP])
    assert not webhook.verify_signature(text + "x", headers[SIGNATURE], headers[TIMESTAMP])
    assert verify(headers, text.encode()) == "public_keys[0]"


def test_sendgrid_s_library_has_the_same_headers_and_reads_the_same_keys() -> None:
    assert ecdsa.SIGNATURE_HEADER == EventWebhookHeader.SIGNATURE
    assert ecdsa.TIMESTAMP_HEADER == EventWebhookHeader.TIMESTAMP
    for key in (KEY, OTHER):
        assert EventWebhook(shown(key)).public_key == ecdsa.public_key(shown(key))


def test_what_sendgrid_s_library_cannot_verify_is_verified() -> None:
    """Its argument is text, and an e-mail with a photograph is none."""
    body = b"--xYzZY\r\n\xff\xd8\xff\r\n"
    assert verify(signed(body), body) == "public_keys[0]"
    with pytest.raises(NotVerified):
        verify(signed(body), body[:-1])
    headers, webhook = signed(body), EventWebhook(shown(KEY))
    text = body.decode("utf-8", "surrogateescape")
    with pytest.raises(UnicodeEncodeError):
        webhook.verify_signature(text, headers[SIGNATURE], headers[TIMESTAMP])


@pytest.mark.parametrize("signature", ["", "a", "é", "!!!!"])
def test_odd_signatures_are_refused_and_never_raise_what_the_library_raises(
    signature: str,
) -> None:
    with pytest.raises(NotVerified):
        verify(signed() | {SIGNATURE: signature})


def test_the_label_is_that_of_the_key_that_fits() -> None:
    assert verify(signed(key=OTHER), BODY, KEY, OTHER) == "public_keys[1]"
    with pytest.raises(NotVerified, match="none of this source's public_keys"):
        verify(signed(key=OTHER))


def test_the_crlf_at_the_end_is_signed() -> None:
    """B27."""
    with pytest.raises(NotVerified):
        verify(signed(), BODY.removesuffix(b"\r\n"))


def test_the_same_bytes_have_the_same_signature_and_a_second_one_of_anybody_s() -> None:
    """B24: it is why nothing may be known by its signature."""
    headers = signed()
    assert headers == signed()
    r, s = decode_dss_signature(base64.b64decode(headers[SIGNATURE]))
    second = base64.b64encode(encode_dss_signature(r, P256_ORDER - s)).decode()
    assert verify(headers | {SIGNATURE: second}) == "public_keys[0]"


def test_another_spelling_of_the_same_signature_is_refused() -> None:
    """The last letter of base64 has bits that say nothing."""
    bodies = [BODY + b" " * n for n in range(50)]
    body = next(one for one in bodies if signed(one)[SIGNATURE].endswith("="))
    headers = signed(body)
    bare = headers[SIGNATURE].rstrip("=")
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    odd = bare[:-1] + letters[letters.index(bare[-1]) + 1]
    odd += "=" * (-len(odd) % 4)
    assert base64.b64decode(odd) == base64.b64decode(headers[SIGNATURE])
    with pytest.raises(NotVerified):
        verify(headers | {SIGNATURE: odd}, body)
    assert verify(headers, body) == "public_keys[0]"


def test_the_boundary_of_timestamp_and_body_cannot_be_moved() -> None:
    """B25."""
    at, body = str(NOW_S), b'1[{"a": 1}]'
    headers = signed(body)
    for moved_at, moved in ((at + "1", body[1:]), (at[:-1], at[-1:].encode() + body)):
        with pytest.raises(NotVerified, match="ten digits"):
            verify(headers | {TIMESTAMP: moved_at}, moved)


@pytest.mark.parametrize(
    "timestamp",
    ["", "1", "-795176000", "+795176000", "1795176000 ", "1795176000\n", "1_795_1760", "179517600.",
     "\u0661\u0667\u0669\u0665\u0661\u0667\u0666\u0660\u0660\u0660", "9" * 5000],
)  # fmt: skip
def test_a_timestamp_is_ten_plain_digits(timestamp: str) -> None:
    with pytest.raises(NotVerified, match="ten digits"):
        verify(signed() | {TIMESTAMP: timestamp})


def test_both_headers_are_needed() -> None:
    """B22."""
    for missing in (SIGNATURE, TIMESTAMP):
        headers = {name: value for name, value in signed().items() if name != missing}
        with pytest.raises(NotVerified, match="(?i)" + missing):
            verify(headers)


def test_time_has_edges_on_both_sides() -> None:
    for at_s in (NOW_S - 600, NOW_S + 300):
        assert verify(signed(at_s=at_s)) == "public_keys[0]"
    with pytest.raises(NotVerified, match=r"signed 601 s ago; at most 600 s.*clock"):
        verify(signed(at_s=NOW_S - 601))
    with pytest.raises(NotVerified, match=r"signed 301 s in the future; at most 300 s.*clock"):
        verify(signed(at_s=NOW_S + 301))
    assert verify(signed(at_s=NOW_S - 600), at=NOW + timedelta(milliseconds=900))


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.b64encode(b).decode())), st.text())
def test_strange_headers_are_refused_quietly(signature: str, timestamp: str) -> None:
    for headers in (signed() | {SIGNATURE: signature}, signed() | {TIMESTAMP: timestamp}):
        if headers == signed():
            continue
        with pytest.raises(NotVerified):
            verify(headers)


def private_text(key: Any, encoding: Encoding, kind: PrivateFormat) -> str:
    raw = key.private_bytes(encoding, kind, NoEncryption())
    return raw.decode() if encoding is Encoding.PEM else base64.b64encode(raw).decode()


def test_keys_are_read_as_pem_and_as_base64() -> None:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text in (shown(KEY), f"  {shown(KEY)}\n", pem, pem.replace("\n", "\r\n")):
        assert ecdsa.public_key(text) == KEY.public_key()
        ecdsa.check_public_key(text)
    for encoding in (Encoding.PEM, Encoding.DER):
        for kind in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            text = private_text(KEY, encoding, kind)
            assert ecdsa.private_key(text).public_key() == KEY.public_key()
            ecdsa.check_private_key(text)


P384 = ec.derive_private_key(7, ec.SECP384R1())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a public key"),
        ("not base64", "is not a public key"),
        ("é" * 40, "is not a public key"),
        (base64.b64encode(b"x" * 91).decode(), "is not a public key"),
        (shown(KEY)[:-8], "is not a public key"),
        (private_text(KEY, Encoding.PEM, PrivateFormat.PKCS8), "is not a public key"),
        (shown(P384), "P-256"),
        (shown(ed25519.Ed25519PrivateKey.from_private_bytes(b"7" * 32)), "P-256"),
    ],
)
def test_what_is_no_public_key_is_a_sentence_without_it(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        ecdsa.check_public_key(text)
    assert not text.strip() or text.strip() not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not an unencrypted private key"),
        ("é", "is not an unencrypted private key"),
        (shown(KEY), "is not an unencrypted private key"),
        (private_text(P384, Encoding.DER, PrivateFormat.PKCS8), "P-256"),
    ],
)
def test_what_is_no_private_key_is_a_sentence_without_it(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ecdsa.check_private_key(text)
