"""Exceptions of the hub, and their hierarchy.

ConfigError            hub.yaml or the environment is wrong; no handler may swallow it
HubError
├── ExpressionError    an expression or template failed; the message says which name and why
│   └── MissingField   it used a field that the event does not have
├── BodyGone           the body of a request is needed, and is not kept any more
├── NotFound           no such event, delivery, request, destination
└── Refused            the operation would be wrong; the message says what to do instead
    └── DamagedBody    a stored body cannot be decoded: it is not what arrived
"""

from collections.abc import Sequence


class ConfigError(Exception):
    """Configuration errors in the settings or `hub.yaml`. `faults` has a sentence for each."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class HubError(Exception):
    """Base class of the hub's own exceptions, except `ConfigError`."""


class ExpressionError(HubError):
    """Expression or template that could not be compiled or evaluated."""


class MissingField(ExpressionError):
    """Field that an expression used and that does not exist."""


class BodyGone(HubError):
    """The body of a request is not kept, or not any more; the message says since when."""


class NotFound(HubError):
    """No row, source, destination or other object has that id or name."""


class Refused(HubError):
    """Operation that would be wrong now; the message says why, and what to do instead."""


class DamagedBody(Refused):
    """Stored body that cannot be decoded: its bytes, or the dictionary they need, have changed."""
