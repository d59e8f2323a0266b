"""Packages that the hub stands on: each does its job in the product, by a module that runs it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Package, as it is required and as it is imported, and the module that gives it its job.
PLACES = [
    ("Flask", "flask", "hub/app.py"),  # the application
    (
        "Flask-SQLAlchemy",
        "flask_sqlalchemy",
        "hub/web/database.py",
    ),  # engine and session of the web
    ("marshmallow", "marshmallow", "adapters/contract/fields.py"),  # what providers and people send
    ("requests", "requests", "hub/gateways/http/transport.py"),  # every call to a provider
    ("tenacity", "tenacity", "adapters/contract/answers.py"),  # read-only calls, repeated
    ("tenacity", "tenacity", "hub/gateways/database/wait.py"),  # stores that come back
    ("rq", "rq", "hub/worker/rq_worker.py"),  # workers
    ("redis", "redis", "hub/gateways/redis_queue.py"),  # wake-ups
]
SDKS = ["stripe", "twilio", "sendgrid"]


def imports(nodes: list[ast.stmt]) -> Iterator[str]:
    """Yield the packages that code imports when it runs, also within functions."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(node.orelse)
        else:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from imports(getattr(node, name, []))


def imported_by(path: Path) -> set[str]:
    return set(imports(ast.parse(path.read_text(), str(path)).body))


def required() -> set[str]:
    lines = (ROOT / "requirements.in").read_text().splitlines()
    return {line.partition("#")[0].partition("[")[0].strip().lower() for line in lines}


@pytest.mark.parametrize(("package", "name", "place"), PLACES)
def test_a_package_is_used_where_its_job_is(package: str, name: str, place: str) -> None:
    assert package.lower() in required()
    assert name in imported_by(ROOT / place)


@pytest.mark.parametrize("sdk", SDKS)
def test_an_official_sdk_makes_the_calls_of_its_provider(sdk: str) -> None:
    """Its own adapter imports it, and not for its types alone."""
    assert sdk in required()
    modules = sorted((ROOT / "adapters" / sdk).glob("*.py"))
    assert modules
    assert [module.name for module in modules if sdk in imported_by(module)]


def test_an_import_for_types_alone_does_not_count() -> None:
    code = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import stripe
else:
    import twilio
def call():
    try:
        from sendgrid import SendGridAPIClient
    except ImportError:
        import redis
"""
    assert set(imports(ast.parse(code).body)) == {"typing", "twilio", "sendgrid", "redis"}
