"""The faults of one file, collected while it is read, so that they can be told all at once."""

from collections.abc import Iterable
from difflib import get_close_matches

from hub.core.errors import ConfigError

# Values of the environment from this length on are never shown, wherever they turn up.
REDACTED_FROM = 6

Path = tuple[str | int, ...]


class Errors:
    """What is wrong, by line. A path keeps its first fault: the later ones follow from it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[tuple[Path, int], tuple[int, str]] = {}
        self._values: dict[str, str] = {}
        self._excused: set[Path] = set()

    def add(self, line: int, path: Path, sentence: str) -> None:
        if path not in self._excused:
            self._found.setdefault((path, 0), (line, sentence))

    def add_key(self, line: int, path: Path, sentence: str) -> None:
        """Report a key of the mapping at that path; a mapping may have several strange ones."""
        self._found.setdefault((path, line), (line, sentence))

    def excuse(self, path: Path) -> None:
        """Have nothing said about what is at that path: it is switched off and not filled in."""
        self._excused.add(path)

    def hide(self, value: str, variable: str) -> None:
        """Have that value of the environment shown as `${variable}` in every fault."""
        if len(value) >= REDACTED_FROM:
            self._values[value] = f"${{{variable}}}"

    def settle(self) -> None:
        """Raise everything that was found, in the order of the file.

        Raises:
            ConfigError: there was something.
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
    """Return `; did you mean …?` for a near miss, else the list of what there is."""
    names = sorted(known)
    if near := get_close_matches(name, names, n=1, cutoff=0.6):
        return f"; did you mean `{near[0]}`?"
    return f"; expected one of {', '.join(names)}" if names else "; there is none"


def quote(text: str) -> str:
    """Return a name from the file, short and on one line, for use in a sentence."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= 60 else printable[:60] + "…"
