"""Stage of the crash sweep: one case after the other over one database.

A case is a place to die at, a behaviour of the far end, and a way: a class of action, and the
evidence that exists afterwards. Time does not pass here: leases are expired and attempts aged in
the tables.
"""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

from sqlalchemy import select

from adapters import InboundRequest
from hub.bootstrap import create_hub, prepare_store
from hub.core.delivery.reconcile import alert_unsettled, close_confirmed
from hub.core.delivery.settle import SettleAnswer, settle
from hub.core.events.projections import project_some
from hub.core.inbound.ingest import ingest
from hub.core.models import Alert, Delivery, StoredEvent
from hub.core.monitoring.alerts import UNKNOWN_OUTCOME
from hub.process.child import die_with_parent
from hub.processes import create_clients, create_worker_context
from hub.settings import load_settings
from hub.worker.drain import Drain
from hub.worker.reconcile import look_up_some
from tests.behaviours import Behaviour
from tests.far_end import FarEnd
from tests.faults.passing import age, free_lanes
from tests.faults.places import EXIT_CODE
from tests.faults.stem import NOWHERE, found_names, impatient
from tests.faults.swept import CONFIG, ONCE, Case, End, SweptFarEnd
from tests.receiving import prepare
from tests.running import OPS_SECRET, ROOT, STRIPE_SECRET, stripe_event, stripe_signature, until
from tests.twilio_far_end import TOKEN

ROUNDS = {"told": 3, "in the dark": 3}
MOST_ROUNDS = 12


