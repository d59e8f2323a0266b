"""Walk of a deletion through its table: position, and a step size that follows the time it takes.

A walk visits rows by ascending id, those that must stay too, and begins anew at its end. So no step
looks at more than its own rows, however many must stay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from hub.core.ids import FIRST_ID

# Duration of a step that the size of the next one aims at, in seconds: locks last no longer.
AIMS_AT_S = 0.025
# Fewer rows would hardly make a step shorter: it has its own cost.
SMALLEST, FIRST, LARGEST = 64, 64, 500


@dataclass(frozen=True, slots=True)
class Step:
    """Step of a walk: the number of deleted rows, and the id that it reached; None for the end."""

    deleted: int
    reached: UUID | None = None


# Deletes up to `most` of the rows after an id, in the transaction of the connection.
Delete = Callable[[Connection, UUID, int], Step]


class Walk:
    """Walk of one kind: it counts what it deleted since `take_count`, and knows its next step."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.after = FIRST_ID
        self.most = FIRST
        self._deleted = 0

    def take_step(self, step: Step, took_s: float) -> bool:
        """Go on from a step that took so many seconds; return whether the walk is at its end."""
        self._deleted += step.deleted
        self.after = step.reached or FIRST_ID
        if took_s > AIMS_AT_S:
            self.shrink()
        elif step.reached and took_s < AIMS_AT_S / 2:
            self.most = min(LARGEST, self.most * 2)
        return step.reached is None

    def shrink(self) -> None:
        """Halve the next step: the last one took too long, or met a lock."""
        self.most = max(SMALLEST, self.most // 2)

    def take_count(self) -> int:
        """Return the number of rows deleted since the last time."""
        count, self._deleted = self._deleted, 0
        return count


def reached(ids: list[UUID], most: int) -> UUID | None:
    """Return the id that a step over these ids reached; None if there are no more of them."""
    return ids[-1] if len(ids) == most else None
