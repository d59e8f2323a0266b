"""The providers' ground floor and its front door. It has never heard of the hub."""

from adapters.contract.errors import (
    AdapterError,
    AnswerLost,
    InvalidParameters,
    NotSent,
    NotVerified,
    TransportError,
    Unreadable,
)
from adapters.contract.event import EVENT_TYPES, Event
from adapters.contract.inbound import Inbound, Reply, Sample
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    Outbound,
    Outcome,
    Probe,
    Transport,
    Verdict,
)
from adapters.contract.request import InboundRequest

__all__ = [
    "EVENT_TYPES",
    "Action",
    "AdapterError",
    "Answer",
    "AnswerLost",
    "Call",
    "Effect",
    "Event",
    "Inbound",
    "InboundRequest",
    "InvalidParameters",
    "NotSent",
    "NotVerified",
    "Outbound",
    "Outcome",
    "Probe",
    "Reply",
    "Sample",
    "Transport",
    "TransportError",
    "Unreadable",
    "Verdict",
]
