"""Database of the web requests: the Flask-SQLAlchemy extension, its session, and transactions.

A request reads through `db.session`: one session per request, which the extension removes when the
request ends, however it ends. Core takes its connection, `db.session.connection()`, and knows
nothing of the session. The connection is in autocommit mode: every statement is its own
transaction. None is left open while a page is rendered, a password hashed or a provider called, a
request sees what it has written itself, and on SQLite no read is in the way of a writer.

A request has one connection at most: `writing` gives back the one that it reads on. So nobody waits
for a connection while holding another, and threads cannot block each other for good, however small
the pool is.

Health pages, webhooks and forms do not open the session. They use the `Store` port: the server in
front of Flask takes in webhooks too, and no request is around them there.
https://flask-sqlalchemy.readthedocs.io/en/stable/contexts/
https://docs.sqlalchemy.org/en/21/orm/session_api.html (`Session.execution_options`)
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection

from hub.core.hub import Hub
from hub.core.models import Base
from hub.gateways.database.engine import Database, engine_options

# Senders wait about 10 s: a dead connection and one reconnect together must take less than that.
WEB_ROUND_TRIP_S = 5.0
# Waited for up to twice: after a write of many requests that failed, each is stored alone.
WEB_LOCK_TIMEOUT_S = 2.0

db = SQLAlchemy(
    metadata=Base.metadata,
    disable_autonaming=True,
    session_options={"execution_options": {"isolation_level": "AUTOCOMMIT"}},
)


def init_database(app: Flask, url: str, *, pool_size: int) -> Database:
    """Create the app's engine; return the database over it. No connection is opened yet."""
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(
            url, pool_size=pool_size, lock_timeout_s=WEB_LOCK_TIMEOUT_S
        ),
    )
    db.init_app(app)
    with app.app_context():
        return Database(db.engine, round_trip_s=WEB_ROUND_TRIP_S)


@contextmanager
def writing() -> Iterator[Connection]:
    """Open a transaction of the store that commits at the end of the block, or rolls back.

    The request's own connection goes back to the pool first; a later read takes one again. Do not
    read through the session inside the block.
    """
    hub: Hub = current_app.extensions["hub"]
    db.session.remove()
    with hub.store.write() as connection:
        yield connection
