"""Notes on a contact or a deal: created once, and looked up by the token in their text."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.answers import read_object
from adapters.contract.outbound import Call, LookupResult, LookupVerdict, Outcome
from adapters.contract.requests import check_said, load_parameters
from adapters.hubspot.answers import is_ref, read_written
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.contacts import find_contact
from adapters.hubspot.parameters import ContactProperties, ObjectId

PATH = "/crm/v3/objects/notes"

_LONGEST = 65_536
_TYPES = {"contacts": 202, "deals": 214}
_MARK = "hub_attempt: "
_PAGE = 100
_PAGES = 20

# Pairs of a note's id and body.
Notes = Sequence[tuple[str, str]]


class AddNote(Schema):
    """Parameters: `text`, and the `contact` (e-mail address or id) or `deal` (id) of the note."""

    text = fields.String(required=True, validate=[check_said, validate.Length(max=60_000)])
    contact = ContactProperties()
    deal = ObjectId()

    @validates_schema
    def _one(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("contact" in data) == ("deal" in data):
            raise ValidationError("give either `contact` or `deal`", "contact")
        if "text" in data and len(_body(data["text"], "")) > _LONGEST - 100:
            raise ValidationError("is longer than HubSpot takes", "text")


def add_note(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Create the note, with this attempt's token as its last line."""
    about = _about(account, call, parameters)
    if isinstance(about, Outcome):
        return about
    kind, object_id = about
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _TYPES[kind]}]
    note = {
        "properties": {
            "hs_timestamp": str(int(call.now.timestamp()) * 1000),
            "hs_note_body": _body(parameters["text"], call.attempt_id),
        },
        "associations": [{"to": {"id": object_id}, "types": types}],
    }
    answer = account.send("POST", PATH, note, call.now)
    return read_written(answer, call.now, account.hidden, expected="a note")


def look_up(account: HubspotApi, call: Call) -> LookupResult:
    """Look up this attempt's token in the notes of the contact or deal."""
    about = _about(account, call, load_parameters(AddNote, call.parameters))
    if isinstance(about, Outcome):
        return _cannot_tell(f"whom it was about could not be found. {about.message}")
    mark = re.compile(re.escape(_MARK + call.attempt_id) + r"(?![0-9])")
    read = 0
    for page in _pages(account, call, *about):
        if isinstance(page, LookupResult):
            return page
        for note_id, body in page:
            if mark.search(body):
                return LookupResult(
                    LookupVerdict.THERE, f"note {note_id} has this attempt's token", note_id
                )
        read += len(page)
    return LookupResult(
        LookupVerdict.NOT_THERE, f"none of the {read} notes has this attempt's token"
    )


def _about(
    account: HubspotApi, call: Call, parameters: Mapping[str, Any]
) -> tuple[str, str] | Outcome:
    if "deal" in parameters:
        return "deals", parameters["deal"]
    contact = find_contact(account, call, parameters["contact"])
    return contact if isinstance(contact, Outcome) else ("contacts", contact)


def _body(text: str, attempt_id: str) -> str:
    """Return the note's body as HTML, the format that HubSpot displays."""
    lines = html.escape(text.strip(), quote=False).splitlines()
    return "<br>".join([*lines, "", _MARK + attempt_id])


def _pages(
    account: HubspotApi, call: Call, kind: str, object_id: str
) -> Iterator[Notes | LookupResult]:
    """Yield the notes page by page; if not all can be read, a `LookupResult` comes last."""
    path = f"/crm/v4/objects/{kind}/{object_id}/associations/notes?limit={_PAGE}"
    after: str | None = ""
    for _ in range(_PAGES):
        answer = account.read(
            path + (f"&after={quote(after, safe='%')}" if after else ""), call.now
        )
        listed = read_object(answer) or {}
        ids, after = _ids(listed.get("results")), _cursor(listed)
        if answer.status != 200 or ids is None:
            yield _cannot_tell(f"HubSpot answered {answer.status} when asked for the notes")
            return
        if ids:
            yield from _notes(account, call, ids)
        if after is None:
            return
        if not (after.isascii() and after.isprintable()):
            yield _cannot_tell("HubSpot's list of notes goes on where nobody can read")
            return
    yield _cannot_tell(f"there are more than {_PAGE * _PAGES} notes")


def _notes(account: HubspotApi, call: Call, ids: Sequence[str]) -> Iterator[Notes | LookupResult]:
    asked = {
        "inputs": [{"id": note_id} for note_id in ids],
        "properties": ["hs_note_body"],
        "propertiesWithHistory": [],
    }
    answer = account.read(f"{PATH}/batch/read", call.now, asked)
    results = (read_object(answer) or {}).get("results")
    bodies = [_id_and_body(one) for one in (results if isinstance(results, list) else [])]
    notes = [note for note in bodies if note]
    if answer.status in (200, 207):
        yield notes
    if answer.status != 200 or len(notes) < len(ids):
        said = f"HubSpot answered {answer.status} with {len(notes)} of {len(ids)} notes"
        yield _cannot_tell(said)


def _id_and_body(note: Any) -> tuple[str, str] | None:
    properties = note.get("properties") if isinstance(note, dict) else None
    if not isinstance(properties, dict) or not is_ref(note.get("id")):
        return None
    return str(note["id"]), str(properties.get("hs_note_body"))


def _ids(results: Any) -> list[str] | None:
    if not isinstance(results, list):
        return None
    ids = [one.get("toObjectId") if isinstance(one, dict) else None for one in results]
    return [str(one) for one in ids] if all(is_ref(one) for one in ids) else None


def _cursor(listed: Mapping[str, Any]) -> str | None:
    """Return the cursor of the next page (HubSpot sends it percent-encoded), or None."""
    paging = listed.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    after = following.get("after") if isinstance(following, dict) else None
    return str(after) if after else None


def _cannot_tell(message: str) -> LookupResult:
    return LookupResult(LookupVerdict.CANNOT_TELL, message)
