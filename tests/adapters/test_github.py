"""Particulars of GitHub: forms, unsigned headers, and the list of its deliveries."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from marshmallow import ValidationError

from adapters.contract.errors import AccountRefused, AdapterError, NotSent, NotVerified, Unreadable
from adapters.contract.event import Event
from adapters.contract.inbound import ListedRecord
from adapters.contract.signatures.hmac import sign_hmac
from adapters.github.inbound import GithubInbound
from adapters.github.settings import GithubSettings
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.posting import FIXTURES, NOW, posted, vectors
from tests.far_end import FarEnd, Received, Reply

SECRET = "github_secret_number_one"
TOKEN = "github_pat_0123456789abcdef"
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
HEADERS = {"x-github-event": "issues", "x-github-delivery": GUID}
FORM = {"content-type": "application/x-www-form-urlencoded"}
BODY = b'{"action":"opened","issue":{"number":1}}'
PATH = "/repos/octocat/hello-world/hooks/7/deliveries"


def adapter(**more: Any) -> GithubInbound:
    return GithubInbound(GithubSettings().load({"secrets": [SECRET], **more}))


def parsed(body: bytes = BODY, headers: dict[str, str] | None = None) -> Event:
    (event,) = adapter().parse(posted(body, HEADERS if headers is None else headers))
    return event


@pytest.mark.parametrize("vector", vectors("github"), ids=lambda one: one["id"])
def test_vectors(vector: dict[str, Any]) -> None:
    ours = GithubInbound(GithubSettings().load({"secrets": vector["secrets"]}))
    request = posted(vector["body"], vector["headers"])
    if vector["expect"] == "valid":
        assert ours.verify(request) == "secrets[0]"
    else:
        with pytest.raises(NotVerified, match="X-Hub-Signature-256"):
            ours.verify(request)


def test_of_two_secrets_the_one_that_signed_is_named() -> None:
    ours = adapter(secrets=["github_secret_number_two", SECRET])
    signature = f"sha256={sign_hmac(SECRET, BODY)}"
    assert ours.verify(posted(BODY, {"X-Hub-Signature-256": signature})) == "secrets[1]"


def test_a_form_is_the_same_event_as_the_json_in_it() -> None:
    form = urlencode({"payload": BODY.decode()}).encode()
    assert parsed(form, HEADERS | FORM) == parsed()
    signature = {"x-hub-signature-256": f"sha256={sign_hmac(SECRET, form)}"}
    assert adapter().verify(posted(form, HEADERS | FORM | signature)) == "secrets[0]"
    for strange in (b"", b"load=%7B%7D", b"payload=", b"payload=%ff", b"payload=[]", BODY):
        with pytest.raises(Unreadable):
            parsed(strange, HEADERS | FORM)


@pytest.mark.parametrize(
    ("event", "action", "kind"),
    [
        ("issues", "opened", "github.issues.opened"),
        ("push", None, "github.push"),
        ("ping", None, "github.ping"),
        ("pull_request_review", "submitted", "github.pull_request_review.submitted"),
    ],
)
def test_the_type_is_the_event_and_its_action(event: str, action: str | None, kind: str) -> None:
    body = json.dumps({"action": action} if action else {"ref": "x"}).encode()
    assert parsed(body, HEADERS | {"x-github-event": event}).type == kind


@pytest.mark.parametrize("value", [None, "", "two words", "é", "x" * 256])
def test_without_a_header_that_names_it_an_event_is_kept(value: str | None) -> None:
    def without(name: str) -> Event:
        headers = {key: text for key, text in HEADERS.items() if key != name}
        return parsed(headers=headers if value is None else headers | {name: value})

    unnamed = without("x-github-event")
    assert (unnamed.type, unnamed.external_id) == ("github.webhook", GUID)
    assert "X-GitHub-Event" in unnamed.data["reason"]
    assert without("x-github-delivery").external_id == parsed().fact_key


@pytest.mark.parametrize(
    ("event", "payload", "found"),
    [
        ("release", {"release": {}}, None),
        ("deployment", {"release": {}}, "release"),
        ("payment", {"release": {}}, "release"),
        ("payment", {"issue": {}}, "issues"),
        ("watch", {"release": {}}, "release"),
        ("watch", {}, None),
        ("issues", {"issue": {}, "label": {}, "milestone": {}}, None),
        ("issues", {"issue": {}, "comment": {}}, "issue_comment"),
        ("issue_comment", {"issue": {}}, "issues"),
        ("deployment", {"deployment": {}, "workflow": {}, "workflow_run": {}}, None),
        ("ping", {"zen": "", "hook": {}, "hook_id": 1}, None),
        ("push", {"ref": ""}, None),
        ("secret_scanning_alert", {"alert": {}}, None),
        ("issue_dependencies", {"issue": {}}, None),
        ("new_to_everybody", {"alert": {}, "ref": ""}, None),
    ],
)
def test_an_event_that_the_payload_contradicts_is_not_believed(
    event: str, payload: dict[str, Any], found: str | None
) -> None:
    body = json.dumps({"action": "done", "repository": {}, **payload}).encode()
    told = parsed(body, HEADERS | {"x-github-event": event})
    if found is None:
        assert (told.type, told.data.get("reason")) == (f"github.{event}.done", None)
    else:
        assert told.type == "github.webhook"
        assert told.data["reason"] == (
            f"X-GitHub-Event says {event}, and the payload is that of {found}"
        )


def test_a_captured_request_is_one_fact_under_any_headers() -> None:
    told = [
        parsed(headers={"x-github-event": event, "x-github-delivery": f"id-{n}"})
        for n, event in enumerate(("issues", "issues", "deployment", "payment"))
    ]
    assert len({one.fact_key for one in told}) == 1
    assert parsed(BODY.replace(b"1", b"2")).fact_key != told[0].fact_key


@pytest.mark.parametrize(
    ("event", "payload", "is_once"),
    [
        ("repository_dispatch", {"action": "opened", "branch": "", "client_payload": {}}, False),
        ("workflow_dispatch", {"inputs": {}, "ref": "", "workflow": ""}, False),
        ("member", {"action": "added", "member": {"created_at": "2019"}}, False),
        ("membership", {"action": "removed", "member": {}, "team": {}, "scope": "team"}, False),
        ("team_add", {"team": {}, "repository": {"pushed_at": 1, "updated_at": "2019"}}, False),
        ("star", {"action": "deleted", "starred_at": None}, False),
        ("star", {"action": "deleted", "starred_at": None, "installation": {}}, False),
        ("star", {"action": "created", "starred_at": "2019"}, True),
        ("release", {"action": "published", "release": {}}, True),
        ("issues", {"action": "pinned", "issue": {}}, False),
        ("issues", {"action": ["opened"], "issue": {}}, False),
        ("issues", {"action": "labeled", "issue": {}, "label": {}}, True),
        ("issue_comment", {"action": "created", "issue": {}, "comment": {}}, True),
        ("pull_request_review", {"action": "edited", "pull_request": {}, "review": {}}, False),
        ("check_run", {"action": "rerequested", "check_run": {}}, False),
        ("status", {"sha": "", "context": "", "state": ""}, True),
        ("sponsorship", {"action": "created", "sponsorship": {}}, True),
    ],
)
def test_a_payload_that_may_come_again_is_one_fact_for_five_minutes(
    event: str, payload: dict[str, Any], is_once: bool
) -> None:
    told = [
        parsed(
            json.dumps({"repository": {}} | payload).encode(), HEADERS | {"x-github-event": name}
        )
        for name in (event, "watch", "nothing that is known")
    ]
    assert [one.fact_window_s for one in told] == [None if is_once else 300] * 3
    assert len({one.fact_key for one in told}) == 1


@pytest.mark.parametrize(
    ("name", "is_once"),
    [("issues.opened", True), ("push", True), ("push.new_branch", True), ("ping", False)],
)
def test_recorded_payloads_with_a_time_of_their_own_are_one_fact_for_ever(
    name: str, is_once: bool
) -> None:
    body = (FIXTURES / "github" / f"{name}.json").read_bytes()
    assert (parsed(body).fact_window_s is None) == is_once


@pytest.mark.parametrize(
    ("date", "moved_s"),
    [
        ("Fri, 20 Nov 2026 11:00:00 GMT", -3600),
        ("Fri, 20 Nov 2026 12:00:00 +0100", -3600),
        ("Fri, 20 Nov 2026 13:00:00 GMT", 0),
        ("Fri, 20 Nov 1026 11:00:00 GMT", 0),
        ("Fri, 20 Nov 2026 11:00:00", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_it_happened_when_it_was_sent_never_later_than_now(date: str, moved_s: int) -> None:
    event = parsed(headers=HEADERS | {"date": date})
    assert event.occurred_at == NOW + timedelta(seconds=moved_s)


class Hook:
    """GitHub's side of one hook: pages of deliveries, newest first, and each as it was sent."""

    def __init__(self, far: FarEnd, rows: list[dict[str, Any]], per_page: int = 2) -> None:
        self.far, self.rows, self.per_page = far, rows, per_page
        self.strange: dict[str, Reply] = {}

    def __call__(self, received: Received) -> Reply:
        path, _, query = received.path.partition("?")
        if received.path in self.strange:
            return self.strange[received.path]
        if path == PATH:
            return self.page(int(query.rpartition("cursor=")[2]) if "cursor=" in query else 0)
        return self.one(int(path.removeprefix(f"{PATH}/")))

    def page(self, start: int) -> Reply:
        end = start + self.per_page
        links = [f'<{self.far.url}{PATH}?per_page=100&cursor=0>; rel="prev"']
        if end < len(self.rows):
            links.append(f'<{self.far.url}{PATH}?per_page=100&cursor={end}>; rel="next"')
        body = json.dumps(self.rows[start:end]).encode()
        return Reply(body=body, headers={"Link": ", ".join(links)})

    def one(self, number: int) -> Reply:
        row = next(row for row in self.rows if row["id"] == number)
        headers = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": row["guid"], "X-Other": "x"}
        payload = {"action": "opened", "issue": {"number": number}}
        detail = row | {"request": {"headers": headers, "payload": payload}}
        return Reply(body=json.dumps(detail).encode())


