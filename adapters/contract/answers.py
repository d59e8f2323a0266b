"""Provider responses: the shared table from HTTP status to verdict, and texts that are safe to log.

Also read-only calls, which have no effect at the provider, however they end.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from adapters.contract.errors import AnswerLost, NotSent
from adapters.contract.outbound import Answer, Outcome, Probe, Transport, Verdict

# Maximum length of a `message` or `code` copied from a provider, in characters.
MAX_WORDS = 300

# Statuses whose verdict differs from that of their class; a provider's own table comes first.
VERDICTS: Mapping[int, Verdict] = {
    401: Verdict.BLOCKED,
    403: Verdict.BLOCKED,
    408: Verdict.NOT_PROCESSED,
    425: Verdict.NOT_PROCESSED,
    429: Verdict.NOT_PROCESSED,
}

_HUNDREDS: Mapping[int, Verdict] = {
    2: Verdict.SUCCEEDED,
    3: Verdict.PERMANENT,
    4: Verdict.PERMANENT,
}
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{0,6})?")
_READ_AT_MOST = 4 * MAX_WORDS
_EMAIL = re.compile(r"[^\s@<>\"'(),;:/=?&]{1,64}(?:@|%40)[^\s@<>\"'(),;:/?&]+", re.IGNORECASE)
_PHONE = re.compile(r"\+\d[\d ().-]{5,20}\d|(?<![\w-])\(?\d(?:[ ().-]{0,2}\d){9,14}(?![\w-])")


def read_answer(
    answer: Answer,
    *,
    provider: str,
    now: datetime,
    verdict: Verdict | None = None,
    code: str | None = None,
    words: str = "",
    provider_ref: str | None = None,
    retry_after_s: float | None = None,
    hide: Collection[str] = (),
) -> Outcome:
    """Return the outcome of a call from the provider's response.

    `verdict` overrides the table. `code` and `words` come from the provider and are sanitized
    here; each secret in `hide` is masked in them. `retry_after_s` is the delay if the response
    itself has none.
    """
    verdict = verdict or verdict_of(answer.status)
    succeeded = verdict is Verdict.SUCCEEDED
    told_s = read_retry_after(answer, now)
    return Outcome(
        verdict,
        message="" if succeeded else _sentence(answer, provider, safe_words(words, hide)),
        status=answer.status,
        code=safe_words(code, hide) or None if code else None,
        provider_ref=provider_ref,
        retry_after_s=None if succeeded else retry_after_s if told_s is None else told_s,
    )


def verdict_of(status: int) -> Verdict:
    """Return the verdict of a status for which the provider has no rule of its own.

    A 5xx, and any number that is not a final HTTP status, may have been processed.
    """
    return VERDICTS.get(status) or _HUNDREDS.get(status // 100, Verdict.IN_DOUBT)


def read_retry_after(answer: Answer, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, without a limit; None if it is unusable.

    Both forms of RFC 9110, 10.2.3 are read: seconds, and a date, which counts from `now`.
    """
    text = answer.headers.get("retry-after", "").strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now)
    return seconds if seconds is not None and seconds >= 0 else None


def read_object(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object in the body, or None if the body is anything else."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def safe_words(text: object, hide: Collection[str] = ()) -> str:
    """Sanitize a provider's text for logs: one line, bounded length, no e-mail or phone number."""
    words = str(text)
    for secret in hide:
        words = words.replace(secret, "***") if secret else words
    words = "".join(c if c.isprintable() else " " for c in words[:_READ_AT_MOST])
    words = _PHONE.sub("[phone]", _EMAIL.sub("[e-mail]", words))
    words = " ".join(words.split())
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"


def _sentence(answer: Answer, provider: str, words: str) -> str:
    if 300 <= answer.status < 400:
        return (
            f"{provider} answered {answer.status}; the hub follows no redirects: "
            "put the final address into `url`"
        )
    said = f"{provider} answered {answer.status}"
    return f"{said}: {words}"[:MAX_WORDS] if words else said


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    try:
        return (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    except OverflowError:
        return None


def read(
    transport: Transport,
    url: str,
    *,
    headers: Mapping[str, str],
    method: str = "GET",
    body: bytes = b"",
) -> Answer:
    """Make a read-only call and return the response (`POST` is for a search or a token).

    Raises:
        NotSent: there was no complete response. AnswerLost becomes NotSent too, since a read-only
            call has no unknown outcome.
    """
    try:
        return transport.send(method, url, headers=headers, body=body)
    except AnswerLost as error:
        raise NotSent(str(error)) from error


def judge(answer: Answer, *, provider: str, wrong: str, forbidden: str, good: str = "") -> Probe:
    """Return the result of a probe from the provider's response.

    `wrong` says how to fix credentials that are not accepted (401), `forbidden` those that are
    accepted but lack a permission that the hub needs (403).
    """
    status = answer.status
    said = f"{provider} answered {status}"
    if 200 <= status < 300:
        return Probe(True, good or f"{provider} accepts the credentials")
    if status == 401:
        return Probe(False, f"{said}: it does not know these credentials. {wrong}")
    if status == 403:
        return Probe(False, f"{said}: the credentials are good but may not do this. {forbidden}")
    if status == 429 or status >= 500:
        return Probe(False, f"{said}. The credentials were not checked; try again later")
    return Probe(False, f"{said}. Is `base_url` the address of {provider}'s API?")
