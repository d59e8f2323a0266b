"""Requests of the twilio adapter: each is as it was recorded, and fits Twilio's own file."""

import json
from base64 import b64decode
from typing import Any

import pytest

from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.twilio_calls import (
    ACCOUNT,
    API,
    KEY_SECRET,
    KEY_SID,
    MESSAGES,
    SPECIFICATION,
    TOKEN,
)
from tests.adapters.outbound.twilio_wire import LISTS, LOOK_UPS, PROBES, RECORDED, SENDS, requests
from tests.gateways.servers import Far

RECORDS: dict[str, list[dict[str, Any]]] = json.loads(RECORDED.read_text("utf-8"))


def test_each_request_is_the_recorded_one(far: Far, transport: GuardedTransport) -> None:
    assert dict(requests(far, transport)) == RECORDS


def test_there_is_a_record_of_every_call() -> None:
    assert RECORDS.keys() == {*SENDS, *LOOK_UPS, *LISTS, *PROBES}
    assert {path for one in RECORDS.values() for path in map(_path, one)} >= {
        MESSAGES,
        f"{API}.json",
        f"{API}/Messages/{'MM' + 'c' * 32}/Media.json",
    }


@pytest.mark.parametrize("name", RECORDS)
def test_each_record_fits_the_specification(name: str) -> None:
    for one in RECORDS[name]:
        url = f"https://api.twilio.com{one['path']}"
        SPECIFICATION.check(one["method"], url, one["headers"], one["body"].encode())


@pytest.mark.parametrize("name", RECORDS)
def test_an_api_key_signs_in_for_the_account_that_the_path_names(name: str) -> None:
    user, secret = (KEY_SID, KEY_SECRET) if "API key" in name else (ACCOUNT, TOKEN)
    for one in RECORDS[name]:
        kind, _, basic = one["headers"]["authorization"].partition(" ")
        assert (kind, b64decode(basic).decode()) == ("Basic", f"{user}:{secret}")
        assert one["path"].startswith(f"{API}")
        assert one["headers"]["user-agent"] == "hub"
        assert not [header for header in one["headers"] if header.startswith("x-")]


def _path(request: dict[str, Any]) -> str:
    return str(request["path"]).partition("?")[0]
