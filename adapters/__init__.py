"""Provider adapters: the public names of the contract. Nothing here imports the hub."""

from adapters.contract.errors import (
    AccountRefused,
    AdapterError,
    AnswerLost,
    ForeignOrigin,
    InvalidParameters,
    InvalidSubmission,
    NotSent,
    NotVerified,
    TooManyFields,
    TransportError,
    Unreadable,
)
from adapters.contract.event import EVENT_TYPES, Attachment, Event
from adapters.contract.form_inbound import FormField, FormInbound, Signals, Submission
from adapters.contract.inbound import Inbound, ListedRecord, Reply, Sample
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    LookupResult,
    LookupVerdict,
    Outbound,
    Outcome,
    Probe,
    Transport,
    Verdict,
)
from adapters.contract.request import InboundRequest

__all__ = [
    "EVENT_TYPES",
    "AccountRefused",
    "Action",
    "AdapterError",
    "Answer",
    "AnswerLost",
    "Attachment",
    "Call",
    "Effect",
    "Event",
    "ForeignOrigin",
    "FormField",
    "FormInbound",
    "Inbound",
    "InboundRequest",
    "InvalidParameters",
    "InvalidSubmission",
    "ListedRecord",
    "LookupResult",
    "LookupVerdict",
    "NotSent",
    "NotVerified",
    "Outbound",
    "Outcome",
    "Probe",
    "Reply",
    "Sample",
    "Signals",
    "Submission",
    "TooManyFields",
    "Transport",
    "TransportError",
    "Unreadable",
    "Verdict",
]
