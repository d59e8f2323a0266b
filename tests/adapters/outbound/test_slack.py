"""The slack destination: one post, and what each of Slack's words means."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from marshmallow import ValidationError

from adapters import Call, Effect, InvalidParameters, Verdict
from adapters.slack.outbound import SlackOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.gateways.servers import Far

Calls = Callable[..., Call]


def adapter(far: Far, transport: Any, **settings: Any) -> SlackOutbound:
    loaded = SlackOutbound.settings_schema().load({"url": far.url + "/services/T0/B0/x"} | settings)
    return SlackOutbound(loaded, transport)


def test_a_message_is_posted(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says((200, {"content-type": "text/html"}, b"ok"))
    message = {"text": "Neuer Käufer", "blocks": [{"type": "divider"}]}
    outcome = adapter(far, transport).perform(call("post", message))
    assert (outcome.verdict, outcome.code, outcome.message) == (Verdict.SUCCEEDED, None, "")
    assert far.seen[0].path == "/services/T0/B0/x"
    assert json.loads(far.seen[0].body) == message
    assert SlackOutbound.actions["post"].effect is Effect.AT_MOST_ONCE


@pytest.mark.parametrize(
    ("status", "word", "verdict"),
    [
        (400, "invalid_payload", Verdict.PERMANENT),
        (400, "invalid_blocks", Verdict.PERMANENT),
        (400, "no_text", Verdict.PERMANENT),
        (400, "too_many_attachments", Verdict.PERMANENT),
        (400, "user_not_found", Verdict.PERMANENT),
        (400, "missing_text_or_fallback_or_attachments", Verdict.PERMANENT),
        (400, "invalid_token", Verdict.BLOCKED),
        (400, "no_service", Verdict.BLOCKED),
        (403, "action_prohibited", Verdict.BLOCKED),
        (403, "invalid_token", Verdict.BLOCKED),
        (403, "posting_to_general_channel_denied", Verdict.BLOCKED),
        (404, "channel_not_found", Verdict.BLOCKED),
        (404, "no_service", Verdict.BLOCKED),
        (403, "team_disabled", Verdict.BLOCKED),
        (404, "no_active_hooks", Verdict.BLOCKED),
        (404, "no_service_id", Verdict.BLOCKED),
        (404, "no_team", Verdict.BLOCKED),
        (410, "channel_is_archived", Verdict.BLOCKED),
        (429, "rate_limited", Verdict.NOT_PROCESSED),
        (500, "rollup_error", Verdict.IN_DOUBT),
        (503, "service_unavailable", Verdict.IN_DOUBT),
    ],
)
def test_each_documented_error_has_its_verdict(
    far: Far, transport: GuardedTransport, call: Calls, status: int, word: str, verdict: Verdict
) -> None:
    far.says((status, {"retry-after": "30"}, word.encode()))
    outcome = adapter(far, transport).perform(call("post", {"text": "hi"}))
    assert (outcome.verdict, outcome.code, outcome.status) == (verdict, word, status)
    assert outcome.message == f"Slack answered {status}: {word}"
    assert outcome.retry_after_s == 30


@pytest.mark.parametrize("body", [b"", b"<html>ok</html>", b'{"ok": true}', b"okay", b"not ok"])
def test_a_2xx_that_is_not_ok_is_in_doubt(
    far: Far, transport: GuardedTransport, call: Calls, body: bytes
) -> None:
    far.says((200, {}, body))
    assert adapter(far, transport).perform(call("post", {"text": "x"})).verdict is Verdict.IN_DOUBT


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"text": ""},
        {"text": "  "},
        {"text": None},
        {"text": 5},
        {"text": "x" * 40_001},
        {"text": "x", "blocks": "y"},
        {"text": "x", "blocks": [{}] * 51},
        {"text": "x", "channel": "#general"},
    ],
)
def test_what_is_no_message_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, parameters: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameters):
        adapter(far, transport).perform(call("post", parameters))
    assert far.seen == []


def test_without_an_address_it_plays_in_the_sandbox(call: Calls) -> None:
    one = SlackOutbound(SlackOutbound.settings_schema().load({"url": ""}), None)  # type: ignore[arg-type]
    sandbox = RecordingTransport(one.sandbox_answer)
    one = SlackOutbound({}, sandbox)
    assert one.perform(call("post", {"text": "x"})).verdict is Verdict.SUCCEEDED
    assert sandbox.last is not None
    assert sandbox.last.body == b'{"text":"x"}'


def test_its_address_is_a_secret_and_checked() -> None:
    assert SlackOutbound.secrets == SlackOutbound.credentials == ("url",)
    with pytest.raises(ValidationError):
        SlackOutbound.settings_schema().load({"url": "hooks.slack.com/services"})


def test_its_probe_says_that_it_does_not_know(far: Far, transport: GuardedTransport) -> None:
    assert "not checked" in adapter(far, transport).probe().message
    assert far.seen == []
