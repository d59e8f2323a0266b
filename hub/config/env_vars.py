"""Substitution of environment variables: `${NAME}` or `${NAME:-default}`; `$${` is a plain `${`.

An empty variable counts as not set. Values may contain references anywhere in a text; keys may not.
"""

import re
from collections.abc import Mapping

from hub.config.errors import Errors, Path
from hub.config.yaml import Located

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")


class References:
    """Substitutes references from one environment, and registers the values to be redacted."""

    def __init__(self, environ: Mapping[str, str], faults: Errors) -> None:
        self._environ = environ
        self._faults = faults

    def fill(self, node: Located, path: Path, *, lenient: bool = False) -> Located:
        """Return the node with every reference substituted; a missing variable is an error.

        `lenient`: a missing variable becomes an empty text. A disabled section needs no secrets.
        """
        if isinstance(node.value, dict):
            items = {
                key: self.fill(item, (*path, key), lenient=lenient)
                for key, item in node.value.items()
            }
            return Located(items, node.line)
        if isinstance(node.value, list):
            filled = [
                self.fill(item, (*path, index), lenient=lenient)
                for index, item in enumerate(node.value)
            ]
            return Located(filled, node.line)
        if isinstance(node.value, str) and "${" in node.value:
            return Located(self._text(node, path, lenient=lenient), node.line)
        return node

    def _text(self, node: Located, path: Path, *, lenient: bool) -> str:
        def value_of(match: re.Match[str]) -> str:
            name, default = match.groups()
            if match[0] == "$${":
                return "${"
            if name is None:
                sentence = "expected ${NAME} or ${NAME:-default}; a plain `${` is written `$${`"
                self._faults.add(node.line, path, sentence)
                return ""
            if value := self._environ.get(name):
                self._faults.hide(value, name)
                return value
            if default is None and lenient:
                self._faults.excuse(path)
            elif default is None:
                sentence = f"the environment variable {name} is not set; set it, or give a default"
                self._faults.add(node.line, path, f"{sentence}: ${{{name}:-…}}")
            return default or ""

        return _REFERENCE.sub(value_of, node.value)
