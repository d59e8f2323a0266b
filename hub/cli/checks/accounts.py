"""Checks of sources, destinations, routes, and the owners of leads."""

from collections.abc import Iterator, Mapping

from adapters import registry
from adapters.contract.event import UNTIMED_WINDOW_S
from hub.cli.checks import FAULT, NOTE, OK, Finding
from hub.config import PUBLISHED_SECRETS
from hub.config.cross_checks import asks_for_link
from hub.core.configuration import Configuration, Destination, Source
from hub.core.leads import on_call
from hub.gateways.destination_client import probe
from hub.settings import Settings


def check_accounts(configuration: Configuration, *, allow_private: bool) -> Iterator[Finding]:
    """Yield the findings about each source, destination and route."""
    for source in configuration.sources.values():
        yield _source(source)
        notes = (_account(source, configuration), _unsigned(source), _untimed(source))
        yield from (note for note in notes if note)
    for destination in configuration.destinations.values():
        yield check_destination(destination, allow_private=allow_private)
    for route in configuration.routes.values():
        destination = configuration.destinations[route.destination]
        if route.enabled and not destination.enabled:
            sentence = f"its destination `{destination.slug}` is switched off"
            yield Finding(NOTE, f"route {route.name}", sentence)


def _source(source: Source) -> Finding:
    subject = f"source {source.slug}"
    if not source.enabled:
        return Finding(NOTE, subject, f"{source.adapter}: switched off")
    secrets = list(_secrets(source))
    if PUBLISHED_SECRETS.keys() & set(map(str, secrets)):
        sentence = "its secret is printed in hub.example.yaml: good on this machine alone"
        return Finding(NOTE, subject, f"{source.adapter}: {sentence}")
    if not secrets:
        return Finding(OK, subject, f"{source.adapter}: open to everybody, as forms are")
    count = "1 secret or key" if len(secrets) == 1 else f"{len(secrets)} secrets and keys"
    return Finding(OK, subject, f"{source.adapter}: {count}")


def _account(source: Source, configuration: Configuration) -> Finding | None:
    """Return a note if a source names no account though some would fit: nothing is fetched then."""
    wanted = registry.inbound(source.adapter).account
    fitting = [
        one.slug
        for one in configuration.destinations.values()
        if one.enabled and one.adapter == wanted
    ]
    if not source.enabled or source.account is not None or not fitting:
        return None
    sentence = f"`account` does not name one of {', '.join(fitting)}: nothing is fetched for it"
    return Finding(NOTE, f"source {source.slug}", sentence)


def _unsigned(source: Source) -> Finding | None:
    """Return a note if id or type of a source's events are in a part that is not signed."""
    if not source.enabled:
        return None
    unsigned = registry.inbound(source.adapter)(source.settings).unsigned
    if not unsigned:
        return None
    meanings = {
        "id": "the same signed bytes count once if a time is in them, whatever their id",
        "type": "whoever has seen one request can send it first as another type",
    }
    sentence = (
        f"nobody signs its {' and '.join(unsigned)}, from a header that `signs` does not name: "
        f"{'; '.join(meanings[one] for one in unsigned)}. Name the header in `signs` if the sender "
        "signs it"
    )
    return Finding(NOTE, f"source {source.slug}", sentence)


def _untimed(source: Source) -> Finding | None:
    """Return a note if requests of a source carry no time, so that a captured one counts again."""
    untimed = registry.inbound(source.adapter)(source.settings).untimed if source.enabled else ""
    if not untimed:
        return None
    minutes = UNTIMED_WINDOW_S // 60
    sentence = (
        f"of {untimed}, the same bytes are one event for {minutes} minutes and a new one after "
        "that, also where somebody else sends what they have seen. Let no route do more on them "
        "than may be done again"
    )
    return Finding(NOTE, f"source {source.slug}", sentence)


def _secrets(source: Source) -> Iterator[str]:
    """Yield a source's secrets and keys, which verify its requests and sign its samples."""
    for key in (*registry.inbound(source.adapter).secret_keys, "public_keys"):
        given = source.settings.get(key) or ()
        if isinstance(given, str):
            yield given
        else:
            yield from map(str, given.values() if isinstance(given, Mapping) else given)


def check_destination(destination: Destination, *, allow_private: bool) -> Finding:
    """Check an account with one cheap read call; in the sandbox, without a call."""
    subject = f"destination {destination.slug}"
    if not destination.enabled:
        return Finding(NOTE, subject, f"{destination.adapter}: switched off")
    found = probe(destination, allow_private=allow_private)
    level = NOTE if destination.sandbox else OK if found.ok else FAULT
    return Finding(level, subject, f"{destination.adapter}: {found.message}")


def check_visitors(configuration: Configuration, settings: Settings) -> list[Finding]:
    """Return a note if public forms may not distinguish their visitors by IP address."""
    forms = [
        one.slug
        for one in configuration.sources.values()
        if one.enabled and registry.inbound(one.adapter).takes_forms
    ]
    if not forms or settings.public_url is None or settings.proxy_hops:
        return []
    sentence = (
        "HUB_PROXY_HOPS is 0: behind a proxy on this machine or network nobody's address is known, "
        "and all visitors share one limit; if there is one, set it to the number of proxies in "
        "front of the hub, and let nobody but them reach the hub's port; without one leave it at 0"
    )
    return [Finding(NOTE, f"source {forms[0]}" if len(forms) == 1 else "forms", sentence)]


def check_people(configuration: Configuration, *, public_url: str | None) -> Iterator[Finding]:
    """Yield each `assign` list's fallback owners and gaps in duty times, and impossible links."""
    gaps = dict(on_call.gaps(configuration))
    for name, rules in configuration.assign.items():
        count = "1 rule" if len(rules) == 1 else f"{len(rules)} rules"
        found = f"{count}: every lead finds somebody, at last {', '.join(rules[-1].to)}"
        yield Finding(OK, f"assign {name}", found)
        if gap := gaps.get(name):
            sentence = f"at {gap} nobody is on duty, the first such time of a week: the last rule "
            yield Finding(NOTE, f"assign {name}", f"{sentence}names {', '.join(rules[-1].to)}")
    for route in configuration.routes.values() if public_url is None else ():
        if asks_for_link(route):
            sentence = "uses owner.link, which needs HUB_PUBLIC_URL"
            yield Finding(NOTE, f"route {route.name}", sentence)
