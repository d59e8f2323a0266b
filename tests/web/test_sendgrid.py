"""SendGrid batches on a real socket: signatures, and the handling of each item.

Rows B22 to B27 and B51 to B53.
"""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from sqlalchemy import func, select

from adapters.contract.signatures.ecdsa import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    private_key,
    public_key,
    sign_ecdsa,
)
from hub.core.models import StoredEvent
from tests.running import OPS_SECRET, RunningHub
from tests.stores import RedisServer
from tests.web.serving import Answer, Kept, Web

FIXTURES = Path(__file__).parent.parent / "fixtures"
ABOUT = json.loads((FIXTURES / "sendgrid" / "fixture.json").read_text())
MINE, OTHER = ABOUT["settings"]["public_keys"][0], ABOUT["wrong_settings"]["public_keys"][0]
KEY = private_key(ABOUT["settings"]["sample_key"])
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DELIVERY = "0190f1c2-7a3b-7c11-8000-0123456789ab"
CONFIG = f"""
sources:
  mail: {{adapter: sendgrid, public_keys: ["{OTHER}", "{MINE}"], max_bytes: 8MiB}}
destinations:
  ops: {{adapter: http, url: "https://ops.example/hook", secret: {OPS_SECRET}}}
routes:
  bounces: {{on: email.bounced, do: ops.post, with: {{body: "{{{{ data.email }}}}"}}}}
"""


@pytest.fixture(scope="module")
def web(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, _redis_server: RedisServer
) -> Iterator[Web]:
    """Run `hub web` unchanged, with a source of SendGrid's."""
    folder = tmp_path_factory.mktemp("sendgrid")
    with RunningHub(
        folder, database_url=module_database_url, redis_url=_redis_server.url, config=CONFIG
    ) as running:
        running.start("web")
        web = Web(running, module_database_url)
        yield web
        web.store.engine.dispose()
        assert "Traceback" not in running.logs()


def item(external_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "email": "jane@example.com",
        "timestamp": int(time.time()),
        "event": "delivered",
        "sg_event_id": external_id,
        "sg_message_id": f"m-{external_id}.recvd-1-1.0",
        **fields,
    }


def batch(*items: Any) -> bytes:
    return json.dumps(items, separators=(",", ":")).encode() + b"\r\n"


def signed(body: bytes, at_s: int | None = None) -> dict[str, str]:
    headers = sign_ecdsa(KEY, at_s or int(time.time()), body)
    return {name: headers[name.lower()] for name in (SIGNATURE_HEADER, TIMESTAMP_HEADER)}


