"""Identity of this process: read from the database, and cached in a file for starts without it.

Web processes start without their database. They know their hub's id from the cache under `HUB_VAR`,
which counts for one address of a database only; without it they wait.
"""

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident
from uuid import UUID

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from hub.core.errors import ConfigError
from hub.core.identity import Identity, moved, moved_sentence, note_public_url, read_identity
from hub.core.ids import parse_id
from hub.core.ports import Store
from hub.gateways.private_files import make_private_folder, private_opener

CACHE = "hub-id"
NO_IDENTITY = "the database has lost the hub's id: run `hub db adopt` to give it one"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IdentityCache:
    """File with the id of the hub of one database: the id, and a digest of the address."""

    var_dir: Path
    database_url: str

    def read(self) -> UUID | None:
        """Return the cached id; None if there is none for this database."""
        try:
            text = self._path.read_text("ascii")
        except (OSError, UnicodeDecodeError):
            return None
        hub_id, _, digest = text.strip().partition(" ")
        return parse_id(hub_id) if digest == self._digest() else None

    def write(self, hub_id: UUID) -> None:
        """Cache an id, atomically; a warning says why where nothing can be kept."""
        if self.read() == hub_id:
            return
        fresh = self.var_dir / f"{CACHE}.{os.getpid()}.{get_ident()}"
        try:
            make_private_folder(self.var_dir)
            with open(fresh, "w", opener=private_opener) as text:
                text.write(f"{hub_id} {self._digest()}\n")
            fresh.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            log.warning(
                "HUB_VAR: %s cannot keep the hub's id (%s): a process that starts while the "
                "database is away has to wait for it", self.var_dir, error.strerror,
            )  # fmt: skip

    @property
    def _path(self) -> Path:
        return self.var_dir / CACHE

    def _digest(self) -> str:
        """Return a digest of where the database is, without the user and the password."""
        url = make_url(self.database_url)
        database = url.database or ""
        if url.get_backend_name() == "sqlite" and not database.startswith("file:"):
            database = str(Path(database).absolute())
        asked = [url.query.get(name) for name in ("host", "port", "service")]
        place = (url.get_backend_name(), url.host, url.port, database, *asked)
        return hashlib.sha256(repr(place).encode()).hexdigest()


def start_identity(store: Store, cache: IdentityCache, public_url: str | None) -> Identity:
    """Return the identity with which a process may start, and note the origin if none is noted.

    Raises:
        ConfigError: the hub of the database last ran under another origin, or the id is lost.
        DBAPIError: the database is unavailable, or was not migrated so far.
    """
    with store.read() as connection:
        identity = read_identity(connection)
    if identity is None:
        raise ConfigError([NO_IDENTITY])
    if moved(identity, public_url):
        raise ConfigError([moved_sentence(identity, public_url)])
    if identity.public_url is None and public_url is not None:
        with store.write() as connection:
            note_public_url(connection, public_url, now=datetime.now(UTC))
        return start_identity(store, cache, public_url)
    cache.write(identity.hub_id)
    return identity


def identity_of(store: Store, cache: IdentityCache) -> UUID | None:
    """Return the id that the database holds; while it cannot be read, the cached one, or None."""
    # A pool without a free connection is none of the database's own errors.
    with suppress(SQLAlchemyError):
        with store.read() as connection:
            identity = read_identity(connection)
        if identity is not None:
            cache.write(identity.hub_id)
            return identity.hub_id
    return cache.read()
