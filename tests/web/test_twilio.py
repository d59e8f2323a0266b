"""Twilio webhooks on a real socket: signatures, and the handling of odd parameters.

Rows B14 to B21; the signed address is that of HUB_PUBLIC_URL, whatever the request says.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.adapters.twilio import CALLED, DELIVERY, FORM, RECEIVED, STATUS, signature
from tests.running import OPS_SECRET, RunningHub
from tests.stores import RedisServer
from tests.web.serving import Answer, Kept, Web

FIXTURES = Path(__file__).parent.parent / "fixtures" / "twilio"
ORIGIN = "https://hub.example.com"
PATH = "/webhooks/texts"
TOKEN = "an_auth_token_for_these_tests"
TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
CONFIG = f"""
sources:
  texts: {{adapter: twilio, secrets: [{TOKEN}]}}
destinations:
  ops: {{adapter: http, url: "https://ops.example/hook", secret: {OPS_SECRET}}}
routes:
  texts: {{on: "sms.*", do: ops.post, with: {{body: "{{{{ data.message_id }}}}"}}}}
"""

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@pytest.fixture(scope="module")
def web(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, _redis_server: RedisServer
) -> Iterator[Web]:
    """Run `hub web` unchanged, with a source of Twilio's and a public address."""
    with RunningHub(
        tmp_path_factory.mktemp("twilio"),
        database_url=module_database_url,
        redis_url=_redis_server.url,
        config=CONFIG,
        environ={"HUB_PUBLIC_URL": ORIGIN},
    ) as running:
        running.start("web")
        web = Web(running, module_database_url)
        yield web
        web.store.engine.dispose()
        assert "Traceback" not in running.logs()


def of(number: int, fields: Mapping[str, str] = RECEIVED) -> dict[str, str]:
    """Return the fields with a message or call id of their own."""
    name, prefix = ("CallSid", "CA") if "CallSid" in fields else ("MessageSid", "SM")
    return {**fields, name: f"{prefix}{number:032x}"}


def post(
    web: Web, fields: Fields, *headers: tuple[str, str], signed: str | None, path: str = PATH
) -> Answer:
    said = [("Content-Type", f"{FORM}; charset=UTF-8"), *headers]
    if signed is not None:
        said.append(("X-Twilio-Signature", signed))
    return web.send(urlencode(fields).encode(), *said, path=path)


def by_twilio(fields: Mapping[str, str], path: str = PATH, origin: str = ORIGIN) -> str:
    return signature(fields, url=origin + path, token=TOKEN)


def kept(web: Web, fields: Fields, signed: str, path: str = PATH) -> Kept:
    """Post a body that must be accepted; return the rows that it left."""
    before = web.ids()
    answer = post(web, fields, signed=signed, path=path)
    assert (answer.status, answer.body) == (200, TWIML)
    assert answer.headers["content-type"].partition(";")[0] == "text/xml"
    return web.kept(before)


FORGED = {
    "B14: no signature": lambda fields: None,
    "B14: an empty one": lambda fields: "",
    "B14: not ASCII": lambda fields: "\xe9" * 28,
    "B15: for http": lambda fields: by_twilio(fields, origin="http://hub.example.com"),
    "B16: without the query": lambda fields: by_twilio(fields),
    "B20: for the host that it says": lambda fields: by_twilio(
        fields, origin="https://evil.example"
    ),
    "for another source": lambda fields: by_twilio(fields, path="/webhooks/other?x=1"),
    "with another token": lambda fields: signature(
        fields, url=f"{ORIGIN}{PATH}?x=1", token="other"
    ),
    "for other fields": lambda fields: by_twilio({**fields, "Body": "Bye"}, path=f"{PATH}?x=1"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_signature_is_401_and_no_event(web: Web, forge: Any) -> None:
    before, fields = web.ids(), of(1)
    steering = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "host=evil.example;proto=https"),
    ]
    answer = post(web, fields, *steering, signed=forge(fields), path=f"{PATH}?x=1")
    assert answer.status == 401
    left = web.kept(before)
    assert left.events == []
    assert {row["state"] for row in left.requests} <= {"rejected"}


def test_headers_cannot_steer_what_the_address_is(web: Web) -> None:
    """B20, the other half: what Twilio signed for the public address is taken all the same."""
    fields = of(2)
    steering = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "evil.example")]
    assert post(web, fields, *steering, signed=by_twilio(fields)).status == 200


