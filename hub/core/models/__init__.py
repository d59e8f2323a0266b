"""The tables; a file per table or close pair."""

from hub.core.models.access import RecoveryCode, Session, SignInTry, Ticket, User
from hub.core.models.assignment import Acknowledgement, Assignment, LeadLink, Telling
from hub.core.models.base import Base, database_later, database_now, insert_if_new
from hub.core.models.board import Heartbeat, Hour
from hub.core.models.contact import Contact, Identity
from hub.core.models.copy import EventCopy
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
from hub.core.models.record import Alert, AuditEntry, ConfigVersion, Restoration, SourceState
from hub.core.models.replay import ItemState, Replay, ReplayItem, ReplayState

__all__ = [
    "DUE_STATES",
    "IS_DUE",
    "IS_OPEN",
    "IS_RUNNING",
    "Acknowledgement",
    "Alert",
    "Assignment",
    "Attempt",
    "AttemptState",
    "AuditEntry",
    "Base",
    "ConfigVersion",
    "Contact",
    "Delivery",
    "DeliveryState",
    "EventCopy",
    "EventKey",
    "EventState",
    "Heartbeat",
    "Hour",
    "Identity",
    "ItemState",
    "Lane",
    "LeadLink",
    "LimitCount",
    "RecoveryCode",
    "Replay",
    "ReplayItem",
    "ReplayState",
    "RequestState",
    "Restoration",
    "Session",
    "SignInTry",
    "SourceState",
    "StoredEvent",
    "StoredRequest",
    "Telling",
    "Ticket",
    "User",
    "database_later",
    "database_now",
    "insert_if_new",
    "is_among",
]
