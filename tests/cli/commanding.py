"""Command-line test bench: runs `hub` commands over a database that a test has filled."""

import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from adapters import InboundRequest
from hub.bootstrap import create_hub, prepare_store
from hub.cli import main
from hub.core.ids import new_id
from hub.core.inbound.ingest import ingest
from hub.core.models import AuditEntry, Delivery, Lane, StoredEvent, StoredRequest
from hub.gateways.database.engine import open_database
from hub.settings import load_settings
from tests.receiving import prepare
from tests.running import OPS_SECRET, STRIPE_SECRET, stripe_event, stripe_signature
from tests.stores import free_port

CONFIG = """
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
destinations:
  ops: {adapter: http, url: "http://127.0.0.1:1/ops", secret: "${OPS_SECRET}"}
  team: {adapter: slack, url: "http://127.0.0.1:1/team"}
  crm: {adapter: hubspot, token: ""}
routes:
  note: {on: "*", live: any, do: ops.post, with: {body: {id: "{{ event.external_id }}"}}}
  tell: {on: payment.succeeded, do: team.post, with: {text: "{{ event.external_id }}"}}
  keep: {on: payment.succeeded, do: crm.upsert_contact, with: {email: "{{ data.email }}"}}
"""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Terminal(io.StringIO):
    """Standard input that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Said:
    """Result of a command: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """Return the single standard-error line of a command that failed and printed nothing."""
        [line] = self.err.splitlines()
        assert self.out == ""
        assert "Traceback" not in self.err
        return line


class Desk:
    """Runs commands in this process, as `hub` runs them, and fills the tables they read."""

    def __init__(
        self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        (folder / "hub.yaml").write_text(CONFIG)
        for name in list(os.environ):
            if name.startswith("HUB_") or name in ("SECRET_KEY", "LOG_LEVEL", "LOG_FORMAT"):
                monkeypatch.delenv(name)
        self.setenv(
            DATABASE_URL=url,
            REDIS_URL=f"unix://{folder}/no-redis",
            PORT=str(free_port()),
            HUB_ALLOW_PRIVATE_DESTINATIONS="1",
            STRIPE_WEBHOOK_SECRET=STRIPE_SECRET,
            OPS_SECRET=OPS_SECRET,
        )
        self.store = open_database(url, pool_size=1)

    def setenv(self, **values: str) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)

    def run(self, *arguments: str, stdin: str = "", terminal: bool = False) -> Said:
        """Run a command with this text on its standard input, which is a pipe or a terminal."""
        self._monkeypatch.setattr("sys.stdin", (Terminal if terminal else io.StringIO)(stdin))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code = ended.value.code
        out, err = self._capsys.readouterr()
        return Said(code if isinstance(code, int) else int(bool(code)), out, err)

    def json(self, *arguments: str) -> Any:
        """Return the `--json` output of a command that succeeds."""
        said = self.run(*arguments, "--json")
        assert said.code == 0, said.err
        return said.json

    def receive(self, event_id: str, **changes: Any) -> str:
        """Ingest a payment as the web process would; return the event's id."""
        body = changes.pop("body", None) or stripe_event(event_id, **changes)
        hub = create_hub(load_settings(os.environ), os.environ)
        prepare_store(hub)
        received = InboundRequest(
            "POST",
            "http://hub/webhooks/stripe",
            {"stripe-signature": stripe_signature(body), "user-agent": "Stripe\x1b[2J"},
            body,
            datetime.now(UTC),
        )
        prepared = prepare(hub, received, "stripe")
        with self.store.write() as connection:
            ingest(connection, prepared)
            found = select(StoredEvent.id).where(StoredEvent.external_id == event_id)
            return str(connection.execute(found).scalar_one())

    def keep_request(self, state: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Insert a stored request that was not ingested; return its id."""
        now = datetime.now(UTC)
        row_id = new_id(now)
        with self.store.write() as connection:
            connection.execute(
                insert(StoredRequest).values(
                    id=row_id, source="stripe", state=state, received_at=now, method="POST",
                    url="http://hub/webhooks/stripe", headers=dict(headers), body=body,
                    size_bytes=len(body), conflict=False, reason="because",
                )
            )  # fmt: skip
        return str(row_id)

    def set_state(self, route: str, state: str, **values: Any) -> str:
        """Set the state of a route's deliveries; return the id of one."""
        with self.store.write() as connection:
            changed = (
                update(Delivery)
                .where(Delivery.route == route)
                .values(state=state, next_attempt_at=None, **values)
                .returning(Delivery.id)
            )
            return str(connection.execute(changed).scalars().all()[0])

    def audited(self) -> list[tuple[str, str | None]]:
        """Return action and reason of each entry of the audit log."""
        with self.store.read() as connection:
            rows = connection.execute(
                select(AuditEntry.action, AuditEntry.reason).order_by(AuditEntry.id)
            )
            return [(row.action, row.reason) for row in rows]

    def paused(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(Lane.destination).where(Lane.paused)).scalars())