def row(number: int, guid: str, hours_ago: int) -> dict[str, Any]:
    at = (NOW - timedelta(hours=hours_ago)).isoformat().replace("+00:00", "Z")
    return {"id": number, "guid": guid, "delivered_at": at, "status_code": 502}


ROWS = [row(9, "guid-c", 1), row(8, "guid-a", 2), row(7, "guid-b", 3), row(6, "guid-a", 4),
        row(5, "guid-old", 60)]  # fmt: skip
SINCE = NOW - timedelta(hours=48)


@pytest.fixture
def hook() -> Any:
    with FarEnd() as far:
        yield setattr(far, "behave", one := Hook(far, ROWS)) or one


def listed(far: FarEnd, **more: Any) -> list[ListedRecord]:
    settings = {"api_token": TOKEN, "hook": "octocat/hello-world/7", "base_url": far.url} | more
    transport = GuardedTransport(allow_private=True, timeout_s=15)
    return list(adapter(**settings).list_since(SINCE, NOW, transport, {}))


def test_the_list_is_read_over_all_pages_each_event_once_and_the_oldest_first(hook: Hook) -> None:
    events = []
    for one in listed(hook.far):
        (event,) = adapter().parse(posted(one.body, one.headers))
        events.append(event)
    assert [event.external_id for event in events] == ["guid-a", "guid-b", "guid-c"]
    assert [event.data["native"]["issue"]["number"] for event in events] == [6, 7, 9]
    assert [event.occurred_at for event in events] == [
        NOW - timedelta(hours=hours) for hours in (4, 3, 1)
    ]
    assert {event.type for event in events} == {"github.issues.opened"}
    asked = [one.path for one in hook.far.received]
    assert asked[0] == f"{PATH}?per_page=100"
    assert f"{PATH}/5" not in asked
    assert {one.headers["authorization"] for one in hook.far.received} == {f"Bearer {TOKEN}"}


