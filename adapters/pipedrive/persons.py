"""Persons: looked up by e-mail address, then updated or created.

Pipedrive has no upsert, and an e-mail address is not unique in it. Its search lags behind, so a
person that it does not find is looked up among the recently changed persons: that list is complete.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from adapters.contract.answers import read_object
from adapters.contract.fields import rfc3339
from adapters.contract.outbound import Answer, Call, LookupResult, LookupVerdict, Outcome, Verdict
from adapters.contract.requests import load_parameters
from adapters.pipedrive.answers import listed, read_unfound, read_written, ref_of
from adapters.pipedrive.api import PipedriveApi, cannot_tell, moment, rows_since
from adapters.pipedrive.parameters import UpsertPerson, is_id, same_email, written_fields

PATH = "/api/v2/persons"
# How long a person may exist before the search finds it; far more than is usual.
LAG = timedelta(minutes=10)
# The wait for a person that does not exist yet.
NOBODY_S = 60.0

_LOCKS = 64
_GONE = frozenset({404, 410})
_NOT_DIGITS = re.compile(r"[^0-9]")


class OneAtATime:
    """Locks by e-mail address: two calls about one person never search and create concurrently.

    They hold within one process, which is enough: one process at a time leases the destination.
    """

    def __init__(self) -> None:
        self._locks = [Lock() for _ in range(_LOCKS)]

    def of(self, email: str) -> Lock:
        """Return the lock of an address; a few addresses share a lock."""
        return self._locks[hash(email.strip().casefold()) % _LOCKS]


def upsert_person(
    account: PipedriveApi, call: Call, parameters: Mapping[str, Any], locks: OneAtATime
) -> Outcome:
    """Update the oldest person with this e-mail address, or create one."""
    email = parameters["email"].strip()
    with locks.of(email):
        found = find_person(account, email, call.now)
        if isinstance(found, Outcome):
            return found
        return (
            _update(account, call, parameters, found)
            if found
            else _create(account, call, parameters, email)
        )


def find_person(account: PipedriveApi, email: str, now: datetime) -> str | Outcome | None:
    """Return the id of the oldest person with the address, None, or a failed read's outcome."""
    answer = _search(account, email)
    people = listed(answer)
    if people is None:
        return read_unfound(answer, now, account.hidden, expected="the person")
    found = _matching(people, email) or _added_lately(account, email, now)
    return found if found is None or isinstance(found, Outcome) else found[0]


def person_id(account: PipedriveApi, person: str, now: datetime) -> str | Outcome:
    """Return the id of a person given by id or e-mail address, or the outcome if there is none."""
    if is_id(person):
        return person
    found = find_person(account, person, now)
    if found is not None:
        return found
    return Outcome(
        Verdict.NOT_PROCESSED,
        message="Pipedrive has no person with this e-mail address yet: "
        "let a route with `upsert_person` make one",
        retry_after_s=NOBODY_S,
    )


def look_up(account: PipedriveApi, call: Call, sent_at: datetime) -> LookupResult:
    """Look up whether a person with the address was created or changed since `sent_at`."""
    email = load_parameters(UpsertPerson, call.parameters)["email"].strip()
    answer = _search(account, email)
    people = listed(answer)
    if people is None:
        return cannot_tell(answer)
    if ids := _matching(people, email):
        return _changed_since(account, ids[0], sent_at)
    since = rows_since(account, PATH, sent_at)
    if isinstance(since, LookupResult):
        return since
    if ids := _matching(since, email):
        return LookupResult(LookupVerdict.THERE, f"person {ids[0]} was added since then", ids[0])
    return LookupResult(LookupVerdict.NOT_THERE, "no person has this e-mail address")


