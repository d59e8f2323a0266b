"""Redaction for users without access to personal data: an allow-list of names and shapes."""

import json
import random
import string
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.auth.ordinary_words import ORDINARY_WORDS
from hub.core.auth.plain_values import is_id
from hub.core.auth.redaction import MASK, Redactor
from hub.core.monitoring.proxies import SENTENCE
from tests.adapters.contract.recorded import ALL
from tests.timing import little_work

NUMBERS = st.builds(
    lambda area, rest: phonenumbers.parse(f"+1{area}{rest:07}"),
    st.integers(201, 989),
    st.integers(2_000_000, 9_999_999),
)
FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.NATIONAL,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.RFC3966,
)
PHONES = st.builds(phonenumbers.format_number, NUMBERS, st.sampled_from(FORMATS))
MARKS = (
    "Wilhelmina Querfurt", "Wilhelmina", "wilhelmina", "WILHELMINA", "wilhelmina.querfurt",
    "wilhelmina_querfurt", "WilhelminaQuerfurt", "wilhelmina-1985", "wilhelmina85", "Ж. Иванова",
    "wilhelmina@querfurt.example", "%77ilhelmina%40querfurt.example", "+12025550143",
    "12025550143", "2025550143", "(202) 555-0143", "202-555-0143", "202.555.0143", "0049302025550",
    "447700900143", "tel:12025550143", "5555341244441115", "5555 3412 4444 1115", "94110-2342",
    "1985-04-12", "37.774929", "198.51.100.23", "2001:db8:85a3::7334", "123-45-6789",
    "https://querfurt.example/wilhelmina?id=7", "paid; wilhelmina", "paid wilhelmina",
    "tel-06-12-34-56-78", "x202.555.014.3",
    "<wilhelmina.7@querfurt.example>", "Wilhelmina Pay",
    # Telephone numbers of other countries, as they are dialled and as they are kept.
    "004930123456", "030 1234567", "03012345", "030-1234567", "0049_30_1234567", "07700900123",
    "4930123456", "4917612345678", "33612345678", "4402079460123", "89161234567",
    "order_4930123456",
    # Names that somebody joined.
    "WILHELMINAQuerfurt42", "wilhelmina1985querfurt", "w1lh3lm1n4qu3rfurt85",
    "xjohn1985xquerfurtx", "JohnSmithPlumbingLdn42", "user_johnsmith1985plumbing", "m4ry1985x",
    # Births.
    "1980-04-12T00:00:00Z", "1980-04-12T07:30:00+02:00", "Sat, 12 Apr 2003 00:00:00 +0000",
    "19800412", "12041980",
)  # fmt: skip
TYPED_KEYS = (
    "id", "customer_id", "MessageSid", "object_id", "sku", "number", "type", "eventType", "object",
    "status", "state", "reason", "currency", "currency_code", "country", "FromCountry", "created",
    "starts_at", "date", "amount", "total_price", "quantity", "customer", "name", "author", "user",
    "error_code", "content-type",
)  # fmt: skip
KEYS = st.sampled_from(TYPED_KEYS) | st.text(string.ascii_letters + "_", min_size=1, max_size=12)

redactor = Redactor()


def leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        yield from tree
    if isinstance(tree, dict | list):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(inner)
    else:
        yield tree


def marked(tree: Any, mark: str) -> Any:
    """Return a tree with every text replaced by a mark."""
    if isinstance(tree, dict):
        return {key: marked(inner, mark) for key, inner in tree.items()}
    if isinstance(tree, list):
        return [marked(inner, mark) for inner in tree]
    return mark if isinstance(tree, str) else tree


@pytest.mark.parametrize("mark", MARKS)
def test_what_is_typed_into_any_field_is_masked_whatever_it_is_called(mark):
    for key in TYPED_KEYS:
        for tree in (
            {key: mark},
            {key: [mark]},
            {key: {key: mark}},
            {key: [{"deep": {key: mark}}]},
        ):
            assert mark not in leaves(redactor.tree(tree)), key