def test_what_is_listed_is_what_came_live(hook: Hook) -> None:
    one = listed(hook.far)[0]
    (there,) = adapter().parse(posted(one.body, one.headers))
    live = json.dumps(json.loads(one.body), indent=2).encode()
    (here,) = adapter().parse(posted(live, HEADERS | {"x-github-delivery": there.external_id}))
    assert (here.external_id, here.fingerprint) == (there.external_id, there.fingerprint)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(401), AccountRefused, "does not know `api_token`"),
        (Reply(403), AccountRefused, "is `hook` right"),
        (Reply(404), AccountRefused, "is `hook` right"),
        (Reply(403, headers={"X-RateLimit-Remaining": "0"}), NotSent, "try again later"),
        (Reply(429), NotSent, "try again later"),
        (Reply(502), NotSent, "try again later"),
        (Reply(0), NotSent, "answer"),
        (Reply(body=b"<html>"), Unreadable, "JSON"),
        (Reply(body=b"{}"), Unreadable, "no list"),
        (Reply(body=b"[7]"), Unreadable, "no id and guid"),
        (Reply(body=b'[{"id": 1, "guid": "g"}]'), Unreadable, "delivered_at"),
    ],
)
def test_a_list_that_cannot_be_read_says_what_to_mend(
    hook: Hook, reply: Reply, error: type[AdapterError], words: str
) -> None:
    for path in (f"{PATH}?per_page=100", f"{PATH}?per_page=100&cursor=2"):
        hook.strange = {path: reply}
        with pytest.raises(error, match=words) as caught:
            listed(hook.far)
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("detail", [b"[]", b"{}", b'{"request": {"payload": [], "headers": {}}}'])
def test_a_delivery_that_does_not_say_what_was_sent_is_told(hook: Hook, detail: bytes) -> None:
    hook.strange = {f"{PATH}/6": Reply(body=detail)}
    with pytest.raises(Unreadable, match="delivery 6"):
        listed(hook.far)


