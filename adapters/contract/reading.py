"""Calls that only read: whatever becomes of them, nothing was done at the provider."""

from collections.abc import Mapping

from adapters.contract.errors import AnswerLost, NotSent
from adapters.contract.outbound import Answer, Probe, Transport


def read(
    transport: Transport,
    url: str,
    *,
    headers: Mapping[str, str],
    method: str = "GET",
    body: bytes = b"",
) -> Answer:
    """Return the answer to a call that changes nothing (`POST` for a search or a token).

    Raises:
        NotSent: there was no whole answer; unlike the transport's own errors it is never doubt.
    """
    try:
        return transport.send(method, url, headers=headers, body=body)
    except AnswerLost as error:
        raise NotSent(str(error)) from error


def judge(answer: Answer, *, provider: str, wrong: str, forbidden: str, good: str = "") -> Probe:
    """Return what the answer to a probe tells about the credentials.

    `wrong` says what to do when they are not accepted (401), `forbidden` when they are and may
    not do what the hub needs (403).
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
