"""Hosted forms on a real socket: page, script, style and tokens."""

import json
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.web.serving import ORIGIN, Answer, Web

EVIL = "https://evil.example"
JOB = "/forms/job"
HTML = ("Accept", "text/html")
URLENCODED = ("Content-Type", "application/x-www-form-urlencoded")
GOOD = {"name": "Ann", "email": "ann@example.net", "consent": "yes"}


class Tags(HTMLParser):
    """Start tags of a page, each with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [about for _, about in self.found if about.get("name") == name]

    def with_id(self, name: str) -> dict[str, str | None]:
        [about] = [about for _, about in self.found if about.get("id") == name]
        return about


def get(web: Web, path: str = JOB, *headers: tuple[str, str]) -> Answer:
    return web.send(b"", *headers, path=path, method="GET")


def post(web: Web, values: Any, *headers: tuple[str, str], path: str = JOB) -> Answer:
    body = urlencode(values, doseq=True).encode()
    return web.send(body, URLENCODED, HTML, *headers, path=path)


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields that a browser would send of an untouched form."""
    inputs = [about for tag, about in Tags(page).found if tag == "input"]
    return {str(a["name"]): str(a["value"]) for a in inputs if a.get("type") == "hidden"}


def multipart(values: dict[str, str], *files: tuple[str, str, bytes]) -> bytes:
    made = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in values.items()
    )
    for name, filename, content in files:
        head = (
            f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
        )
        made += head.encode() + content + b"\r\n"
    return made + b"--b--\r\n"


def test_the_form_brings_nothing_from_elsewhere_and_no_script_or_style_of_its_own(web: Web) -> None:
    answer = get(web)
    assert answer.status == 200
    page = answer.body.decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:", page)
    loaded = [about.get("src") or about.get("href") for tag, about in Tags(page).found
              if tag in ("script", "link", "img", "iframe")]  # fmt: skip
    assert loaded == [f"{JOB}.css", f"{JOB}.js"]
    assert get(web, f"{JOB}.css").status == get(web, f"{JOB}.js").status == 200


def test_a_redirect_may_be_followed_under_the_policy(web: Web) -> None:
    policy = get(web, "/forms/contact").headers["content-security-policy"]
    assert f"form-action 'self' {ORIGIN};" in policy
    assert "form-action 'self';" in get(web).headers["content-security-policy"]


def test_every_field_has_its_label_and_what_it_needs(web: Web) -> None:
    page = get(web).body.decode()
    tags = Tags(page)
    assert "<h1>Ask for a &lt;quote&gt;</h1>" in page
    assert "As on the {{7*7}} bill" in page
    labelled = {about["for"] for tag, about in tags.found if tag == "label" and "for" in about}
    assert {"name", "email", "phone", "service", "rooms", "start", "message", "photos"} <= labelled
    assert tags.with_id("email")["type"] == "email"
    assert tags.with_id("phone")["type"] == "tel"
    assert tags.with_id("name")["aria-describedby"] == "name-help"
    assert "required" in tags.with_id("name")
    assert tags.with_id("photos")["type"] == "file"
    assert tags.with_id("rooms")["max"] == "20"
    assert [about["enctype"] for tag, about in tags.found if tag == "form"] == [
        "multipart/form-data"
    ]


def test_the_trap_is_hidden_from_people(web: Web) -> None:
    [trap] = Tags(page := get(web).body.decode()).named("website")
    assert (trap["tabindex"], trap["autocomplete"]) == ("-1", "off")
    assert re.search(r'<div class="unseen" aria-hidden="true">\s*<label for="website">', page)


def test_what_the_form_sends_is_one_lead_with_its_page_and_campaign(web: Web) -> None:
    before = web.ids()
    page = get(web, f"{JOB}?utm_source=ads&campaign=spring", ("Referer", "https://search.example/"))
    values = hidden(page.body.decode()) | GOOD
    for _ in range(2):
        assert post(web, values, ("Origin", f"http://127.0.0.1:{web.port}"),
                    ("Host", f"127.0.0.1:{web.port}")).status == 200  # fmt: skip
    [event] = web.kept(before).events
    data = web.event(event["id"])["data"]
    assert data["page"].endswith(f"{JOB}?utm_source=ads&campaign=spring")
    assert (data["referrer"], data["utm"]) == ("https://search.example/", {"source": "ads"})
    assert data["fields"]["campaign"] == "spring"
    assert data["consent"]["given"] is True
    assert data["consent"]["text"] == "Text me about my request"
    assert event["duplicates"] == 1


def test_faults_stand_beside_their_fields_and_what_was_typed_is_kept(web: Web) -> None:
    before = web.ids()
    first = hidden(get(web).body.decode())
    typed = {
        "name": '"><img src=x>',
        "email": "x",
        "rooms": "99",
        "message": "\n{{7*7}}</textarea>",
        "extras": ["Skylight", "Insulation"],
        "service": "Gutters",
        "campaign": "c",
    }
    answer = post(web, first | typed)
    assert answer.status == 422
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src")
    page = answer.body.decode()
    tags = Tags(page)
    assert "img src" not in re.sub(r'value="[^"]*"', "", page)
    assert tags.with_id("name")["value"] == typed["name"]
    assert "\n\n{{7*7}}&lt;/textarea&gt;</textarea>" in page
    assert "<option selected>Gutters</option>" in page
    assert all("checked" in about for about in tags.named("extras"))
    assert hidden(page) == first | {"campaign": "c"}
    for name in ("email", "rooms"):
        about = tags.with_id(name)
        assert about["aria-invalid"] == "true"
        assert f"{name}-fault" in str(about["aria-describedby"]).split()
        assert tags.with_id(f"{name}-fault")["class"] == "form-fault"
    assert "aria-invalid" not in tags.with_id("name")
    links = {about["href"] for tag, about in tags.found if tag == "a"}
    assert links == {"#email", "#rooms", "#extras", "#consent"}
    assert all(tags.with_id(str(link)[1:]) for link in links)
    assert (web.kept(before).events, web.kept(before).requests) == ([], [])


