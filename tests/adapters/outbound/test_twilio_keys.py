"""API keys of Twilio beside the auth token: which is used, what a half one is, what is shown."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from marshmallow import ValidationError

from adapters import Call, LookupVerdict
from adapters.contract.errors import AccountRefused
from adapters.twilio.api import Credentials, list_messages
from adapters.twilio.outbound import TwilioOutbound
from hub.config import load_config
from hub.core.errors import ConfigError
from hub.gateways.http.transport import GuardedTransport
from tests import twilio_far_end
from tests.adapters.outbound.conftest import NOW
from tests.adapters.outbound.twilio_calls import (
    ACCOUNT,
    KEY,
    KEY_SECRET,
    KEY_SID,
    SENDER,
    TEXT,
    TO,
    TOKEN,
    Said,
    made,
    says,
)
from tests.far_end import FarEnd
from tests.gateways.servers import Far
from tests.twilio_far_end import TwilioFarEnd

Calls = Callable[..., Call]

TO_CHECK = "check `account_sid`, `api_key_sid` and `api_key_secret`"


def test_a_key_is_as_good_as_a_token() -> None:
    without = {"account_sid": ACCOUNT, "from": SENDER}
    assert TwilioOutbound.missing(without | KEY) == []
    assert TwilioOutbound.missing(KEY | {"from": SENDER}) == [("account_sid",)]
    assert TwilioOutbound.secrets == ("auth_token", "api_key_secret")


@pytest.mark.parametrize(
    ("given", "fault", "words"),
    [
        ({"api_key_sid": KEY_SID}, "api_key_sid", "needs `api_key_secret`"),
        ({"api_key_sid": KEY_SID, "api_key_secret": " "}, "api_key_sid", "needs `api_key_secret`"),
        ({"api_key_secret": KEY_SECRET}, "api_key_secret", "needs `api_key_sid`"),
        ({"api_key_sid": ACCOUNT, "api_key_secret": KEY_SECRET}, "api_key_sid", "like SK..."),
        ({"api_key_sid": TOKEN, "api_key_secret": KEY_SECRET}, "api_key_sid", "like SK..."),
    ],
)
@pytest.mark.parametrize("token", [{}, {"auth_token": TOKEN}])
def test_half_a_key_is_a_fault(
    given: dict[str, str], fault: str, words: str, token: dict[str, str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        TwilioOutbound.settings_schema().load({"account_sid": ACCOUNT} | token | given)
    assert isinstance(refused.value.messages, dict)
    assert list(refused.value.messages) == [fault]
    assert words in str(refused.value)
    assert KEY_SECRET not in str(refused.value)


@pytest.mark.parametrize("blank", [{"api_key_sid": "", "api_key_secret": " "}, {}])
def test_a_blank_key_is_none(blank: dict[str, str]) -> None:
    loaded = TwilioOutbound.settings_schema().load({"auth_token": TOKEN} | blank)
    assert not Credentials.of(loaded).by_key


def test_half_a_key_is_told_in_its_line(tmp_path: Path) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(
        "destinations:\n"
        "  sms:\n"
        "    adapter: twilio\n"
        f"    account_sid: {ACCOUNT}\n"
        '    auth_token: "${TOKEN}"\n'
        f"    api_key_sid: {KEY_SID}\n"
        '    api_key_secret: "${KEY_SECRET:-}"\n'
    )
    with pytest.raises(ConfigError) as refused:
        load_config(path, {"TOKEN": TOKEN}, published_secrets_allowed=True, allow_private=True)
    [fault] = str(refused.value).splitlines()
    assert "hub.yaml:6: destinations.sms.api_key_sid: needs `api_key_secret`" in fault
    loaded = load_config(
        path,
        {"TOKEN": TOKEN, "KEY_SECRET": KEY_SECRET},
        published_secrets_allowed=True,
        allow_private=True,
    )
    assert loaded.destinations["sms"].settings["api_key_secret"] == KEY_SECRET


def test_neither_secret_is_shown(far: Far, transport: GuardedTransport, call: Calls) -> None:
    said = f"no {KEY_SECRET} and no {TOKEN}"
    far.says(says(400, {"code": 21211, "message": said, "status": 400}))
    outcome = made(transport, far.url, **KEY).perform(call("send", {"to": TO, "body": TEXT}))
    assert outcome.message == "Twilio answered 400: 21211: no *** and no ***"
    shown = repr(Credentials.of(KEY | {"auth_token": TOKEN}))
    assert KEY_SECRET not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("said", "ok", "words"),
    [
        (says(200, {"messages": []}), True, "accepts the API key"),
        (says(200, {"sid": ACCOUNT, "status": "active"}), False, "base_url"),
        ((200, {}, b"<html>"), False, "base_url"),
        (says(401, {"code": 20003, "message": "no"}), False, "`api_key_sid` and `api_key_secret`"),
        (says(403, {"code": 20003, "message": "no"}), False, "Allow the API key to create and"),
        (says(404, {"code": 20404, "message": "no"}), False, "base_url"),
        (says(429, {"code": 20429, "message": "no"}), False, "try again later"),
        (says(503, {}), False, "try again later"),
    ],
)
def test_a_key_is_probed_by_what_every_kind_of_key_may_read(
    far: Far, transport: GuardedTransport, said: Said, ok: bool, words: str
) -> None:
    far.says(said)
    probe = made(transport, far.url, **KEY).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert KEY_SECRET not in probe.message
    assert {seen.path.partition("?")[2] for seen in far.seen} == {"PageSize=1"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_list_that_a_key_may_not_read_says_what_to_check(
    far: Far, transport: GuardedTransport, status: int
) -> None:
    far.says(says(status, {"code": 20003, "message": "no"}))
    settings = {"account_sid": ACCOUNT, "base_url": far.url, **KEY}
    with pytest.raises(AccountRefused, match=TO_CHECK):
        list(list_messages(NOW, transport, settings))
    for incomplete in (KEY, {"account_sid": ACCOUNT, "api_key_sid": KEY_SID}):
        with pytest.raises(AccountRefused, match="to list messages takes"):
            list(list_messages(NOW, transport, incomplete))


def test_a_key_sends_finds_and_lists_what_a_token_does(transport: GuardedTransport) -> None:
    twilio = TwilioFarEnd(timeout_s=15)
    with FarEnd(twilio.behave) as far_end:
        by_key = {
            "auth_token": "",
            "api_key_sid": twilio_far_end.KEY_SID,
            "api_key_secret": twilio_far_end.KEY_SECRET,
        }
        one = made(transport, far_end.url, account_sid=twilio_far_end.ACCOUNT, **by_key)
        assert one.probe().ok
        now = datetime.now(UTC)
        text = Call("send", {"to": TO, "body": TEXT}, key="k", attempt_id="a.1", now=now)
        ref = one.perform(text).provider_ref
        found = one.look_up(text, now)
        settings = by_key | {"account_sid": twilio_far_end.ACCOUNT, "base_url": far_end.url}
        [listed] = list_messages(now, transport, settings)
    assert ref is not None
    assert (found.verdict, found.provider_ref) == (LookupVerdict.THERE, ref)
    assert dict(parse_qsl(listed.body.decode()))["MessageSid"] == ref
