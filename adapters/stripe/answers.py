"""What Stripe's refusals mean: the table from its codes to verdicts.

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
    409: Verdict.NOT_PROCESSED,  # the same key, or the same object, is being worked on
}
CODES: Mapping[str, Verdict] = {
    "idempotency_key_in_use": Verdict.NOT_PROCESSED,
    "lock_timeout": Verdict.NOT_PROCESSED,
    "rate_limit": Verdict.NOT_PROCESSED,  # was told with 400 once
}
# What differs from the status: by the error's `code`, then by its `type`.
TYPES: Mapping[str, Verdict] = {
    "card_error": Verdict.PERMANENT,
    "idempotency_error": Verdict.PERMANENT,
}

OTHER_REQUEST = (
    "Stripe keeps a request with other parameters under this delivery's key; look there for what "
    "it made (metadata hub_delivery) before you replay it"
)


class Unfinished(AdapterError):
    """Stripe's answer ends the action. `outcome` is what it means for the call that got it."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.message)


def judge_answer(answer: Answer, *, now: datetime, secret: str) -> Outcome:
    """Return what an answer to a call with an effect means; a 2xx without an id is doubt."""
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
    """Return what a refused answer to a call that only reads means: it is never doubt."""
    outcome = judge_answer(answer, now=now, secret=secret)
    if outcome.verdict is Verdict.IN_DOUBT:
        return replace(outcome, verdict=Verdict.NOT_PROCESSED)
    return outcome


def is_stuck(answer: Answer) -> bool:
    """Tell whether Stripe will answer the same key with the same 5xx again, whatever became of it.

    `Idempotent-Replayed: true` says that it does already, `Stripe-Should-Retry: false` that it is
    going to.
    """
    headers = answer.headers
    return answer.status >= 500 and (
        headers.get("idempotent-replayed") == "true"
        or headers.get("stripe-should-retry") == "false"
    )


def error_code(answer: Answer) -> str | None:
    """Return the `code` of an error, without its finer `decline_code`."""
    code = _error(read_object(answer) or {}).get("code")
    return code if isinstance(code, str) else None


def error_type(answer: Answer) -> str | None:
    """Return the `type` of an error."""
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
