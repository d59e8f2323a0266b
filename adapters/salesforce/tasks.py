"""Tasks: created once, and looked up by their key or by the token in their description."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from adapters.contract.answers import read_object
from adapters.contract.outbound import Answer, Call, LookupResult, LookupVerdict, Outcome
from adapters.contract.requests import check_said
from adapters.salesforce.answers import read_upserted, read_written
from adapters.salesforce.api import SalesforceApi

PATH = "/sobjects/Task"

_MARK = "hub_attempt: "
_MOST = 2000
_SKEW = timedelta(minutes=5)
_LONGEST_CALL = timedelta(minutes=2)
_ID = r"\s*[A-Za-z0-9]{15}([A-Za-z0-9]{3})?\s*\Z"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _check_day(text: str) -> None:
    try:
        good = bool(_DAY.fullmatch(text.strip())) and bool(date.fromisoformat(text.strip()))
    except ValueError:
        good = False
    if not good:
        raise ValidationError("expected a day like 2026-12-01")


def _record_id() -> fields.String:
    said = "expected Salesforce's id of a record: 15 or 18 letters and digits"
    return fields.String(validate=validate.Regexp(_ID, error=said))


class CreateTask(Schema):
    """Parameters: `who` is a contact or lead, `what` another record (ids); `due_date` is a day."""

    subject = fields.String(required=True, validate=[check_said, validate.Length(max=255)])
    who = _record_id()
    what = _record_id()
    description = fields.String(validate=validate.Length(max=31_000))
    status = fields.String(validate=[check_said, validate.Length(max=255)])
    due_date = fields.String(validate=_check_day)


_NAMES = {
    "subject": "Subject",
    "who": "WhoId",
    "what": "WhatId",
    "status": "Status",
    "due_date": "ActivityDate",
}


def create_task(
    account: SalesforceApi, call: Call, parameters: Mapping[str, Any], *, key_field: str
) -> Outcome:
    """Create the task; with `key_field`, upsert it by the delivery's key."""
    value = {_NAMES[key]: parameters[key].strip() for key in _NAMES if key in parameters}
    text = parameters.get("description", "").strip()
    value["Description"] = "\n\n".join(part for part in (text, _MARK + call.attempt_id) if part)
    if key_field:
        path = f"{PATH}/{key_field}/{_key(call)}"
        answer = account.write("PATCH", path, value, call.now)
        return read_upserted(answer, call.now, account.hidden, key_field=key_field)
    answer = account.write("POST", PATH, value, call.now)
    return read_written(answer, call.now, account.hidden)


def look_up(
    account: SalesforceApi, call: Call, sent_at: datetime, *, key_field: str
) -> LookupResult:
    """Look up the delivery's key, or this attempt's token in the tasks created around that time."""
    if key_field:
        where, most = f"{key_field} = '{_key(call)}'", 1
    else:
        since, until = sent_at - _SKEW, sent_at + _LONGEST_CALL + _SKEW
        where, most = f"CreatedDate >= {_time(since)} AND CreatedDate <= {_time(until)}", _MOST
    chosen = "Id" if key_field else "Id, Description"
    asked = ["SELECT", chosen, "FROM Task WHERE", where, "LIMIT", str(most)]
    answer = account.query(" ".join(asked), call.now)
    tasks = _records(answer)
    if tasks is None:
        said = f"Salesforce answered {answer.status} when asked for the tasks"
        return LookupResult(LookupVerdict.CANNOT_TELL, said)
    return _found(tasks, call, by_key=bool(key_field))


def _found(tasks: list[dict[str, Any]], call: Call, *, by_key: bool) -> LookupResult:
    mark = re.compile(re.escape(_MARK + call.attempt_id) + r"(?![0-9])")
    for task in tasks:
        if by_key or mark.search(str(task.get("Description"))):
            ref = str(task["Id"])
            what = "this delivery's key" if by_key else "this attempt's token"
            return LookupResult(LookupVerdict.THERE, f"task {ref} has {what}", ref)
    if by_key:
        return LookupResult(LookupVerdict.NOT_THERE, "no task has this delivery's key")
    if len(tasks) >= _MOST:
        return LookupResult(LookupVerdict.CANNOT_TELL, f"{_MOST} tasks or more were created then")
    return LookupResult(
        LookupVerdict.NOT_THERE, f"none of {len(tasks)} tasks has this attempt's token"
    )


def _records(answer: Answer) -> list[dict[str, Any]] | None:
    told = read_object(answer) or {}
    records = told.get("records")
    if answer.status != 200 or told.get("done") is not True or not isinstance(records, list):
        return None
    good = all(isinstance(one, dict) and isinstance(one.get("Id"), str) for one in records)
    return records if good else None


def _key(call: Call) -> str:
    """Return the delivery's key without the dot of a replay, which a URL path could lose."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", call.key)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