def post(web: Web, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    headers = signed(body) if headers is None else headers
    return web.send(body, *headers.items(), path="/webhooks/mail")


def kept(web: Web, body: bytes, headers: dict[str, str] | None = None) -> Kept:
    """Post a body that must be accepted; return the rows that it left."""
    before = web.ids()
    answer = post(web, body, headers)
    assert (answer.status, answer.body) == (200, b"")
    return web.kept(before)


def signature_of(r: int, s: int) -> str:
    return base64.b64encode(encode_dss_signature(r, s)).decode()


BODY = batch(item("e-forged"))
FORGED = {
    "B22: neither header": lambda good: {},
    "B22: no signature": lambda good: {TIMESTAMP_HEADER: good[TIMESTAMP_HEADER]},
    "B22: no timestamp": lambda good: {SIGNATURE_HEADER: good[SIGNATURE_HEADER]},
    "B23: of 1970": lambda good: good | {TIMESTAMP_HEADER: "1"},
    "B23: of 2001, signed": lambda good: signed(BODY, at_s=1_000_000_000),
    "B23: of tomorrow, signed": lambda good: signed(BODY, at_s=int(time.time()) + 86_400),
    "B26: no base64": lambda good: good | {SIGNATURE_HEADER: "abc"},
    "B26: not ASCII": lambda good: good | {SIGNATURE_HEADER: "\xe9" * 96},
    "B26: no DER": lambda good: good | {SIGNATURE_HEADER: base64.b64encode(b"x" * 70).decode()},
    "B26: (0, 0)": lambda good: good | {SIGNATURE_HEADER: signature_of(0, 0)},
    "B26: (1, 1)": lambda good: good | {SIGNATURE_HEADER: signature_of(1, 1)},
    "B27: CRLF lost": lambda good: signed(BODY + b"\r\n"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_signature_is_401_and_no_event(web: Web, forge: Any) -> None:
    before = web.ids()
    assert post(web, BODY, forge(signed(BODY))).status == 401
    left = web.kept(before)
    assert left.events == []
    assert {row["state"] for row in left.requests} <= {"rejected"}


def test_the_boundary_of_timestamp_and_body_cannot_be_moved(web: Web) -> None:
    """B25."""
    before = web.ids()
    good = signed(BODY)
    at = good[TIMESTAMP_HEADER]
    assert post(web, at[-1:].encode() + BODY, good | {TIMESTAMP_HEADER: at[:-1]}).status == 401
    moved = signed(b"7" + BODY)
    moved[TIMESTAMP_HEADER] += "7"
    assert post(web, BODY, moved).status == 401
    assert web.kept(before).events == []


def test_every_invalid_wycheproof_signature_is_401(web: Web) -> None:
    """B26: their forms of a bad signature, each over a batch of ours."""
    path = FIXTURES / "wycheproof" / "ecdsa_secp256r1_sha256_test.json"
    groups = json.loads(path.read_text("utf-8"))["testGroups"]
    cases = [case for group in groups for case in group["tests"] if case["result"] == "invalid"]
    assert len(cases) == 310
    before = web.ids()
    for case in cases:
        headers = signed(BODY) | {
            SIGNATURE_HEADER: base64.b64encode(bytes.fromhex(case["sig"])).decode()
        }
        assert post(web, BODY, headers).status == 401, case["comment"]
    assert web.kept(before).events == []


def test_a_batch_is_taken_and_says_which_key_fits(web: Web) -> None:
    left = kept(web, batch(item("e-1"), item("e-2", event="bounce", type="bounce")))
    assert {row["external_id"]: row["type"] for row in left.events} == {
        "e-1": "email.delivered",
        "e-2": "email.bounced",
    }
    assert [row["signed_by"] for row in left.requests] == ["public_keys[1]"]
    counts = {row["external_id"]: len(web.deliveries(row["id"])) for row in left.events}
    assert counts == {"e-1": 0, "e-2": 1}


def test_another_valid_signature_of_the_same_batch_is_a_duplicate(web: Web) -> None:
    """B24."""
    body = batch(item("e-malleable"))
    headers = signed(body)
    assert len(kept(web, body, headers).events) == 1
    r, s = decode_dss_signature(base64.b64decode(headers[SIGNATURE_HEADER]))
    left = kept(web, body, headers | {SIGNATURE_HEADER: signature_of(r, P256_ORDER - s)})
    assert left.events == []
    assert [row["state"] for row in left.requests] == ["duplicate"]


def test_one_bad_item_of_ten_thousand_is_kept_beside_the_good_ones(web: Web) -> None:
    """B51."""
    good = [item(f"e-many-{n}") for n in range(9_999)]
    body = batch(*good[:5_000], {"event": "open", "timestamp": "late"}, *good[5_000:])
    assert post(web, body).status == 200
    statement = select(StoredEvent.type, func.count()).where(
        StoredEvent.external_id.like("e-many-%") | (StoredEvent.native_type == "unreadable")
    )
    with web.store.read() as connection:
        rows = connection.execute(statement.group_by(StoredEvent.type)).all()
    assert dict(rows) == {
        "email.delivered": 9_999,
        "sendgrid.unreadable": 1,
    }
    left = kept(web, body)
    assert (left.events, [row["state"] for row in left.requests]) == ([], ["duplicate"])


def test_the_bad_item_says_why(web: Web) -> None:
    left = kept(web, batch(item("e-beside"), item("e-bad", timestamp="soon")))
    (bad,) = [row for row in left.events if row["type"] == "sendgrid.unreadable"]
    assert "timestamp" in web.event(bad["id"])["data"]["reason"]
    again = kept(web, batch(item("e-bad", timestamp="soon"), item("e-beside-2")))
    assert [row["external_id"] for row in again.events] == ["e-beside-2"]


def test_the_same_id_twice_in_one_batch_is_one_event(web: Web) -> None:
    """B52."""
    twice = item("e-twice")
    assert [row["external_id"] for row in kept(web, batch(twice, twice)).events] == ["e-twice"]
    left = kept(web, batch(item("e-else"), item("e-else", event="open")))
    assert [row["external_id"] for row in left.events] == ["e-else"]
    assert [row["conflict"] for row in left.requests] == [True]


def test_an_id_that_changed_on_the_way_is_the_same_fact(web: Web) -> None:
    first = item("e-changing")
    assert len(kept(web, batch(first)).events) == 1
    left = kept(web, batch(first | {"sg_event_id": "e-changed"}, item("e-new-one")))
    assert [row["external_id"] for row in left.events] == ["e-new-one"]


def test_without_an_id_it_is_kept_once_and_linked_to_nothing(web: Web) -> None:
    """B53."""
    bare = item("e-none", hub_attempt=f"{DELIVERY}.1", tenant="another")
    del bare["sg_event_id"]
    left = kept(web, batch(bare))
    (event,) = left.events
    assert len(event["external_id"]) == 64
    assert event["state"] == "unmatched"
    assert web.event(event["id"])["data"]["delivery_id"] == DELIVERY
    assert kept(web, batch(bare)).events == []


def test_what_is_no_batch_is_kept_as_unreadable(web: Web) -> None:
    for body in (b"{}", b"[]", b"[{}]", b"not json"):
        left = kept(web, body)
        assert left.events == []
        assert [row["state"] for row in left.requests] == ["unreadable"]
        assert left.requests[0]["reason"]


def test_the_fixture_s_keys_belong_together() -> None:
    assert KEY.public_key() == public_key(MINE) != public_key(OTHER)
