"""A form, and what people send by it, for tests of its adapter."""

from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.contract.errors import InvalidSubmission
from adapters.contract.event import Event
from adapters.form.inbound import Form
from adapters.form.settings import FormSettings
from adapters.form.submission import URLENCODED
from tests.adapters.posting import posted

URL = "https://hub.example.com/forms/contact"
ORIGIN = "https://acme.example"
FIELDS: dict[str, Any] = {
    "name": {"type": "text", "label": "Your name"},
    "email": {"type": "email", "required": True},
    "phone": {"type": "phone"},
    "topic": {"type": "choice", "choices": ["Repair", "New roof"]},
    "message": {"type": "longtext", "max": 20_000},
}
GOOD = {"email": "jane@example.com"}


def form(fields: dict[str, Any] | None = None, **settings: Any) -> Form:
    """Return a form; `token_key` is what the hub adds to the settings of its file."""
    own = {key: settings.pop(key) for key in ("token_key",) if key in settings}
    given = {"fields": fields or FIELDS, "origins": [ORIGIN]} | settings
    return Form(FormSettings().load(given) | own)


def parsed(body: bytes, kind: str = URLENCODED, on: Form | None = None, **headers: str) -> Event:
    request = posted(body, {"content-type": kind, **headers}, url=URL)
    [event] = (on or form()).parse(request)
    return event


def sent(on: Form | None = None, **values: Any) -> Event:
    return parsed(urlencode(GOOD | values).encode(), on=on)


def faults(body: bytes, kind: str = URLENCODED, on: Form | None = None) -> dict[str, str]:
    with pytest.raises(InvalidSubmission) as refused:
        parsed(body, kind, on)
    return refused.value.faults


def faults_of(**values: str) -> dict[str, str]:
    return faults(urlencode(GOOD | values).encode())
