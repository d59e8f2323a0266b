"""Whatever a provider answers, there is a verdict, and no word that is private."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters import (
    AdapterError,
    Answer,
    Outcome,
    Verdict,
)
from tests.adapters.outbound.accounts import ACCOUNTS, EMAIL, EXAMPLES, PHONE, SECRETS
from tests.adapters.outbound.promising import (
    ONCE,
    Faulty,
    call,
    calls_of,
    each_action,
    effective,
    made,
    perform,
    said,
)
from tests.cases import each_of

WORDS = st.sampled_from(
    [
        EMAIL, EMAIL.upper(), PHONE, f"<{EMAIL}>", f"To {PHONE} is wrong", f"'{EMAIL}','{PHONE}'",
        "SECRET", "no SECRET, no", "INVALID_SESSION_ID", "UNABLE_TO_LOCK_ROW", "OBJECT_NOT_FOUND",
    ]
) | st.text(max_size=20)  # fmt: skip
NAMES = st.sampled_from(
    """
    additional_data category code context data decline_code email emails error errorCode
    error_code error_description errors field id items message more_info name person phones
    policyName results sid status success title total type update_time
    """.split()
)
LEAVES = WORDS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
BODIES = VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
STATUSES = st.sampled_from(
    [
        *(100, 200, 201, 202, 204, 207, 300, 301, 304, 400, 401, 402, 403, 404, 405, 408, 409, 410),
        *(413, 415, 422, 423, 425, 429, 451, 477, 500, 502, 503, 504, 524, 599, 999),
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        """
        content-type date location retry-after stripe-should-retry x-message-id x-ratelimit-reset
        x-ratelimit-remaining x-daily-ratelimit-token-remaining
        """.split()
    ),
    st.sampled_from(["0", "7", "-1", "1e9", "99999999999999999999", "soon", "", "²", "\x00", "nan"])
    | WORDS,
    max_size=3,
)


@each_action
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(status=STATUSES, headers=HEADERS, body=BODIES, at=st.integers(0, 3))
def test_whatever_is_answered_ends_in_a_verdict_that_keeps_secrets(
    name: str, action: str, status: int, headers: dict[str, str], body: bytes, at: int
) -> None:
    secret = SECRETS[name]
    answer = Answer(status, headers, body.replace(b"SECRET", secret.encode()))
    at %= len(calls_of(name, action))
    ended = perform(name, action, at, lambda: answer)
    assert isinstance(ended, Outcome | AdapterError)
    words = said(ended)
    for private in (EMAIL, PHONE, PHONE.removeprefix("+"), secret):
        assert private.lower() not in words.lower()
    assert words.isprintable()
    if isinstance(ended, Outcome):
        assert ended.retry_after_s is None or ended.retry_after_s >= 0
        if status >= 500 and (name, action) in ONCE and at == effective(name, action):
            assert ended.verdict not in (Verdict.NOT_PROCESSED, Verdict.SUCCEEDED)


def told(words: str) -> list[bytes]:
    """Return an error that says `words`, in the shape of each provider."""
    error = {"message": words, "code": words, "type": "invalid_request_error"}
    shapes: list[Any] = [
        {"message": words, "category": words, "error": words, "code": words, "detail": words},
        {"error": words, "error_description": words, "status": words},
        {"error": error},
        {"errors": [{"message": words, "field": words, "error_id": words}]},
        [{"errorCode": "INVALID_FIELD", "message": words, "fields": [words]}],
        [{"errorCode": words, "message": words}],
    ]
    return [json.dumps(shape).encode() for shape in shapes] + [words.encode()]


@each_action
@each_of("status", [200, 400, 401, 403, 404, 409, 422, 429, 500])
def test_a_provider_s_own_words_lose_what_is_private(name: str, action: str, status: int) -> None:
    private = (EMAIL, PHONE, SECRETS[name])
    for at, _ in enumerate(calls_of(name, action)):
        for body in told(f"{EMAIL} or {PHONE} is unknown to {SECRETS[name]}"):
            answer = Answer(status, {}, body)
            ended = perform(name, action, at, lambda answer=answer: answer)
            assert [one for one in private if one in said(ended)] == []


@each_action
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(st.tuples(STATUSES, BODIES), min_size=1, max_size=4))
def test_several_strange_answers_end_in_a_verdict_too(
    name: str, action: str, answers: list[tuple[int, bytes]]
) -> None:
    left = [Answer(status, {}, body) for status, body in answers]

    def answer(method: str, url: str) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    faulty = Faulty(answer, -1, lambda: left[0])
    adapter = made(name, ACCOUNTS[name], faulty)
    try:
        ended: Outcome | AdapterError = adapter.perform(call(action, EXAMPLES[name, action]))
    except AdapterError as error:
        ended = error
    assert EMAIL not in said(ended)
    assert PHONE not in said(ended)
    assert len(faulty.calls) < 60
