"""Replays of deliveries whose request has lost its body, and whose route needs it: refused.

A route needs the body to be rendered anew if it names `native`, and for every call if it sends
attachments. A fetch reads in it what to fetch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, false, or_

from adapters.registry import outbound
from hub.core.configuration import Configuration, Route
from hub.core.inbound.routing import ESCALATE, FETCH
from hub.core.models import Delivery, StoredEvent, StoredRequest

BODY_GONE = "the body of its request is not kept any more, and its route needs it"


@dataclass(frozen=True, slots=True)
class LostBodies:
    """Conditions over `deliveries`: the body that a replay needs is not kept.

    `to_render` is for a replay that renders the parameters anew, `to_call` for one that repeats a
    call with its parameters as they were.
    """

    to_render: ColumnElement[bool]
    to_call: ColumnElement[bool]


def lost_bodies(configuration: Configuration) -> LostBodies:
    """Return the conditions for today's routes; they cost nothing where no route needs a body."""
    routes = configuration.routes.values()
    sending = [name for one in routes if _sends_files(configuration, one) for name in _names(one)]
    naming = [name for one in routes if _names_native(one) for name in _names(one)]
    is_lost = exists().where(
        StoredEvent.id == Delivery.event_id,
        StoredRequest.id == StoredEvent.request_id,
        StoredRequest.body.is_(None),
    )
    fetches = Delivery.route.startswith(FETCH, autoescape=True)
    return LostBodies(
        or_(fetches, _is_of([*sending, *naming])) & is_lost,
        _is_of(sending) & is_lost if sending else false(),
    )


def _names(route: Route) -> Iterator[str]:
    yield route.name
    yield from route.was


def _names_native(route: Route) -> bool:
    when = route.when.text if route.when else ""
    return route.parameters.uses_native or "native" in when


def _sends_files(configuration: Configuration, route: Route) -> bool:
    known = configuration.destinations.get(route.destination)
    action = outbound(known.adapter).actions.get(route.action) if known else None
    return bool(action and action.attachments and action.attachments in route.parameters.tree)


def _is_of(names: list[str]) -> ColumnElement[bool]:
    """Return the condition for deliveries of routes, and of telling the next person by them."""
    if not names:
        return false()
    told = (Delivery.route.startswith(f"{ESCALATE}{name}:", autoescape=True) for name in names)
    return or_(Delivery.route.in_(names), *told)
