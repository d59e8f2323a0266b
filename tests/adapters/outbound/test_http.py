"""The http destination: what is signed and sent, what is refused, how answers are read."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from marshmallow import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters import Answer, Call, Effect, InvalidParameters, NotSent, Verdict
from adapters.http.outbound import HttpOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.cases import each_of
from tests.gateways.servers import Far

SECRET = "whsec_" + base64.b64encode(b"a test key of thirty-two bytes..").decode()
Calls = Callable[..., Call]


def adapter(far: Far, transport: Any, **settings: Any) -> HttpOutbound:
    loaded = HttpOutbound.settings_schema().load(
        {"url": far.url + "/hook?x=1", "secret": SECRET} | settings
    )
    return HttpOutbound(loaded, transport)


def verified(far: Far, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the last request's body as the reference implementation verifies it."""
    seen = far.seen[-1]
    webhook = Webhook(SECRET)
    monkeypatch.setattr(webhook, "_Webhook__verify_timestamp", lambda value: NOW)
    return webhook.verify(seen.body, seen.headers)


@pytest.mark.parametrize("action", ["post", "patch", "put"])
def test_the_reference_implementation_verifies_what_is_sent(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"who": "Jané", "amount": 1, "list": [1, None]}
    outcome = adapter(far, transport).perform(call(action, {"body": body}))
    assert (outcome.verdict, outcome.status, outcome.message) == (Verdict.SUCCEEDED, 200, "")
    seen = far.seen[0]
    assert (seen.method, seen.path) == (action.upper(), "/hook?x=1")
    assert seen.headers["webhook-id"] == "d1"
    assert seen.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert seen.headers["content-type"] == "application/json"
    assert b", " not in seen.body
    assert verified(far, monkeypatch) == body
    seen.body += b" "
    with pytest.raises(WebhookVerificationError):
        verified(far, monkeypatch)