@pytest.mark.parametrize("mark", MARKS)
def test_no_text_of_any_recorded_webhook_can_hold_a_persons_word(mark):
    for fixture in ALL:
        for event in fixture.expected:
            assert mark not in leaves(redactor.tree(marked(event["data"], mark))), fixture.label
        if fixture.kind == "json":
            native = marked(json.loads(fixture.body), mark)
            assert mark not in leaves(redactor.tree(native)), fixture.label


@pytest.mark.parametrize("mark", MARKS)
def test_a_persons_word_is_no_id_no_type_and_no_name_of_a_field(mark):
    tree = redactor.tree({mark: {"id": "evt_1"}, "fields": {mark: 1}})
    assert mark not in leaves(tree)
    assert mark not in redactor.id(mark)
    assert mark not in redactor.code(mark)
    assert mark not in redactor.event_type(f"crm.{mark}")
    assert mark not in redactor.name(mark)
    assert mark not in redactor.sentence(f"it could not be kept: {mark}")


@given(data=st.data(), phone=PHONES | st.emails() | st.sampled_from(MARKS))
def test_no_tree_lets_a_number_or_an_address_through(data, phone):
    texts = st.just(phone) | st.integers() | st.booleans() | st.none()
    trees = st.recursive(
        texts,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.just(phone), inner, max_size=4)
        ),
        max_leaves=12,
    )
    assert phone not in list(leaves(redactor.tree(data.draw(trees))))


@given(
    tree=st.recursive(
        st.text(max_size=9) | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=12,
    )
)
def test_the_structure_stays_with_booleans_and_nulls(tree):
    def shape(node):
        if isinstance(node, dict):
            return [shape(one) for one in node.values()]
        if isinstance(node, list):
            return [shape(one) for one in node]
        return node if isinstance(node, bool) or node is None else None

    assert shape(redactor.tree(tree)) == shape(tree)


