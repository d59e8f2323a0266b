"""Look-up of a message whose answer was lost: Twilio's lists are compared with the message sent.

Twilio keeps no token of the hub that a list would show, so a message is identified by its
recipient, time and text. Queued messages have no `date_sent`, so the list is requested both with a
date filter and without. Twilio may alter a text (the preface of a trial account, characters that a
telephone does not support) and write a number differently: a message that is merely similar proves
neither that it is this delivery's nor that this delivery's does not exist. The same holds for
several identical messages, and for one that was created shortly before. Times are Twilio's: the
hub's times are corrected by the `Date` header of Twilio's answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from itertools import islice
from typing import Any

from adapters.contract.answers import safe_words
from adapters.contract.errors import Unreadable
from adapters.contract.fields import is_id, rfc3339
from adapters.contract.outbound import LookupResult, LookupVerdict
from adapters.twilio import api
from adapters.twilio.api import Record, TwilioApi
from adapters.twilio.facts import utc_from_rfc2822

# Tolerated difference between Twilio's clock and the hub's after the correction.
CLOCKS_DIFFER = timedelta(seconds=5)
# How long before the call a similar message may have been created and still be this one; also the
# largest difference of the clocks at which a result is possible.
SHORTLY = timedelta(minutes=10)
MOST_PAGES = 5
TRIAL_PREFACE = "Sent from your Twilio trial account - "


class _Likeness(IntEnum):
    OTHER = 0
    ALIKE = 1
    SAME = 2


@dataclass(frozen=True, slots=True)
class _Found:
    """Records from around the time of the call, by SID; `whole` if the lists have no more.

    `date` is the first `Date` of the answers, None if none has one.
    """

    records: dict[str, Record]
    whole: bool
    date: datetime | None


def look_up(
    account: TwilioApi,
    message: Mapping[str, Any],
    sender: str | None,
    sent_at: datetime,
    now: datetime,
) -> LookupResult:
    """Look up whether the account has the message; `sender` is None if it may be any.

    `sent_at` and `now` are times of the hub's clock; `now` is the time of this look-up.

    Raises:
        AdapterError: a list could not be read.
    """
    since = (sent_at - 2 * SHORTLY).astimezone(UTC)
    asked = {"to": message["to"]} | ({"from_": sender} if sender else {})
    by_date = _records(account, since, **asked, date_sent_after=since)
    newest = _records(account, since, **asked)
    date = by_date.date or newest.date
    ahead = now - date if date else timedelta(0)
    if abs(ahead) > SHORTLY:
        return _doubt(
            f"Twilio's clock and ours differ by {abs(ahead) // timedelta(seconds=1)} seconds; "
            "set the clock of this machine"
        )
    found = _Found(by_date.records | newest.records, by_date.whole and newest.whole, date)
    return _judged(found, message, sent_at, sent_at - ahead)


def _judged(
    found: _Found, message: Mapping[str, Any], by_ours: datetime, by_theirs: datetime
) -> LookupResult:
    """Return the result: only a message created since the call, by Twilio's clock, is certain."""
    since, shortly_before = by_theirs - CLOCKS_DIFFER, min(by_ours, by_theirs) - SHORTLY
    likeness = {
        sid: _likeness(record, message)
        for sid, record in found.records.items()
        if _is_since(record, shortly_before)
    }
    same = [sid for sid, degree in likeness.items() if degree is _Likeness.SAME]
    text, earlier = (rfc3339(at.replace(microsecond=0)) for at in (by_theirs, shortly_before))
    if len(same) > 1:
        return _doubt(f"Twilio has {len(same)} such messages to this recipient since {earlier}")
    if not found.whole:
        return _doubt(f"Twilio's list since {earlier} is too long to be read")
    if same and _is_since(found.records[same[0]], since):
        return _there(same[0], found.records[same[0]])
    if same:
        return _doubt(f"Twilio has such a message to this recipient from shortly before {text}")
    if _Likeness.ALIKE in likeness.values():
        return _doubt(
            f"Twilio has a message to this recipient since {earlier} that may be this one; its "
            "text is not known or not quite the same"
        )
    return LookupResult(
        LookupVerdict.NOT_THERE,
        f"Twilio's list of messages to this recipient since {earlier} does not have it",
    )


def _records(account: TwilioApi, since: datetime, **query: Any) -> _Found:
    records: dict[str, Record] = {}
    date: datetime | None = None
    pages = api.pages(account, **query)
    for page in islice(pages, MOST_PAGES):
        date = date or _time_of(page.headers, "date")
        fresh = [record for record in page.records if _is_since(record, since)]
        records |= {str(one.get("sid")): one for one in fresh if one.get("direction") != "inbound"}
        if page.records and not fresh:
            return _Found(records, whole=True, date=date)
    return _Found(records, whole=next(pages, None) is None, date=date)


def _is_since(record: Record, since: datetime) -> bool:
    """Return whether a record was created since then; one with an unreadable time counts."""
    created = _created(record)
    return created is None or created >= since


def _created(record: Record) -> datetime | None:
    return _time_of(record, "date_created")


def _time_of(holder: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return utc_from_rfc2822(holder.get(name), name)
    except Unreadable:
        return None


def _likeness(record: Record, message: Mapping[str, Any]) -> _Likeness:
    # Only Twilio knows the text of a template.
    if "template" in message:
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


def _there(sid: str, record: Record) -> LookupResult:
    created, status = _created(record), safe_words(record.get("status") or "unknown")
    at = rfc3339(created) if created else "at an unknown time"
    return LookupResult(
        LookupVerdict.THERE,
        f"Twilio has this message to this recipient, created {at}, status {status}",
        provider_ref=sid,
        status=status,
    )


def _doubt(message: str) -> LookupResult:
    return LookupResult(LookupVerdict.CANNOT_TELL, message)
