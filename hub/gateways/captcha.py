"""Captcha verification on the server: Turnstile, hCaptcha or reCAPTCHA.

All three take the same form and answer with the same JSON object. The visitor's IP address is not
sent to them. A token is good for one check: a repeated one would be refused, whatever the first one
found. So a check is repeated only if its request was not sent; with Turnstile also if the response
was lost, since it answers a repetition with the same idempotency key as it did the first time.
https://developers.cloudflare.com/turnstile/get-started/server-side-validation/ ·
https://docs.hcaptcha.com/#verify-the-user-response-server-side ·
https://developers.google.com/recaptcha/docs/verify
"""

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import orjson
from tenacity import retry_base, retry_if_exception_type, retry_if_result

from adapters import Answer, NotSent, TransportError
from adapters.contract.answers import is_passing, repeated
from hub.core.configuration import Captcha
from hub.core.monitoring.captcha_health import NO_ANSWER, NOT_ASKED, NOT_REACHED, REFUSES_US

if TYPE_CHECKING:
    from hub.gateways.http.transport import GuardedTransport

ADDRESSES = {
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
    "recaptcha": "https://www.google.com/recaptcha/api/siteverify",
}
# For one check, its repetitions included.
TIMEOUT_S = 3.0
# Providers' response tokens are shorter than that, in characters; a longer one is not verified.
LONGEST_ANSWER = 8 * 1024
# reCAPTCHA v3 shows no challenge: its score is 1.0 for a person and 0.0 for a program.
LOWEST_SCORE = 0.5

_MAX_BYTES = 64 * 1024
_WHILE_NOT_SENT = retry_if_exception_type(NotSent)
_WHILE_IT_MAY_PASS = retry_if_exception_type(TransportError) | retry_if_result(is_passing)
_OUR_FAULTS = ("missing-input-secret", "invalid-input-secret")

log = logging.getLogger(__name__)


class Captchas:
    """Captcha verifier for all forms of a hub. Thread-safe."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def doubt(self, captcha: Captcha, given: str | None) -> str | None:
        """Return the reason why a captcha answer proves no person, None if it proves one.

        A provider that does not answer counts as no proof. Do not call inside a transaction.
        """
        if not given or len(given) > LONGEST_ANSWER:
            return NOT_ASKED
        try:
            answer = self._ask(captcha, given)
        except TransportError as error:
            log.warning("captcha %s was not reached: %s", captcha.kind, error)
            return NOT_REACHED
        return _read(captcha, answer)

    def _ask(self, captcha: Captcha, given: str) -> Answer:
        transport, form = self._transport, {"secret": captcha.secret, "response": given}
        again: retry_base = _WHILE_NOT_SENT
        if captcha.kind == "turnstile":
            form["idempotency_key"], again = str(uuid4()), _WHILE_IT_MAY_PASS
        url, body = captcha.url or ADDRESSES[captcha.kind], urlencode(form).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        with transport.one_action():
            answer: Answer = repeated(again, transport)(
                transport.send, "POST", url, headers=headers, body=body
            )
        return answer

    @cached_property
    def _transport(self) -> "GuardedTransport":
        # Imported here because few web processes make outbound calls.
        from hub.gateways.http.transport import GuardedTransport

        return GuardedTransport(
            timeout_s=TIMEOUT_S, allow_private=self._allow_private, max_answer_bytes=_MAX_BYTES
        )


def _read(captcha: Captcha, answer: Answer) -> str | None:
    told = _object(answer)
    if told is None:
        log.warning("captcha %s: status %d without the expected JSON", captcha.kind, answer.status)
        return NO_ANSWER
    codes = told.get("error-codes")
    if isinstance(codes, list) and any(code in _OUR_FAULTS for code in codes):
        log.error("captcha %s refuses the form's `secret`", captcha.kind)
        return REFUSES_US
    if told.get("success") is not True:
        return "captcha: it was answered wrongly"
    score = told.get("score")
    if captcha.kind == "recaptcha" and isinstance(score, int | float) and score < LOWEST_SCORE:
        return "captcha: its provider takes the sender for a program"
    return None


def _object(answer: Answer) -> dict[str, Any] | None:
    try:
        told = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) and "success" in told else None
