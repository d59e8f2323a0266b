"""Samples of forms: whatever is declared, they are taken, and no two say the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.request import InboundRequest
from adapters.form.patterns import fitting
from tests.adapters.posting import NOW
from tests.adapters.submitting import URL, form

PATTERNS = [
    "[0-9]{5}(-[0-9]{4})?", "[A-Z]{2}[0-9]+", r"\d{3}-\d{2}", r"(roof|gutter) \w+", "[^,]+", ".{4}",
    r"\+?[0-9 ]{6,20}", "a|b", r"[\d.]+", r"[^\w]a", "#[0-9a-f]{6}", "x", r"\S+@\S+", "[^a0A 1]b",
]  # fmt: skip


def sample(fields: dict, nonce: str = "0123456789abcdef"):
    """Return a sample's request, and the event that it is."""
    on = form(fields)
    made = on.sample("submission", nonce, NOW, live=True, url=URL)
    request = InboundRequest("POST", URL, dict(made.headers), made.body, NOW)
    [event] = on.parse(request)
    return on, request, event


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("least", [0, 4])
def test_a_text_is_found_that_fits_a_pattern(pattern: str, least: int) -> None:
    text = fitting(pattern, least=least, most=60)
    if text is None:
        assert least > 1
        assert pattern in {"a|b", "x", r"[^\w]a", "[^a0A 1]b"}
    else:
        assert re.fullmatch(pattern, text)
        assert len(text) >= least


@given(st.text("ab0-[]().+*?{}|\\dws^,1 ", max_size=12))
def test_what_is_found_fits_and_nothing_goes_wrong(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error:
        return
    text = fitting(pattern, least=0, most=50)
    assert text is None or re.fullmatch(pattern, text)


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
    assert said["zip"] == "00000"
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
    with pytest.raises(LookupError, match="pattern of code; fill the form in"):
        sample({"code": {"type": "text", "required": True, "pattern": "x", "min": 3, "max": 9}})
    _, request, _ = sample({"code": {"type": "text", "pattern": "x", "min": 3, "max": 9}})
    assert b"code" not in request.body


@pytest.mark.parametrize("fields", [
    {"name": {}, "message": {"type": "longtext"}},
    {"subject": {"max": 40}, "name": {}, "company": {}},
])  # fmt: skip
def test_no_two_samples_say_the_same_and_none_is_a_suspect(fields: dict) -> None:
    texts = set()
    for nonce in ("aaaaaaaa00000001", "aaaaaaaa00000002"):
        on, request, _ = sample(fields, nonce)
        signals = on.signals(request)
        texts.add(signals.text)
        assert (signals.honeypot, signals.links, signals.after_s) == (False, 0, 60.0)
    assert len(texts) == 2
