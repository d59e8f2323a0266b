"""Refusals of bodies that the provider did not sign, or signed too long ago."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.contract.errors import NotVerified
from adapters.contract.request import InboundRequest
from tests.adapters.contract.recorded import (
    ALL,
    PROVIDERS,
    RECEIVED_AT,
    SIGNED,
    Fixture,
    about,
    every_body,
    every_signed,
)
from tests.adapters.contract.strange import spread

FLIPS = 400
WITH_HEADER = [provider for provider in PROVIDERS if about(provider).get("signature_header")]


def test_what_is_not_signed_is_the_exception() -> None:
    assert SIGNED
    assert WITH_HEADER


@every_signed
def test_any_changed_byte_is_refused(fixture: Fixture) -> None:
    adapter, request = fixture.adapter(), fixture.signed()
    adapter.verify(request)
    for place in spread(len(request.body), FLIPS):
        body = bytearray(request.body)
        body[place] ^= 1
        with pytest.raises(NotVerified):
            adapter.verify(replace(request, body=bytes(body)))
    for body in (b"", request.body[:-1], request.body + b"\n"):
        with pytest.raises(NotVerified):
            adapter.verify(replace(request, body=body))


@every_body
def test_a_wrong_secret_is_refused(fixture: Fixture) -> None:
    if "wrong_settings" in fixture.about:
        with pytest.raises(NotVerified):
            fixture.adapter("wrong_settings").verify(fixture.signed())
    else:
        assert not fixture.about["signed_body"]


@every_signed
def test_too_old_and_too_new_are_refused_and_the_edges_are_not(fixture: Fixture) -> None:
    adapter, second = fixture.adapter(), timedelta(seconds=1)
    for key, sense in (("past_s", -1), ("future_s", 1)):
        if fixture.about[key] is None:
            continue
        edge = timedelta(seconds=fixture.about[key])
        adapter.verify(fixture.signed(at=RECEIVED_AT + sense * edge))
        with pytest.raises(NotVerified, match="clock"):
            adapter.verify(fixture.signed(at=RECEIVED_AT + sense * (edge + second)))


@pytest.mark.parametrize("provider", WITH_HEADER)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_strange_signature_headers_are_refused_quietly(provider: str, data: st.DataObject) -> None:
    fixture, request = signed_once(provider)
    name = fixture.about["signature_header"]
    good = request.headers[name]
    value = data.draw(st.one_of(st.none(), st.text(), mangled(good)))
    if value is not None and good in value:
        return
    headers = {key: text for key, text in request.headers.items() if key != name}
    if value is not None:
        headers[name] = value
    with pytest.raises(NotVerified):
        fixture.adapter().verify(replace(request, headers=headers))


@cache
def signed_once(provider: str) -> tuple[Fixture, InboundRequest]:
    """Return one request: of some schemes no two signatures are alike."""
    fixture = next(fixture for fixture in ALL if fixture.provider == provider)
    return fixture, fixture.signed()


@st.composite
def mangled(draw: st.DrawFn, header: str) -> str:
    """Draw the good header with one piece of it replaced by anything; its signature is hit."""
    half = len(header) // 2
    start = draw(st.integers(half, len(header) - 1))
    end = draw(st.integers(start + 1, len(header)))
    return header[:start] + draw(st.text(max_size=20)) + header[end:]
