"""Storage of a form's posts, on a real socket: declared fields, counts, and nothing more."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.form import submission
from hub.core.monitoring.undeclared_fields import undeclared_fields
from tests.running import until
from tests.web.calling import call, make_app
from tests.web.forms.test_submit import EVIL, FORM, JANE, multipart, post
from tests.web.serving import Web, exchange, request

COUNTED_WITHIN_S = 20
STRAY = "what nobody declared"
KINDS = ["urlencoded", "json", "multipart"]
TYPES = {
    "urlencoded": "application/x-www-form-urlencoded",
    "json": "application/json",
    "multipart": "multipart/form-data; boundary=b",
}
# Larger than the form `contact` takes, and than `plain` does; smaller than both took before.
TOO_LARGE = 400_000


def body_of(kind: str, values: dict[str, str]) -> bytes:
    if kind == "json":
        return json.dumps(values).encode()
    if kind == "urlencoded":
        return urlencode(values).encode()
    return multipart([(f'name="{name}"', value) for name, value in values.items()])


def undeclared(web: Web, name: str) -> int:
    """Return how many posts to the form `contact` had that undeclared field."""
    with web.store.read() as connection:
        found = undeclared_fields(connection, "contact", declared=())
    return next((one.posts for one in found if one.name == name), 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("more", "headers", "state"),
    [
        ({}, [], "accepted"),
        ({"_gotcha": "x"}, [], "accepted"),
        ({}, [("Origin", EVIL)], "rejected"),
    ],
    ids=["taken", "held", "foreign"],
)
def test_undeclared_fields_are_stored_nowhere(
    web: Web, kind: str, more: dict[str, str], headers: list[tuple[str, str]], state: str
) -> None:
    before = web.ids()
    body = body_of(kind, {"company": STRAY} | JANE | more | {"budget": STRAY})
    path = f"{FORM}?company={STRAY.replace(' ', '+')}"
    post(web, body, ("Content-Type", TYPES[kind]), *headers, path=path)
    [row] = web.kept(before).requests
    shown = web.shown(row["id"])
    assert shown["state"] == state
    assert all(said in shown["body"] for said in (b"Jane", b"example.com", b"leaks"))
    everything = repr(shown) + repr([web.event(one["id"]) for one in web.kept(before).events])
    assert "declared" not in everything
    assert "company" not in everything


def test_their_names_are_counted_also_where_the_post_is_refused(web: Web) -> None:
    """A name of a file too. All wait for the next time that counts are written."""
    counted = {}
    for kind in KINDS:
        taken, wrong = f"taken-{kind}", f"wrong-{kind}"
        for _ in range(3):
            post(web, body_of(kind, JANE | {taken: STRAY}), ("Content-Type", TYPES[kind]))
            post(web, body_of(kind, {wrong: STRAY}), ("Content-Type", TYPES[kind]))
        counted |= {taken: 3, wrong: 3}
    before = web.ids()
    body = multipart([('name="email"', "a@b.co"), ('name="cv"; filename="cv.pdf"', STRAY)])
    assert post(web, body, ("Content-Type", TYPES["multipart"])).status == 400
    assert web.kept(before).requests == []
    for name, posts in (counted | {"cv": 1}).items():
        until(
            lambda name=name, posts=posts: undeclared(web, name) == posts,
            COUNTED_WITHIN_S,
            f"{name} to be counted",
        )


@pytest.mark.parametrize("path", [FORM, "/forms/plain"])
def test_a_post_larger_than_its_fields_may_be_is_refused_before_it_is_read(
    web: Web, path: str
) -> None:
    kind = ("Content-Type", TYPES["urlencoded"])
    head = request(b"", kind, ("Content-Length", str(TOO_LARGE)), path=path)
    with web.connect() as sock:
        answer = exchange(sock, head)
    assert answer is not None
    assert answer.status == 413
    assert b"more than this form takes" in answer.body


def test_a_chunked_post_is_refused_as_soon_as_it_is_larger(web: Web) -> None:
    piece = b"x" * 16 * 1024
    chunks = [b"message=", *[piece] * (TOO_LARGE // len(piece))]
    kind = ("Content-Type", TYPES["urlencoded"])
    answer = web.exchange(request(b"", kind, path=FORM, chunks=chunks))
    assert answer is not None
    assert answer.status == 413


def test_hidden_inputs_of_a_page_builder_are_taken_and_not_kept(web: Web) -> None:
    before = web.ids()
    builder = {f"builder_{n}": STRAY * 30 for n in range(100)}
    assert len(urlencode(builder)) > 60_000
    assert post(web, {"email": "a@b.co"} | builder, path="/forms/plain").status == 200
    [row] = web.kept(before).requests
    assert web.shown(row["id"])["body"] == b"email=a%40b.co"
    assert row["size_bytes"] == len(b"email=a%40b.co")


def test_what_is_kept_for_one_post_is_all_that_a_route_sees_again(web: Web) -> None:
    before = web.ids()
    values = {"_page": "https://acme.example/x?utm_source=ads", "utm_term": "roof", "x": STRAY}
    post(web, JANE | values)
    [event] = web.kept(before).events
    data = web.event(event["id"])["data"]
    assert (data["page"], data["utm"]) == (values["_page"], {"source": "ads", "term": "roof"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "status"), [(JANE, 303), ({"_hosted": "1", "email": "x"}, 422), ({}, 422)]
)
def test_a_body_is_read_once(
    tmp_path: Path, sqlite_url: str, monkeypatch: Any, kind: str, values: Any, status: int
) -> None:
    read = []
    for name in ("read_json", "read_form", "read_multipart"):
        reader = getattr(submission, name)

        def counting(*args: Any, reader: Any = reader, **options: Any) -> Any:
            read.append(args)
            return reader(*args, **options)

        monkeypatch.setattr(submission, name, counting)
    app = make_app(tmp_path, sqlite_url, HUB_VAR=str(tmp_path / "var"))
    headers = {"Content-Type": TYPES[kind], "Accept": "text/html"}
    answer = call(app, body_of(kind, values), headers, path=FORM)
    assert answer.status == (200 if (kind, status) == ("json", 303) else status)
    assert len(read) == 1
    # What is counted is written when the process ends.
    app.extensions["hub_intake"].counters.flush()


def test_a_header_of_thousands_of_parts_is_not_taken_apart(tmp_path: Path, sqlite_url: str) -> None:
    app = make_app(tmp_path, sqlite_url, HUB_VAR=str(tmp_path / "var"))
    kind = TYPES["urlencoded"]
    body = body_of("urlencoded", JANE)
    accept = "application/json;a=b," * 3000
    assert call(app, body, {"Content-Type": kind, "Accept": accept}, path=FORM).status == 303
    parts = {"Content-Type": f"{kind};{'a=b;' * 15_000}"}
    answer = call(app, body, parts, path=FORM)
    assert answer.status == 400
    assert re.search(rb"cannot be read", answer.body)
    app.extensions["hub_intake"].counters.flush()
