"""Tables of the database, as SQLAlchemy models; one module per group of related tables."""

from hub.core.models.auth import RecoveryCode, Session, SignInTry, Ticket, User
from hub.core.models.base import Base, database_later, database_now, insert_if_new
from hub.core.models.contacts import Contact, Identity
from hub.core.models.deliveries import (
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
from hub.core.models.events import (
    EventCopy,
    EventKey,
    EventState,
    RequestState,
    StoredEvent,
    StoredRequest,
)
from hub.core.models.leads import (
    Acknowledgement,
    Assignment,
    LeadLink,
    LeadNotification,
    LimitCount,
)
from hub.core.models.operations import (
    Alert,
    AuditEntry,
    ConfigVersion,
    Heartbeat,
    Hour,
    Restoration,
    SourceState,
)
from hub.core.models.replays import ItemState, Replay, ReplayItem, ReplayState

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
    "LeadNotification",
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
    "Ticket",
    "User",
    "database_later",
    "database_now",
    "insert_if_new",
    "is_among",
]
