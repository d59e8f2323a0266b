"""Samples of forms: whatever is declared, they are taken, and no two say the same."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.request import InboundRequest
from adapters.form.patterns import BadPattern, fitting, matcher
from tests.adapters.posting import NOW
from tests.adapters.submitting import URL, form

USUAL = [
    "[0-9]{5}(-[0-9]{4})?", "[A-Z]{2}[0-9]+", r"\d{3}-\d{2}", "(roof|gutter)s?", "[^,]+", ".{4}",
    r"\+?[0-9 ]{6,20}", "a|b", r"[\d.]+", "#[0-9a-f]{6}", "x", r"\S+@\S+", r"\p{Lu}.*", "(?i)REF",
    "[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}", r"\w+ \w+", "[0-9]{4}-[0-9]{2}-[0-9]{2}", "Mr|Ms|Dr",
]  # fmt: skip
UNUSUAL = [r"(roof|gutter)-\w+", r"[^\w]a", "[^a0A 1]b", "x{51}y", "[A-Z]{2}[0-9]{6}", "q|zz"]
# Nothing but blanks, nothing that Python reads, and nothing as short as it has to be.
IMPOSSIBLE = ["", " +", r"\p{Lu}{3}=\p{Ll}", "x{61}"]


def sample(fields: dict, nonce: str = "0123456789abcdef"):
    """Return a sample's request, and the event that it is."""
    on = form(fields)
    made = on.sample("submission", nonce, NOW, live=True, url=URL)
    request = InboundRequest("POST", URL, dict(made.headers), made.body, NOW)
    [event] = on.parse(request)
    return on, request, event


@pytest.mark.parametrize("pattern", USUAL)
def test_a_text_is_found_that_fits_a_usual_pattern(pattern: str) -> None:
    text = fitting(pattern, least=0, most=60)
    assert text is not None
    assert re2.fullmatch(pattern, text)
    longer = fitting(pattern, least=4, most=60)
    assert longer is None or (re2.fullmatch(pattern, longer) and len(longer) >= 4)


@pytest.mark.parametrize("pattern", UNUSUAL)
def test_a_text_is_made_for_an_unusual_one_and_is_always_the_same(pattern: str) -> None:
    text = fitting(pattern, least=0, most=60)
    assert text is not None
    assert matcher(pattern)(text)
    assert fitting(pattern, least=0, most=60) == text


@pytest.mark.parametrize("pattern", IMPOSSIBLE)
def test_no_text_is_found_where_none_can_be_made(pattern: str) -> None:
    assert fitting(pattern, least=0, most=60) is None


@given(st.text("ab0-[]().+*?{}|\\dws^,1 ", max_size=12), st.integers(0, 9), st.integers(1, 60))
def test_what_is_found_fits_and_nothing_goes_wrong(pattern: str, least: int, most: int) -> None:
    try:
        matches = matcher(pattern)
    except BadPattern:
        return
    text = fitting(pattern, least=least, most=most)
    assert text is None or (matches(text) and text.strip() and least <= len(text) <= most)


def test_what_is_required_is_filled_in_patterns_and_files_too() -> None:
    fields = {
        "name": {"type": "text", "required": True},
        "zip": {"type": "text", "required": True, "pattern": "[0-9]{5}", "max": 10},
        "plan": {
            "type": "file",
            "required": True,
            "min": 2,
            "max": 3,
            "accept": ["image/*", ".pdf"],
        },
        "photo": {"type": "file", "required": True, "accept": [".png"]},
        "extras": {"type": "choices", "choices": ["a", "b", "c"], "min": 2, "required": True},
        "ok": {"type": "consent", "text": "Yes", "required": True},
        "rooms": {"type": "number", "required": True, "min": 2},
        "unasked": {"type": "file"},
    }
    _, _, event = sample(fields)
    said = event.data["fields"]
    assert said["zip"] == "12345"
    assert [one["name"] for one in said["plan"]] == ["sample-1.pdf", "sample-2.pdf"]
    assert [one.name for one in event.attachments] == [
        "sample-1.pdf",
        "sample-2.pdf",
        "sample-1.png",
    ]
    assert (said["extras"], said["ok"]["given"], said["rooms"]) == (["a", "b"], True, 2)
    assert "unasked" not in said
    assert event.external_id == "token:0123456789abcdef"


def test_a_sample_that_cannot_be_made_says_which_field_is_in_the_way() -> None:
    declared = {"type": "text", "pattern": r"\p{Lu}{3}=\p{Ll}", "min": 3, "max": 9}
    with pytest.raises(LookupError, match="pattern of code; add a text that does as `example:`"):
        sample({"code": declared | {"required": True}})
    _, request, _ = sample({"code": declared})
    assert b"code" not in request.body


def test_an_example_is_what_a_sample_says() -> None:
    fields = {
        "code": {"required": True, "pattern": "roof-[a-z]+", "example": "roof-red"},
        "zip": {"pattern": "[0-9]{5}", "max": 5, "example": "22401"},
        "way": {"type": "hidden", "example": "a flyer"},
        "message": {"type": "longtext", "example": "Two\nlines"},
    }
    _, _, event = sample(fields)
    assert event.data["fields"] == {name: field["example"] for name, field in fields.items()}


@pytest.mark.parametrize("fields", [
    {"name": {}, "message": {"type": "longtext"}},
    {"subject": {"max": 40}, "name": {}, "company": {}},
])  # fmt: skip
def test_no_two_samples_say_the_same_and_none_is_a_suspect(fields: dict) -> None:
    texts = set()
    for nonce in ("aaaaaaaa00000001", "aaaaaaaa00000002"):
        on, request, _ = sample(fields, nonce)
        signals = on.signals(on.read(request))
        texts.add(signals.text)
        assert (signals.honeypot, signals.links, signals.after_s) == (False, 0, 60.0)
    assert len(texts) == 2
