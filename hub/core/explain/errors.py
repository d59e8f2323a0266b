"""Error messages, replay plans and settle answers in plain words, with a hint for the operator.

Every page also has the exact message, one click deeper.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hub.core.auth.plain_values import is_name
from hub.core.auth.redaction import MASK
from hub.core.delivery.settle import SettleAnswer
from hub.core.explain.provider_codes import PROVIDERS, STATUSES
from hub.core.replays.replay import Plan

# Length to which a provider's message is cut in an explanation; one click deeper it is complete.
LONGEST_SAID = 120


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of an error: one sentence without its full stop, and a hint (may be empty)."""

    words: str
    hint: str = ""


_GAVE_UP = re.compile(r"gave up after (?P<after>[^:]{1,40}): ")
_SPAN = re.compile(r"[0-9.]{1,9} (?:h|attempts)", re.ASCII)
_ANSWERED = re.compile(r"(?P<who>\S{1,253}) answered (?P<status>\d{3})\b:?\s*(?P<said>.*)", re.S)
_CODE = re.compile(r"[A-Za-z_]+|\d{5}")
_HOST = re.compile(r"^(?:not sent: )?(?P<host>[\w.-]+\.[\w-]+|localhost|\[[0-9a-f:]+\]): ")
_DROPPED = re.compile(r"dropped: (?P<why>.+)", re.S)

# Providers without a table of codes, by the name that their adapters give them in an error.
_OTHER_PROVIDERS = frozenset({provider for provider, _ in STATUSES})

_WAITS = "Nothing to do: the hub tries again by itself."
_SETTLE = "See under Unknown outcomes what is known, and say what became of it."

_SKIPPED: Mapping[str, str] = {
    "condition": "The route's condition did not hold, so nothing was to be done",
    "consent": "The person did not agree to such messages",
    "stale": "Something newer had been sent already",
    "cap": "The limit of messages to this number was reached",
    "cancelled": "It was cancelled before it was due",
}

_SENTENCES: tuple[tuple[str, str, str], ...] = (
    (r"no such host name|its name has no address",
     "{target} does not exist under the address in the settings",
     "Correct the address in hub.yaml; what waits goes on by itself."),
    (r"name (?:cannot be|could not be) looked up",
     "The address of {target} could not be looked up just then", _WAITS),
    (r"refused the connection", "{target} is not running, or refuses connections",
     "See whether it is up. The hub tries again by itself."),
    (r"did not take the connection in time|could not be connected to in time|cannot be reached",
     "{target} could not be reached", "See whether it is up. The hub tries again by itself."),
    (r"certificate is not accepted", "{target} showed a certificate that is not valid",
     "Renew the certificate there; until then nothing is sent, to keep it secret."),
    (r"TLS handshake", "A secure connection to {target} could not be made",
     "See whether it speaks TLS at this address. The hub tries again by itself."),
    (r"no whole answer came within", "{target} took too long to answer",
     "See whether it is overloaded; `timeout` in hub.yaml lets the hub wait longer."),
    (r"connection broke before a whole answer", "The connection to {target} broke in mid-call", ""),
    (r"answer is larger than|not HTTP that we can read",
     "{target} answered something that cannot be read",
     "See whether its address in hub.yaml is that of an API."),
    (r"resolves to an address that is|only called with https|address must|four decimal numbers",
     "The hub does not call the address of {target}: it is not a safe one",
     "Correct the address in hub.yaml, then replay."),
    (r"is paused|circuit", "{target} is held back for now",
     "See under Destinations why, and let it go on there."),
    (r"cannot be rendered: (?P<field>[\w.]{1,80}: )?(?P<missing>[\w.]{1,80}) is missing",
     "The event has no {missing}, which the route needs",
     "Give the route another value to fall back on in hub.yaml, then replay."),
    (r"cannot be rendered", "The message could not be made from the event",
     "Mend the route in hub.yaml, then replay."),
    (r"not sent: (?P<fault>.+)", "The message cannot be sent as it is: {fault}",
     "Mend the value where it came from or in the route, then replay."),
    (r"destination is not in hub\.yaml", "{target} is not in the settings any more",
     "Put it back into hub.yaml and replay, or leave it."),
    (r"is not in hub\.yaml any more", "Its route is not in the settings any more",
     "Put it back into hub.yaml and replay, or leave it."),
    (r"has no account with credentials", "Its source has no account to fetch the rest from",
     "Give it credentials in hub.yaml, then replay."),
    (r"now does .*: replay to do that", "The route was changed while this waited",
     "Replay it: then it is done as the route says now."),
    (r"has no action", "{target} cannot do what the route asks for",
     "Mend `do` of the route in hub.yaml, then replay."),
    (r"each of them ended the worker",
     "Its calls to {target} ended the worker that made them, again and again",
     "See in the worker's log what it died of, mend that, then replay."),
    (r"worker that made this call ended", "The hub was stopped in mid-call", _SETTLE),
    (r"held up before the call|no thread for the call", "The hub was too busy to call", _WAITS),
    (r"the adapter failed", "The hub itself failed in mid-call",
     "See the log of the worker, and tell who looks after the hub."),
    (r"what it needs cannot be kept or read", "The event holds something that cannot be read",
     "See the log of the worker, and tell who looks after the hub."),
    (r"its request was not kept", "What it came from is not kept any more", ""),
    (r"^cap: (?P<why>it is .+)", "It was not sent: {why}",
     "Add the country under `limits` in hub.yaml if that was right, then replay."),
    (r"^cap: (?P<why>.+)", "No more was sent: {why} is the limit",
     "Raise it under `limits` in hub.yaml if that was right, then replay."),
    (r"cap reached|limit of texts", "The limit of messages was reached",
     "Raise it under `limits` in hub.yaml if that was right, then replay."),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), words, hint) for pattern, words, hint in _SENTENCES)

