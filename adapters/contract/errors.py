"""Exceptions of adapters, and the hub's response to each.

    AdapterError
    ├── NotVerified          the request's sender is not authenticated: 401
    │   └── ForeignOrigin    a form was sent from a page of another site: 403
    ├── Unreadable           authentic, but no event can be built: stored, 2xx, "needs you"
    │   ├── TooManyFields    a form has more fields than a person fills in: 413
    │   └── InvalidSubmission  a person filled in a form incorrectly: 422, a sentence per field
    ├── InvalidParameters    an action cannot send them: the delivery fails, nothing was sent
    ├── AccountRefused       no access token is available: the destination waits, nothing was sent
    └── TransportError       the call to a provider got no response
        ├── NotSent          no byte of the request was written: safe to retry
        └── AnswerLost       the request may have been processed

A *response* of a provider is never an exception: see `outbound.Outcome`.
Messages name the header, field or setting; never a body, a secret or the expected signature.
"""


class AdapterError(Exception):
    """Base class of the exceptions that an adapter may raise; any other is a defect."""


class NotVerified(AdapterError):
    """Request whose sender is not authenticated. The message names the part that failed."""


class ForeignOrigin(NotVerified):
    """Form sent from a page of another site. The message names the setting for origins."""


class Unreadable(AdapterError):
    """Authentic request from which no event can be built. The message says why."""


class TooManyFields(Unreadable):
    """Form with more fields or parts than are read."""


class InvalidSubmission(Unreadable):
    """Submission that does not match the form's declared fields.

    `faults` maps a declared field to a sentence for the visitor; no sentence repeats a value.
    """

    def __init__(self, faults: dict[str, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in faults.items()))


class InvalidParameters(AdapterError):
    """Parameters that cannot be sent.

    `faults` maps a dotted parameter path to a sentence.
    """

    def __init__(self, faults: dict[str, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{path}: {fault}" for path, fault in faults.items()))


class AccountRefused(AdapterError):
    """Account to which the provider gives no access token, so that nothing was sent.

    The message says how to fix it.
    """


class TransportError(AdapterError):
    """Call to a provider that ended without a response."""


class NotSent(TransportError):
    """Call that failed before any byte of the request was written.

    Causes: DNS, connection refused, TLS, SSRF guard.
    """


class AnswerLost(TransportError):
    """Call whose request was sent, but whose response was not read completely.

    Causes: time-out, connection reset, truncated or oversized response.
    """
