"""YAML parser that returns plain values with their line numbers.

It uses ruamel's composer (YAML 1.2) and not its constructor: `on:` stays a key, `NO` a country,
`+15005550006` and `01234` stay texts, and no tag constructs an object.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from hub.config.errors import Errors, Path, quote

MAX_DEPTH = 20
# Aliases can make a small file expand hugely; no genuine file comes near these limits.
MAX_NODES = 20_000

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_TEXTS = frozenset({"str", "timestamp", "value"})


@dataclass(frozen=True, slots=True)
class Located:
    """Value with its line number: the line of its key in a mapping, its own line in a list.

    `value` is a text, number, boolean, None, a list of `Located`, or a mapping of them.
    """

    value: Any
    line: int

    def line_of(self, path: Path) -> int:
        """Return the line of the deepest part of the path that exists."""
        node = self
        for part in path:
            try:
                node = node.value[part]
            except (LookupError, TypeError):
                break
        return node.line

    def plain(self) -> Any:
        """Return the value without line numbers."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def read(text: str, faults: Errors) -> Located:
    """Return the root of a YAML text; invalid or ambiguous YAML is added to `faults`."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        faults.add(_line_of(error), (), f"not YAML: {_problem_of(error)}")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        faults.add(line, (), "a control character; only printable text is allowed")
    except RecursionError:
        faults.add(1, (), "nested too deep to be read")
    except (YAMLError, ValueError, AttributeError, LookupError, TypeError, AssertionError):
        # ruamel's own failures on broken directives and tags carry no position.
        faults.add(1, (), "not YAML that can be read")
    else:
        return _Builder(faults).build(root, 1, ()) if root is not None else Located(None, 1)
    return Located(None, 1)


class _Builder:
    def __init__(self, faults: Errors) -> None:
        self._faults = faults
        self._count = 0

    def build(self, node: Node, line: int, path: Path) -> Located:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            self._faults.add(line, (), "the file is too large or nested too deep")
            return Located(None, line)
        if isinstance(node, MappingNode):
            return Located(self._mapping(node, path), line)
        if isinstance(node, SequenceNode):
            return Located(self._sequence(node, path), line)
        if isinstance(node, ScalarNode):
            return Located(self._scalar(node, line, path), line)
        return Located(None, line)

    def _sequence(self, node: SequenceNode, path: Path) -> list[Located]:
        return [
            self.build(item, _start(item), (*path, index)) for index, item in enumerate(node.value)
        ]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Located]:
        items: dict[str, Located] = {}
        for key, value in node.value:
            line = _start(key)
            if not isinstance(key, ScalarNode):
                hint = "a key must be a text; put quotes around `{{ … }}` and `${…}`"
                self._faults.add(line, path, hint)
            elif key.tag == _TAG + "merge":
                self._faults.add_key(line, path, "merge keys are not supported")
            elif key.value in items:
                first = items[key.value].line
                sentence = f"`{quote(key.value)}` is given twice, first in line {first}"
                self._faults.add_key(line, path, sentence)
            else:
                items[key.value] = self.build(value, line, (*path, key.value))
        return items

    def _scalar(self, node: ScalarNode, line: int, path: Path) -> Any:
        tag = str(node.tag)
        kind = tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
        if kind == "null":
            return None
        if kind == "bool":
            return node.value.lower() in ("true", "yes", "on", "y")
        if kind == "int":
            return int(node.value) if _INTEGER.fullmatch(node.value) else node.value
        if kind == "float":
            return _float(node.value)
        if kind not in _TEXTS:
            self._faults.add(line, path, f"the tag {quote(tag)} is not supported")
        return node.value


def _float(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _start(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _line_of(error: MarkedYAMLError) -> int:
    started = error.problem is not None and "end of stream" in str(error.problem)
    mark = (error.context_mark if started else None) or error.problem_mark or error.context_mark
    return 1 if mark is None else int(mark.line) + 1


def _problem_of(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "cannot be read")
    if "'\\t'" in problem or "tab" in problem:
        return "a tab where only spaces may indent"
    if "end of stream" in problem and error.context:
        return f"{error.context}: it never ends"
    return quote(problem)
