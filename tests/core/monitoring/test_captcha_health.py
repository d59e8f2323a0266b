"""Captcha health: a failing captcha is an alert until it works again, and nothing else is."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.core.configuration import Captcha, Configuration, Source
from hub.core.inbound.ingest import ingest
from hub.core.leads.held import hold
from hub.core.models import Alert
from hub.core.monitoring import alerts
from hub.core.monitoring.captcha_health import FAILURES, NOT_ASKED, REFUSES_US, failing
from hub.core.monitoring.source_health import alert_silence
from tests.core.making import NOW, Town


@pytest.fixture
def asking(town: Town) -> Configuration:
    """Return the test hub's configuration with a captcha on its source."""
    source = Source("provider", "provider", {}, captcha=Captcha("turnstile", "secret"))
    return replace(town.configuration, sources={"provider": source})


def bring(connection, town: Town, reason: str | None) -> None:
    town.taken += 1
    prepared = town.prepared({"id": f"e{town.taken}"})
    ingest(connection, hold(prepared, reason) if reason else prepared)


@pytest.mark.parametrize("reason", sorted(FAILURES))
def test_a_captcha_that_fails_is_said_until_it_works(database, town, asking, reason) -> None:
    def said() -> list[tuple[str, bool]]:
        minute = NOW + timedelta(minutes=town.taken)
        alert_silence(connection, asking, now=minute)
        rows = connection.execute(select(Alert.message, Alert.ended_at).where(
            Alert.kind == alerts.CAPTCHA_FAILS, Alert.subject == "source provider"
        ))  # fmt: skip
        return [(row.message, row.ended_at is None) for row in rows]

    sentence = f"every lead is held; {reason}"
    with database.write() as connection:
        bring(connection, town, None)
        assert said() == []
        bring(connection, town, reason)
        assert said() == said() == [(sentence, True)]
        bring(connection, town, None)
        assert said() == [(sentence, False)]


@pytest.mark.parametrize("later", [NOT_ASKED, "honeypot: website was filled in", "links: 9"])
def test_what_it_was_not_asked_of_proves_nothing(database, town, asking, later) -> None:
    with database.write() as connection:
        bring(connection, town, REFUSES_US)
        bring(connection, town, later)
        assert set(failing(connection, asking)) == {"provider"}


@pytest.mark.parametrize("later", [None, "captcha: it was answered wrongly"])
def test_a_provider_that_answers_is_at_work(database, town, asking, later) -> None:
    with database.write() as connection:
        bring(connection, town, REFUSES_US)
        bring(connection, town, later)
        assert failing(connection, asking) == {}


def test_a_form_without_a_captcha_has_none_that_fails(database, town) -> None:
    with database.write() as connection:
        bring(connection, town, REFUSES_US)
        assert failing(connection, town.configuration) == {}
