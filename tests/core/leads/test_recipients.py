"""Recipients: one mailbox has one key however it is written, and the business's own are known."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.mailboxes import RECIPIENT_FIELDS, mailbox, recipients_in
from hub.core.configuration import Configuration
from hub.core.leads.recipients import (
    mailbox_key,
    own_numbers,
    own_recipients,
    recipient_keys,
)
from tests.core.making import route

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)
TAGS = st.text("abcdefghijklmnopqrstuvwxyz0123456789.+-", max_size=20)
DOMAINS = st.sampled_from(["example.com", "Mail.Example.org", "xn--bcher-kva.example"])


def any_case(text: str, flips: list[bool]) -> str:
    """Return a text with a letter in upper case where `flips` says so."""
    upper = [*flips, *[False] * len(text)]
    return "".join(c.upper() if up else c for c, up in zip(text, upper, strict=False))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Jane@Example.COM", "jane@example.com"),
        ("jane+roof@example.com", "jane@example.com"),
        ("jane+a+b@example.com", "jane@example.com"),
        ("+x@example.com", "+x@example.com"),
        ("j.a.n.e@example.com", "j.a.n.e@example.com"),
        ("j.a.n.e+x@gmail.com", "jane@gmail.com"),
        ("Jane@GoogleMail.com", "jane@gmail.com"),
        ("jane@example.com.", "jane@example.com"),
        ("jane@bücher.example", "jane@xn--bcher-kva.example"),
        ("jane@BÜCHER.example", "jane@xn--bcher-kva.example"),
        ("ｊａｎｅ@ｅxample.com", "jane@example.com"),
        (" jane@example.com ", "jane@example.com"),
        ("jane-roof@example.com", "jane-roof@example.com"),
    ],
)
def test_the_key_is_the_mailbox_that_it_is_delivered_to(written: str, expected: str) -> None:
    assert mailbox_key(written) == expected


@given(NAMES, TAGS, DOMAINS, st.lists(st.booleans(), max_size=20))
def test_case_and_tags_make_no_other_mailbox(name, tag, domain, flips) -> None:
    plain = mailbox_key(f"{name}@{domain}")
    assert mailbox_key(f"{any_case(name, flips)}+{tag}@{any_case(domain, flips)}") == plain
    assert mailbox_key(f"{name}@{domain}.") == plain
    assert mailbox_key(plain) == plain


@given(NAMES, st.lists(st.integers(0, 20), max_size=5), TAGS)
def test_dots_make_no_other_mailbox_at_google_and_another_one_elsewhere(name, places, tag) -> None:
    dotted = name
    for place in places:
        dotted = dotted[:place] + "." + dotted[place:]
    assert mailbox_key(f"{dotted}+{tag}@googlemail.com") == mailbox_key(f"{name}@gmail.com")
    assert (mailbox_key(f"{dotted}@example.com") == mailbox_key(f"{name}@example.com")) is (
        dotted == name
    )


@given(NAMES, NAMES, DOMAINS)
def test_two_people_have_two_keys(one, other, domain) -> None:
    keys = {mailbox_key(f"{name}@{domain}") for name in (one, other)}
    assert len(keys) == len({one, other})


@given(st.text(max_size=40) | st.from_regex(r"[^@]{1,9}@[^@]{1,9}", fullmatch=True))
def test_any_text_at_all_has_a_key(text: str) -> None:
    assert mailbox_key(text).count("@") >= 1


SPELLINGS = {
    "jane@example.com": [
        "ja\u200bne@exam\u200bple.com",
        "ja\u00adne\ufeff@example.com",
        "ja\ufe0fne@\u3164example.com\u2060",
        "\uff2aane\uff0btag@\uff25xample\uff0ecom",
        "jane@example\u3002com\u3002",
        "jane@example.com..",
    ],
    "janedoe@proton.me": ["jane.d-o_e@proton.me", "Jane-Doe+x@pm.me", "j_ane.doe@protonmail.com"],
    "jane-doe@fastmail.com": [
        "anything@jane-doe.fastmail.com",
        "+x@any.jane-doe.fastmail.com.",
        "jane_doe+x@fastmail.com",
    ],
    "jane@fastmail.co.uk": ["any@jane.fastmail.co.uk"],
    "jane.doe@yandex.ru": ["jane.doe@ya.ru", "jane-doe@yandex.com"],
    "jane@icloud.com": ["jane@me.com", "jane+x@mac.com"],
    "jane@xn--bcher-kva.example": [
        "jane@B\u00dcCHER.example",
        "jane@bu\u0308cher.example",
        "jane@XN--BCHER-KVA.example.",
    ],
    "jane@strasse.example": ["jane@stra\u00dfe.example", "jane@xn--strae-oqa.example"],
}


@given(
    st.sampled_from([(key, one) for key, every in SPELLINGS.items() for one in every]),
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from("\u200b\u200d\u2060\u00ad\ufeff\u034f"))
    ),
    st.lists(st.booleans(), max_size=20),
)
def test_each_spelling_of_a_mailbox_has_one_key(spelling, invisible, flips) -> None:
    key, written = spelling
    assert mailbox_key(written) == key
    written = any_case(written, flips)
    for place, character in invisible:
        written = written[:place] + character + written[place:]
    assert mailbox_key(written) == key
    assert mailbox_key(key) == key


@given(st.lists(st.text(max_size=30) | st.none() | st.integers() | st.just("Jo <a@b.c>")))
def test_the_mailboxes_of_parameters_are_those_that_the_adapter_reads(given_texts) -> None:
    """A text that is no mailbox is a recipient by itself: an adapter may know whose it is."""

    def read(text: Any) -> str | None:
        try:
            return mailbox(text).email
        except Exception:  # noqa: BLE001 - whatever an adapter's schema makes of it, it sends nothing
            return text if isinstance(text, str) and text.strip() else None

    found = recipients_in({"to": given_texts}, RECIPIENT_FIELDS)
    assert found == [one for text in given_texts if (one := read(text))]


def test_each_mailbox_is_named_once_whichever_parameter_it_is_in() -> None:
    parameters = {
        "to": "Jane Doe <jane@example.com>",
        "cc": ["JANE+x@example.com", "bob@example.com"],
        "bcc": ("carol@example.com",),
        "reply_to": "dave@example.com",
    }
    named = recipients_in(parameters, RECIPIENT_FIELDS)
    assert recipient_keys(named) == ["jane@example.com", "bob@example.com", "carol@example.com"]
    assert recipient_keys(recipients_in({"to": " ", "cc": "cus_A1"}, ("to", "cc"))) == ["cus_a1"]


def hub_with(**with_: Any) -> Configuration:
    people: Any = {"dana": SimpleNamespace(email="Dana@Acme.example", phone="+12025550101")}
    one = route("mail", destination="email", action="send", with_=with_)
    return Configuration(version="0" * 12, routes={"mail": one}, people=people)


@pytest.mark.parametrize(
    ("to", "own"),
    [
        ("office@acme.example", {"office@acme.example"}),
        ("The Office <office@acme.example>", {"office@acme.example"}),
        (["{{ data.email }}", "Office@acme.example"], {"office@acme.example"}),
        ("{{ 'late@acme.example' if data.late else data.email }}", {"late@acme.example"}),
        ("{{ data.email }}", set()),
        ("{{ data.user }}@acme.example", set()),
        ("{% if data.late %}late@acme.example{% else %}{{ data.email }}{% endif %}",
         {"late@acme.example"}),
        ("cus_Acme1", {"cus_acme1"}),
        ("{{ data.customer_id }}", set()),
    ],
)  # fmt: skip
def test_a_mailbox_that_stands_in_the_file_is_the_businesss_own(to, own) -> None:
    found = own_recipients(hub_with(to=to, text="write to other@acme.example"), {"to", "cc"})
    assert found == own | {"dana@acme.example"}


@pytest.mark.parametrize(
    ("to", "own"),
    [
        ("+12025550102", {"+12025550102"}),
        ("whatsapp:+12025550102", {"+12025550102"}),
        ("{{ '+12025550102' if data.urgent else data.phone }}", {"+12025550102"}),
        ("{{ data.phone }}", set()),
        ("+1202555{{ data.extension }}", set()),
    ],
)
def test_a_number_that_stands_in_the_file_is_the_businesss_own(to, own) -> None:
    found = own_numbers(hub_with(to=to, body="call +12025550199"), {"to"})
    assert found & {"+12025550102", "+12025550101", "+12025550199", "+1202555"} == own | {
        "+12025550101"
    }
