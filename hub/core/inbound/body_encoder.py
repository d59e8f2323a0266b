"""Encoder of the bodies that a process takes in: whether it may encode them, and since when.

While a new version is rolled out, processes of the version before it read what the new ones write,
and cannot decode it. So a database that was in use before it could hold encoded bodies names the
time from which on it does (`HubIdentity.encodes_from`, a day after the migration); a new database
holds them from the beginning. A process that has not read that time yet stores plain bodies, which
every version reads.
"""

import logging
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from hub.core.errors import DamagedBody
from hub.core.models import HubIdentity
from hub.core.models.body_encoding import encode_body

log = logging.getLogger(__name__)


class BodyEncoder:
    """Encoder of one process, shared by its threads; one that has learned nothing encodes nothing.

    `encodes_from`: bodies that arrive then or later are encoded; None for never.
    """

    def __init__(self, encodes_from: datetime | None = None) -> None:
        self._encodes_from = encodes_from
        self._has_learned = encodes_from is not None

    def learn(self, connection: Connection) -> None:
        """Read from when on the database holds encoded bodies; once read, do nothing.

        A database that is not migrated so far has no such time, and is asked again. The connection
        must be in autocommit or on SQLite: there a refused statement spoils no transaction.
        """
        if self._has_learned:
            return
        with suppress(DBAPIError):
            found = connection.execute(select(HubIdentity.encodes_from)).scalar_one_or_none()
            self._encodes_from, self._has_learned = found, True
            log.debug("bodies are encoded from %s on", found)

    def encode(self, body: bytes, *, received_at: datetime) -> bytes:
        """Return the bytes to store for a body that arrived at a time.

        Without an intact dictionary that is the body itself, and the log says so once.
        """
        try:
            return encode_body(body, compress=self._is_allowed(received_at))
        except DamagedBody as error:
            if self._encodes_from is not None:
                log.error("bodies are stored plain: %s", error)
                self._encodes_from = None
            return encode_body(body, compress=False)

    def _is_allowed(self, received_at: datetime) -> bool:
        return self._encodes_from is not None and received_at >= self._encodes_from
