"""What can go wrong between a provider and the hub, drawn on one page.

    AdapterError
    ├── NotVerified          the request does not prove who sent it: 401
    │   └── ForeignOrigin    a form was sent from a page that is none of ours: 403
    ├── Unreadable           authentic, but no event can be made of it: kept, 2xx, "needs you"
    │   ├── TooManyFields    a form with more fields than anybody fills in: 413
    │   └── InvalidSubmission  a person filled a form in wrong: 422, a sentence per field
    ├── InvalidParameters    an action cannot send them: the delivery fails, nothing was sent
    ├── AccountRefused       no access token is to be had: the destination waits, nothing was sent
    └── TransportError       the call to a provider brought no answer
        ├── NotSent          no byte of the request left: safe to try again
        └── AnswerLost       the request may have been processed

What a provider *answered* is never an exception: see `outbound.Outcome`.
Messages name the header, field or setting; never a body, a secret or the expected signature.
"""


class AdapterError(Exception):
    """Root of what an adapter may raise; anything else that escapes one is a defect."""


class NotVerified(AdapterError):
    """The request does not prove who sent it. The message says which part failed."""


class ForeignOrigin(NotVerified):
    """A page of another site sent the form. The message names the origin's setting."""


class Unreadable(AdapterError):
    """The request is authentic, but no event can be made of it. The message says why."""


class TooManyFields(Unreadable):
    """The form has more fields or parts than are read."""


class InvalidSubmission(Unreadable):
    """What a person sent by a form is not what the form asks for.

    `faults` maps a declared field to a sentence for that person; no sentence repeats a value.
    """

    def __init__(self, faults: dict[str, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in faults.items()))


class InvalidParameters(AdapterError):
    """The parameters cannot be sent.

    `faults` maps a dotted parameter path to a sentence.
    """

    def __init__(self, faults: dict[str, str]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{path}: {fault}" for path, fault in faults.items()))


class AccountRefused(AdapterError):
    """The provider gives us no access token, so nothing was sent. The message says what to mend."""


class TransportError(AdapterError):
    """A call to a provider ended without an answer."""


class NotSent(TransportError):
    """The call failed before any byte of the request was written (DNS, refused, TLS, guard)."""


class AnswerLost(TransportError):
    """Bytes were sent and no whole answer was read (time-out, reset, cut or oversized answer)."""
