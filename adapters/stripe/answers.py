"""Outcomes of the errors that Stripe's Python library raises: by class, error code and status.

The library's own texts are not passed on: they may quote a whole answer.

**Docs**: https://docs.stripe.com/error-low-level · https://docs.stripe.com/api/errors ·
https://docs.stripe.com/api/idempotent_requests
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import stripe

from adapters.contract.answers import read_answer, verdict_of
from adapters.contract.outbound import Answer, Outcome, Verdict
from adapters.stripe.api import Unfinished

ERRORS: Mapping[type[stripe.StripeError], Verdict] = {
    stripe.AuthenticationError: Verdict.BLOCKED,
    stripe.PermissionError: Verdict.BLOCKED,
    stripe.RateLimitError: Verdict.NOT_PROCESSED,
    stripe.CardError: Verdict.PERMANENT,
    stripe.IdempotencyError: Verdict.PERMANENT,
    stripe.InvalidRequestError: Verdict.PERMANENT,
}
# Of the other errors, by status; the table that all providers share has the rest.
STATUSES: Mapping[int, Verdict] = {
    # Another request with the same key, or for the same object, is in progress.
    409: Verdict.NOT_PROCESSED,
}
# Exceptions to the class, by the error's `code`.
CODES: Mapping[str, Verdict] = {
    "idempotency_key_in_use": Verdict.NOT_PROCESSED,
    "lock_timeout": Verdict.NOT_PROCESSED,
    # Stripe once sent this code with status 400.
    "rate_limit": Verdict.NOT_PROCESSED,
}

OTHER_REQUEST = (
    "Stripe keeps a request with other parameters under this delivery's key; look there for what "
    "it made (metadata hub_delivery) before you replay it"
)


def ending(error: stripe.StripeError, *, now: datetime, secret: str, reading: bool) -> Unfinished:
    """Return the end of an action whose request was answered with an error.

    The outcome of a request that only reads is never unknown.
    """
    outcome = _outcome(error, now, secret)
    if reading and outcome.verdict is Verdict.IN_DOUBT:
        outcome = replace(outcome, verdict=Verdict.NOT_PROCESSED)
    return Unfinished(
        outcome,
        is_stuck=_is_stuck(error),
        key_is_taken=_is_of_another_request(error) and error.http_status == 400,
    )


def _outcome(error: stripe.StripeError, now: datetime, secret: str) -> Outcome:
    answer = Answer(error.http_status or 0, error.headers or {}, b"")
    return read_answer(
        answer,
        provider="Stripe",
        now=now,
        verdict=_verdict(error, answer.status),
        code=_code(error),
        words=_words(error, answer.status),
        hide=[secret],
    )


def _verdict(error: stripe.StripeError, status: int) -> Verdict:
    # Also a 2xx with which the answer of a call does not agree.
    if status >= 500 or 200 <= status < 300:
        return Verdict.IN_DOUBT
    verdict = (
        CODES.get(_told(error, "code") or "")
        or ERRORS.get(type(error))
        or STATUSES.get(status)
        or verdict_of(status)
    )
    asked = _header(error, "stripe-should-retry") == "true"
    return Verdict.NOT_PROCESSED if asked and verdict is Verdict.PERMANENT else verdict


def _is_stuck(error: stripe.StripeError) -> bool:
    """Return whether Stripe repeats this 5xx for the same key, whether or not it had an effect.

    `Idempotent-Replayed: true` means that the answer is a repetition, `Stripe-Should-Retry: false`
    that Stripe is going to repeat it.
    """
    return (error.http_status or 0) >= 500 and (
        _header(error, "idempotent-replayed") == "true"
        or _header(error, "stripe-should-retry") == "false"
    )


def _is_of_another_request(error: stripe.StripeError) -> bool:
    return isinstance(error, stripe.IdempotencyError) and _told(error, "code") not in CODES


def _words(error: stripe.StripeError, status: int) -> str:
    if 200 <= status < 300:
        # Of `adapters.stripe.client`, which raises it before the library reads the answer.
        return error.user_message or ""
    if _is_of_another_request(error):
        return OTHER_REQUEST
    return "; ".join(part for part in (_code(error), _told(error, "message")) if part)


def _code(error: stripe.StripeError) -> str | None:
    names = (_told(error, name) for name in ("decline_code", "code", "type"))
    return next((name for name in names if name), None)


def _told(error: stripe.StripeError, name: str) -> str | None:
    """Return a text of the error; the attribute `code` is None for most classes of errors."""
    value: Any = getattr(error.error, name, None)
    return value if isinstance(value, str) else None


def _header(error: stripe.StripeError, name: str) -> str | None:
    return (error.headers or {}).get(name)
