"""Handshakes: a sender's challenge is echoed if it proves itself, and nothing is stored."""

from collections.abc import Iterator
from hashlib import sha256
from hmac import new as hmac
from urllib.parse import quote

import pytest

from tests.running import RunningHub
from tests.stores import RedisServer
from tests.web.serving import Answer, Web, request

TOKEN = "the-token-that-both-sides-know"
SECRET = "the-app-secret-of-this-test"
CONFIG = f"""
sources:
  meta:
    adapter: hmac
    secrets: [{SECRET}]
    header: X-Hub-Signature-256
    prefix: sha256=
    challenge: {{query: hub.challenge, token_query: hub.verify_token, token: {TOKEN}}}
  chat:
    adapter: hmac
    secrets: [{SECRET}]
    header: X-Signature
    type_path: type
    challenge: {{body: challenge, type: url_verification}}
  off:
    adapter: hmac
    enabled: false
    secrets: [{SECRET}]
    header: X-Signature
    challenge: {{query: hub.challenge}}
  stripe: {{adapter: stripe, secrets: ["${{STRIPE_WEBHOOK_SECRET}}"]}}
"""


@pytest.fixture(scope="module")
def web(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, _redis_server: RedisServer
) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("handshake")
    with RunningHub(
        folder, database_url=module_database_url, redis_url=_redis_server.url, config=CONFIG
    ) as running:
        running.start("web")
        web = Web(running, module_database_url)
        yield web
        web.store.engine.dispose()
        assert "Traceback" not in running.logs()
        assert TOKEN not in running.logs()


def ask(web: Web, path: str, *, method: str = "GET") -> Answer:
    """Send a request without a body, of which nothing may be stored."""
    before = web.ids()
    raw = request(b"", path=path, method=method)
    answer = web.exchange(raw, method=method)
    assert answer is not None
    assert TOKEN.encode() not in answer.body
    kept = web.kept(before)
    assert (kept.requests, kept.events) == ([], [])
    return answer


def challenge(text: str, token: str = TOKEN, source: str = "meta") -> str:
    asked = f"hub.mode=subscribe&hub.challenge={quote(text)}&hub.verify_token={quote(token)}"
    return f"/webhooks/{source}?{asked}"


@pytest.mark.parametrize("text", ["1158201444", "a b+c%", "<script>alert(1)</script>", "é"])
def test_a_challenge_with_the_token_is_echoed_as_plain_text(text: str, web: Web) -> None:
    answer = ask(web, challenge(text))
    assert (answer.status, answer.body) == (200, text.encode())
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        challenge("1", token="the-token-of-somebody-else"),
        challenge("1", token=""),
        challenge("1", token=TOKEN + "x"),
        challenge("1", token=TOKEN.upper()),
        "/webhooks/meta?hub.challenge=1",
        challenge("1\n2"),
        challenge("x" * 1001),
        challenge("1") + "&hub.verify_token=another",
    ],
)
def test_what_does_not_prove_itself_is_401_and_leaves_no_trace(path: str, web: Web) -> None:
    """The right token beside an invalid challenge is not stored either."""
    answer = ask(web, path)
    assert answer.status == 401
    assert b"could not be verified" in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/meta",
        f"/webhooks/meta?hub.verify_token={TOKEN}",
        challenge("1", source="chat"),
        challenge("1", source="stripe"),
    ],
)
def test_any_other_get_is_405_and_says_what_is_allowed(path: str, web: Web) -> None:
    answer = ask(web, path)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("source", ["meta", "stripe"])
@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_every_other_method_is_405(method: str, source: str, web: Web) -> None:
    answer = ask(web, challenge("1", source=source), method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", [challenge("1", source="nobody"), challenge("1", source="off")])
def test_an_unknown_source_is_404(path: str, web: Web) -> None:
    assert ask(web, path).status == 404


def test_a_challenge_behind_the_address_of_a_secret_is_404(web: Web) -> None:
    assert ask(web, "/webhooks/meta/secret?hub.challenge=1").status == 404


def signed(body: bytes, secret: str = SECRET) -> bytes:
    signature = hmac(secret.encode(), body, sha256).hexdigest()
    return request(body, ("X-Signature", signature), path="/webhooks/chat")


def test_a_signed_challenge_is_echoed_and_is_no_event(web: Web) -> None:
    before = web.ids()
    answer = web.exchange(signed(b'{"type": "url_verification", "challenge": "3eZbrw1a"}'))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"3eZbrw1a")
    assert web.kept(before).requests == []


def test_a_forged_challenge_echoes_nothing(web: Web) -> None:
    body = b'{"type": "url_verification", "challenge": "3eZbrw1a"}'
    answer = web.exchange(signed(body, "the-secret-of-somebody-else"))
    assert answer is not None
    assert answer.status == 401
    assert b"3eZbrw1a" not in answer.body


def test_an_event_that_has_a_challenge_s_field_is_an_event(web: Web) -> None:
    before = web.ids()
    answer = web.exchange(signed(b'{"type": "message", "challenge": "3eZbrw1a"}'))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")
    assert [one["type"] for one in web.kept(before).events] == ["hmac.message"]


def test_no_log_names_the_token(web: Web) -> None:
    for path in (challenge("1"), challenge("x" * 2000), challenge("1", source="nobody")):
        ask(web, path)
    assert TOKEN not in web.running.logs()
    assert SECRET not in web.running.logs()
