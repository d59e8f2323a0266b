"""Compiled routes, shared by all apps of a test process: they are half of the time of each.

Werkzeug compiles two functions for each route, to build its address; what they are depends on the
route's text alone. A test makes an app of its own, and all apps have the same routes.
"""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compile = Rule._compile_builder
_compiled: dict[Any, Callable[..., tuple[str, str]]] = {}


def _compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    if rule.defaults:
        return _compile(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _compiled:
        _compiled[key] = _compile(rule, append_unknown)
    return _compiled[key]


def share() -> None:
    """Let each route be compiled once in this process."""
    Rule._compile_builder = _compile_once  # type: ignore[method-assign]
