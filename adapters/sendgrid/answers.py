"""Outcomes of SendGrid's answers: verdicts of refusals, waits, and references."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from adapters.contract.answers import read_answer, read_object
from adapters.contract.fields import is_id
from adapters.contract.outbound import Answer, Outcome, Probe, Verdict

# The wait after a block for too many bad requests; SendGrid names none.
BLOCK_S = 600.0

_FOR_A_WHILE = re.compile(r"temporar|too many", re.IGNORECASE)
_OF_THE_ACCOUNT = re.compile(r"from(\b|_)", re.IGNORECASE)
_EPOCH = re.compile(r"[0-9]{1,12}", re.ASCII)

Reader = Callable[[Answer, datetime, Collection[str]], Outcome]


def read_mail(answer: Answer, now: datetime, hide: Collection[str]) -> Outcome:
    """Return the outcome of an e-mail; its `provider_ref` is the `X-Message-Id`."""
    message_id = answer.headers.get("x-message-id")
    accepted = answer.status == 202 or not answer.body or message_id is not None
    return _read(
        answer,
        now,
        hide,
        understood=accepted,
        provider_ref=message_id if is_id(message_id) else None,
    )


def read_suppressed(answer: Answer, now: datetime, hide: Collection[str]) -> Outcome:
    """Return the outcome of adding a suppression."""
    listed = (read_object(answer) or {}).get("recipient_emails")
    return _read(answer, now, hide, understood=isinstance(listed, list))


def read_unsuppressed(answer: Answer, now: datetime, hide: Collection[str]) -> Outcome:
    """Return the outcome of removing a suppression; a missing one counts as removed."""
    if answer.status == 404 and _errors(answer):
        return Outcome(Verdict.SUCCEEDED, status=answer.status)
    return _read(answer, now, hide, understood=not answer.body)


def read_contact(answer: Answer, now: datetime, hide: Collection[str]) -> Outcome:
    """Return the outcome of a contact; its `provider_ref` is the `job_id` of the import."""
    job_id = (read_object(answer) or {}).get("job_id")
    known = is_id(job_id)
    return _read(answer, now, hide, understood=known, provider_ref=str(job_id) if known else None)


READERS: Mapping[str, Reader] = {
    "send": read_mail,
    "suppress": read_suppressed,
    "unsuppress": read_unsuppressed,
    "upsert_marketing_contact": read_contact,
}


def judge_scopes(answer: Answer) -> Probe | None:
    """Return a failed probe if a 200 to `GET /v3/scopes` does not list `mail.send`, else None."""
    if answer.status != 200:
        return None
    scopes = (read_object(answer) or {}).get("scopes")
    if not isinstance(scopes, list):
        return Probe(
            False, "SendGrid answered 200 without scopes. Is `base_url` the address of its API?"
        )
    if "mail.send" in scopes:
        return None
    return Probe(
        False,
        "SendGrid answered 200: the API key is good but may not send e-mails. Give it the "
        "permission Mail Send",
    )


def _read(
    answer: Answer,
    now: datetime,
    hide: Collection[str],
    *,
    understood: bool,
    provider_ref: str | None = None,
) -> Outcome:
    errors = _errors(answer)
    verdict = _refusal(errors) if answer.status == 403 else None
    words = "; ".join(_words(error) for error in errors)
    wait_s = BLOCK_S if verdict is Verdict.NOT_PROCESSED else _reset_s(answer, now)
    good = 200 <= answer.status < 300
    if good and not understood:
        verdict, words = Verdict.IN_DOUBT, "but not as its documentation says"
    return read_answer(
        answer,
        provider="SendGrid",
        now=now,
        verdict=verdict,
        code=_code(errors),
        words=words,
        provider_ref=provider_ref if good and understood else None,
        retry_after_s=wait_s,
        hide=hide,
    )


def _refusal(errors: Collection[Mapping[str, Any]]) -> Verdict:
    """Return the verdict of a 403.

    A temporary block did not process the request; errors that all name fields of the request other
    than the sender are permanent for this request; anything else blocks the destination.
    """
    if any(_FOR_A_WHILE.search(str(error.get("message"))) for error in errors):
        return Verdict.NOT_PROCESSED
    names = [_field(error) for error in errors]
    if names and all(name and not _OF_THE_ACCOUNT.match(name) for name in names):
        return Verdict.PERMANENT
    return Verdict.BLOCKED


def _reset_s(answer: Answer, now: datetime) -> float | None:
    """Return the seconds until the `X-RateLimit-Reset` (epoch seconds) of a 429, at least one."""
    reset = answer.headers.get("x-ratelimit-reset", "").strip()
    if answer.status != 429 or not _EPOCH.fullmatch(reset):
        return None
    return max(1.0, int(reset) - now.timestamp())


def _errors(answer: Answer) -> list[Mapping[str, Any]]:
    errors = (read_object(answer) or {}).get("errors")
    return [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []


def _words(error: Mapping[str, Any]) -> str:
    name = _field(error)
    message = str(error.get("message") or "")
    return f"{name}: {message}" if name else message


def _field(error: Mapping[str, Any]) -> str:
    """Return the field that an error names or ""; SendGrid may write none as the text `null`."""
    name = error.get("field")
    return name if isinstance(name, str) and name != "null" else ""


def _code(errors: Collection[Mapping[str, Any]]) -> str | None:
    """Return the first error's field or id, the closest that SendGrid has to a code, or None."""
    first = next(iter(errors), {})
    return _field(first) or (str(first["error_id"]) if first.get("error_id") else None)
