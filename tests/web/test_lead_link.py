"""Acknowledgement link of a lead: viewing it changes nothing, its button takes the lead."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from hub.app import create_app
from hub.core.ids import new_id
from hub.core.leads.acknowledgement import new_link
from hub.core.models import Acknowledgement, AuditEntry, LeadLink, StoredEvent, StoredRequest
from hub.gateways.database.engine import Database, open_database
from hub.settings import load_settings
from tests.web.calling import call
from tests.web.serving import Answer

CONFIG = """
site: {timezone: America/New_York}
people:
  dana: {name: "Dana <b>", phone: "+12025550101"}
  lee: {name: Lee, phone: "+12025550102"}
"""
NAME = "Jane <script>alert(1)</script>"
NOW = datetime.now(UTC)


class Page:
    """Application over a database with one lead."""

    def __init__(self, app: Flask, database: Database) -> None:
        self.app = app
        self.database = database
        self.event_id = self._lead()

    def link(self, person: str, *, days_ago: float = 0) -> str:
        with self.database.write() as connection:
            path = new_link(connection, self.event_id, person, now=NOW)
            past = NOW - timedelta(days=days_ago)
            connection.execute(
                update(LeadLink).where(LeadLink.created_at == NOW).values(created_at=past)
            )
        return path

    def get(self, path: str) -> Answer:
        return call(self.app, path=path, method="GET")

    def post(self, path: str) -> Answer:
        return call(self.app, path=path)

    def takers(self) -> list[str | None]:
        with self.database.read() as connection:
            assert len(connection.execute(select(AuditEntry.id)).all()) <= 1
            return list(connection.execute(select(Acknowledgement.person)).scalars())

    def _lead(self) -> UUID:
        event_id, request_id = new_id(NOW), new_id(NOW)
        with self.database.write() as connection:
            connection.execute(
                insert(StoredRequest).values(
                    id=request_id, source="contact", state="accepted", received_at=NOW,
                    method="POST", url="http://hub/", headers={}, size_bytes=0,
                )
            )  # fmt: skip
            connection.execute(
                insert(StoredEvent).values(
                    id=event_id, request_id=request_id, source="contact", type="lead.submitted",
                    native_type="submission", external_id="1", occurred_at=NOW, received_at=NOW,
                    state="matched", live=True, data={"name": NAME}, config_version="1",
                    folded=True,
                )
            )  # fmt: skip
        return event_id


@pytest.fixture
def page(tmp_path: Path, database_url: str) -> Iterator[Page]:
    (tmp_path / "hub.yaml").write_text(CONFIG)
    environ = {
        "DATABASE_URL": database_url.replace("+psycopg", ""),
        "REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "HUB_CONFIG": str(tmp_path / "hub.yaml"),
    }
    app = create_app(load_settings(environ), environ)
    database = open_database(database_url, pool_size=1)
    yield Page(app, database)
    database.engine.dispose()
    app.extensions["hub"].store.engine.dispose()


def assert_strict(answer: Answer) -> None:
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"<script" not in answer.body


def test_looking_takes_nothing_and_shows_whose_lead_it_is(page) -> None:
    link = page.link("dana")
    for _ in range(3):
        answer = page.get(link)
        assert answer.status == 200
        assert_strict(answer)
    assert call(page.app, path=link, method="HEAD").status == 200
    text = answer.body.decode()
    assert "Jane &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Dana &lt;b&gt;" in text
    assert '<form method="post"><button' in text
    assert 'name="viewport"' in text
    assert page.takers() == []


def test_the_button_takes_the_lead_once_and_everybody_sees_who_has_it(page) -> None:
    dana, lee = page.link("dana"), page.link("lee")
    for _ in range(2):
        answer = page.post(lee)
        assert (answer.status, answer.headers["location"]) == (303, lee)
        assert_strict(answer)
    assert page.takers() == ["lee"]
    assert b"You took this lead on 20" in page.get(lee).body
    shown = page.get(dana).body
    assert b"Lee took this lead on 20" in shown
    assert b"<button" not in shown
    assert page.post(dana).status == 303
    assert page.takers() == ["lee"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "token",
    ["A" * 22, "x", "A" * 21 + "%00", "A" * 5000, "%F0%9F%92%A9", "..%2f..", "A" * 21 + "'"],
)
def test_a_token_of_nobody_is_not_found(page, method, token) -> None:
    page.link("dana")
    answer = call(page.app, path=f"/a/{token}", method=method)
    assert answer.status == 404
    assert page.takers() == []


def test_a_link_that_is_too_old_is_none_any_more(page) -> None:
    link = page.link("dana", days_ago=31)
    for answer in (page.get(link), page.post(link)):
        assert answer.status == 404
        assert_strict(answer)
    assert page.takers() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_there_is_nothing_else_to_do_with_a_link(page, method) -> None:
    assert call(page.app, path=page.link("dana"), method=method).status == 405


def test_who_is_gone_from_the_file_may_still_take_their_lead(page) -> None:
    link = page.link("sam")
    assert page.post(link).status == 303
    assert page.takers() == ["sam"]
