"""The floors of the house: who may import whom, and the laws that keep them apart."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT) for top in ("hub", "adapters") for path in (ROOT / top).rglob("*.py")
)
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "manager", "processor"}
ADAPTER_LIBRARIES = {"marshmallow", "requests", "tenacity", "cryptography", "email_validator"}
SDKS = {"stripe": {"stripe"}, "twilio": {"twilio"}, "sendgrid": {"sendgrid"}}


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


CORE_LIBRARIES = "sqlalchemy jinja2 markupsafe babel phonenumbers email_validator orjson"
# By folder or file; the longest that fits counts. `adapters!` is its front door alone.
#
# ADAPTERS is all that the hub may know of them: never a provider.
FLOORS = {
    "adapters/contract": floor("adapters.contract", "marshmallow werkzeug cryptography orjson"),
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
        "hub.core hub.gateways hub.cli hub.bootstrap hub.settings hub.config hub.process ADAPTERS"
    ),
    "hub/app.py": floor("hub ADAPTERS"),
    "hub/bootstrap.py": floor(
        "hub.core hub.gateways hub.worker hub.clock hub.config hub.settings",
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


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_what_its_floor_may(module: Path) -> None:
    level = floor_of(module)
    broken = sorted({name for name in imports(module) if not may_import(level, name)})
    assert not broken, f"{module} may not import {', '.join(broken)}"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("adapters/contract/event.py", "requests"),
        ("adapters/stripe/inbound.py", "adapters.twilio.inbound"),
        ("adapters/stripe/inbound.py", "twilio"),
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


def test_adapters_and_core_never_read_the_environment() -> None:
    readers = [
        str(module)
        for module in of("hub/core/", "adapters/")
        for node in ast.walk(tree(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    ]
    assert not readers


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_opens_with_what_it_is(module: Path) -> None:
    assert ast.get_docstring(tree(module))


def test_names_say_what_a_module_is_about() -> None:
    assert [str(m) for m in MODULES if {*m.parts, m.stem} & FORBIDDEN_NAMES] == []