def test_a_replay_s_key_is_signed_too(
    far: Far, transport: GuardedTransport, call: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(far, transport).perform(call("post", {"body": {}}, key="0190f1c2-7a3b.2"))
    assert far.seen[0].headers["webhook-id"] == "0190f1c2-7a3b_2"
    assert verified(far, monkeypatch) == {}


def test_the_same_value_has_the_same_bytes_whatever_its_order(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    one = adapter(far, transport)
    one.perform(call("post", {"body": {"b": 1, "a": {"d": 1, "c": 2}}}))
    one.perform(call("post", {"body": {"a": {"c": 2, "d": 1}, "b": 1}}, attempt_id="a2"))
    assert far.seen[0].body == far.seen[1].body
    assert far.seen[0].headers["webhook-id"] == far.seen[1].headers["webhook-id"]


@pytest.mark.parametrize(
    ("parameters", "body", "content_type"),
    [
        ({"body": "héllo"}, "héllo".encode(), "text/plain; charset=utf-8"),
        ({"body": [1, 2]}, b"[1,2]", "application/json"),
        ({"body": {}}, b"{}", "application/json"),
        ({"body": ""}, b"", "text/plain; charset=utf-8"),
        ({}, b"", None),
        ({"body": None}, b"", None),
        (
            {"body": "{}", "headers": {"Content-Type": "application/json"}},
            b"{}",
            "application/json",
        ),
    ],
)
def test_a_text_is_sent_as_it_is_and_the_rest_as_json(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    parameters: dict[str, Any],
    body: bytes,
    content_type: str | None,
) -> None:
    adapter(far, transport).perform(call("post", parameters))
    assert far.seen[0].body == body
    assert far.seen[0].headers.get("content-type") == content_type


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("orders/42", "/hook/orders/42?x=1"),
        ("/orders/42/", "/hook/orders/42/?x=1"),
        ("a b", "/hook/a%20b?x=1"),
        ("a%2Fb", "/hook/a%2Fb?x=1"),
        ("https:evil.example", "/hook/https:evil.example?x=1"),
        (".evil.example", "/hook/.evil.example?x=1"),
        ("@evil.example", "/hook/@evil.example?x=1"),
        ("é", "/hook/%C3%A9?x=1"),
        ("", "/hook?x=1"),
    ],
)
def test_a_path_is_added_below_the_url(
    far: Far, transport: GuardedTransport, call: Calls, path: str, sent: str
) -> None:
    assert adapter(far, transport).perform(call("post", {"path": path})).status == 200
    assert far.seen[0].path == sent


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"path": "../admin"}, "path"),
        ({"path": "a/%2e%2E/b"}, "path"),
        ({"path": "a/%252e%252e/b"}, "path"),
        ({"path": "a/./b"}, "path"),
        ({"path": "//evil.example/x"}, "path"),
        ({"path": "https://evil.example/x"}, "path"),
        ({"path": "a?b=c"}, "path"),
        ({"path": "a#b"}, "path"),
        ({"path": "a\\b"}, "path"),
        ({"path": "a\r\nb"}, "path"),
        ({"path": "a%0d%0ab"}, "path"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers"),
        ({"headers": {"x": "a\0"}}, "headers"),
        ({"headers": {"x\r\ny": "a"}}, "headers"),
        ({"headers": {"x y": "a"}}, "headers"),
        ({"headers": {"": "a"}}, "headers"),
        ({"headers": {"Webhook-Id": "a"}}, "headers"),
        ({"headers": {"HOST": "a"}}, "headers"),
        ({"headers": {"content-length": "1"}}, "headers"),
        ({"headers": {"transfer-encoding": "chunked"}}, "headers"),
        ({"headers": {"x": 1}}, "headers.x"),
        ({"headers": "x"}, "headers"),
        ({"body": 5}, "body"),
        ({"body": {"a": float("nan")}}, "body"),
        ({"body": {"a": object()}}, "body"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_parameters_that_cannot_be_sent_are_refused_and_nothing_is_sent(
    far: Far, transport: GuardedTransport, call: Calls, parameters: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InvalidParameters) as caught:
        adapter(far, transport).perform(call("post", parameters))
    assert any(path.startswith(fault) for path in caught.value.faults)
    assert far.seen == []


def test_headers_come_from_settings_and_parameters_and_never_replace_the_signature(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    one = adapter(far, transport, headers={"Authorization": "Bearer a", "X-One": "1"})
    one.perform(call("post", {"headers": {"x-one": "2"}}))
    assert far.seen[0].headers["authorization"] == "Bearer a"
    assert far.seen[0].headers["x-one"] == "2"


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://example.org"},
        {"url": "https://a:b@example.org"},
        {"url": "https://example.org/#x"},
        {"url": "example.org"},
        {"url": ""},
        {"url": "https://exa mple.org"},
        {"secret": "whsec_short"},
        {"secret": "whsec_not base64 at all!"},
        {"secret": "short"},
        {"headers": {"webhook-id": "x"}},
        {"headers": {"x": "a\nb"}},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(far: Far, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter(far, None, **settings)
    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.SUCCEEDED),
        (204, Verdict.SUCCEEDED),
        (302, Verdict.PERMANENT),
        (400, Verdict.PERMANENT),
        (401, Verdict.BLOCKED),
        (403, Verdict.BLOCKED),
        (404, Verdict.PERMANENT),
        (408, Verdict.NOT_PROCESSED),
        (405, Verdict.PERMANENT),
        (409, Verdict.PERMANENT),
        (410, Verdict.PERMANENT),
        (413, Verdict.PERMANENT),
        (415, Verdict.PERMANENT),
        (422, Verdict.PERMANENT),
        (425, Verdict.NOT_PROCESSED),
        (429, Verdict.NOT_PROCESSED),
        (500, Verdict.IN_DOUBT),
        (502, Verdict.IN_DOUBT),
        (503, Verdict.IN_DOUBT),
        (504, Verdict.IN_DOUBT),
    ],
)
@each_of("action", ["post", "patch", "put"])
def test_each_answer_has_its_verdict(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    status: int,
    verdict: Verdict,
) -> None:
    far.says((status, {"retry-after": "7"}, b"<html>"))
    outcome = adapter(far, transport).perform(call(action, {"body": {}}))
    assert outcome.verdict is verdict
    assert outcome.retry_after_s == (None if verdict is Verdict.SUCCEEDED else 7)
    assert "html" not in outcome.message


def test_only_the_far_end_s_own_words_are_shown_and_never_the_secret(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    said = {"error": f"jane@example.org is unknown to {SECRET}", "request": {"name": "Jane"}}
    far.says((422, {}, json.dumps(said).encode()))
    outcome = adapter(far, transport).perform(call("post", {"body": {"name": "Jane"}}))
    assert outcome.message == "127.0.0.1 answered 422: [e-mail] is unknown to ***"


def test_without_a_secret_it_plays_in_the_sandbox(far: Far, call: Calls) -> None:
    assert HttpOutbound.credentials == ("secret",)
    one = HttpOutbound({"url": "https://example.org/hook", "secret": ""}, None)  # type: ignore[arg-type]
    sandbox = RecordingTransport(one.sandbox_answer)
    one = adapter(far, sandbox, url="https://example.org/hook", secret="")
    assert one.perform(call("post", {"body": {"a": 1}})).verdict is Verdict.SUCCEEDED
    assert sandbox.last is not None
    assert (sandbox.last.url, sandbox.last.body) == ("https://example.org/hook", b'{"a":1}')


def test_base_url_sends_everything_elsewhere(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    settings = {"url": "https://example.org/hook?x=1", "secret": SECRET, "base_url": far.url + "/"}
    HttpOutbound(settings, transport).perform(call("post", {"path": "a"}))
    assert far.seen[0].path == "/hook/a?x=1"


def test_its_classes_and_its_probe(far: Far, transport: GuardedTransport) -> None:
    assert {name: action.effect for name, action in HttpOutbound.actions.items()} == {
        "post": Effect.KEYED,
        "patch": Effect.KEYED,
        "put": Effect.NATURAL,
    }
    assert "not checked" in adapter(far, transport).probe().message
    assert far.seen == []


def test_a_guard_s_refusal_reaches_the_caller(far: Far, call: Calls) -> None:
    with pytest.raises(NotSent):
        adapter(far, GuardedTransport()).perform(call("post", {}))
    assert Answer(204, {}, b"") == adapter(far, None).sandbox_answer("POST", "x")
