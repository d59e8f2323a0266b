"""The providers' ground floor and its front door. It has never heard of the hub."""

from adapters.contract.errors import (
    AccountRefused,
    AdapterError,
    AnswerLost,
    InvalidParameters,
    NotSent,
    NotVerified,
    TransportError,
    Unreadable,
)
from adapters.contract.event import EVENT_TYPES, Attachment, Event
from adapters.contract.inbound import Inbound, Listed, Reply, Sample
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    Outbound,
    Outcome,
    Probe,
    Sight,
    Sighting,
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
    "Inbound",
    "InboundRequest",
    "InvalidParameters",
    "Listed",
    "NotSent",
    "NotVerified",
    "Outbound",
    "Outcome",
    "Probe",
    "Reply",
    "Sample",
    "Sight",
    "Sighting",
    "Transport",
    "TransportError",
    "Unreadable",
    "Verdict",
]
