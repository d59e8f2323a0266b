"""Notes on a person or a deal: created once, and looked up by the token in their text."""

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from adapters.contract.answers import read_object
from adapters.contract.outbound import Answer, Call, LookupResult, LookupVerdict, Outcome
from adapters.contract.requests import load_parameters
from adapters.pipedrive.answers import listed, read_written
from adapters.pipedrive.api import SKEW, PipedriveApi, cannot_tell
from adapters.pipedrive.parameters import AddNote
from adapters.pipedrive.persons import person_id

PATH = "/api/v1/notes"

_MARK = "hub_attempt: "
_PAGE = 500
_PAGES = 10


def add_note(account: PipedriveApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Create the note, with this attempt's token as its last line."""
    about = _about(account, call, parameters)
    if isinstance(about, Outcome):
        return about
    value = about | {"content": _content(parameters["content"], call.attempt_id)}
    answer = account.write("POST", PATH, value)
    return read_written(answer, call.now, account.hidden, expected="a note")


def look_up(account: PipedriveApi, call: Call, sent_at: datetime) -> LookupResult:
    """Look up this attempt's token in the notes of the person or deal since that day."""
    about = _about(account, call, load_parameters(AddNote, call.parameters))
    if isinstance(about, Outcome):
        said = f"whom it was about cannot be told. {about.message}"
        return LookupResult(LookupVerdict.CANNOT_TELL, said)
    mark = re.compile(re.escape(_MARK + call.attempt_id) + r"(?![0-9])")
    since = (sent_at - SKEW).date().isoformat()
    start = 0
    for _ in range(_PAGES):
        answer = account.read(
            PATH, **about, start_date=since, sort="add_time DESC", start=start, limit=_PAGE
        )
        notes = listed(answer)
        if notes is None:
            return cannot_tell(answer)
        for note in notes:
            if mark.search(str(note.get("content"))):
                ref = str(note["id"])
                return LookupResult(
                    LookupVerdict.THERE, f"note {ref} has this attempt's token", ref
                )
        start += len(notes)
        if not notes or not _has_more(answer):
            return LookupResult(
                LookupVerdict.NOT_THERE, f"none of {start} notes has this attempt's token"
            )
    return LookupResult(LookupVerdict.CANNOT_TELL, f"there are more than {_PAGE * _PAGES} notes")


def _about(
    account: PipedriveApi, call: Call, parameters: Mapping[str, Any]
) -> dict[str, int] | Outcome:
    if "deal" in parameters:
        return {"deal_id": int(parameters["deal"])}
    person = person_id(account, parameters["person"], call.now)
    return person if isinstance(person, Outcome) else {"person_id": int(person)}


def _content(text: str, attempt_id: str) -> str:
    """Return the note's body as HTML, the format that Pipedrive displays."""
    lines = html.escape(text.strip(), quote=False).splitlines()
    return "<br>".join([*lines, "", _MARK + attempt_id])


def _has_more(answer: Answer) -> bool:
    more = (read_object(answer) or {}).get("additional_data")
    pages = more.get("pagination") if isinstance(more, dict) else None
    return isinstance(pages, dict) and pages.get("more_items_in_collection") is True
