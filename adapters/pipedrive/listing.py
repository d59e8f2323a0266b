"""Lists for look-ups: all that changed since a call was sent, and when that was."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.contract.answers import read_object
from adapters.contract.fields import is_id, rfc3339
from adapters.contract.outbound import Answer, Sight, Sighting
from adapters.pipedrive.account import Account
from adapters.pipedrive.answers import listed

SKEW = timedelta(minutes=5)
"""How far Pipedrive's clock may be from ours."""

_PAGE = 500
_PAGES = 10


def rows_since(account: Account, path: str, sent_at: datetime) -> list[dict[str, Any]] | Sighting:
    """Return what a list of version 2 has that changed since then, or why it cannot be told."""
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
            return Sighting(Sight.CANNOT_TELL, "Pipedrive's list goes on where nobody can read")
        cursor = {"cursor": str(following)}
    return Sighting(
        Sight.CANNOT_TELL, f"more than {_PAGE * _PAGES} were changed since then: too many to read"
    )


def cannot_tell(answer: Answer) -> Sighting:
    """Return that a reading call was not answered with what was asked for."""
    return Sighting(Sight.CANNOT_TELL, f"Pipedrive answered {answer.status} when asked for it")


def moment(row: Any, key: str) -> datetime | None:
    """Return a time of an object: RFC 3339 in version 2, in version 1 without an offset (UTC)."""
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
