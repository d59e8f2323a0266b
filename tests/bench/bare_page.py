"""Floor of the pages: a bare Flask view that shows 50 events by one indexed query.

No sign-in, no permission, no words about what an event means: what any page of such a list takes
on this machine at least. `BarePage` asks for it.
"""

import os
import threading
import time
from typing import Any

import psycopg
import requests
from flask import Flask, render_template_string, request
from psycopg.rows import dict_row

ROWS = 50
_QUERY = """
SELECT id, type, source, external_id, received_at, state, data FROM events
WHERE id < %s ORDER BY id DESC LIMIT %s
"""
_PAGE = """<!doctype html><title>Events</title><table>{% for event in events %}
<tr><td>{{ event.id }}</td><td>{{ event.type }}</td><td>{{ event.source }}</td>
<td>{{ event.external_id }}</td><td>{{ event.received_at }}</td><td>{{ event.state }}</td>
<td>{{ event.data.name }}</td><td>{{ event.data.email }}</td><td>{{ event.data.amount }}</td></tr>
{% endfor %}</table>"""
NEWEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_local = threading.local()

app = Flask("bare_page")


@app.get("/healthz")
def healthz() -> str:
    """Answer, for whoever waits for the server."""
    return "ok"


@app.get("/events")
def events() -> str:
    """Show the newest events, or those before an id."""
    before = request.args.get("before", NEWEST)
    found = _connection().execute(_QUERY, [before, ROWS]).fetchall()
    return render_template_string(_PAGE, events=found)


def _connection() -> psycopg.Connection[Any]:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(
            os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row
        )
    return _local.connection


class BarePage:
    """Client of the served page."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/events"
        self._session = requests.Session()

    def look(self, before: str = NEWEST) -> float:
        """Return the time that the page before an event takes, in milliseconds."""
        start = time.perf_counter()
        answer = self._session.get(self._address, params={"before": before}, timeout=30)
        took_s = time.perf_counter() - start
        assert answer.status_code == 200, answer.status_code
        return took_s * 1000
