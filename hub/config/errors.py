"""Error collection for one file: gathered while it is read, and raised together."""

from collections.abc import Iterable
from difflib import get_close_matches

from hub.core.errors import ConfigError

# Environment values of at least this length are redacted in every message.
REDACTED_FROM = 6

Path = tuple[str | int, ...]


class Errors:
    """Errors by path and line. A path keeps its first error: later ones follow from it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[tuple[Path, int], tuple[int, str]] = {}
        self._values: dict[str, str] = {}
        self._excused: set[Path] = set()

    def add(self, line: int, path: Path, sentence: str) -> None:
        if path not in self._excused:
            self._found.setdefault((path, 0), (line, sentence))

    def add_key(self, line: int, path: Path, sentence: str) -> None:
        """Add an error about a key of the mapping at `path`, which may have several bad keys."""
        self._found.setdefault((path, line), (line, sentence))

    def excuse(self, path: Path) -> None:
        """Ignore later errors at `path`: it is disabled, and its variable is not set."""
        self._excused.add(path)

    def hide(self, value: str, variable: str) -> None:
        """Replace `value`, taken from the environment, with `${variable}` in every message."""
        if len(value) >= REDACTED_FROM:
            self._values[value] = f"${{{variable}}}"

    def settle(self) -> None:
        """Raise all collected errors, in the order of their lines.

        Raises:
            ConfigError: at least one error was collected.
        """
        if self._found:
            found = sorted(self._found.items(), key=lambda item: item[1][0])
            raise ConfigError([self._line(path, *fault) for (path, _), fault in found])

    def _line(self, path: Path, line: int, sentence: str) -> str:
        where = ".".join(map(str, path))
        text = f"{where}: {sentence}" if where else sentence
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, self._values[value])
        return f"{self._name}:{line}: {text}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for a near miss, else the list of known names."""
    names = sorted(known)
    if near := get_close_matches(name, names, n=1, cutoff=0.6):
        return f"; did you mean `{near[0]}`?"
    return f"; expected one of {', '.join(names)}" if names else "; there is none"


def quote(text: str) -> str:
    """Return a name from the file as printable text of up to 60 characters, for a message."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= 60 else printable[:60] + "…"
