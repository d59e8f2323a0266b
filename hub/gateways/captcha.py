"""Captcha verification on the server: Turnstile, hCaptcha or reCAPTCHA.

All three take the same form and answer with the same JSON object. The visitor's IP address is not
sent to them.
https://developers.cloudflare.com/turnstile/get-started/server-side-validation/ ·
https://docs.hcaptcha.com/#verify-the-user-response-server-side ·
https://developers.google.com/recaptcha/docs/verify
"""

import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import orjson

from adapters import Answer, Transport, TransportError
from hub.core.configuration import Captcha
from hub.core.monitoring.captcha_health import NO_ANSWER, NOT_ASKED, NOT_REACHED, REFUSES_US

ADDRESSES = {
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
    "recaptcha": "https://www.google.com/recaptcha/api/siteverify",
}
TIMEOUT_S = 3.0
# Providers' response tokens are shorter than that, in characters; a longer one is not verified.
LONGEST_ANSWER = 8 * 1024
# reCAPTCHA v3 shows no challenge: its score is 1.0 for a person and 0.0 for a program.
LOWEST_SCORE = 0.5

_MAX_BYTES = 64 * 1024
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
        return self._transport.send(
            "POST",
            captcha.url or ADDRESSES[captcha.kind],
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"secret": captcha.secret, "response": given}).encode(),
        )

    @cached_property
    def _transport(self) -> Transport:
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