_BY_STATUS: tuple[tuple[range, str, str], ...] = (
    (range(300, 400), "{provider} has moved to another address",
     "Put the new address into hub.yaml, then replay."),
    (range(401, 402), "{provider} does not accept the credentials",
     "Put valid ones into the settings of {target} and restart the hub; what waits goes on."),
    (range(402, 403), "{provider} refuses because of a payment", "Look at the account there."),
    (range(403, 404), "{provider} does not let this account do that",
     "Give the account the right there; what waits goes on by itself."),
    (range(404, 405), "{provider} has nothing at this address",
     "See whether it was deleted there, and whether the address in hub.yaml is right."),
    (range(408, 409), "{provider} took too long", _WAITS),
    (range(409, 410), "{provider} says that it conflicts with what is there", "See it there."),
    (range(410, 411), "{provider} says that this is gone for good",
     "Remove it from hub.yaml, or correct the address."),
    (range(413, 414), "The message is too large for {provider}", "Send less, then replay."),
    (range(425, 426), "{provider} was not ready for it yet", _WAITS),
    (range(429, 430), "{provider} was called too often", _WAITS),
    (range(400, 500), "{provider} refused it as wrong",
     "See below what it said; mend that where it came from or in the route, then replay."),
    (range(500, 600), "{provider} had a fault of its own",
     "Wait until it is well again. What failed for good can be replayed then."),
)  # fmt: skip


def explain_error(
    error: str | None,
    *,
    status: int | None,
    code: str | None,
    destination: str,
    quoting: bool = True,
) -> Explanation:
    """Return the explanation of an error. `status` and `code` are the last answer's, where known.

    `destination` is the slug in hub.yaml. An error that no table covers is given in the provider's
    own words. Without `quoting` nothing of the error's own text is in the explanation, but for the
    path of a missing value.
    """
    if not error:
        return _by_code(code, destination) or Explanation("No reason was noted")
    gave_up = _GAVE_UP.match(error)
    rest = error[gave_up.end() :] if gave_up else error
    found = _explain(rest, status, code, destination, quoting=quoting)
    if not gave_up or not (quoting or _SPAN.fullmatch(gave_up["after"])):
        return found
    hint = "Replay it once that is mended." if found.hint in (_WAITS, "") else found.hint
    hint = hint.replace(" The hub tries again by itself.", " Then replay.")
    return Explanation(f"{found.words}; the hub gave up after {gave_up['after']}", hint)