@pytest.mark.parametrize(
    ("key", "value"),
    [("id", "evt_1NG8Du2eZvKYlo2CUI79vXWy"), ("id", "evt_1"), ("customer", "cus_NffrFeUfNV2Hib"),
     ("customer", "cus_NffrFeUfNVxHib"), ("MessageSid", f"SM{'0' * 31}a"),
     ("id", 820982911946154508),
     ("objectId", 138017612137), ("id", str(UUID(int=0x0192F8A0123478908234123456789012))),
     ("sg_event_id", "rWVYmVk90MjZJ9iohOBa3w=="), ("number", "F0DF6BE-0001"),
     ("order_number", 1001),
     ("latest_charge", "ch_1PgafuB7WZ01zgkWXYmPNZs8"), ("after", "0" * 40), ("cart", "a" * 32),
     ("type", "payment_intent.succeeded"), ("object", "checkout.session"), ("status", "no-answer"),
     ("MessageStatus", "undelivered"), ("ErrorCode", "30003"),
     ("decline_code", "insufficient_funds"),
     ("reason", "subscription_cycle"), ("event", "spamreport"), ("method", "POST"), ("status", 404),
     ("status", "5.1.1"), ("content-type", "application/json"), ("currency", "usd"),
     ("currency_code", "EUR"), ("FromCountry", "US"), ("country_code", "GB"), ("amount", 4200),
     ("amount", 1_500_000_000), ("total_price", "199.99"), ("quantity", 3), ("NumMedia", "0"),
     ("created", 1795000001), ("occurredAt", 1462216307945), ("starts_at", "2026-07-01T06:30:00Z"),
     ("created_at", "2020-03-27T13:01:19-04:00"), ("date", "Fri, 20 Nov 2026 12:00:00 +0000"),
     ("due_date", "2026-11-21"), ("timestamp", "1669651200"), ("livemode", True), ("note", None),
     ("note", ""), ("note", "false"), ("id", "01J9ZQ4W8N3V7XKTB2MC5RHD6E"),
     ("admin_graphql_api_id", "gid://shopify/LineItem/866550311766439020"),
     ("external_id", f"SM{'0' * 31}a:delivered"), ("provider_id", "0035e00000AbCdEAAZ"),
     ("order_id", 612345678), ("customer_id", "115310627314723954"),
     ("customer_type", "business"), ("state", "open")],
)  # fmt: skip
def test_what_a_viewer_needs_is_shown(key, value):
    assert redactor.tree({key: value}) == {key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [("last4", "4242"), ("exp_year", 2031), ("postal_code", "94110"), ("lat", 37.77), ("age", 41),
     ("id", 12025550143), ("id", 2025550143), ("amount", 2025550143),
     ("number", "4242424242424242"),
     ("id", 4242424242424242), ("birth_date", "2006-04-12"), ("born_at", 1262304000),
     ("tax_id", "DE123456789"), ("wa_id", "14155550101"),
     ("client_secret", "pi_1PgafyB7WZ01_secret_a1b2c3d4"),
     ("verification_code", "paid"), ("plan", "gold"), ("phone_type", "mobile"), ("score", 10**18),
     ("created", 12025550143), ("state", "CA"), ("FromState", "VA"), ("status", ";paid"),
     ("email_hash", "0" * 64), ("api_key", "sk_live_1NG8Du2eZvKYlo2CUI79vXWy"),
     ("secret", "a" * 32),
     ("gravatar_id", "a" * 32), ("cart_token", str(UUID(int=0x0192F8A0123478908234123456789012))),
     ("number", "2223003122003222"), ("number", 2223003122003222), ("tax_number", 123456789),
     ("document_id", 123121234), ("recipient_id", "4917612345678"),
     ("received_from", 33612345678), ("account_id", "DE89370400440532013000"),
     ("account_id", "GB29NWBK60161331926819"),
     ("contact_id", "612345678"), ("customer_id", 612345678), ("number", "91234567"),
     ("id", 4917612345678), ("account_id", "12345678"), ("created", 1_000_000_000),
     ("date", "1000000000"), ("start", 1_000_000_000_000), ("updated_at", "2004-12-31T23:59:59Z"),
     ("name", "Price"), ("last_name", "day"), ("title", "page"), ("label", "reader"),
     ("customer_id", "price"), ("id", "page"), ("sku", "gold"), ("user_id", "page.reader"),
     ("id", "page42"), ("author_id", "Day-Price-7"), ("external_id", "reader.85"),
     ("customer_code", "price"), ("user_event", "Page"), ("secrets", f"whsec_{'a1B2' * 6}")],
)  # fmt: skip
def test_numbers_and_words_that_may_be_personal_are_masked(key, value):
    assert redactor.tree({key: value}) == {key: MASK}


@pytest.mark.parametrize(
    "tree",
    [{"phone": {"number": "41791234567"}}, {"token": {"value": "a" * 32}},
     {"birth": {"date": "2006-03-02"}}, {"email": [{"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy"}]}],
)  # fmt: skip
def test_what_stands_below_a_personal_name_is_masked_whatever_it_is_called(tree):
    def values(node):
        nested = list(node.values()) if isinstance(node, dict) else node
        return [one for each in nested for one in values(each)] if nested is not MASK else [node]

    assert set(values(redactor.tree(tree))) == {MASK}


def test_a_code_ends_before_its_parameters():
    told = {"content-type": "text/plain; name=Jane.pdf", "type": "paid; Jane Doe", "id": "a;Jane"}
    assert redactor.tree(told) == {
        "content-type": f"text/plain; {MASK}", "type": f"paid; {MASK}", "id": MASK,
    }  # fmt: skip


def test_a_form_is_masked_whole_with_names_that_nobody_declared():
    told = {"vorname": "Jane", "kinder": 3, "neu": True, "id": "evt_1", "jane": "x"}
    assert Redactor({"kinder", "neu"}).typed(told) == {
        "vorname": MASK, "kinder": MASK, "neu": True, "id": MASK, MASK: MASK,
    }  # fmt: skip
    assert redactor.tree({"fields": {"status": "paid"}}) == {"fields": {"status": MASK}}


def test_names_that_are_masked_alike_stay_several():
    names = {f"{n}@x.example": n for n in range(3000)}
    with little_work():
        shown = redactor.tree(names)
    assert len(shown) == 3000
    assert all("@" not in name for name in shown)


