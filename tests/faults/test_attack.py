"""Attackers from all sides at once: others are served, and little is kept of what they send."""

import pytest
from sqlalchemy import func, select

from hub.core.models import Delivery, StoredRequest
from hub.gateways.database.engine import open_database
from tests.faults.attack import Attack, Honest
from tests.faults.attackers import VICTIM
from tests.faults.checker import keys_of, reached, stored_events
from tests.faults.hubs import slow
from tests.running import until

SECONDS = 45
# What the form declares of each of the attackers' posts has a hundred bytes, and they send 60,000.
MOST_BYTES = 1024
CONFIG = """
site: {name: Acme Roofing, country: US, timezone: America/New_York}
sources:
  stripe: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  contact:
    adapter: form
    fields:
      name: {required: true, max: 100}
      email: {type: email, required: true}
      message: {type: longtext, max: 4000}
destinations:
  ops: {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 5s}
  email: {adapter: sendgrid, from: "Acme <hello@acme.example>"}
routes:
  payment-to-ops:
    on: "payment.*"
    from: stripe
    do: ops.post
    with: {body: {event: "{{ event.external_id }}"}}
  confirmation:
    on: lead.submitted
    do: email.send
    with: {to: "{{ data.email }}", subject: "We got your message", text: "Thank you."}
"""
RETENTION = "retention: {rejected: 1s, held: forever}\n"


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["postgresql", slow("sqlite")])
def test_attackers_from_all_sides_hold_nobody_up_and_leave_little(
    kind, request, redis_url, make_hub, far_end, fault
):
    """F90 half bodies, silent sign-ins, floods of forms and of forged webhooks, all at once:"""
    url = request.getfixturevalue(f"{kind}_url")
    hub = make_hub(url, redis_url, config=CONFIG, environ={"HUB_PROXY_HOPS": "1"})
    hub.start("web", "worker", "clock")
    honest = Honest(hub)
    with Attack(hub.port) as attack:
        honest.go_on(SECONDS)
    fault.is_over()
    assert {one.status for one in honest.health} == {200}
    assert set(honest.statuses()) == {200}
    for name, answers in attack.answers.items():
        assert sum(answers.values()) >= 16, f"{name} did little: {answers}"
    assert set(attack.answers["unsigned"]) <= {"401"}
    acknowledged = honest.acknowledged().keys()
    until(lambda: acknowledged <= reached(far_end).keys(), 60, "all that was acknowledged to go on")
    second = [event for event, keys in keys_of(far_end).items() if len(keys) > 1]
    assert not second, f"sent under several keys: {second}"
    database = open_database(url)
    fault.row["lost"] = len(acknowledged - stored_events(database).keys())
    assert not fault.row["lost"]
    with database.read() as connection:
        longest = select(func.max(func.length(StoredRequest.body))).where(
            StoredRequest.source == "contact"
        )
        assert 0 < connection.execute(longest).scalar_one() < MOST_BYTES
        sent = select(func.count()).where(
            Delivery.route == "confirmation", Delivery.state == "succeeded"
        )
        assert 0 < connection.execute(sent).scalar_one() <= 200
    assert VICTIM not in hub.logs()
    (hub.folder / "hub.yaml").write_text(CONFIG + RETENTION)
    hub.kill("clock")
    hub.start("clock")
    rejected = select(func.count()).where(StoredRequest.state == "rejected")

    def left() -> int:
        with database.read() as connection:
            return int(connection.execute(rejected).scalar_one())

    until(lambda: left() == 0, 60, "retention to delete what did not verify")
    database.engine.dispose()
