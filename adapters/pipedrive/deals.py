"""Deals: created once, and looked up by the attempt's token or by their content."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from adapters.contract.outbound import Call, LookupResult, LookupVerdict, Outcome
from adapters.contract.requests import load_parameters
from adapters.pipedrive.answers import read_written, ref_of
from adapters.pipedrive.api import SKEW, PipedriveApi, moment, rows_since
from adapters.pipedrive.parameters import CreateDeal, major_units, written_fields
from adapters.pipedrive.persons import person_id

PATH = "/api/v2/deals"

_LONGEST_CALL = timedelta(minutes=2)


def create_deal(
    account: PipedriveApi, call: Call, parameters: Mapping[str, Any], *, marker_field: str
) -> Outcome:
    """Create the deal, with this attempt's token in `marker_field` if that is set."""
    value = _value(parameters)
    if "person" in parameters:
        person = person_id(account, parameters["person"], call.now)
        if isinstance(person, Outcome):
            return person
        value["person_id"] = int(person)
    if marker_field:
        custom = value.get("custom_fields", {})
        value["custom_fields"] = custom | {marker_field: call.attempt_id}
    answer = account.write("POST", PATH, value)
    return read_written(answer, call.now, account.hidden, expected="a deal")


def look_up(
    account: PipedriveApi, call: Call, sent_at: datetime, *, marker_field: str
) -> LookupResult:
    """Look up the deal among those added or changed since `sent_at`."""
    rows = rows_since(account, PATH, sent_at)
    if isinstance(rows, LookupResult):
        return rows
    if marker_field:
        return _by_token(rows, marker_field, call.attempt_id)
    parameters = load_parameters(CreateDeal, call.parameters)
    wanted = _value(parameters)
    if "person" in parameters:
        person = person_id(account, parameters["person"], call.now)
        if isinstance(person, Outcome):
            return LookupResult(
                LookupVerdict.CANNOT_TELL, f"whose it is cannot be told. {person.message}"
            )
        wanted["person_id"] = int(person)
    return _by_likeness(rows, wanted, sent_at)


def _value(parameters: Mapping[str, Any]) -> dict[str, Any]:
    value = written_fields(parameters.get("fields", {})) | {"title": parameters["title"].strip()}
    if "amount" in parameters:
        value["currency"] = parameters["currency"].upper()
        value["value"] = major_units(parameters["amount"], value["currency"])
    if "stage" in parameters:
        value["stage_id"] = int(parameters["stage"])
    return value


def _by_token(rows: list[dict[str, Any]], marker_field: str, token: str) -> LookupResult:
    for row in rows:
        custom = row.get("custom_fields")
        if isinstance(custom, dict) and custom.get(marker_field) == token:
            ref = ref_of(row)
            return LookupResult(LookupVerdict.THERE, f"deal {ref} has this attempt's token", ref)
    return LookupResult(
        LookupVerdict.NOT_THERE, f"none of {len(rows)} deals has this attempt's token"
    )


def _by_likeness(
    rows: list[dict[str, Any]], wanted: Mapping[str, Any], sent_at: datetime
) -> LookupResult:
    """Return the match by title, person and amount: a single one is certain, two are not."""
    told = [key for key in ("title", "person_id", "value", "currency") if key in wanted]
    alike = [
        ref_of(row)
        for row in rows
        if all(row.get(key) == wanted[key] for key in told) and _added_then(row, sent_at)
    ]
    if not alike:
        return LookupResult(LookupVerdict.NOT_THERE, f"none of {len(rows)} deals is like it")
    if len(alike) > 1:
        said = f"{len(alike)} deals are like it; with `marker_field` they could be told apart"
        return LookupResult(LookupVerdict.CANNOT_TELL, said)
    said = f"deal {alike[0]} has its title, person and amount, and was added then"
    return LookupResult(LookupVerdict.THERE, said, alike[0])


def _added_then(row: Mapping[str, Any], sent_at: datetime) -> bool:
    added_at = moment(row, "add_time")
    return added_at is None or sent_at - SKEW <= added_at <= sent_at + _LONGEST_CALL + SKEW