def _explain(
    error: str, status: int | None, code: str | None, destination: str, *, quoting: bool
) -> Explanation:
    if error in _SKIPPED:
        return Explanation(_SKIPPED[error])
    if dropped := _DROPPED.match(error):
        why = f": {dropped['why'].rstrip('.')}" if quoting else ""
        return Explanation(f"Somebody dropped it{why}")
    answered = _ANSWERED.match(error)
    if answered:
        return _answer(answered, status, code, destination, quoting=quoting)
    for pattern, words, hint in _COMPILED:
        if found := pattern.search(error):
            host = _HOST.match(error) if quoting else None
            names = {"target": host["host"] if host else f"“{destination}”"}
            quoted = {
                name: text if quoting or (name == "missing" and is_name(text)) else MASK
                for name, text in found.groupdict().items()
            }
            return Explanation(words.format(**names, **quoted), hint)
    return Explanation(error[:1].upper() + error[1:].rstrip(".") if quoting else MASK)


def _answer(
    answered: re.Match[str],
    status: int | None,
    code: str | None,
    destination: str,
    *,
    quoting: bool,
) -> Explanation:
    provider, said = answered["who"], answered["said"].strip()
    status = int(answered["status"]) if status is None else status
    if not quoting and provider not in PROVIDERS and provider not in _OTHER_PROVIDERS:
        provider = f"“{destination}”"
    names = {"provider": provider, "destination": destination, "target": f"“{destination}”"}
    meanings = PROVIDERS.get(provider, {})
    for one in [code or "", *_CODE.findall(said)[:8]]:
        if one in meanings:
            words, hint = meanings[one]
            return Explanation(words, hint.format(**names))
    if own := STATUSES.get((provider, status)):
        return Explanation(own[0], own[1].format(**names))
    for statuses, words, hint in _BY_STATUS:
        if status in statuses:
            told = f": “{_short(said)}”" if said and quoting and 400 <= status < 500 else ""
            return Explanation(words.format(**names) + told, hint.format(**names))
    told = f"{status}: “{_short(said)}”" if said and quoting else str(status)
    return Explanation(f"{provider} answered {told}")


def _short(said: str) -> str:
    return said if len(said) <= LONGEST_SAID else f"{said[: LONGEST_SAID - 1]}…"


def _by_code(code: str | None, destination: str) -> Explanation | None:
    """Return the explanation of a code that came without a message, as in a status callback.

    None if no provider's table has the code.
    """
    for provider, meanings in PROVIDERS.items():
        if code and code in meanings:
            words, hint = meanings[code]
            return Explanation(words, hint.format(provider=provider, destination=destination))
    return None


PLANS: Mapping[Plan, str] = {
    Plan.ANEW: "will be sent again, made anew with today's settings",
    Plan.REPEAT: "will be repeated exactly; the provider does it once, even if it arrived before",
    Plan.NOW: "wait already, and will be tried now instead of later",
    Plan.AGAIN: "will happen A SECOND TIME",
    Plan.REFUSED: "will be left alone",
}

# Answers by which a person settles an unknown outcome, each with its consequence.
ANSWERS: Mapping[SettleAnswer, tuple[str, str]] = {
    SettleAnswer.ARRIVED: ("It arrived", "Counts as done. Nothing is sent."),
    SettleAnswer.AGAIN: (
        "Send again",
        "The same is sent once more. If the first one did arrive, it happens twice.",
    ),
    SettleAnswer.DROP: ("Drop it", "Counts as failed. Nothing is sent, now or later."),
}
