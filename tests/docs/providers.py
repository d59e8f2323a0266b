"""The tables of providers, written from the registry: `python -m tests.docs.providers`.

`docs/providers.md` is the whole of it; README.md has the short table between two marks. Both are
written by this module alone; `make providers` runs it.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path

from marshmallow import Schema

from adapters import registry
from adapters.contract.inbound import Inbound
from adapters.contract.outbound import Action, Effect, Outbound

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "providers.md"
START, END = "<!-- providers -->", "<!-- /providers -->"
COMMAND = "make providers"
EFFECTS = {Effect.KEYED: "keyed", Effect.NATURAL: "natural", Effect.AT_MOST_ONCE: "at most once"}
HEAD = f"""# Providers

Written by `{COMMAND}` from the adapters themselves.

What comes in: the provider's type, and the event that it becomes ([events.md](events.md) has the
fields of each). A type that stands in neither table becomes `<provider>.<type>`: kept, visible, and
routable under that name. What a provider signs, sends again, expects as an answer and does oddly is
in the first lines of its module.

What goes out: each action, its parameters (in brackets those that may be left out), what protects
it from happening twice, and what settles it when the answer was lost. *keyed*: the provider knows
the key again and does nothing twice. *natural*: to repeat it changes nothing. *at most once*:
nothing protects it, so in doubt it is not repeated.

*In hub.yaml*: the keys of such a source or destination, in brackets those that may be left out,
beside those that all have ([settings.md](settings.md)). What each means is in the module.
"""


def page() -> str:
    """Return `docs/providers.md`."""
    return "\n".join([HEAD, *(section(name) for name in names())])


def section(name: str) -> str:
    """Return what the page says about one provider."""
    lines = [f"## {name}", ""]
    if name in registry.INBOUND:
        lines += [*_comes_in(registry.inbound(name)), ""]
    if name in registry.OUTBOUND:
        lines += [*_goes_out(registry.outbound(name)), ""]
    return "\n".join(lines)


def short_table() -> str:
    """Return the table of README.md."""
    rows = [f"| `{name}` | {_subjects(name)} | {_actions(name)} |" for name in names()]
    return "\n".join(["| provider | in | out |", "|---|---|---|", *rows])


def readme(text: str) -> str:
    """Return README's text with the short table as it has to be."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{short_table()}\n{END}{after}"


def names() -> list[str]:
    return sorted(registry.INBOUND.keys() | registry.OUTBOUND.keys())


def takes_our_names(kind: type[Inbound]) -> bool:
    """Tell whether it is for senders of any kind, who may speak in the hub's own types."""
    types = kind.native_types.items()
    return bool(types) and all(native == ours for native, ours in types)


def _comes_in(kind: type[Inbound]) -> Iterator[str]:
    module = importlib.import_module(kind.__module__)
    yield f"**In** ([module](../{_path(kind)})): {_first_sentence(module.__doc__)}"
    if kind.account is not None:
        yield f"What a webhook leaves out is fetched through a destination of `{kind.account}`."
    if kind.lists:
        yield "What was sent while nobody listened can be listed: `hub backfill`."
    if takes_our_names(kind):
        yield "A type that is one of the hub's own stays what it is."
    yield from ("", f"In hub.yaml: {_keys(kind.settings_schema())}")
    if kind.native_types and not takes_our_names(kind):
        yield from ("", "| type | event |", "|---|---|")
        yield from (f"| `{native}` | `{ours}` |" for native, ours in kind.native_types.items())
    if kind.ignored_types:
        yield from ("", "| kept under its own name | because |", "|---|---|")
        yield from (f"| `{native}` | {why} |" for native, why in kind.ignored_types.items())


def _goes_out(kind: type[Outbound]) -> Iterator[str]:
    module = importlib.import_module(kind.__module__)
    credentials = " and ".join(f"`{key.replace('|', '` or `')}`" for key in kind.credentials)
    sentence = _first_sentence(module.__doc__)
    yield f"**Out** ([module](../{_path(kind)})): {sentence} Sandbox without {credentials}."
    yield from ("", f"In hub.yaml: {_keys(kind.settings_schema())}")
    yield from ("", "| action | parameters | class | in doubt |", "|---|---|---|---|")
    for name, action in kind.actions.items():
        if not action.internal:
            effect = f"{EFFECTS[action.effect]}{_key_life(action)}"
            yield f"| `{name}` | {_parameters(action)} | {effect} | {_in_doubt(kind, action)} |"


def _parameters(action: Action) -> str:
    return _keys(action.parameters())


def _keys(schema: Schema) -> str:
    """Return the keys of a schema, in brackets those that may be left out."""
    fields = schema.fields.items()
    named = [(f"`{field.data_key or name}`", field.required) for name, field in fields]
    needed = " ".join(name for name, required in named if required)
    others = " ".join(name for name, required in named if not required)
    return f"{needed} ({others})".strip() if others else needed


def _key_life(action: Action) -> str:
    return f", {action.key_life_s / 3600:g} h" if action.key_life_s is not None else ""


def _in_doubt(kind: type[Outbound], action: Action) -> str:
    if action.effect is Effect.NATURAL:
        return "made again"
    if action.effect is Effect.KEYED:
        late = "" if action.key_life_s is None else "; later "
        seen = "looked up" if action.supports_lookup else "a person decides"
        return f"made again with the same key{late and late + seen}"
    ways = ["its own webhook tells"] if kind.calls_back else []
    ways += ["looked up"] if action.supports_lookup else []
    return ", ".join([*ways, "else a person decides"]) if ways else "a person decides"


def _subjects(name: str) -> str:
    if name not in registry.INBOUND:
        return ""
    kind = registry.inbound(name)
    if kind.native_types and not takes_our_names(kind):
        return ", ".join(dict.fromkeys(x.partition(".")[0] for x in kind.native_types.values()))
    return f"any type, as `{name}.<type>`" + (" or as one of the hub's own" * takes_our_names(kind))


def _actions(name: str) -> str:
    if name not in registry.OUTBOUND:
        return ""
    actions = registry.outbound(name).actions.items()
    return " ".join(f"`{key}`" for key, action in actions if not action.internal)


def _path(kind: type[Inbound] | type[Outbound]) -> str:
    return kind.__module__.replace(".", "/") + ".py"


def _first_sentence(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    README.write_text(readme(README.read_text("utf-8")), "utf-8")