def test_words_of_the_settings_are_ordinary_here():
    assert redactor.event_type("crm.grundstueck.verkauft") == f"crm.{MASK}"
    here = Redactor({"grundstueck", "verkauft"})
    assert here.event_type("crm.grundstueck.verkauft") == "crm.grundstueck.verkauft"


def test_one_number_that_may_be_a_telephones_is_masked_within_an_id():
    assert redactor.id("33:25:3816279340:1246965") == f"33:25:{MASK}:1246965"
    assert redactor.id("3816279340") == MASK


@pytest.mark.parametrize(
    "sentence",
    ["honeypot: a field that people do not see was filled in",
     "links: 7, and 3 are allowed", "repeats: the same text came too often",
     "captcha: its provider could not be reached", "stripe told: payment.succeeded",
     "nobody knows whether sms.send happened: `hub unknown` shows the evidence",
     "the provider has it twice: look there, and tell whom it reached",
     "what was done after 2026-11-30T19:17:05Z is not in it: what may have been sent since is "
     "looked up, or waits for you (`hub unknown`); `hub backfill SOURCE` brings missing events",
     "3 calls of sms.send in a row ended the worker that made them, and it is not tried again: "
     "once that is mended, `hub replay 01a22de3-ad64-7dae-95f9-af4bf4e281e0`",
     "its outcome is not unknown: it is succeeded", "its body was not kept", SENTENCE],
)  # fmt: skip
def test_the_hubs_own_sentences_are_shown(sentence):
    assert redactor.sentence(sentence) == sentence


def test_a_sentence_names_nobody_whose_name_is_an_ordinary_word():
    said = redactor.sentence("Page 3 was not found: Day Price is unknown")
    assert said == f"Page 3 was not found: {MASK} is unknown"


# Of each country a few, and what stands behind them.
FIRSTS = "john mary wei olga jose fatima krzysztof ngozi yuki anneke giulia lars priya uwe".split()
LASTS = "smith querfurt wisniewski nguyen garcia okafor schwarz rossi suzuki visser price".split()
HANDLES = [
    form.format(first=first, last=last, First=first.title(), Last=last.title(), LAST=last.upper())
    for first in FIRSTS
    for last in LASTS
    for form in ("{First}{Last}Plumbing42", "{first}{last}1985", "{first}1985{last}london",
                 "{First}{LAST}85roofing", "{First}.{Last}.85", "x{first}85x{last}x")
]  # fmt: skip
DRAWN = random.Random(18)
LETTERS = string.ascii_letters + string.digits


def test_few_ids_look_like_names_and_few_names_like_ids():
    assert sum(map(is_id, HANDLES)) <= 0.01 * len(HANDLES)
    leet = [one.translate(str.maketrans("oieas", "01345")) for one in HANDLES if one[0] != "x"]
    assert sum(map(is_id, leet)) <= 0.08 * len(leet)
    ids = [f"{front}{''.join(DRAWN.choices(LETTERS, k=length))}" for _ in range(500)
           for front, length in (("", 24), ("cus_", 14), ("pi_1", 23), ("msg_2", 26))]  # fmt: skip
    assert sum(map(is_id, ids)) >= 0.95 * len(ids)


def test_no_ordinary_word_is_a_common_name():
    names = "james mary john patricia robert jennifer michael linda david jane smith johnson doe"
    names += " williams brown jones garcia miller davis mueller schmidt lopez ann max grant mark"
    names += " anna emma lotte mollie india will bo carl li kim singh chen nguyen khan silva rossi"
    assert ORDINARY_WORDS.isdisjoint(names.split())


@pytest.mark.parametrize(
    "piece",
    ["1", "a", "1 ", "20", "2026-11-", "0123456-", "f", "a@", "a_", "aA", "1a", "::", "A1-"],
)
def test_a_hostile_text_costs_no_more_than_a_long_one(piece):
    text = piece * (200_000 // len(piece))
    with little_work():
        redactor.tree({"id": text, "type": text, "created": text, "amount": text, text: text})
        redactor.sentence(text)
        redactor.id(text)
