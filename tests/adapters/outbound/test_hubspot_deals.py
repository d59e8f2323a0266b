"""hubspot.create_deal and update_deal: one deal for one delivery, whatever gets lost."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters import AnswerLost, Call, Effect, InvalidParameters, Outcome, Verdict
from adapters.hubspot.outbound import HubspotOutbound
from hub.gateways.http.sandbox import RecordingTransport
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.crm import Crm
from tests.far_end import FarEnd
from tests.gateways.servers import Far

Calls = Callable[..., Call]
KEY = "01990000-0000-7000-8000-000000000001"
DEAL = {"name": "Roof", "amount": 125050, "currency": "usd"}


def adapter(url: str, transport: Any, **settings: Any) -> HubspotOutbound:
    loaded = HubspotOutbound.settings_schema().load({"token": "pat-na1-secret"} | settings)
    return HubspotOutbound({**loaded, "base_url": url}, transport)


def create(crm: Crm, transport: Any, call: Calls, deal: Any = DEAL, **settings: Any) -> Outcome:
    with FarEnd(crm.behave) as far:
        return adapter(far.url, transport, **settings).perform(call("create_deal", deal, KEY))


def test_a_deal_is_created_with_its_key(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    jane = crm.add("contacts", email="jane@example.org")
    outcome = create(
        crm,
        transport,
        call,
        DEAL
        | {
            "contact": "jane@example.org",
            "stage": "closedwon",
            "pipeline": "default",
            "close_date": "2026-12-01",
            "properties": {"source_page": "/roofs", "dealname": "other", "empty": ""},
        },
    )
    ((deal_id, deal),) = crm.objects["deals"].items()
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, deal_id)
    assert deal == {
        "dealname": "Roof",
        "amount": "1250.50",
        "deal_currency_code": "USD",
        "dealstage": "closedwon",
        "pipeline": "default",
        "closedate": "1796126400000",
        "source_page": "/roofs",
        "hub_delivery": KEY,
    }
    assert crm.links == [("deals", deal_id, jane)]
    assert HubspotOutbound.actions["create_deal"].effect is Effect.KEYED


def test_a_deal_whose_answer_was_lost_is_found_and_left_as_it_is(
    transport: GuardedTransport, call: Calls
) -> None:
    crm = Crm(lost=1)
    with pytest.raises(AnswerLost):
        create(crm, transport, call)
    ((deal_id, deal),) = crm.objects["deals"].items()
    deal["dealname"] = "Roof, edited by a person"
    outcome = create(crm, transport, call)
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, deal_id)
    assert crm.objects["deals"] == {deal_id: deal}
    assert deal["dealname"] == "Roof, edited by a person"


def test_a_deal_that_arrives_between_look_and_creation_is_taken(
    transport: GuardedTransport, call: Calls
) -> None:
    class Late(Crm):
        def create(self, kind: str, value: Any) -> Any:
            self.add(kind, **value["properties"])  # the earlier try, at last
            return super().create(kind, value)

    crm = Late()
    outcome = create(crm, transport, call)
    ((deal_id, _deal),) = crm.objects["deals"].items()
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, deal_id)


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (0, "USD", "0.00"),
        (1, "USD", "0.01"),
        ("1050", "EUR", "10.50"),
        (125000, "JPY", "125000"),
        (1, "KWD", "0.001"),
        (10**15 - 1, "USD", "9999999999999.99"),
    ],
)
def test_an_amount_is_written_in_the_major_unit(
    transport: GuardedTransport, call: Calls, amount: Any, currency: str, written: str
) -> None:
    crm = Crm()
    create(crm, transport, call, {"name": "Roof", "amount": amount, "currency": currency})
    ((_deal_id, deal),) = crm.objects["deals"].items()
    assert (deal["amount"], deal["deal_currency_code"]) == (written, currency)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-12-01", "1796126400000"),
        ("2026-12-01T09:30:00Z", "1796117400000"),
        ("2026-12-01T09:30:00-05:00", "1796135400000"),
    ],
)
def test_a_day_is_its_noon(
    transport: GuardedTransport, call: Calls, given: str, written: str
) -> None:
    crm = Crm()
    create(crm, transport, call, {"name": "Roof", "close_date": given})
    ((_deal_id, deal),) = crm.objects["deals"].items()
    assert deal["closedate"] == written


def test_without_the_property_it_is_said_how_to_make_it(
    transport: GuardedTransport, call: Calls
) -> None:
    crm = Crm(unique={"another"})
    outcome = create(crm, transport, call)
    assert outcome.verdict is Verdict.PERMANENT
    assert "deal property `hub_delivery`" in outcome.message
    assert "Require unique values" in outcome.message
    assert len(outcome.message) <= 500
    assert crm.objects["deals"] == {}
    outcome = create(crm, transport, call, deal_key_property="another")
    assert outcome.verdict is Verdict.SUCCEEDED
    ((_deal_id, deal),) = crm.objects["deals"].items()
    assert deal["another"] == KEY


def test_a_contact_that_is_not_there_makes_no_deal(
    transport: GuardedTransport, call: Calls
) -> None:
    crm = Crm()
    outcome = create(crm, transport, call, DEAL | {"contact": "jane@example.org"})
    assert outcome.verdict is Verdict.PERMANENT
    assert "upsert_contact" in outcome.message
    assert "jane" not in outcome.message
    assert crm.objects["deals"] == {}


def test_a_contact_may_be_named_by_its_id(transport: GuardedTransport, call: Calls) -> None:
    for contact in (138017612137, "138017612137"):
        crm = Crm()
        assert create(crm, transport, call, DEAL | {"contact": contact}).verdict == "succeeded"
        assert [to for _, _, to in crm.links] == ["138017612137"]


def test_a_deal_is_updated_by_its_id(transport: GuardedTransport, call: Calls) -> None:
    crm = Crm()
    deal_id = crm.add("deals", dealname="Roof", dealstage="open")
    with FarEnd(crm.behave) as far:
        crm_adapter = adapter(far.url, transport)
        change = {"deal": deal_id, "stage": "closedwon", "amount": 5, "currency": "USD"}
        outcome = crm_adapter.perform(call("update_deal", change))
        gone = crm_adapter.perform(call("update_deal", change | {"deal": "7"}))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, deal_id)
    assert crm.objects["deals"][deal_id] == {
        "dealname": "Roof",
        "dealstage": "closedwon",
        "amount": "0.05",
        "deal_currency_code": "USD",
    }
    assert (gone.verdict, gone.status) == (Verdict.PERMANENT, 404)
    assert "No deal has this id" in gone.message
    assert HubspotOutbound.actions["update_deal"].effect is Effect.NATURAL


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None},
        {"name": " "},
        {"amount": 10.5},
        {"amount": "10.50"},
        {"amount": -1},
        {"amount": True},
        {"amount": 10**15},
        {"currency": "dollars"},
        {"currency": "USD\n"},
        {"currency": None},
        {"close_date": "soon"},
        {"close_date": "2026-12-01T09:30:00"},
        {"close_date": "0001-01-01"},
        {"contact": "jane"},
        {"contact": []},
        {"contact": True},
        {"properties": {"a": []}},
        {"ammount": 1},
    ],
)
def test_what_is_no_deal_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, wrong: dict[str, Any]
) -> None:
    for action, needed in (("create_deal", {}), ("update_deal", {"deal": "1"})):
        if "contact" in wrong and action == "update_deal":
            continue
        with pytest.raises(InvalidParameters):
            adapter(far.url, transport).perform(call(action, DEAL | needed | wrong))
    assert far.seen == []


@pytest.mark.parametrize("lonely", ["amount", "currency"])
def test_an_amount_needs_a_currency(
    far: Far, transport: GuardedTransport, call: Calls, lonely: str
) -> None:
    deal = {"name": "Roof", lonely: DEAL[lonely]}
    with pytest.raises(InvalidParameters, match="go together"):
        adapter(far.url, transport).perform(call("create_deal", deal))
    assert far.seen == []


@pytest.mark.parametrize("wrong", ["", "1", "Hub Delivery", "a/b", "a?b", "x\n"])
def test_a_property_s_name_is_checked(wrong: str) -> None:
    assert HubspotOutbound.settings_schema().validate({"deal_key_property": wrong})


def test_in_the_sandbox_the_whole_deal_is_recorded(call: Calls) -> None:
    sandbox = RecordingTransport(HubspotOutbound({}, None).sandbox_answer)  # type: ignore[arg-type]
    one = HubspotOutbound({"token": ""}, sandbox)
    outcome = one.perform(call("create_deal", DEAL | {"contact": "jane@example.org"}, KEY))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "sandbox")
    assert sandbox.last is not None
    assert sandbox.last.method == "POST"
    assert json.loads(sandbox.last.body)["properties"]["hub_delivery"] == KEY