class Sweep:
    """Runner of cases; a context manager."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        self._far = SweptFarEnd()
        self._server = FarEnd(self._far.behave)
        self._folder = folder
        (folder / "hub.yaml").write_text(CONFIG)
        environ = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "HUB_CONFIG": str(folder / "hub.yaml"),
            "HUB_PUBLIC_URL": "http://127.0.0.1:9",
            "HUB_ALLOW_PRIVATE_DESTINATIONS": "1",
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "OPS_SECRET": OPS_SECRET,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "FAR_END": self._server.url,
            "LOG_FORMAT": "json",
        }
        self._settings = load_settings(environ)
        self._hub = create_hub(self._settings, environ)
        prepare_store(self._hub)
        names = found_names(self._settings, self._hub)
        self._worker = create_worker_context(self._settings, impatient(self._hub), names, Event())
        self._patient_gates = create_clients(self._settings, self._hub, ())
        self._store = self._hub.store
        with (folder / "stem.log").open("wb") as log:
            self._stem = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.stem"],
                cwd=folder,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                preexec_fn=die_with_parent(),
            )
        self._ran = 0

    def __enter__(self) -> "Sweep":
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._far.close()
        self._stem.communicate()
        self._server.__exit__(*error)
        self._worker.stop.set()
        self._worker.pool.shutdown(wait=False)
        self._store.engine.dispose()

    def run(self, case: Case) -> End:
        """Die at the place, complete all work, and return how the case ended.

        Raises:
            AssertionError: the hub broke a promise on the way.
        """
        name = self._begin(case)
        if case.place.startswith("clock"):
            self._child("worker", NOWHERE)
            self._settle_down(case)
            age(self._store)
            self._child("clock", case.place)
        else:
            first = "worker.in_call" if case.place == "worker.in_take_over" else case.place
            assert self._child("worker", first) == EXIT_CODE, "it did not come by there"
            if first != case.place:
                free_lanes(self._store)
                assert self._child("worker", case.place) == EXIT_CODE, "it did not come by there"
            self._settle_down(case)
        return self._heal(name, case.way)

    def doubt(self) -> str:
        """Return the name of an accepted text whose callbacks have not been ingested yet."""
        case = Case(NOWHERE, Behaviour.DROPS, "told")
        name = self._begin(case)
        self._drain()
        assert self._delivery(name).state == "unknown"
        return name

    def settle(self, name: str, answer: SettleAnswer) -> None:
        """Settle an unknown outcome with a person's answer.

        Raises:
            Refused: the outcome is not unknown any more.
        """
        self._answer(self._delivery(name).id, answer)

    def hear(self) -> None:
        """Ingest and project the callbacks that came meanwhile."""
        self._take_in_callbacks()
        self._fold()

    def heal(self, name: str) -> End:
        """Complete all work that is left."""
        return self._heal(name, "told")

    def _begin(self, case: Case) -> str:
        self._ran += 1
        name = f"evt_{self._ran}"
        self._far.behaviour = case.behaviour
        self._far.twilio.lists = case.way == "looked up"
        free_lanes(self._store)
        body = stripe_event(name, metadata={"to": f"+1202{5550000 + self._ran}"})
        source = "once" if case.way in ONCE else case.way
        self._take_in(source, body, {"stripe-signature": stripe_signature(body)})
        return name

    def _child(self, work: str, place: str) -> int:
        (self._folder / f"died-at-{place}").unlink(missing_ok=True)
        assert self._stem.stdin
        assert self._stem.stdout
        self._stem.stdin.write(f"{work} {place}\n")
        code = int(self._stem.stdout.readline())
        assert code in (0, EXIT_CODE), (self._folder / "stem.log").read_text()
        return code

    def _settle_down(self, case: Case) -> None:
        """Wait for late acceptances; before the settle time no look-up may conclude anything."""
        if case.way == "looked up":
            free_lanes(self._store)
            self._drain()
            asked = self._far.calls.copy()
            assert look_up_some(self._hub, self._patient_gates) == 0, "concluded too soon"
            assert self._far.calls == asked
        until(lambda: self._far.is_quiet, 30, "the far end to be done")
        if case.way == "told":
            self._take_in_callbacks()
        self._far.callbacks.clear()

    def _heal(self, name: str, way: str) -> End:
        for _ in range(ROUNDS.get(way, MOST_ROUNDS)):
            free_lanes(self._store)
            self._drain()
            until(lambda: self._far.is_quiet, 30, "the far end to be done")
            if way == "told":
                self._take_in_callbacks()
            self._fold()
            with self._store.write() as connection:
                close_confirmed(connection, now=datetime.now(UTC))
            if self._delivery(name).state == "succeeded":
                break
            age(self._store)
            look_up_some(self._hub, self._patient_gates)
        with self._store.write() as connection:
            alert_unsettled(connection, self._hub, now=datetime.now(UTC))
        return self._end(name)

    def _end(self, name: str) -> End:
        delivery = self._delivery(name)
        with self._store.read() as connection:
            asked = connection.execute(
                select(Alert.kind).where(
                    Alert.subject == f"delivery {delivery.id}", Alert.ended_at.is_(None)
                )
            ).all()
        texts = [one for one in self._far.twilio.messages if one["body"] == name]
        effects = len(self._far.effects[name]) + len(texts)
        open_ = delivery.state == "unknown" and [one.kind for one in asked] == [UNKNOWN_OUTCOME]
        if open_:  # so that no later case finds it
            self._answer(delivery.id, SettleAnswer.DROP)
        return End(effects, delivery.state, open_)

    def _fold(self) -> None:
        with self._store.write() as connection:
            while project_some(connection, self._hub, most=100, now=datetime.now(UTC)):
                pass

    def _answer(self, delivery_id: UUID, answer: SettleAnswer) -> None:
        with self._store.write() as connection:
            settle(
                connection,
                delivery_id,
                answer,
                reason="so a person says",
                actor="test",
                now=datetime.now(UTC),
            )

    def _delivery(self, name: str) -> Any:
        with self._store.read() as connection:
            return connection.execute(
                select(Delivery.id, Delivery.state)
                .join(StoredEvent, StoredEvent.id == Delivery.event_id)
                .where(StoredEvent.external_id == name)
            ).one()

    def _drain(self) -> None:
        Drain(self._worker).run()

    def _take_in(self, source: str, body: bytes, headers: dict[str, str], url: str = "") -> None:
        """Ingest a webhook as the web process would."""
        url = url or f"{self._hub.public_url}/webhooks/{source}"
        received = InboundRequest("POST", url, headers, body, datetime.now(UTC))
        prepared = prepare(self._hub, received, source)
        with self._store.write() as connection:
            ingest(connection, prepared)

    def _take_in_callbacks(self) -> None:
        while self._far.callbacks:
            one = self._far.callbacks.pop(0)
            self._take_in("twilio", one.body, one.headers, one.url)
