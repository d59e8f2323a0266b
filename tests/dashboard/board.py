"""Dashboard in one process over a database of its own, with signed-in test clients."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Connection, select

from hub.app import create_app
from hub.bootstrap import prepare_store
from hub.core.auth import sessions, users
from hub.core.auth.roles import Role
from hub.core.hub import Hub
from hub.core.models import User
from hub.settings import load_settings
from tests.dashboard.connection_counts import ConnectionCounts

SECRET_KEY = "a secret key for the tests of the dashboard"
PUBLIC = "http://localhost"


class _Compiled(BytecodeCache):
    """Bytecode cache of compiled templates, shared by all boards, to save most of a first page."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Board:
    """App with its hub; `client(role)` returns a test client signed in under a role."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        settings = load_settings(environ)
        self.app: Flask = create_app(settings, environ)
        self.app.jinja_env.bytecode_cache = _COMPILED
        self.hub: Hub = self.app.extensions["hub"]
        prepare_store(self.hub)
        self.connections = ConnectionCounts(self.hub.store.engine)

    def client(
        self, role: Role | None = Role.ADMIN, *, name: str | None = None, sees_personal: bool = True
    ) -> FlaskClient:
        """Return a test client; with None no user is signed in.

        Changes need `csrf()` as `csrf_token`.
        """
        client = self.app.test_client()
        if role is not None:
            token = sign_in(self.hub, role, name=name or role.value, sees_personal=sees_personal)
            client.set_cookie("hub", cookie(self.app, {"token": token, "csrf_token": "0" * 40}))
        return client

    def csrf(self) -> str:
        """Return the CSRF token of every client made here."""
        serializer = URLSafeTimedSerializer(self.app.secret_key or "", salt="wtf-csrf-token")
        return str(serializer.dumps("0" * 40))


def sign_in(hub: Hub, role: Role, *, name: str, sees_personal: bool = True) -> str:
    """Begin a session of a user, who is added if missing; return its token."""
    with hub.store.write() as connection:
        return add_session(
            connection, role, name=name, sees_personal=sees_personal, now=datetime.now(UTC)
        )


def add_session(
    connection: Connection, role: Role, *, name: str, sees_personal: bool, now: datetime
) -> str:
    """Begin a session of a user, who is added if missing; return its token."""
    known = connection.execute(select(User.id).where(User.name == name)).scalar_one_or_none()
    user_id = known or users.add(
        connection,
        name,
        role,
        password_hash=None,
        sees_personal=sees_personal,
        actor="tests",
        now=now,
    )
    return sessions.begin(connection, user_id, now=now)


def cookie(app: Flask, values: Mapping[str, Any]) -> str:
    """Return the cookie that holds these values."""
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    return str(serializer.dumps(dict(values)))
