"""Spam signals of a submission: honeypot, links, and a normalized text to recognise repeats."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.contract.fields import phone_e164
from adapters.contract.form_inbound import Signals, Submission

CHALLENGES = ("cf-turnstile-response", "h-captcha-response", "g-recaptcha-response")
MAX_CHALLENGE = 8192

_LINK = re.compile(r"https?://|(?<![\w/])www\.", re.IGNORECASE)
_FREE = frozenset({"text", "longtext"})


def signals_of(
    declared: Mapping[str, Mapping[str, Any]],
    submission: Submission,
    *,
    honeypot: str,
    after_s: float | None,
) -> Signals:
    """Return the spam signals; texts are the values of fields of type `text` or `longtext`."""
    texts = [
        one
        for name, field in declared.items()
        if field["type"] in _FREE
        for one in submission.texts(name)
    ]
    return Signals(
        honeypot=submission.get(honeypot) not in ("", None),
        after_s=after_s,
        links=sum(len(_LINK.findall(one)) for one in texts),
        text=" ".join(" ".join(texts).casefold().split()),
        phone=_phone(declared, submission),
        challenge=_challenge(submission),
    )


def _phone(declared: Mapping[str, Mapping[str, Any]], submission: Submission) -> str | None:
    """Return the first number with a country code; a field named `phone` comes first."""
    named = [name for name, field in declared.items() if field["type"] == "phone"]
    named.sort(key=lambda name: name != "phone")
    found = (phone_e164(one) for name in named for one in submission.texts(name))
    return next((number for number in found if number), None)


def _challenge(submission: Submission) -> str | None:
    answers = (submission.get(name) for name in CHALLENGES)
    return next(
        (one for one in answers if isinstance(one, str) and 0 < len(one) <= MAX_CHALLENGE), None
    )
