"""Outcomes of HubSpot's answers, by status and by category."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from adapters.contract.answers import read_answer, read_object
from adapters.contract.fields import is_id
from adapters.contract.outbound import Answer, Outcome, Verdict

# By status: locked by another write (423), account being moved (477); both are temporary.
VERDICTS = {423: Verdict.NOT_PROCESSED, 477: Verdict.NOT_PROCESSED}

# By `category` of a 4xx, whatever its status; for all other categories the status decides.
CATEGORIES = {
    "RATE_LIMITS": Verdict.NOT_PROCESSED,
    "EXPIRED_AUTHENTICATION": Verdict.BLOCKED,
    "INVALID_AUTHENTICATION": Verdict.BLOCKED,
    "MISSING_SCOPES": Verdict.BLOCKED,
}

# Waits by `policyName`, without a `Retry-After`; a daily limit ends at the account's midnight.
WAITS_S = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": 3600.0}

_LOCKED_S = 2.0
_SCOPE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def read_written(
    answer: Answer,
    now: datetime,
    hide: Collection[str],
    *,
    expected: str,
    verdict: Verdict | None = None,
    needs_id: bool = True,
    hint: str = "",
) -> Outcome:
    """Return the outcome of an answer to a write.

    A 2xx without `expected` ("a contact"), or without its `id` if `needs_id`, is an unknown
    outcome. `hint` is appended to the message of an answer that is not a success.
    """
    told = read_object(answer)
    ref = (told or {}).get("id")
    words = words_of(told or {})
    if 200 <= answer.status < 300 and not (is_ref(ref) if needs_id else told is not None):
        verdict, ref, words = Verdict.IN_DOUBT, None, f"not with {expected} that we can read"
    outcome = read_answer(
        answer,
        provider="HubSpot",
        now=now,
        verdict=verdict or _verdict(answer.status, told or {}),
        code=_code(told or {}),
        words=words,
        provider_ref=str(ref) if needs_id and is_ref(ref) else None,
        retry_after_s=_wait_s(answer.status, told or {}),
        hide=hide,
    )
    if hint and outcome.verdict is not Verdict.SUCCEEDED:
        return replace(outcome, message=f"{outcome.message}. {hint}")
    return outcome


def read_unfound(
    answer: Answer, now: datetime, hide: Collection[str], *, expected: str, hint: str = ""
) -> Outcome:
    """Return the outcome of a read that did not return `expected`; it is never unknown."""
    outcome = read_written(answer, now, hide, expected=expected, hint=hint)
    if outcome.verdict in (Verdict.IN_DOUBT, Verdict.SUCCEEDED):
        said = outcome.message or f"HubSpot answered {answer.status}, and not with {expected}"
        return replace(outcome, verdict=Verdict.NOT_PROCESSED, message=said)
    return outcome


def is_ref(value: object) -> bool:
    """Return whether a value can be the id of an object."""
    return type(value) in (str, int) and is_id(str(value))


def words_of(told: Mapping[str, Any]) -> str:
    """Return the text of an error, preceded by its code and followed by the missing scopes."""
    scopes = _missing_scopes(told)
    parts = [
        _code(told) or "",
        str(told.get("message") or ""),
        f"needs {', '.join(scopes)}" if scopes else "",
    ]
    return "; ".join(part for part in parts if part)


def _verdict(status: int, told: Mapping[str, Any]) -> Verdict | None:
    by_category = CATEGORIES.get(str(told.get("category"))) if status // 100 == 4 else None
    return VERDICTS.get(status) or by_category


def _code(told: Mapping[str, Any]) -> str | None:
    code = told.get("category") or told.get("policyName")
    return str(code) if code else None


def _missing_scopes(told: Mapping[str, Any]) -> list[str]:
    """Return the scopes that a 403 `MISSING_SCOPES` names, under either of two keys."""
    holders = [told, *(error for error in _list(told.get("errors")) if isinstance(error, dict))]
    scopes = [
        str(scope)
        for holder in holders
        if isinstance(context := holder.get("context"), dict)
        for key in ("requiredGranularScopes", "requiredScopes")
        for scope in _list(context.get(key))
        if _SCOPE.fullmatch(str(scope))
    ]
    return list(dict.fromkeys(scopes))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _wait_s(status: int, told: Mapping[str, Any]) -> float | None:
    if status == 423:
        return _LOCKED_S
    return WAITS_S.get(str(told.get("policyName"))) if status == 429 else None
