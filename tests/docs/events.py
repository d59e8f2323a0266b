"""The page of canonical events, written from `adapters/contract/event.py` and the registry.

`python -m tests.docs.events` writes `docs/events.md`; `make providers` runs it.
"""

from collections.abc import Iterator, Mapping

from adapters import registry
from adapters.contract.event import COMMON_FIELDS, EVENT_TYPES, FAMILIES
from tests.docs.providers import COMMAND, ROOT, takes_our_names

PAGE = ROOT / "docs" / "events.md"
HEAD = f"""# Events

Written by `{COMMAND}` from `adapters/contract/event.py`.

A type is `subject.verb`; routes take it in `on`, alone or as a glob (`payment.*`). `data` has the
same names whoever sent the event. Which of them are there depends on the provider and on the event:
a field that was not given is absent, never empty. A type of a provider for which there is no
canonical one is kept as `<provider>.<type>`, with the provider's own object under `native`.

Money is an integer in the minor unit of its ISO 4217 currency, telephone numbers are E.164, times
are RFC 3339 in UTC (`2026-11-20T12:00:00Z`). Which type of which provider becomes which of these is
in [providers.md](providers.md).
"""
ANY = "Beside those named below, `{}` may send any of them."


def page() -> str:
    """Return `docs/events.md`."""
    of_all = ", ".join(name for name in registry.INBOUND if sends_any(name))
    common = ["## Every family", "", *_table(("field", "what it is"), COMMON_FIELDS), ""]
    sections = [section(subjects) for subjects in families()]
    return "\n".join([HEAD, ANY.format(of_all), "", *common, *sections])


def section(subjects: list[str]) -> str:
    """Return the section of the subjects that share their fields."""
    types = [kind for subject in subjects for kind in types_of(subject)]
    senders = {kind: ", ".join(f"`{name}`" for name in senders_of(kind)) for kind in types}
    lines = [
        f"## {', '.join(subjects)}",
        "",
        *_table(("event", "sent by"), senders),
        "",
        *_table(("field", "what it is"), FAMILIES[subjects[0]]),
        "",
    ]
    return "\n".join(lines)


def families() -> list[list[str]]:
    """Return the subjects of all types, those with the same fields together."""
    groups: list[list[str]] = []
    for subject, fields in FAMILIES.items():
        if not types_of(subject):
            continue
        alike = next((group for group in groups if FAMILIES[group[0]] == fields), None)
        if alike is None:
            groups.append([subject])
        else:
            alike.append(subject)
    return groups


def types_of(subject: str) -> list[str]:
    return sorted(kind for kind in EVENT_TYPES if kind.partition(".")[0] == subject)


def senders_of(kind: str) -> list[str]:
    """Return the providers with a type of their own for it."""
    return [
        name
        for name in sorted(registry.INBOUND)
        if not sends_any(name) and kind in registry.inbound(name).native_types.values()
    ]


def sends_any(name: str) -> bool:
    return takes_our_names(registry.inbound(name))


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> Iterator[str]:
    yield f"| {head[0]} | {head[1]} |"
    yield "|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in rows.items())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
