"""What ties sources and destinations of one provider: who fetches for whom, who is called back.

Where there is only one candidate it need not be named.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from adapters import registry
from hub.config.entries import Reading
from hub.config.faults import meant, shown
from hub.config.lines import Located
from hub.core.configuration import Destination, Source


def link(
    root: Located,
    sources: Mapping[str, Source],
    destinations: Mapping[str, Destination],
    reading: Reading,
) -> tuple[dict[str, Source], dict[str, Destination]]:
    """Return both with `account` and `callback` filled in; what cannot be is reported."""
    linked_sources = {
        slug: replace(source, account=_account(root, source, sources, destinations, reading))
        for slug, source in sources.items()
    }
    linked_destinations = {
        slug: replace(one, callback=_callback(root, one, sources, reading))
        for slug, one in destinations.items()
    }
    return linked_sources, linked_destinations


def _account(
    root: Located,
    source: Source,
    sources: Mapping[str, Source],
    destinations: Mapping[str, Destination],
    reading: Reading,
) -> str | None:
    """Return whose credentials list what a source took in: no two sources may share an account.

    Each would take in what the other's webhooks bring, and everything would happen twice.
    """
    wanted = registry.inbound(source.adapter).account
    fitting = [one for one in destinations.values() if one.adapter == wanted]
    alike = [one for one in sources.values() if one.adapter == source.adapter and one.enabled]
    if source.account is None:
        return _only_one(fitting) if len(alike) == 1 else None
    slugs = [one.slug for one in fitting]
    if source.account in slugs:
        first = next((one.slug for one in alike if one.account == source.account), source.slug)
        if source.enabled and first != source.slug:
            path = ("sources", source.slug, "account")
            sentence = f"`{first}` has this account already: what it lists would come in twice"
            reading.faults.add(root.line_of(path), path, sentence)
        return source.account
    path = ("sources", source.slug, "account")
    what = f"expected a destination with `adapter: {wanted}`"
    if wanted is None:
        sentence = f"`{shown(source.account)}` will not do: its adapter fetches nothing; "
        reading.faults.add(root.line_of(path), path, sentence + "take the line out")
    else:
        _fault(root, path, source.account, what, slugs, reading)
    return None


def _callback(
    root: Located, destination: Destination, sources: Mapping[str, Source], reading: Reading
) -> str | None:
    wanted = registry.outbound(destination.adapter).calls_back
    fitting = [one for one in sources.values() if one.adapter == wanted]
    enabled = [one.slug for one in fitting if one.enabled]
    path = ("destinations", destination.slug, "callback")
    if destination.callback is None:
        if len(enabled) > 1 and destination.enabled:
            sentence = f"several sources could get its status callbacks: {', '.join(enabled)}"
            reading.faults.add(root.line_of(path[:2]), path, f"{sentence}; name one")
        return _only_one(fitting)
    slugs = [one.slug for one in fitting]
    if destination.callback in slugs:
        return destination.callback if destination.callback in enabled else None
    what = f"expected a source with `adapter: {wanted}`"
    _fault(root, path, destination.callback, what, slugs, reading)
    return None


def _only_one(fitting: Iterable[Source | Destination]) -> str | None:
    enabled = [one.slug for one in fitting if one.enabled]
    return enabled[0] if len(enabled) == 1 else None


def _fault(
    root: Located,
    path: tuple[str, ...],
    given: str,
    what: str,
    fitting: Iterable[str],
    reading: Reading,
) -> None:
    sentence = f"`{shown(given)}` will not do: {what}{meant(given, list(fitting))}"
    reading.faults.add(root.line_of(path), path, sentence)
