"""Outcomes of Salesforce's answers.

Errors are a JSON list; their `errorCode` is more precise than a 4xx status.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from adapters.contract.answers import read_answer, read_object
from adapters.contract.outbound import Answer, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Meaning:
    """Meaning of a 4xx `errorCode`: the verdict, seconds to wait, and advice for the operator."""

    verdict: Verdict
    wait_s: float | None = None
    mend: str = ""


# By `errorCode`; for any other 4xx the status decides.
CODES: Mapping[str, Meaning] = {
    "REQUEST_LIMIT_EXCEEDED": Meaning(
        Verdict.NOT_PROCESSED, 900.0, "The org has used up its API calls of 24 hours"
    ),
    "UNABLE_TO_LOCK_ROW": Meaning(Verdict.NOT_PROCESSED, 2.0),
    "STORAGE_LIMIT_EXCEEDED": Meaning(Verdict.BLOCKED, mend="The org's storage is full"),
    "API_DISABLED_FOR_ORG": Meaning(
        Verdict.BLOCKED, mend="The org's edition has no API, or the user lacks `API Enabled`"
    ),
    "DUPLICATES_DETECTED": Meaning(
        Verdict.PERMANENT, mend="A duplicate rule of the org blocks it: merge them or let it pass"
    ),
    "INSUFFICIENT_ACCESS_OR_READONLY": Meaning(
        Verdict.PERMANENT, mend="The user may not write this record"
    ),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": Meaning(
        Verdict.PERMANENT, mend="The user may not use a record that this one points to"
    ),
    "ENTITY_IS_DELETED": Meaning(Verdict.PERMANENT),
}

_CAUGHT_UP_S = 2.0


def read_written(
    answer: Answer, now: datetime, hide: Collection[str], *, empty_is_good: bool = False
) -> Outcome:
    """Return the outcome of an answer to a write.

    A 2xx without an id is an unknown outcome; with `empty_is_good`, 204 is a success (versions
    before 46 answer so to an update).
    """
    if answer.status // 100 == 2:
        return _read_success(answer, now, hide, empty_is_good)
    code = code_of(answer)
    meaning = CODES.get(code or "") if answer.status // 100 == 4 else None
    outcome = read_answer(
        answer,
        provider="Salesforce",
        now=now,
        verdict=meaning.verdict if meaning else None,
        code=code,
        words="; ".join(part for part in (code, _message(answer)) if part),
        retry_after_s=meaning.wait_s if meaning else None,
        hide=hide,
    )
    if meaning and meaning.mend:
        return replace(outcome, message=f"{outcome.message}. {meaning.mend}")
    return outcome


def read_upserted(
    answer: Answer, now: datetime, hide: Collection[str], *, key_field: str
) -> Outcome:
    """Return the outcome of an answer to an upsert by `key_field`."""
    outcome = read_written(answer, now, hide, empty_is_good=True)
    if answer.status == 300:
        said = f"Salesforce answered 300: several records have this value in {key_field}"
        return replace(
            outcome,
            verdict=Verdict.PERMANENT,
            message=f"{said}, and none was written. Merge them, or make the field unique",
        )
    if outcome.code == "DUPLICATE_VALUE" and key_field in _message(answer):
        # Another writer created the record between Salesforce's look-up and insert: now it exists.
        return replace(outcome, verdict=Verdict.NOT_PROCESSED, retry_after_s=_CAUGHT_UP_S)
    if answer.status == 404:
        mend = (
            f"Is there such an object, and is {key_field} an external id of it? A value with a "
            "dot (an e-mail address) may not be found in a path: use a key without"
        )
        return replace(outcome, message=f"{outcome.message}. {mend}")
    return outcome


def code_of(answer: Answer) -> str | None:
    """Return the `errorCode` of the first error, or None."""
    code = _first(answer).get("errorCode")
    return code if isinstance(code, str) and code else None


def _read_success(
    answer: Answer, now: datetime, hide: Collection[str], empty_is_good: bool
) -> Outcome:
    told = read_object(answer) or {}
    ref = told.get("id")
    if isinstance(ref, str) and ref and told.get("success", True) is True:
        return read_answer(answer, provider="Salesforce", now=now, provider_ref=ref, hide=hide)
    if empty_is_good and answer.status == 204:
        return read_answer(answer, provider="Salesforce", now=now)
    return read_answer(
        answer,
        provider="Salesforce",
        now=now,
        verdict=Verdict.IN_DOUBT,
        words="not with the id of a record",
    )


def _message(answer: Answer) -> str:
    message = _first(answer).get("message")
    return message if isinstance(message, str) else ""


def _first(answer: Answer) -> dict[str, Any]:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, dict) else {}
