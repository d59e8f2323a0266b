"""Provider responses: the shared table from HTTP status to verdict, and texts that are safe to log.

Also read-only calls, which have no effect at the provider, however they end.
"""

import json
import logging
import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_base,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)

from adapters.contract.errors import AnswerLost, NotSent
from adapters.contract.outbound import (
    Answer,
    Outcome,
    PatientTransport,
    Probe,
    Transport,
    Verdict,
)

# Maximum length of a `message` or `code` copied from a provider, in characters.
MAX_WORDS = 300
# How often a call without an effect is made at most, and the bounds of the pauses between.
TRIES = 3
LONGEST_PAUSE_S = 5.0
LEAST_CALL_S = 1.0

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
_BACKOFF = wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE_S)
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{0,6})?")
_READ_AT_MOST = 4 * MAX_WORDS
_EMAIL = re.compile(r"[^\s@<>\"'(),;:/=?&]{1,64}(?:@|%40)[^\s@<>\"'(),;:/?&]+", re.IGNORECASE)
_PHONE = re.compile(r"\+\d[\d ().-]{5,20}\d|(?<![\w-])\(?\d(?:[ ().-]{0,2}\d){9,14}(?![\w-])")

log = logging.getLogger(__name__)


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

    A passing failure is repeated, see `repeated`: no response, a 5xx, or a 429 that says when to
    come again. Whatever else is wrong, and what stays wrong, is for the caller to judge.

    Raises:
        NotSent: there was no complete response. AnswerLost becomes NotSent too, since a read-only
            call has no unknown outcome.
    """

    def ask() -> Answer:
        try:
            return transport.send(method, url, headers=headers, body=body)
        except AnswerLost as error:
            raise NotSent(str(error)) from error

    if not isinstance(transport, PatientTransport):
        return ask()
    again = retry_if_exception_type(NotSent) | retry_if_result(is_passing)
    answer: Answer = repeated(again, transport)(ask)
    return answer


def repeated(again: retry_base, transport: PatientTransport) -> Retrying:
    """Return the policy that repeats a call while `again` says so; its last end is the result.

    There are `TRIES` at most. Pauses are random, or as long as `Retry-After` asks for; a call is
    not repeated if it would have to wait for longer than `LONGEST_PAUSE_S`, or if less than half
    of the action's time would remain: a call with an effect may follow, and must not be cut off.
    Only a call without an effect, or one that certainly had none, may be repeated.
    """
    tries = stop_after_attempt(TRIES)

    def is_over(state: RetryCallState) -> bool:
        pause_s = state.upcoming_sleep
        least_s = max(LEAST_CALL_S, transport.timeout_s / 2)
        is_too_late = pause_s > LONGEST_PAUSE_S or pause_s + least_s > transport.left_s()
        return is_too_late or tries(state)

    return Retrying(
        retry=again,
        stop=is_over,
        wait=_pause_s,
        sleep=transport.pause,
        before_sleep=_log_pause,
        retry_error_callback=_result,
    )


def is_passing(answer: Answer) -> bool:
    """Return whether a response may be another one soon.

    A 429 without `Retry-After` may not: providers ban those that ask on in spite of it.
    """
    return answer.status >= 500 or (answer.status == 429 and "retry-after" in answer.headers)


def date_of(answer: Answer) -> datetime | None:
    """Return the provider's time from the `Date` header, aware; None if there is none."""
    try:
        at = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return at.replace(tzinfo=at.tzinfo or UTC)


def _pause_s(state: RetryCallState) -> float:
    outcome = state.outcome
    if outcome is None or outcome.failed or "retry-after" not in outcome.result().headers:
        return _BACKOFF(state)
    answer: Answer = outcome.result()
    # A date counts from the provider's own time; if that is not known, it is too far away.
    told_s = read_retry_after(answer, date_of(answer) or datetime.min.replace(tzinfo=UTC))
    return math.inf if told_s is None else told_s


def _log_pause(state: RetryCallState) -> None:
    outcome = state.outcome
    if outcome is not None:
        error = outcome.exception()
        ended = type(error).__name__ if error else f"status {outcome.result().status}"
        log.info("a call ended with %s; repeated in %.1f s", ended, state.upcoming_sleep)


def _result(state: RetryCallState) -> Any:
    return state.outcome and state.outcome.result()


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
