"""Errors in plain words: the hub's own, the providers' codes, and unforeseen ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry import OUTBOUND, outbound
from adapters.salesforce.answers import CODES as SALESFORCE_CODES
from adapters.stripe.answers import CODES as STRIPE_CODES
from adapters.twilio.answers import VERDICTS as TWILIO_CODES
from hub.core.configuration import Configuration, Destination
from hub.core.delivery.settle import SettleAnswer
from hub.core.delivery.transitions import DEADLY
from hub.core.explain.errors import ANSWERS, PLANS, explain_error
from hub.core.explain.provider_codes import PROVIDERS
from hub.core.explain.side_effects import (
    SIDE_EFFECTS,
    SideEffect,
    how_safe,
    is_live,
    side_effect_of,
    what_happens,
)
from hub.core.replays.preview import PlanGroup
from hub.core.replays.replay import Plan


def words(error: str | None, *, code: str | None = None, destination: str = "sms") -> str:
    return explain_error(error, status=None, code=code, destination=destination).words


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("Twilio answered 400: 21211: no number", "The telephone number cannot exist"),
        ("Twilio answered 400: 21610: STOP",
         "The person answered STOP and gets no more texts"),
        ("gave up after 12 attempts: Twilio answered 429: 20429: slow down",
         "Twilio was called too often; the hub gave up after 12 attempts"),
        ("Stripe answered 402: insufficient_funds; Your card has too little.",
         "The card was declined: there is not enough money"),
        ("Stripe answered 402: card_declined; Your card was declined.",
         "The card was declined by the customer's bank"),
        ("SendGrid answered 401: bad key", "SendGrid does not accept the API key"),
        ("SendGrid answered 403: from: not verified",
         "SendGrid does not let this account send the e-mail"),
        ("SendGrid answered 413: too large", "The e-mail is too large"),
        ("HubSpot answered 409: Contact already exists",
         "HubSpot has it already, as another record"),
        ("HubSpot answered 429: RATE_LIMITS; You have reached your limit",
         "HubSpot was called too often"),
        ("Slack answered 404: no_service", "The Slack address was taken back"),
        ("crm.example: there is no such host name",
         "crm.example does not exist under the address in the settings"),
        ("gave up after 72 h: crm.example: refused the connection",
         "crm.example is not running, or refuses connections; the hub gave up after 72 h"),
        ("crm.example: its certificate is not accepted (certificate has expired)",
         "crm.example showed a certificate that is not valid"),
        ("crm.example: the TLS handshake failed",
         "A secure connection to crm.example could not be made"),
        ("crm.example: no whole answer came within 20 s", "crm.example took too long to answer"),
        ("crm.example answered 503", "crm.example had a fault of its own"),
        ("crm.example answered 422: name is too long",
         "crm.example refused it as wrong: “name is too long”"),
        ("crm.example answered 302; the hub follows no redirects: put the final address into `url`",
         "crm.example has moved to another address"),
        ("it cannot be rendered: body: data.phone is missing",
         "The event has no data.phone, which the route needs"),
        ("it cannot be rendered: money needs the currency",
         "The message could not be made from the event"),
        ("not sent: to: expected a number like +12025550123",
         "The message cannot be sent as it is: to: expected a number like +12025550123"),
        ("route receipt is not in hub.yaml any more: put it back, or name it in `was`",
         "Its route is not in the settings any more"),
        ("its destination is not in hub.yaml any more: put it back and replay",
         "“sms” is not in the settings any more"),
        ("the worker that made this call ended before its answer",
         "The hub was stopped in mid-call"),
        (DEADLY,
         "Its calls to “sms” ended the worker that made them, again and again; "
         "the hub gave up after 3 attempts"),
        ("dropped: they called us instead.", "Somebody dropped it: they called us instead"),
        ("cap: 3 in 1d to one e-mail address",
         "No more was sent: 3 in 1d to one e-mail address is the limit"),
        ("cap: it is a number of another country than US",
         "It was not sent: it is a number of another country than US"),
        ("condition", "The route's condition did not hold, so nothing was to be done"),
        (None, "No reason was noted"),
        ("something {new} happened", "Something {new} happened"),
    ],
)  # fmt: skip
def test_a_cause_is_told_in_words(error, told):
    assert words(error) == told


def test_a_code_alone_is_told_too():
    assert words(None, code="30005") == "The number is unknown or not in use any more"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("Twilio answered 400: 21610 Jane, +12025550101",
         "The person answered STOP and gets no more texts"),
        ("Stripe answered 404: no customer jane@x.example", "Stripe has nothing at this address"),
        ("jane.example answered 422: Jane Doe", "“sms” refused it as wrong"),
        ("jane.example: refused the connection", "“sms” is not running, or refuses connections"),
        ("gave up after 12 attempts: crm.example answered 503: Jane",
         "“sms” had a fault of its own; the hub gave up after 12 attempts"),
        ("gave up after Jane: crm.example answered 503: Jane", "“sms” had a fault of its own"),
        ("not sent: to: jane@x is no address", "The message cannot be sent as it is: •••"),
        ("cannot be rendered: to: data.phone is missing",
         "The event has no data.phone, which the route needs"),
        ("cannot be rendered: to: data.jane is missing",
         "The event has no •••, which the route needs"),
        ("dropped: Jane told me", "Somebody dropped it"),
        ("Jane Doe is on holiday", "•••"),
    ],
)  # fmt: skip
def test_an_explanation_without_quotes_has_nothing_of_the_errors_own_text(error, told):
    found = explain_error(error, status=None, code=None, destination="sms", quoting=False)
    assert found.words == told
    assert "jane" not in (found.words + found.hint).lower()


def test_a_far_ends_flood_of_words_is_cut():
    assert len(words("crm.example answered 400: " + "x" * 5000)) < 200


def test_what_to_do_does_not_promise_another_try_when_there_is_none():
    error = "gave up after 12 attempts: crm.example: refused the connection"
    hint = explain_error(error, status=None, code=None, destination="crm").hint
    assert hint == "See whether it is up. Then replay."


@given(st.text(), st.none() | st.integers(0, 999), st.none() | st.text(), st.text())
def test_whatever_the_error_it_is_told(error, status, code, destination):
    for text in (error, f"{error} answered 400: {error}", f"gave up after 1 h: {error}",
                 f"it cannot be rendered: {error} is missing"):  # fmt: skip
        found = explain_error(text, status=status, code=code, destination=destination)
        assert isinstance(found.words, str)


def test_every_code_that_an_adapter_knows_has_words():
    assert {str(code) for code in TWILIO_CODES} - {"20500", "20503"} <= PROVIDERS["Twilio"].keys()
    assert STRIPE_CODES.keys() <= PROVIDERS["Stripe"].keys()
    assert SALESFORCE_CODES.keys() - {"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"} <= (
        PROVIDERS["Salesforce"].keys()
    )


def test_no_words_have_a_hole_left_in_them():
    for meanings in PROVIDERS.values():
        for code in meanings:
            found = explain_error(None, status=None, code=code, destination="sms")
            assert "{" not in found.words + found.hint


def test_every_plan_and_every_answer_has_words():
    assert PLANS.keys() == set(Plan)
    assert ANSWERS.keys() == set(SettleAnswer)


@pytest.mark.parametrize("adapter", sorted(OUTBOUND))
def test_every_action_makes_a_thing_that_people_know(adapter):
    for name, action in outbound(adapter).actions.items():
        assert action.internal or (adapter, name) in SIDE_EFFECTS, name


def configured(**changes) -> Configuration:
    values = {"slug": "sms", "adapter": "twilio", "settings": {}} | changes
    return Configuration(version="0", destinations={"sms": Destination(**values)})


def group(plan: Plan, count: int = 12, **values) -> PlanGroup:
    told = {"destination": "sms", "action": "send", "state": "failed", "may_have": False} | values
    return PlanGroup(plan=plan, count=count, **told)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (group(Plan.ANEW), "12 text messages will be sent through sms"),
        (group(Plan.ANEW, 1), "1 text message will be sent through sms"),
        (group(Plan.REPEAT, 1200), "1,200 text messages will be sent through sms"),
        (group(Plan.NOW), "12 text messages will be sent through sms now instead of later"),
        (group(Plan.AGAIN), "12 text messages will be sent a second time through sms"),
        (group(Plan.ANEW, state="skipped"),
         "12 text messages will be decided again, and sent through sms if their route says so"),
        (group(Plan.REFUSED, state="succeeded"), "12 text messages were sent already"),
        (group(Plan.REFUSED, 1, state="unknown"),
         "1 text message: nobody knows whether it was sent"),
        (group(Plan.REFUSED, may_have=True), "12 text messages may have been sent before"),
        (group(Plan.REFUSED, 1, state="running"), "1 text message: it is on the way already"),
        (group(Plan.ANEW, destination="gone"),
         "12 calls of send: gone is not in hub.yaml, so this will fail"),
    ],
)  # fmt: skip
def test_what_a_replay_makes_of_them_is_told_plainly(told, expected):
    assert what_happens(configured(), told) == expected


@pytest.mark.parametrize("plan", [Plan.ANEW, Plan.REPEAT, Plan.NOW, Plan.AGAIN])
def test_what_is_only_recorded_is_never_said_to_be_sent(plan):
    said = what_happens(configured(sandbox=True), group(plan))
    assert said == "12 text messages will be recorded, not sent: sms is in the sandbox"
    assert not is_live(configured(sandbox=True), "sms")


def test_what_is_switched_off_waits():
    said = what_happens(configured(enabled=False), group(Plan.ANEW))
    assert said == "12 text messages: sms is switched off in hub.yaml, so this will wait"


def test_how_safe_it_is_is_told_for_all_that_runs():
    told = {how_safe(configured(), group(plan)) for plan in Plan if plan is not Plan.REFUSED}
    assert len(told) == 4
    assert how_safe(configured(sandbox=True), group(Plan.AGAIN)) == "Nothing leaves the hub."


def test_an_action_that_nobody_named_is_a_call():
    assert side_effect_of(configured(), "sms", "dance") == SideEffect(
        "call of dance", "calls of dance", "made", "to"
    )
