"""A captcha that does not work: every lead of its form is held then, and no lead says so."""

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
    """Return the sources whose captcha's provider vouched for nobody when it was last asked: why.

    It was asked of every lead that is not held, or held by its word.
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
