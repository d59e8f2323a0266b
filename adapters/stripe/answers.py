"""Verdicts of Stripe's answers: tables by error code, error type and status.

**Docs**: https://docs.stripe.com/error-low-level · https://docs.stripe.com/api/errors ·
https://docs.stripe.com/api/idempotent_requests
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from adapters.contract.answers import read_answer, read_object, verdict_of
from adapters.contract.errors import AdapterError
from adapters.contract.outbound import Answer, Outcome, Verdict

STATUSES: Mapping[int, Verdict] = {
    # Another request with the same key, or for the same object, is in progress.
    409: Verdict.NOT_PROCESSED,
}
# Exceptions to the status, by the error's `code`.
CODES: Mapping[str, Verdict] = {
    "idempotency_key_in_use": Verdict.NOT_PROCESSED,
    "lock_timeout": Verdict.NOT_PROCESSED,
    # Stripe once sent this code with status 400.
    "rate_limit": Verdict.NOT_PROCESSED,
}
# Exceptions to the status 400 or 402, by the error's `type`, if `CODES` has no entry.
TYPES: Mapping[str, Verdict] = {
    "card_error": Verdict.PERMANENT,
    "idempotency_error": Verdict.PERMANENT,
}

OTHER_REQUEST = (
    "Stripe keeps a request with other parameters under this delivery's key; look there for what "
    "it made (metadata hub_delivery) before you replay it"
)


class Unfinished(AdapterError):
    """Error that ends an action early; `outcome` is the outcome that Stripe's answer gives it."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.message)


def judge_answer(answer: Answer, *, now: datetime, secret: str) -> Outcome:
    """Return the outcome of an answer to a write; a 2xx without an id is an unknown outcome."""
    told = read_object(answer) or {}
    error = _error(told)
    ref = told.get("id") if 200 <= answer.status < 300 else None
    verdict, words = _verdict(answer, error), _words(error)
    if 200 <= answer.status < 300 and not isinstance(ref, str):
        verdict, ref, words = Verdict.IN_DOUBT, None, "not with an object that we can read"
    return read_answer(
        answer,
        provider="Stripe",
        now=now,
        verdict=verdict,
        code=_code(error),
        words=words,
        provider_ref=ref,
        hide=[secret],
    )


def judge_reading(answer: Answer, *, now: datetime, secret: str) -> Outcome:
    """Return the outcome of a read that was not answered as expected; it is never unknown."""
    outcome = judge_answer(answer, now=now, secret=secret)
    if outcome.verdict is Verdict.IN_DOUBT:
        return replace(outcome, verdict=Verdict.NOT_PROCESSED)
    return outcome


def is_stuck(answer: Answer) -> bool:
    """Return whether Stripe repeats this 5xx for the same key, whether or not it had an effect.

    `Idempotent-Replayed: true` means that the answer is a repetition, `Stripe-Should-Retry: false`
    that Stripe is going to repeat it.
    """
    headers = answer.headers
    return answer.status >= 500 and (
        headers.get("idempotent-replayed") == "true"
        or headers.get("stripe-should-retry") == "false"
    )


def error_code(answer: Answer) -> str | None:
    """Return the `code` of an error or None, without the more precise `decline_code`."""
    code = _error(read_object(answer) or {}).get("code")
    return code if isinstance(code, str) else None


def error_type(answer: Answer) -> str | None:
    """Return the `type` of an error, or None."""
    kind = _error(read_object(answer) or {}).get("type")
    return kind if isinstance(kind, str) else None


def _verdict(answer: Answer, error: Mapping[str, Any]) -> Verdict:
    verdict = (
        CODES.get(str(error.get("code")))
        or (TYPES.get(str(error.get("type"))) if answer.status in (400, 402) else None)
        or STATUSES.get(answer.status)
        or verdict_of(answer.status)
    )
    if answer.status >= 500:
        return Verdict.IN_DOUBT
    asked = answer.headers.get("stripe-should-retry") == "true"
    return Verdict.NOT_PROCESSED if asked and verdict is Verdict.PERMANENT else verdict


def _words(error: Mapping[str, Any]) -> str:
    if error.get("type") == "idempotency_error" and error.get("code") not in CODES:
        return OTHER_REQUEST
    return "; ".join(str(part) for part in (_code(error), error.get("message")) if part)


def _code(error: Mapping[str, Any]) -> str | None:
    names = (error.get(name) for name in ("decline_code", "code", "type"))
    return next((name for name in names if isinstance(name, str) and name), None)


def _error(told: Mapping[str, Any]) -> Mapping[str, Any]:
    error = told.get("error")
    return error if isinstance(error, dict) else {}
