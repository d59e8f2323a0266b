"""Event scope for expression tests, and helpers that render templates and conditions over it."""

from typing import Any

from hub.core.expressions.templates import Condition, Parameters, Scope

DATA = {
    "name": "Jane Doe",
    "amount": 4200,
    "rate": 1.5,
    "paid": True,
    "gone": None,
    "items": ["a", "b"],
    "values": "the field",
    "keys": 3,
    "address": {"city": "Rome"},
    "big": "x" * 100_000,
}


def context(**data: Any) -> dict[str, Any]:
    return {
        "event": Scope("event", {"type": "lead.submitted", "external_id": "e1"}),
        "data": Scope("data", DATA | data),
        "site": Scope("site", {"name": "Acme", "country": "US", "timezone": "America/New_York"}),
        "contact": Scope("contact", {"email": "jane@example.com"}),
        "results": Scope("results", {}),
    }


def render(template: str, **data: Any) -> Any:
    return Parameters({"p": template}).render(context(**data))["p"]


def holds(condition: str, **data: Any) -> bool:
    return Condition(condition).holds(context(**data))
