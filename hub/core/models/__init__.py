"""The tables; a file per table or close pair."""

from hub.core.models.access import Session, User
from hub.core.models.base import Base, database_later, database_now, insert_if_new
from hub.core.models.contact import Contact, Identity
from hub.core.models.delivery import (
    DUE_STATES,
    IS_DUE,
    IS_OPEN,
    IS_RUNNING,
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    Lane,
    is_among,
)
from hub.core.models.inbound import EventKey, EventState, RequestState, StoredEvent, StoredRequest
from hub.core.models.limit import LimitCount
from hub.core.models.record import Alert, AuditEntry, ConfigVersion, SourceState

__all__ = [
    "DUE_STATES",
    "IS_DUE",
    "IS_OPEN",
    "IS_RUNNING",
    "Alert",
    "Attempt",
    "AttemptState",
    "AuditEntry",
    "Base",
    "ConfigVersion",
    "Contact",
    "Delivery",
    "DeliveryState",
    "EventKey",
    "EventState",
    "Identity",
    "Lane",
    "LimitCount",
    "RequestState",
    "Session",
    "SourceState",
    "StoredEvent",
    "StoredRequest",
    "User",
    "database_later",
    "database_now",
    "insert_if_new",
    "is_among",
]
