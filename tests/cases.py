"""Cases of one kind in one test: each is tried, and those that fail are named.

A parametrised test costs some milliseconds for each case beside what it does, in every test
process: to be collected, sent there, and reported. Where the cases are many and short, and share
their fixtures without harm, one test goes over all of them.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

import pytest

Test = Callable[..., None]


def try_each(cases: Mapping[str, Callable[[], None]]) -> None:
    """Try every case, also after one that fails.

    Raises:
        BaseExceptionGroup: cases failed; the errors are in it, each with a note that names its case
    """
    assert cases, "there is no case to try"
    failed: list[BaseException] = []
    for name, case in cases.items():
        try:
            case()
        except (Exception, pytest.fail.Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - told at the end
            error.add_note(f"case: {name}")
            failed.append(error)
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {len(cases)} cases failed", failed)


def each_of(names: str | Sequence[str], values: Iterable[Any]) -> Callable[[Test], Test]:
    """Decorate a test so that it is tried with each value, as `parametrize` would, but at one go.

    The other parameters are fixtures, which are made once: the cases share them.
    """
    given = names.split(", ") if isinstance(names, str) else list(names)
    rows = [row if len(given) > 1 else (row,) for row in values]

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        left = [one for name, one in signature.parameters.items() if name not in given]

        @wraps(test)
        def over_all(**fixtures: Any) -> None:
            try_each({f"{at}: {row!r:.300}": bound(row, fixtures) for at, row in enumerate(rows)})

        def bound(row: Sequence[Any], fixtures: Mapping[str, Any]) -> Callable[[], None]:
            return lambda: test(**fixtures, **dict(zip(given, row, strict=True)))

        over_all.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return over_all

    return decorate
