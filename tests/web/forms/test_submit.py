"""Form submissions, `POST /forms/<source>`, on a real socket: answers and stored leads."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.running import until
from tests.web.serving import ORIGIN, Answer, Kept, Web, token

FIXTURES = Path(__file__).parents[2] / "fixtures"
FORM = "/forms/contact"
THANKS = f"{ORIGIN}/thanks"
ROOF = f"{ORIGIN}/thanks-roof"
JANE = {"name": "Jane Doe", "email": "jane@example.com", "message": "It leaks."}
MOST_REFUSE_S = 5
COUNTED_WITHIN_S = 20
EVIL = "https://evil.example"


def post(
    web: Web,
    values: dict[str, Any] | bytes,
    *headers: tuple[str, str],
    path: str = FORM,
    method: str = "POST",
) -> Answer:
    """Post a form as a browser does."""
    body = values if isinstance(values, bytes) else urlencode(values).encode()
    given = {name.lower() for name, _ in headers}
    usual = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html,*/*")]
    usual = [pair for pair in usual if pair[0].lower() not in given]
    return web.send(body, *usual, *headers, path=path, method=method)


def post_json(web: Web, values: Any, *headers: tuple[str, str]) -> Answer:
    return post(web, json.dumps(values).encode(), ("Content-Type", "application/json"), *headers)


def multipart(parts: list[tuple[str, str]], boundary: str = "b") -> bytes:
    """Return parts, each a disposition and a value, as a browser sends them."""
    body = "".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n"
        for disposition, value in parts
    )
    return f"{body}--{boundary}--\r\n".encode()


def only_lead(web: Web, kept: Kept) -> dict[str, Any]:
    [event] = kept.events
    assert event["type"] == "lead.submitted"
    return web.event(event["id"])


def assert_safe_page(answer: Answer) -> None:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert b"<script" not in answer.body


def assert_nothing_kept(web: Web, before: set[str]) -> None:
    kept = web.kept(before)
    assert (kept.events, kept.requests) == ([], [])


def test_a_browser_is_sent_to_the_page_of_thanks_and_the_lead_is_stored(web: Web) -> None:
    before = web.ids()
    answer = post(web, JANE | {"redirect": EVIL, "_redirect": EVIL, "next": EVIL})
    assert (answer.status, answer.headers["location"]) == (303, THANKS)
    event = only_lead(web, web.kept(before))
    assert event["data"]["fields"] == JANE
    assert len(web.deliveries(event["id"])) == 1


def test_without_a_page_of_thanks_the_hub_has_one(web: Web) -> None:
    answer = post(web, {"email": "jane@example.com"}, path="/forms/plain")
    assert answer.status == 200
    assert_safe_page(answer)
    assert b"Thank you" in answer.body


@pytest.mark.parametrize("kind", ["urlencoded", "multipart", "json"])
def test_each_kind_of_body_gives_the_same_lead(web: Web, kind: str) -> None:
    before = web.ids()
    if kind == "multipart":
        body = multipart([(f'name="{name}"', value) for name, value in JANE.items()])
        answer = post(web, body, ("Content-Type", "multipart/form-data; boundary=b"))
    else:
        answer = post_json(web, JANE) if kind == "json" else post(web, JANE)
    assert answer.status == (200 if kind == "json" else 303)
    assert only_lead(web, web.kept(before))["data"]["fields"] == JANE


@pytest.mark.parametrize("accept", ["application/json", "text/html;q=0.5, application/json"])
def test_a_script_that_asks_for_json_gets_the_event(web: Web, accept: str) -> None:
    before = web.ids()
    answer = post(web, JANE, ("Accept", accept))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    event = only_lead(web, web.kept(before))
    assert json.loads(answer.body) == {"id": event["id"], "next": THANKS}


def test_a_double_click_is_one_lead_and_both_are_told_the_same(web: Web) -> None:
    """B68, and fifty clicks."""
    before = web.ids()
    values = JANE | {"_token": token(web, "view-68")}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post_json(web, values), range(50)))
    answers += [post_json(web, values)]
    assert {answer.status for answer in answers} == {200}
    event = only_lead(web, web.kept(before))
    assert event["external_id"] == "token:view-68"
    assert {json.loads(answer.body)["id"] for answer in answers} == {event["id"]}
    assert event["duplicates"] == 50
    assert len(web.deliveries(event["id"])) == 1
    assert post(web, values).headers["location"] == THANKS


def test_a_token_that_is_not_ours_is_no_fault_and_no_name(web: Web) -> None:
    before = web.ids()
    for _ in range(2):
        assert post(web, JANE | {"_token": "view-1"}).status == 303
    assert [event["duplicates"] for event in web.kept(before).events] == [0, 0]


def test_only_a_target_of_the_list_is_gone_to(web: Web) -> None:
    for wanted, target in ((ROOF, ROOF), (EVIL, THANKS), (f"{ROOF}?x=1", THANKS), ("", THANKS)):
        answer = post(web, JANE | {"_next": wanted})
        assert (answer.status, answer.headers["location"]) == (303, target)
        assert json.loads(post_json(web, JANE | {"_next": wanted}).body)["next"] == target


def test_naughty_strings_are_stored_as_they_came(web: Web) -> None:
    """B71: all in one test, since each is a request."""
    naughty = json.loads((FIXTURES / "naughty-strings" / "blns.json").read_text("utf-8"))
    for start in range(0, len(naughty), 100):
        some = naughty[start : start + 100]
        before = web.ids()
        for text in some:
            assert post(web, JANE | {"name": text, "message": text}).status == 303
        stored = [web.event(event["id"])["data"]["fields"] for event in web.kept(before).events]
        told = sorted(fields.get("message", "") for fields in stored)
        assert told == sorted(some)
        assert all(fields.get("name") == fields.get("message") for fields in stored)


def test_undeclared_fields_are_ignored(web: Web) -> None:
    """B78."""
    before = web.ids()
    assert post(web, JANE | {"is_admin": "1", "status": "done", "id": "1"}).status == 303
    data = only_lead(web, web.kept(before))["data"]
    assert data["fields"] == JANE
    assert not {"is_admin", "status", "id"} & data.keys()


def test_what_fills_in_the_trap_is_held_and_starts_nothing(web: Web) -> None:
    """B77."""
    before = web.ids()
    assert post(web, JANE | {"_gotcha": "x"}).status == 303
    [event] = web.kept(before).events
    assert (event["type"], event["state"]) == ("lead.submitted", "held")
    assert web.deliveries(event["id"]) == []


def test_a_browser_reads_what_to_mend_and_nothing_is_kept(web: Web) -> None:
    before = web.ids()
    answer = post(web, {"name": "<script>alert(1)</script>\n", "email": '"><img src=x>'})
    assert answer.status == 422
    assert_safe_page(answer)
    page = answer.body.decode()
    assert "<strong>Your &lt;name&gt;</strong>: This must be a single line." in page
    assert "<strong>Email</strong>: Please enter an e-mail address" in page
    assert "img" not in page
    assert_nothing_kept(web, before)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, ["email"]),
        ({"email": "a@b.co\r\nBcc: x@y"}, ["email"]),
        ({"email": "a@b.co", "name": "Ann\r\nBcc: x@y"}, ["name"]),
        ({"email": "a@b.co", "message": "a\x00b"}, ["message"]),
        ({"email": "x", "name": "\x00"}, ["email", "name"]),
    ],
)
def test_a_script_is_told_each_field(web: Web, values: dict[str, str], names: list[str]) -> None:
    """B69, B72, B73."""
    before = web.ids()
    for answer in (post_json(web, values), post(web, values, ("Accept", "application/json"))):
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.body)
        assert (problem["status"], problem["type"]) == (422, "about:blank")
        assert sorted(problem["errors"]) == names
    assert_nothing_kept(web, before)


def test_bytes_that_are_no_utf8_are_a_field_to_mend(web: Web) -> None:
    """B70."""
    before = web.ids()
    assert post(web, b"email=a@b.co&name=%ff%fe").status == 422
    assert_nothing_kept(web, before)


def test_a_refused_form_is_counted_without_what_was_typed(web: Web) -> None:
    rejected = web.rejected("contact")
    assert post(web, {"email": "private words"}).status == 422
    until(lambda: web.rejected("contact") > rejected, COUNTED_WITHIN_S, "the refusal to be counted")
    assert "private words" not in web.running.logs()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"email=a@b.co", "text/plain", 415),
        (b"<a/>", "application/xml", 415),
        (b"", "multipart/form-data", 400),
        (b"--b\r\n", "multipart/form-data; boundary=b", 400),
        (multipart([('name="email"', "a@b.co")])[:-6], "multipart/form-data; boundary=b", 400),
        (multipart([('name="cv"; filename="cv"', "1")]), "multipart/form-data; boundary=b", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"email": "a", "email": "b"}', "application/json", 400),
        (b"&".join([b"a=1"] * 50_000), "application/x-www-form-urlencoded", 413),
        (multipart([('name="a"', "1")] * 1001), "multipart/form-data; boundary=b", 413),
        (b"message=" + b"x" * 600_000, "application/x-www-form-urlencoded", 413),
        (multipart([('name="message"', "x" * 600_000)]), "multipart/form-data; boundary=b", 413),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_no_form_or_too_much_is_refused_at_once(
    web: Web, body: bytes, kind: str, status: int, *, as_json: bool
) -> None:
    """B62, B79 to B82."""
    before = web.ids()
    accept = ("Accept", "application/json" if as_json else "text/html")
    started = time.monotonic()
    answer = post(web, body, ("Content-Type", kind), accept)
    assert time.monotonic() - started < MOST_REFUSE_S
    assert answer.status == status
    if as_json or kind == "application/json":
        assert json.loads(answer.body)["status"] == status
    else:
        assert_safe_page(answer)
    assert_nothing_kept(web, before)


def test_a_compressed_form_is_refused(web: Web) -> None:
    assert post(web, b"x", ("Content-Encoding", "gzip")).status == 415


def test_a_page_of_another_site_is_refused_and_leaves_a_trace(web: Web) -> None:
    """B84."""
    before = web.ids()
    answer = post(web, JANE, ("Origin", EVIL))
    assert answer.status == 403
    assert_safe_page(answer)
    assert "access-control-allow-origin" not in answer.headers
    kept = web.kept(before)
    assert kept.events == []
    assert [row["state"] for row in kept.requests] == ["rejected"]


@pytest.mark.parametrize("values", [JANE, {"email": "x"}], ids=["good", "wrong"])
def test_a_script_of_our_page_may_read_the_answer(web: Web, values: dict[str, str]) -> None:
    answer = post_json(web, values, ("Origin", ORIGIN))
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_script_of_our_page_may_read_a_refusal(web: Web, kind: str) -> None:
    answer = post(web, b"{" * 600_000, ("Content-Type", kind), ("Origin", ORIGIN))
    assert answer.status in (413, 415)
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def preflight(web: Web, origin: str, path: str = FORM) -> Answer:
    asked = ("Access-Control-Request-Method", "POST")
    return web.send(b"", ("Origin", origin), asked, path=path, method="OPTIONS")


def test_a_preflight_is_answered_for_our_pages_alone(web: Web) -> None:
    answer = preflight(web, ORIGIN)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["access-control-allow-headers"].lower() == "content-type"
    for origin in (EVIL, "null"):
        refused = preflight(web, origin)
        assert refused.status == 403
        assert not any(name.startswith("access-control-") for name in refused.headers)
    assert preflight(web, ORIGIN, path="/forms/plain").status == 403


@pytest.mark.parametrize(
    "path",
    ["/forms/nobody", "/forms/stripe", "/forms/mail", "/forms/closed", "/forms/contact/",
     "/forms/contact/secret", "/webhooks/contact", "/webhooks/contact/secret", "/forms/",
     "//forms/contact", "/forms/%63ontact"],
)  # fmt: skip
def test_there_is_nothing_at_other_addresses(web: Web, path: str) -> None:
    before = web.ids()
    assert post(web, JANE, path=path).status == 404
    assert_nothing_kept(web, before)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_form_is_shown_and_posted_and_nothing_else(web: Web, method: str) -> None:
    answer = post(web, b"", method=method)
    assert answer.status == 405


def test_another_host_is_refused(web: Web) -> None:
    """B66."""
    refused = post(web, JANE, ("Host", "evil.example"))
    assert refused.status == 400
    assert b"HUB_TRUSTED_HOSTS" in refused.body
