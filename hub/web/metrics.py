"""`GET /metrics`: the hub's metrics in the Prometheus text format.

All values are read from the database: every web process reports the same ones, and none keeps
counters of its own.
"""

import hmac
from collections.abc import Iterator

from flask import Blueprint, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from werkzeug.exceptions import NotFound

from hub.core.hub import Hub
from hub.core.monitoring.metrics import Metrics, read_metrics
from hub.web.database import db
from hub.web.errors import error_response
from hub.web.visitors import forwarding_headers

LOOPBACK = frozenset({"127.0.0.1", "::1"})
STATES = ("due", "scheduled", "running", "failed", "unknown")

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics", provide_automatic_options=False)
def show_metrics() -> Response:
    token: str | None = current_app.extensions["hub_settings"].metrics_token
    hub: Hub = current_app.extensions["hub"]
    # Behind a proxy on this machine everybody comes from it: a public hub needs the token.
    if token is None and (hub.public_url is not None or not _is_from_this_machine()):
        raise NotFound
    if token is not None and not _is_bearer_of(token):
        refusal = error_response(401)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    figures = read_metrics(db.session.connection())
    text = generate_latest(_Figures(figures, sorted(hub.configuration.destinations)))
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def _is_from_this_machine() -> bool:
    # A proxy on this machine connects from loopback too, but adds a header with its client.
    environ = request.environ
    return environ.get("REMOTE_ADDR") in LOOPBACK and not forwarding_headers(environ)


def _is_bearer_of(token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    is_equal = hmac.compare_digest(given.strip().encode(), token.encode())
    return is_equal and scheme.lower() == "bearer"


class _Figures(Collector):
    """Collector of metric families from one reading of the figures."""

    def __init__(self, figures: Metrics, destinations: list[str]) -> None:
        self._figures = figures
        known = {one.destination for one in figures.backlogs}
        self._destinations = sorted(known.union(destinations))

    def collect(self) -> Iterator[Metric]:
        yield from self._deliveries()
        yield from self._lanes()
        yield self._requests()

    def _deliveries(self) -> Iterator[Metric]:
        counts = {(one.destination, one.state): one for one in self._figures.backlogs}
        deliveries = GaugeMetricFamily(
            "hub_deliveries",
            "Deliveries that are not over, by state; scheduled ones are not due yet.",
            labels=("destination", "state"),
        )
        oldest = GaugeMetricFamily(
            "hub_oldest_due_delivery_age_seconds",
            "For how long the oldest due delivery has been due; 0 when none is.",
            labels=("destination",),
        )
        for destination in self._destinations:
            for state in STATES:
                one = counts.get((destination, state))
                deliveries.add_metric((destination, state), one.count if one else 0)
            due = counts.get((destination, "due"))
            oldest.add_metric((destination,), due.oldest_s if due else 0)
        yield deliveries
        yield oldest

    def _lanes(self) -> Iterator[Metric]:
        paused = GaugeMetricFamily(
            "hub_lane_paused", "1 while a person holds it back.", labels=("destination",)
        )
        blocked = GaugeMetricFamily(
            "hub_lane_blocked", "1 while the hub holds it back.", labels=("destination",)
        )
        for lane in self._figures.lanes:
            paused.add_metric((lane.destination,), int(lane.is_paused))
            blocked.add_metric((lane.destination,), int(lane.is_blocked))
        yield paused
        yield blocked

    def _requests(self) -> Metric:
        requests = CounterMetricFamily(
            "hub_inbound_requests",
            "Requests by verdict, some seconds late.",
            labels=("source", "verdict"),
        )
        for one in self._figures.sources:
            verdicts = {
                "accepted": one.accepted,
                "duplicate": one.duplicates,
                "unreadable": one.unreadable,
                "rejected": one.rejected,
            }
            for verdict, count in verdicts.items():
                requests.add_metric((one.source, verdict), count)
        return requests
