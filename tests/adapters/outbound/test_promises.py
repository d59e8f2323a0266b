"""Promises of every outbound adapter, whatever its provider answers.

A new adapter adds its account and an example of each action to `accounts.py`.
"""

import socket
import sys

import pytest
from marshmallow import Schema

from adapters import (
    Answer,
    AnswerLost,
    Effect,
    InvalidParameters,
    NotSent,
    Outcome,
    TransportError,
    Verdict,
    registry,
)
from hub.gateways.http.sandbox import RecordingTransport
from tests.adapters.outbound.accounts import ACCOUNTS, EXAMPLES, SECRETS, WITHOUT
from tests.adapters.outbound.promising import (
    ACTIONS,
    ADAPTERS,
    DOUBTFUL,
    LABELS,
    ONCE,
    call,
    calls_of,
    each_action,
    each_once,
    effective,
    made,
    nothing,
    perform,
    raising,
)
from tests.cases import each_of


def test_each_adapter_has_an_account_and_each_action_an_example() -> None:
    assert len(ADAPTERS) >= 4
    assert set(ADAPTERS) <= set(ACCOUNTS)
    assert set(ACTIONS) <= set(EXAMPLES)
    assert {name for name, _ in EXAMPLES} <= set(ADAPTERS)


@each_action
def test_an_action_names_the_parameters_that_hold_people(name: str, action: str) -> None:
    """By them its texts and e-mails are counted, so that no form can bomb somebody."""
    about = registry.outbound(name).actions[action]
    given = {key: field.data_key or key for key, field in about.parameters().load_fields.items()}
    named = {about.phone, *about.recipients, about.attachments} - {None}
    assert named <= set(given.values())
    assert {"to", "cc", "bcc"} & set(given.values()) <= {about.phone, *about.recipients}
    people = {"customer", "contact", "email", "person", "to", "cc", "bcc"} & set(given.values())
    assert not about.recipients or people == set(about.recipients)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_says_what_it_is(name: str) -> None:
    adapter = registry.outbound(name)
    docs = sys.modules[adapter.__module__].__doc__ or ""
    assert [label for label in LABELS if label not in docs] == []
    assert adapter.name == name
    assert adapter.__doc__
    assert adapter.actions
    assert set(adapter.secrets) <= set(adapter.settings_schema().load_fields) | {"from"}
    for action in adapter.actions.values():
        assert issubclass(action.parameters, Schema)
        assert isinstance(action.effect, Effect)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_credential_is_a_setting_and_without_it_there_is_only_the_sandbox(name: str) -> None:
    adapter = registry.outbound(name)
    settings_fields = adapter.settings_schema().fields.values()
    known = {field.data_key or field.name for field in settings_fields} | {"base_url"}
    for either in adapter.credentials:
        assert set(either.split("|")) <= known
    assert adapter.missing(adapter.settings_schema().load(WITHOUT.get(name, {}))) != []
    assert adapter.missing(adapter.settings_schema().load(ACCOUNTS[name])) == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_account_s_secret_is_among_those_that_are_hidden(name: str) -> None:
    loaded = registry.outbound(name).settings_schema().load(ACCOUNTS[name])
    hidden = " ".join(str(loaded[key]) for key in registry.outbound(name).secrets if key in loaded)
    assert SECRETS[name] in hidden


@each_action
def test_unknown_parameters_are_refused_andnothing_is_sent(name: str, action: str) -> None:
    adapter = made(name, ACCOUNTS[name], RecordingTransport(nothing))
    with pytest.raises(InvalidParameters) as caught:
        adapter.perform(call(action, EXAMPLES[name, action] | {"surprise": 1}))
    assert "surprise" in caught.value.faults


@each_action
def test_the_same_parameters_load_to_the_same(name: str, action: str) -> None:
    schema = registry.outbound(name).actions[action].parameters()
    once = schema.load(EXAMPLES[name, action])
    assert schema.load(once) == once


@each_action
def test_in_the_sandbox_every_action_succeeds_without_a_socket(
    name: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", raising(AssertionError("a socket was opened")))
    monkeypatch.setattr(socket, "getaddrinfo", raising(AssertionError("a name was looked up")))
    without = WITHOUT.get(name, {})
    recorder = RecordingTransport(made(name, without, RecordingTransport(nothing)).sandbox_answer)
    outcome = made(name, without, recorder).perform(call(action, EXAMPLES[name, action]))
    assert outcome.verdict is Verdict.SUCCEEDED, outcome.message
    assert recorder.last is not None


@each_action
def test_what_was_not_sent_is_told_as_that(name: str, action: str) -> None:
    for at, _ in enumerate(calls_of(name, action)):
        ended = perform(name, action, at, raising(NotSent("no route")))
        if at == 0 or (name, action) in ONCE:
            assert isinstance(ended, NotSent)
        else:  # an earlier step may have done something
            assert isinstance(ended, TransportError)


@each_of(("name", "action", "status"), DOUBTFUL)
@each_of("body", [b"", b"<html>", b"[]", b'{"id', b"null"])
def test_what_may_have_been_sent_once_is_never_sent_again(
    name: str, action: str, status: int, body: bytes
) -> None:
    ended = perform(name, action, effective(name, action), lambda: Answer(status, {}, body))
    assert isinstance(ended, Outcome)
    assert ended.verdict is Verdict.IN_DOUBT, ended.message


@each_once
def test_an_answer_lost_is_doubt_for_the_call_with_the_effect_alone(name: str, action: str) -> None:
    last = effective(name, action)
    lost = perform(name, action, last, raising(AnswerLost("reset")))
    assert isinstance(lost, AnswerLost) or (
        isinstance(lost, Outcome) and lost.verdict is Verdict.IN_DOUBT
    )
    for before in range(last):
        assert isinstance(perform(name, action, before, raising(AnswerLost("reset"))), NotSent)


@each_once
@pytest.mark.parametrize("status", [200, 429, 500, 502])
def test_what_goes_wrong_before_the_effect_is_no_doubt(name: str, action: str, status: int) -> None:
    for before in range(effective(name, action)):
        ended = perform(name, action, before, lambda: Answer(status, {}, b"<html>"))
        if isinstance(ended, Outcome):
            assert ended.verdict not in (Verdict.IN_DOUBT, Verdict.SUCCEEDED)