@pytest.mark.parametrize("query", ["", "?tenant=t%201&x=%5B1%5D&y=a+b", "?"])
@pytest.mark.parametrize("port", ["", ":443"])
def test_the_address_counts_as_it_is_written(web: Web, query: str, port: str) -> None:
    fields = of(100 + len(query) * 10 + len(port))
    signed = by_twilio(fields, path=PATH + query, origin=ORIGIN + port)
    [event] = kept(web, fields, signed, PATH + query).events
    assert (event["type"], event["external_id"]) == ("sms.received", fields["MessageSid"])


def test_a_boundary_that_was_moved_is_kept_and_unreadable(web: Web) -> None:
    """B17."""
    fields = of(3)
    moved = {**fields, "Body": f"{fields['Body']}From{fields['From']}"}
    del moved["From"]
    left = kept(web, moved, by_twilio(fields))
    assert left.events == []
    assert [row["state"] for row in left.requests] == ["unreadable"]


@pytest.mark.parametrize("sid", ["", "SM1", "SM" + "z" * 32])
def test_an_id_that_is_none_is_kept_and_unreadable(web: Web, sid: str) -> None:
    """B17."""
    fields = {**RECEIVED, "MessageSid": sid}
    left = kept(web, fields, by_twilio(fields))
    assert ([row["state"] for row in left.requests], left.events) == (["unreadable"], [])


def test_a_parameter_told_twice_with_one_value_counts_once(web: Web) -> None:
    """B18."""
    fields = of(4)
    left = kept(web, [*fields.items(), ("Body", fields["Body"])], by_twilio(fields))
    [event] = left.events
    assert web.event(event["id"])["data"]["body"] == fields["Body"]
    assert len(web.deliveries(event["id"])) == 1


def test_a_parameter_told_twice_with_two_values_is_kept_and_unreadable(web: Web) -> None:
    """B19. Values count in their order: `Hello`, `Hullo`."""
    fields = of(5)
    both = by_twilio({**fields, "Body": f"{fields['Body']}BodyHullo"})
    left = kept(web, [*fields.items(), ("Body", "Hullo")], both)
    assert ([row["state"] for row in left.requests], left.events) == (["unreadable"], [])


def test_a_callback_that_is_played_again_makes_nothing_new(web: Web) -> None:
    """B21: once more as it was, and as Twilio might send it again a day later."""
    fields = of(6, STATUS)
    path = f"{PATH}?hub_attempt={DELIVERY}.1"
    [event] = kept(web, fields, by_twilio(fields, path=path), path).events
    assert event["external_id"] == f"{fields['MessageSid']}:delivered"
    assert web.event(event["id"])["data"]["delivery_id"] == DELIVERY
    later = {**fields, "RawDlrDoneDate": "2611210930"}
    for again in (fields, later):
        left = kept(web, again, by_twilio(again, path=path), path)
        assert ([row["state"] for row in left.requests], left.events) == (["duplicate"], [])
        assert web.shown(left.requests[0]["id"])["conflict"] in (None, False, 0)
    assert web.event(event["id"])["duplicates"] == 2
    assert len(web.deliveries(event["id"])) == 1


def test_each_status_of_a_message_is_an_event_of_its_own(web: Web) -> None:
    for status in ("queued", "sent", "delivered", "read"):
        fields = {**of(7, STATUS), "MessageStatus": status}
        [event] = kept(web, fields, by_twilio(fields)).events
        assert event["type"] == f"sms.{status}"


def test_a_call_hears_twiml(web: Web) -> None:
    fields = {**of(8, CALLED), "CallStatus": "ringing"}
    [event] = kept(web, fields, by_twilio(fields)).events
    assert event["type"] == "call.received"


def test_a_json_body_is_proved_by_its_digest(web: Web) -> None:
    body = (FIXTURES / "event_stream.json").read_bytes()
    path = f"{PATH}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = [
        ("Content-Type", "application/json"),
        ("X-Twilio-Signature", signature(None, url=ORIGIN + path, token=TOKEN)),
    ]
    before = web.ids()
    assert web.send(body.replace(b"DELIVERED", b"READ"), *headers, path=path).status == 401
    assert web.send(body, *headers, path=path).status == 200
    events = web.kept(before).events
    assert {event["external_id"] for event in events} == {one["id"] for one in json.loads(body)}
