"""Outcomes of Pipedrive's answers: by status, by rate limit headers, and by the data expected."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from adapters.contract.answers import read_answer, read_object
from adapters.contract.outbound import Answer, Outcome, Verdict

# The wait once the daily budget is spent; it is not documented at which hour the day ends.
DAILY_S = 3600.0
# The wait during a block by Cloudflare, which follows 429s that were not heeded.
BANNED_S = 300.0

_PROVIDER = "Pipedrive"
_LONGEST_WINDOW_S = 3600.0


def read_written(answer: Answer, now: datetime, hide: Collection[str], *, expected: str) -> Outcome:
    """Return the outcome of an answer to a write; a 2xx without an id is an unknown outcome."""
    if is_ban(answer):
        return _banned(answer)
    told = read_object(answer) or {}
    ref = ref_of(told.get("data"))
    verdict, words = None, words_of(told)
    if 200 <= answer.status < 300 and ref is None:
        verdict, words = Verdict.IN_DOUBT, f"not with {expected} that we can read"
    if answer.status == 402:
        verdict = Verdict.BLOCKED
    return read_answer(
        answer,
        provider=_PROVIDER,
        now=now,
        verdict=verdict,
        code=_code(told),
        words=words,
        provider_ref=ref,
        retry_after_s=wait_s(answer),
        hide=hide,
    )


def read_unfound(answer: Answer, now: datetime, hide: Collection[str], *, expected: str) -> Outcome:
    """Return the outcome of a read that did not return `expected`; it is never unknown."""
    outcome = read_written(answer, now, hide, expected=expected)
    if outcome.verdict in (Verdict.IN_DOUBT, Verdict.SUCCEEDED):
        said = f"{_PROVIDER} answered {answer.status} when asked for {expected}"
        return replace(
            outcome, verdict=Verdict.NOT_PROCESSED, message=said, code=None, provider_ref=None
        )
    return outcome


def is_ban(answer: Answer) -> bool:
    """Return whether a 403 is a page of Cloudflare's and not Pipedrive's own JSON."""
    return answer.status == 403 and read_object(answer) is None


def wait_s(answer: Answer) -> float | None:
    """Return the seconds to wait after a 429, which comes without `Retry-After`.

    `x-ratelimit-reset` is about the burst window of two seconds alone: if that has calls left, the
    daily budget is spent.
    """
    if answer.status != 429:
        return None
    spent = answer.headers.get("x-daily-ratelimit-token-remaining", "").strip() == "0"
    left = _number(answer.headers.get("x-ratelimit-remaining", ""))
    if spent or (left is not None and left > 0):
        return DAILY_S
    reset_s = _number(answer.headers.get("x-ratelimit-reset", ""))
    return None if reset_s is None else min(reset_s, _LONGEST_WINDOW_S)


def ref_of(data: object) -> str | None:
    """Return the id of an object, or None if it has no valid one."""
    ref = data.get("id") if isinstance(data, dict) else None
    return str(ref) if type(ref) is int and ref > 0 else None


def listed(answer: Answer) -> list[dict[str, Any]] | None:
    """Return the objects of a list or (without scores) of a search; None if it is not readable."""
    told = read_object(answer) or {}
    data = told.get("data")
    if data is None and told.get("success") is True and "data" in told:
        # Version 1 answers `null` for an empty list.
        return []
    if isinstance(data, dict):
        items = data.get("items")
        found = items if isinstance(items, list) else [None]
        data = [row.get("item") if isinstance(row, dict) else None for row in found]
    if answer.status != 200 or not isinstance(data, list):
        return None
    return data if all(ref_of(row) for row in data) else None


def words_of(told: Mapping[str, Any]) -> str:
    """Return code and text of an error; `error_info` only names the documentation."""
    error = told.get("error")
    code = _code(told)
    words = error if isinstance(error, str) else ""
    return f"{code}; {words}" if code and words else code or words


def _banned(answer: Answer) -> Outcome:
    said = f"{_PROVIDER} answered {answer.status} with a page and not with JSON"
    return Outcome(
        Verdict.NOT_PROCESSED,
        message=f"{said}: its guard keeps us away for a while. Lower the destination's `rate`",
        status=answer.status,
        retry_after_s=BANNED_S,
    )


def _code(told: Mapping[str, Any]) -> str | None:
    code = told.get("code")
    return code if isinstance(code, str) and code else None


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
