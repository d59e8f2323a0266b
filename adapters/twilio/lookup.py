"""Whether Twilio has a message whose answer was lost: its lists, held against what was sent.

Twilio keeps no token of ours that a list would show, so a message is known by its recipient, its
time and its text. Messages that wait have no `date_sent`, so the list is asked for by date and
without. Twilio may alter a text (a trial's preface, characters that a telephone does not know) and
write a number otherwise: what is merely alike proves neither that it is ours nor that ours is not
there. Neither do several that are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import islice
from typing import Any

from adapters.contract.answers import safe_words
from adapters.contract.errors import Unreadable
from adapters.contract.fields import is_id, rfc3339
from adapters.contract.outbound import Sight, Sighting
from adapters.twilio import listing
from adapters.twilio.facts import utc_from_rfc2822
from adapters.twilio.listing import Account, Record

CLOCKS_DIFFER = timedelta(seconds=5)
MOST_PAGES = 5
TRIAL_PREFACE = "Sent from your Twilio trial account - "


class _Likeness(IntEnum):
    OTHER = 0
    ALIKE = 1
    SAME = 2


@dataclass(frozen=True, slots=True)
class _Found:
    """What the lists show of the time since the call, by SID; `whole` if they cannot hold more."""

    records: dict[str, Record]
    whole: bool


def look_up(
    account: Account, message: Mapping[str, Any], sender: str | None, sent_at: datetime
) -> Sighting:
    """Return whether the account has that message; `sender` is None where it may be any.

    Raises:
        AdapterError: a list could not be read.
    """
    since = sent_at - CLOCKS_DIFFER
    asked = [("To", message["to"])] + ([("From", sender)] if sender else [])
    by_date = _records(account, [*asked, ("DateSent>", listing.at(since))], since)
    newest = _records(account, asked, since)
    records = by_date.records | newest.records
    likeness = {sid: _likeness(record, message) for sid, record in records.items()}
    same = [sid for sid, degree in likeness.items() if degree is _Likeness.SAME]
    text = rfc3339(sent_at.replace(microsecond=0))
    if len(same) > 1:
        return _doubt(f"Twilio has {len(same)} such messages to this recipient since {text}")
    if not (by_date.whole and newest.whole):
        return _doubt(f"Twilio's list since {text} is too long to be read")
    if same:
        return _there(same[0], records[same[0]])
    if _Likeness.ALIKE in likeness.values():
        return _doubt(
            f"Twilio has a message to this recipient since {text} that may be this one; its text "
            "is not known or not quite the same"
        )
    return Sighting(
        Sight.NOT_THERE,
        f"Twilio's list of messages to this recipient since {text} does not have it",
    )


def _records(account: Account, query: list[tuple[str, str]], since: datetime) -> _Found:
    records: dict[str, Record] = {}
    pages = listing.pages(account, [*query, ("PageSize", str(listing.PAGE_SIZE))])
    for page in islice(pages, MOST_PAGES):
        fresh = [record for record in page if _is_since(record, since)]
        records |= {str(one.get("sid")): one for one in fresh if one.get("direction") != "inbound"}
        if page and not fresh:
            return _Found(records, whole=True)
    return _Found(records, whole=next(pages, None) is None)


def _is_since(record: Record, since: datetime) -> bool:
    """A record whose time cannot be read may be ours."""
    created = _created(record)
    return created is None or created >= since


def _created(record: Record) -> datetime | None:
    try:
        return utc_from_rfc2822(record.get("date_created"), "date_created")
    except Unreadable:
        return None


def _likeness(record: Record, message: Mapping[str, Any]) -> _Likeness:
    if "template" in message:  # only Twilio knows its text
        return _Likeness.ALIKE
    theirs, ours = str(record.get("body") or ""), message.get("body", "")
    theirs = " ".join(theirs.removeprefix(TRIAL_PREFACE).split())
    if theirs != " ".join(ours.split()):
        return _Likeness.ALIKE if _skeleton(theirs) == _skeleton(ours) else _Likeness.OTHER
    certain = (
        record.get("to") == message["to"]
        and str(record.get("num_media")) == str(len(message.get("media", ())))
        and is_id(record.get("sid"))
        and _created(record) is not None
    )
    return _Likeness.SAME if certain else _Likeness.ALIKE


def _skeleton(text: str) -> str:
    return "".join(c for c in text.lower() if c.isascii() and c.isalnum())


def _there(sid: str, record: Record) -> Sighting:
    created, status = _created(record), safe_words(record.get("status") or "unknown")
    at = rfc3339(created) if created else "at an unknown time"
    return Sighting(
        Sight.THERE,
        f"Twilio has this message to this recipient, created {at}, status {status}",
        provider_ref=sid,
        status=status,
    )


def _doubt(message: str) -> Sighting:
    return Sighting(Sight.CANNOT_TELL, message)
