"""`docs/events.md` is what the vocabulary has."""

import pytest

from adapters.contract.event import COMMON_FIELDS, EVENT_TYPES, FAMILIES
from tests.docs import events

TOLD = f"it is out of date: run `{events.COMMAND}`"


def test_the_page_of_events_is_up_to_date() -> None:
    assert events.PAGE.read_text("utf-8") == events.page(), TOLD


def test_every_type_and_field_stands_on_the_page_once_for_its_family() -> None:
    page = events.page()
    for kind in EVENT_TYPES:
        assert page.count(f"| `{kind}` |") == 1
    for subjects in events.families():
        section = events.section(subjects)
        for subject in subjects:
            assert all(f"| `{kind}` |" in section for kind in events.types_of(subject))
            assert all(section.count(f"\n| `{name}` |") == 1 for name in FAMILIES[subject])
    assert all(f"| `{name}` | {what} |" in page for name, what in COMMON_FIELDS.items())


def test_every_type_has_a_family_and_every_field_says_what_it_is() -> None:
    assert {kind.partition(".")[0] for kind in EVENT_TYPES} <= FAMILIES.keys()
    for fields in (COMMON_FIELDS, *FAMILIES.values()):
        assert all(fields.values())
        assert not any("|" in what or "\n" in what for what in fields.values())


def test_a_page_that_lacks_a_type_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "EVENT_TYPES", EVENT_TYPES | {"lead.scored"})
    assert "| `lead.scored` |  |" in events.page()
