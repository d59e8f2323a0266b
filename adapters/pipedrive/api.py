"""Client for one Pipedrive account: base URL, token and calls; change lists for look-ups."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from adapters.contract.answers import read, read_object
from adapters.contract.fields import is_id, rfc3339
from adapters.contract.outbound import Answer, LookupResult, LookupVerdict, Transport
from adapters.contract.requests import json_body
from adapters.pipedrive.answers import listed

SANDBOX = "sandbox"


class PipedriveApi:
    """Client with the token of one account; `hidden` are the texts that no message may show."""

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        token = (settings.get("api_token") or "").strip()
        company = (settings.get("company") or "").strip().lower() or SANDBOX
        base_url = settings.get("base_url") or f"https://{company}.pipedrive.com"
        self.hidden = (token,)
        self._base_url = base_url.rstrip("/")
        self._headers = {"x-api-token": token, "accept": "application/json"}
        self._transport = transport

    def read(self, path: str, **query: str | int) -> Answer:
        """Send a read-only request; return the answer.

        Raises:
            NotSent: there was no answer.
        """
        url = f"{self._base_url}{path}?{urlencode(query)}"
        return read(self._transport, url, headers=self._headers)

    def write(self, method: str, path: str, value: Mapping[str, Any]) -> Answer:
        """Send a request that has an effect; return the answer.

        Raises:
            InvalidParameters: `fields` has a value that JSON cannot express.
            TransportError: there was no answer.
        """
        body = json_body(value, parameter="fields")
        headers = self._headers | {"content-type": "application/json"}
        return self._transport.send(method, self._base_url + path, headers=headers, body=body)


# Tolerated difference between Pipedrive's clock and the hub's.
SKEW = timedelta(minutes=5)

_PAGE = 500
_PAGES = 10


def rows_since(
    account: PipedriveApi, path: str, sent_at: datetime
) -> list[dict[str, Any]] | LookupResult:
    """Return the rows of a version 2 list that changed since `sent_at`, or why they are unknown."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    since = rfc3339((sent_at - SKEW).replace(microsecond=0))
    for _ in range(_PAGES):
        answer = account.read(path, updated_since=since, limit=_PAGE, **cursor)
        page = listed(answer)
        if page is None:
            return cannot_tell(answer)
        rows += page
        following = _next(answer)
        if not following:
            return rows
        if not is_id(following):
            return LookupResult(
                LookupVerdict.CANNOT_TELL, "Pipedrive's list goes on where nobody can read"
            )
        cursor = {"cursor": str(following)}
    return LookupResult(
        LookupVerdict.CANNOT_TELL,
        f"more than {_PAGE * _PAGES} were changed since then: too many to read",
    )


def cannot_tell(answer: Answer) -> LookupResult:
    """Return the look-up result for a read that was not answered with the requested data."""
    return LookupResult(
        LookupVerdict.CANNOT_TELL, f"Pipedrive answered {answer.status} when asked for it"
    )


def moment(row: Any, key: str) -> datetime | None:
    """Return a time of an object: RFC 3339 in version 2, without an offset (UTC) in version 1."""
    text = row.get(key) if isinstance(row, Mapping) else None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if at is None:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _next(answer: Answer) -> object:
    more = (read_object(answer) or {}).get("additional_data")
    return more.get("next_cursor") if isinstance(more, dict) else None
