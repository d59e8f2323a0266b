"""What can go wrong in the hub, drawn on one page.

ConfigError            hub.yaml or the environment is wrong; nothing may swallow it
HubError
├── ExpressionError    an expression or template failed; the message says which name and why
│   └── MissingField   it used something that the event does not have
├── NotFound           no such event, delivery, request, destination
└── Refused            asked for something that would be wrong to do; the message says what to do
"""

from collections.abc import Sequence


class ConfigError(Exception):
    """Settings or `hub.yaml` are wrong. `faults` is one sentence per fault, all of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class HubError(Exception):
    """Root of what the hub itself raises."""


class ExpressionError(HubError):
    """An expression or a template could not be compiled or evaluated."""


class MissingField(ExpressionError):
    """An expression used a field that is not there."""


class NotFound(HubError):
    """There is nothing of that id or name."""


class Refused(HubError):
    """It would be wrong to do that now; the message says why, and what to do instead."""
