"""Lead forms: who may send one, what a lead is made of, and which repetition is one lead."""

import json
from urllib.parse import urlencode

import pytest

from adapters.contract.errors import ForeignOrigin
from adapters.contract.strict_json import storable
from adapters.form.submission import JSON
from tests.adapters.posting import FIXTURES, NOW, posted
from tests.adapters.submitting import GOOD, ORIGIN, URL, faults_of, form, parsed, sent
from tests.cases import each_of

NAUGHTY = json.loads((FIXTURES / "naughty-strings" / "blns.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "origin", [None, "", ORIGIN, "HTTPS://ACME.example", "https://hub.example.com"]
)
def test_our_pages_and_those_that_do_not_say_may_send_it(origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert form().verify(posted(b"", headers, url=URL)) == "form"


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://acme.example", "https://acme.example:444",
     "https://acme.example.evil.example", f"{ORIGIN},{ORIGIN}", "\u00e9", f"{ORIGIN}/"],
)  # fmt: skip
def test_a_page_of_another_site_may_not(origin: str) -> None:
    with pytest.raises(ForeignOrigin):
        form().verify(posted(b"", {"origin": origin}, url=URL))


def test_only_declared_fields_are_taken() -> None:
    """B78."""
    event = sent(is_admin="1", status="done", id="1", type="x", live="0", email_verified="1")
    assert event.data == {"email": GOOD["email"], "fields": GOOD, "native": GOOD}
    assert (event.type, event.live, event.occurred_at) == ("lead.submitted", True, NOW)


def test_canonical_fields_are_those_of_that_name_or_the_only_one_of_that_type() -> None:
    fields = {
        "your-mail": {"type": "email"},
        "mobile": {"type": "phone"},
        "what": {"type": "longtext"},
        "company": {"type": "text"},
    }
    values = {"your-mail": "a@b.example", "mobile": "+1 212 555 0123", "what": "x", "company": "y"}
    data = parsed(urlencode(values).encode(), on=form(fields)).data
    assert {name: data.get(name) for name in ("name", "email", "phone", "message")} == {
        "name": None, "email": "a@b.example", "phone": "+12125550123", "message": "x",
    }  # fmt: skip
    assert data["fields"] == values


def test_of_two_e_mail_fields_without_the_name_none_is_the_e_mail() -> None:
    fields = {"mine": {"type": "email"}, "theirs": {"type": "email"}}
    data = parsed(b"mine=a@b.example&theirs=c@d.example", on=form(fields)).data
    assert "email" not in data


def test_the_page_and_the_campaign_come_from_hidden_fields_or_from_the_address() -> None:
    page = f"{ORIGIN}/contact?utm_source=ads&utm_term=roof"
    data = parsed(urlencode(GOOD | {"utm_source": "mail"}).encode(), referer=page).data
    assert data["page"] == page
    assert data["utm"] == {"source": "mail", "term": "roof"}
    data = sent(_page=f"{ORIGIN}/other", _referrer="https://search.example/?q=1").data
    assert (data["page"], data["referrer"]) == (f"{ORIGIN}/other", "https://search.example/?q=1")
    assert "utm" not in data


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "https://", "//x", "https://u:p@x.example", "x",
     "https://x.example/\x00", "https://[", "https://x.example/" + "a" * 3000],
)  # fmt: skip
def test_an_address_that_is_none_is_left_out(address: str) -> None:
    assert not {"page", "referrer"} & sent(_page=address, _referrer=address).data.keys()


@pytest.mark.parametrize(
    ("typed", "phone"),
    [("+1 212 555 0123", "+12125550123"), ("(212) 555-0123", None), ("+44 (0)20 7946 0958", None),
     ("+1-212-555-0123 x12", None)],
)  # fmt: skip
def test_a_phone_that_does_not_say_its_country_is_kept_as_typed_alone(
    typed: str, phone: str | None
) -> None:
    data = sent(phone=typed).data
    assert (data.get("phone"), data["fields"]["phone"]) == (phone, typed)


@pytest.mark.parametrize(
    ("typed", "email"),
    [
        ("Jane.Doe+tag@EXAMPLE.com", "Jane.Doe+tag@example.com"),
        (" jane@example.com ", "jane@example.com"),
        ("j\u00fc@m\u00fcnchen.example", "j\u00fc@m\u00fcnchen.example"),
        ("re\u0301@example.com", "r\u00e9@example.com"),
        ('"a b"@example.com', '"a b"@example.com'),
        ("o'brien@x-y.co", "o'brien@x-y.co"),
    ],
)
def test_an_e_mail_address_is_kept_as_typed_and_made_comparable(typed: str, email: str) -> None:
    """B74."""
    data = sent(email=typed).data
    assert data["fields"]["email"] == typed
    assert data["email"] == email


def test_an_e_mail_address_of_320_characters_is_taken() -> None:
    """B74."""
    domain = ".".join(["b" * 63] * 3 + ["c" * 63])
    assert sent(email=f"{'a' * 64}@{domain}").data["email"] == f"{'a' * 64}@{domain}"
    assert faults_of(email=f"{'a' * 64}@{domain}c")


@each_of("text", NAUGHTY)
def test_naughty_strings_are_kept_as_they_came(text: str) -> None:
    """B71."""
    values = GOOD | {"name": text, "message": text}
    for event in (sent(name=text, message=text), parsed(json.dumps(values).encode(), JSON)):
        expected = values if text else GOOD
        assert event.data["fields"] == expected
        assert event.data.get("name") == (text if text.strip() else None)
        assert storable(event.data)[1] is None