def test_the_token_goes_nowhere_else(hook: Hook) -> None:
    with FarEnd() as elsewhere:
        links = {"Link": f'<{elsewhere.url}/more>; rel="next"'}
        hook.strange = {f"{PATH}?per_page=100": Reply(body=b"[]", headers=links)}
        with pytest.raises(Unreadable, match="not under `base_url`"):
            listed(hook.far)
        assert not elsewhere.received


def test_a_list_without_end_ends(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.github.listing.MOST_PAGES", 5)
    first = f"{PATH}?per_page=100"
    links = {"Link": f'<{hook.far.url}{first}>; rel="next"'}
    hook.strange = {first: Reply(body=b"[]", headers=links)}
    with pytest.raises(Unreadable, match="more than 5 pages"):
        listed(hook.far)
    assert len(hook.far.received) == 5


def test_nothing_is_listed_without_a_token_and_a_hook() -> None:
    transport = GuardedTransport(allow_private=True, timeout_s=15)
    for more in ({}, {"hook": "o/r/1"}, {"hook": "o/r/1", "api_token": ""}):
        with pytest.raises(AccountRefused, match="`api_token` and `hook`"):
            list(adapter(**more).list_since(SINCE, NOW, transport, {}))


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"api_token": TOKEN}, "api_token"),
        ({"hook": "octocat/7"}, "hook"),
        ({"hook": "octocat/hello-world/x"}, "hook"),
        ({"hook": "../../octocat/hello/7"}, "hook"),
        ({"hook": "octocat/hello/7\n"}, "hook"),
        ({"base_url": "ftp://git.example"}, "base_url"),
        ({"secrets": []}, "secrets"),
    ],
)
def test_a_fault_in_the_settings_is_told(more: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter(**more)
    assert list(caught.value.messages) == [path]
    assert TOKEN not in str(caught.value)
