"""Preview of a replay: deliveries that would run, those that would not, and real effects."""

import pytest

from hub.core.delivery.pauses import mark_paused
from hub.core.replays import preview
from tests.dashboard.delivering import TOWN, put, states, text_of, try_once

HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture
def town(make_board):
    return make_board(TOWN)


def write(town, *args, **values):
    with town.hub.store.write() as connection:
        return put(connection, *args, **values)


def test_a_preview_says_what_would_happen_and_what_would_not(town):
    write(town, 12, destination="sms")
    write(town, 3, destination="play")
    write(town, 2, destination="sms", state="succeeded", error=None)
    write(town, 1, destination="ops", state="unknown")
    keyed = write(town, 1, destination="ops")
    doubted = write(town, 1, destination="sms")
    with town.hub.store.write() as connection:
        try_once(connection, keyed + doubted, "in_doubt")
    said = text_of(town.client().get("/replays/preview"))
    assert "All deliveries, 20 as of now: 16 would run, 4 would be left alone" in said
    assert "12 text messages will be sent through sms" in said
    assert "3 messages will be recorded, not posted: play is in the sandbox" in said
    assert "1 request will be sent to ops" in said
    assert "They are repeated exactly" in said
    assert "2 text messages were sent already" in said
    assert "1 text message may have been sent before" in said
    assert "1 request: nobody knows whether it was sent" in said
    assert "Start: 16 deliveries" in said
    assert states(town).count("failed") == 17


def test_a_preview_with_again_says_that_it_happens_a_second_time(town):
    write(town, 2, destination="sms", state="succeeded", error=None)
    client = town.client()
    assert "Nothing would run" in text_of(client.get("/replays/preview?state=succeeded"))
    answer = client.get("/replays/preview?state=succeeded&again=1")
    assert "2 text messages will be sent a second time through sms" in text_of(answer)
    assert "<textarea" in answer.text
    assert " required" in answer.text.partition("<textarea")[2].partition(">")[0]


def test_a_preview_says_what_is_held_back_and_how_long_it_takes(town):
    write(town, 600)
    with town.hub.store.write() as connection:
        mark_paused(connection, "ops", paused=True)
    said = text_of(town.client().get("/replays/preview?state=failed"))
    assert "ops is paused: what is replayed waits until it goes on" in said
    assert "1 a second – about 10 minutes" in said
    assert "5 a second – about 2 minutes" in said


def test_only_what_is_selected_is_previewed(town):
    ids = write(town, 5)
    client = town.client()
    query = "&".join(f"ids={one}" for one in ids[:2])
    assert "2 chosen one by one" in text_of(client.get(f"/replays/preview?chosen=yes&{query}"))
    nothing = client.get("/replays/preview?chosen=yes", headers={"Referer": "http://localhost/deliveries?state=failed"})  # fmt: skip  # noqa: E501
    assert (nothing.status_code, nothing.location) == (302, "/deliveries?state=failed")
    assert "Select deliveries first" in client.get(nothing.location).text


def test_a_form_elsewhere_leads_to_the_preview(town):
    answer = town.client().post(
        "/replays/preview", data={"csrf_token": town.csrf(), "state": "failed", "q": "a&b"}
    )
    assert (answer.status_code, answer.location) == (303, "/replays/preview?state=failed&q=a%26b")


def test_a_choice_among_too_many_says_what_to_do(town, monkeypatch):
    monkeypatch.setattr(preview, "MOST", 1)
    write(town, 2)
    answer = town.client().get("/replays/preview")
    assert answer.status_code == 409
    assert "choose a state, or a time" in text_of(answer)
