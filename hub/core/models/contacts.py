"""Tables of contacts and their identities."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.models.base import Base


class Contact(Base):
    """Contact: one person, as far as the events describe them."""

    __tablename__ = "contacts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Identity(Base):
    """Identity of a contact. `kind` is `email`, `phone` or `<source>:customer_id`."""

    __tablename__ = "identities"
    __table_args__ = (Index("ix_identities_contact_id", "contact_id"),)

    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    contact_id: Mapped[UUID] = mapped_column(ForeignKey("contacts.id"))
