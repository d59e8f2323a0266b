"""Users with passwords, and helpers that fill in the sign-in forms."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from hub.core.auth import second_factor, users
from hub.core.auth.accounts import UserAccount
from hub.core.auth.roles import Role
from hub.core.models import AuditEntry, Session
from hub.gateways.password_hashing import hash_password
from hub.gateways.totp import SecretBox
from tests.dashboard.board import SECRET_KEY, Board

PASSWORD = "lemon otter trail"
HASH = hash_password(PASSWORD)
FIELD = re.compile(r'name="(csrf_token|locked|form)" value="([^"]+)"')


def add(
    board: Board, name: str = "jane", role: Role = Role.ADMIN, *, sees_personal: bool = False
) -> UserAccount:
    """Add a user with `PASSWORD`."""
    with board.hub.store.write() as connection:
        users.add(
            connection, name, role, password_hash=HASH, sees_personal=sees_personal, actor="tests",
            now=datetime.now(UTC),
        )  # fmt: skip
        return users.named(connection, name)


def known(board: Board, name: str) -> UserAccount:
    """Return the current row of an account."""
    with board.hub.store.read() as connection:
        return users.named(connection, name)


def give_factor(board: Board, user: UserAccount) -> tuple[str, list[str]]:
    """Turn on a user's second factor; return its secret and the recovery codes."""
    secret = pyotp.random_base32()
    with board.hub.store.write() as connection:
        codes = second_factor.turn_on(
            connection, user.id, SecretBox(SECRET_KEY).encrypt(secret, str(user.id)), 1,
            actor="tests", now=datetime.now(UTC),
        )  # fmt: skip
    return secret, codes


def fields(client: FlaskClient, path: str) -> dict[str, str]:
    """Return the hidden fields of the first form on a page."""
    return dict(FIELD.findall(client.get(path, follow_redirects=True).text))


def sign_in(client: FlaskClient, name: str = "jane", password: str = PASSWORD, **more: str) -> Any:
    form = fields(client, "/sign-in") | {"name": name, "password": password} | more
    return client.post("/sign-in", data=form)


def signed_in(board: Board, name: str = "jane") -> FlaskClient:
    """Return a test client in which a user has just signed in."""
    client = board.app.test_client()
    assert sign_in(client, name).status_code == 303
    return client


def is_in(client: FlaskClient) -> bool:
    """Return whether a user is signed in."""
    return client.get("/account").status_code == 200


def audited(board: Board, action: str) -> int:
    """Return the number of audit entries of an action."""
    with board.hub.store.read() as connection:
        counted = select(func.count()).where(AuditEntry.action == action)
        return connection.execute(counted).scalar_one()


def wait_eleven_minutes(board: Board) -> None:
    """Move every password confirmation eleven minutes into the past."""
    with board.hub.store.write() as connection:
        at = datetime.now(UTC) - timedelta(minutes=11)
        connection.execute(update(Session).values(proved_at=at))