def test_a_fault_of_another_page_is_told_on_a_page_that_links_back(web: Web) -> None:
    page = f"{ORIGIN}/contact?a=1&b=2"
    answer = post(web, {"email": "x"}, ("Referer", page), path="/forms/contact")
    assert answer.status == 422
    assert unescape(f'href="{page}"') in unescape(answer.body.decode())
    for foreign in (f"{EVIL}/contact", "javascript:alert(1)", "x"):
        answer = post(web, {"email": "x"}, ("Referer", foreign), path="/forms/contact")
        assert b"href=" not in answer.body.replace(b'href="/forms/contact.css"', b"")


def test_files_are_kept_and_written_again(web: Web) -> None:
    before = web.ids()
    photo = bytes(range(256)) * 4000  # more than a form without files takes
    values = hidden(get(web).body.decode()) | GOOD | {"rooms": "3"}
    body = multipart(values, ("photos", "../roof.PNG", photo), ("photos", "", b""))
    kind = ("Content-Type", "multipart/form-data; boundary=b")
    assert web.send(body, kind, HTML, path=JOB).status == 200
    [event] = web.kept(before).events
    fields = web.event(event["id"])["data"]["fields"]
    about = {"attachment": 1, "name": "roof.PNG", "content_type": "image/png", "size": len(photo)}
    assert fields["photos"] == [about]
    assert fields["rooms"] == 3
    assert event["external_id"].startswith("token:")
    for key in ({}, {"SECRET_KEY": "another than the token was signed with"}):
        done = subprocess.run(
            [sys.executable, "-m", "hub", "show", event["id"], "--attachment", "1"],
            cwd=web.running.folder, env=web.running.environ | key, capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout == photo


@pytest.mark.parametrize(("name", "filename", "size", "status"), [
    ("photos", "a.exe", 10, 422), ("photos", "a.png", 1024 * 1024 + 1, 422),
    ("other", "a.png", 10, 400), ("photos", "a.png", 3 * 1024 * 1024, 413),
])  # fmt: skip
def test_files_that_are_not_wanted_are_refused(
    web: Web, name: str, filename: str, size: int, status: int
) -> None:
    """B81."""
    before = web.ids()
    body = multipart(GOOD, (name, filename, b"x" * size))
    kind = ("Content-Type", "multipart/form-data; boundary=b")
    assert web.send(body, kind, HTML, path=JOB).status == status
    assert (web.kept(before).events, web.kept(before).requests) == ([], [])


def test_tokens_are_for_our_pages_and_each_is_another(web: Web) -> None:
    answers = [get(web, f"{JOB}/token", ("Origin", ORIGIN)) for _ in range(2)]
    for answer in answers:
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert len({json.loads(answer.body)["token"] for answer in answers}) == 2
    assert get(web, f"{JOB}/token").status == 200
    refused = get(web, f"{JOB}/token", ("Origin", EVIL))
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers


def test_a_preflight_for_a_token_allows_to_get_it(web: Web) -> None:
    asked = (("Origin", ORIGIN), ("Access-Control-Request-Method", "GET"))
    answer = web.send(b"", *asked, path=f"{JOB}/token", method="OPTIONS")
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "GET")


def test_the_script_is_small_and_is_kept_for_a_while(web: Web) -> None:
    answer = get(web, f"{JOB}.js")
    assert len(answer.body) < 8500
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = get(web, f"{JOB}.js", ("If-None-Match", answer.headers["etag"]))
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("ending", ["", ".js", ".css", "/token"])
def test_what_is_no_form_has_nothing_to_show(web: Web, ending: str) -> None:
    for source in ("nobody", "stripe", "closed"):
        assert get(web, f"/forms/{source}{ending}").status == 404


def test_a_strange_query_is_shown_as_text(web: Web) -> None:
    strange = urlencode({"campaign": '"><script>alert(1)</script>', "_next": "javascript:x",
                         "consent": "yes", "name": "preset"})  # fmt: skip
    page = get(web, f"{JOB}?{strange}").body.decode()
    assert "<script>alert" not in page
    assert Tags(page).with_id("campaign")["value"] == '"><script>alert(1)</script>'
    assert "checked" not in Tags(page).with_id("consent")
    assert Tags(page).with_id("name")["value"] == ""


@pytest.mark.parametrize("bytes_", [b"%ff%fe", b"\xff", b"%ed%a0%80"])
def test_bytes_that_are_no_text_are_a_fault_beside_their_field(web: Web, bytes_: bytes) -> None:
    body = b"_hosted=1&_page=" + bytes_ + b"&email=a@b.co&name=" + bytes_
    answer = web.send(body, ("Content-Type", "application/x-www-form-urlencoded"), path=JOB)
    assert answer.status == 422
    page = answer.body.decode()
    assert "\ufffd" in str(Tags(page).with_id("name")["value"])
    assert "characters that cannot be kept" in page