def _update(account: PipedriveApi, call: Call, given: Mapping[str, Any], person: str) -> Outcome:
    value = _value(given)
    if phone := _said(given, "phone"):
        answer = account.read(f"{PATH}/{person}")
        told = (read_object(answer) or {}).get("data")
        if answer.status in _GONE:
            return _gone(answer)
        if answer.status != 200 or not isinstance(told, dict) or ref_of(told) is None:
            return read_unfound(answer, call.now, account.hidden, expected="the person")
        value |= _with_phone(told.get("phones"), phone)
    if not value:
        return Outcome(Verdict.SUCCEEDED, status=200, provider_ref=person)
    answer = account.write("PATCH", f"{PATH}/{person}", value)
    if answer.status in _GONE:
        return _gone(answer)
    return read_written(answer, call.now, account.hidden, expected="a person")


def _create(account: PipedriveApi, call: Call, given: Mapping[str, Any], email: str) -> Outcome:
    value = {"name": email} | _value(given)
    value["emails"] = [{"value": email, "primary": True, "label": "work"}]
    if phone := _said(given, "phone"):
        value["phones"] = [{"value": phone, "primary": True, "label": "work"}]
    answer = account.write("POST", PATH, value)
    return read_written(answer, call.now, account.hidden, expected="a person")


def _gone(answer: Answer) -> Outcome:
    """Return the outcome for a deleted or merged person, which the search still finds for now."""
    return Outcome(
        Verdict.NOT_PROCESSED,
        message=f"Pipedrive answered {answer.status}: the person was deleted or merged just now",
        status=answer.status,
        retry_after_s=NOBODY_S,
    )


def _value(given: Mapping[str, Any]) -> dict[str, Any]:
    name = _said(given, "name")
    return written_fields(given.get("fields", {})) | ({"name": name} if name else {})


def _said(given: Mapping[str, Any], key: str) -> str:
    return (given.get(key) or "").strip()


def _with_phone(phones: Any, phone: str) -> dict[str, Any]:
    """Return `phones` with the number added, since a write replaces the list; {} if it is there."""
    there = [one for one in phones if isinstance(one, dict)] if isinstance(phones, list) else []
    digits = _NOT_DIGITS.sub("", phone)
    if any(_NOT_DIGITS.sub("", str(one.get("value"))) == digits for one in there):
        return {}
    return {"phones": [*there, {"value": phone, "primary": not there, "label": "work"}]}


def _search(account: PipedriveApi, email: str) -> Answer:
    query: dict[str, str] = {"term": email, "fields": "email", "exact_match": "true"}
    return account.read(f"{PATH}/search", **query)


def _added_lately(account: PipedriveApi, email: str, now: datetime) -> list[str] | Outcome | None:
    """Return matches among changes that the search may not have yet: one page, the latest first."""
    answer = account.read(
        PATH,
        updated_since=rfc3339((now - LAG).replace(microsecond=0)),
        sort_by="update_time",
        sort_direction="desc",
        limit=500,
    )
    people = listed(answer)
    if people is None:
        return read_unfound(answer, now, account.hidden, expected="the person")
    return _matching(people, email) or None


def _matching(people: Sequence[Mapping[str, Any]], email: str) -> list[str]:
    """Return the ids of the persons with the address, the oldest first."""
    ids = [str(ref_of(person)) for person in people if _has(person, email)]
    return sorted(ids, key=int)


def _has(person: Mapping[str, Any], email: str) -> bool:
    emails = person.get("emails")
    values = [
        one.get("value") if isinstance(one, dict) else one
        for one in (emails if isinstance(emails, list) else [])
    ]
    return any(same_email(value, email) for value in values)


def _changed_since(account: PipedriveApi, person: str, sent_at: datetime) -> LookupResult:
    """Return whether the person changed since `sent_at`.

    A person that did not change can be updated again without harm: the search finds it.
    """
    answer = account.read(f"{PATH}/{person}")
    told = (read_object(answer) or {}).get("data")
    changed_at = moment(told, "update_time") or moment(told, "add_time")
    if answer.status != 200 or changed_at is None:
        return cannot_tell(answer)
    if changed_at >= sent_at.replace(microsecond=0):
        return LookupResult(LookupVerdict.THERE, f"person {person} was changed since then", person)
    return LookupResult(
        LookupVerdict.NOT_THERE, f"person {person} is there, and not changed since then"
    )
