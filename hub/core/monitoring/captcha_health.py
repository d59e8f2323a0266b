"""Captcha health: detects a failing captcha, because every lead of its form is held silently."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from hub.core.configuration import Configuration
from hub.core.models import StoredEvent

NOT_ASKED = "captcha: it was not answered"
NOT_REACHED = "captcha: its provider could not be reached"
NO_ANSWER = "captcha: its provider gave no answer"
REFUSES_US = "captcha: its provider refuses the form's `secret`: mend it in hub.yaml"
FAILURES = frozenset({NOT_REACHED, NO_ANSWER, REFUSES_US})

_LOOKED_AT = 50


def failing(connection: Connection, configuration: Configuration) -> Mapping[str, str]:
    """Return the sources whose captcha failed at the last check, each with the reason.

    A lead was checked if it is not held, or if it is held for an answer of the captcha's provider.
    """
    found = {}
    for source in configuration.sources.values():
        if source.enabled and source.captcha:
            reasons = connection.execute(
                select(StoredEvent.held_reason)
                .where(StoredEvent.source == source.slug)
                .order_by(StoredEvent.id.desc())
                .limit(_LOOKED_AT)
            ).scalars()
            last = next((one for one in reasons if _was_asked(one)), None)
            if last in FAILURES:
                found[source.slug] = f"every lead is held; {last}"
    return found


def _was_asked(reason: str | None) -> bool:
    return reason is None or (reason.startswith("captcha: ") and reason != NOT_ASKED)
