"""Work of many threads done together: what arrives while one group is written is the next group.

Nobody waits for company: who comes alone is written alone, at once. Under load one write, one
commit and one wait serve many (group commit).
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class _Place(Generic[Item, Outcome]):
    """One caller's place in the queue. `turn` is held until it has its outcome, or leads."""

    __slots__ = ("error", "item", "leads", "outcome", "size", "turn")

    def __init__(self, item: Item, size: int) -> None:
        self.item = item
        self.size = size
        self.turn = Lock()
        self.leads = False
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


class Grouping(Generic[Item, Outcome]):
    """Calls `work` with the items of all threads that wait, one group at a time.

    `work` returns an outcome for each item, in order; what it raises, every caller of that group
    gets. A group has at most `most` items, and `most_size` of them together unless it is one.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Outcome]],
        *,
        most: int,
        most_size: int,
    ) -> None:
        self._work = work
        self._most = most
        self._most_size = most_size
        self._lock = Lock()
        self._waiting: deque[_Place[Item, Outcome]] = deque()
        self._is_busy = False

    @property
    def waiting(self) -> int:
        """Return how many wait for the next group."""
        return len(self._waiting)

    def __call__(self, item: Item, *, size: int) -> Outcome:
        """Return the outcome of one item, worked on together with others that are there."""
        place = _Place[Item, Outcome](item, size)
        with self._lock:
            if self._is_busy:
                place.turn.acquire()
                self._waiting.append(place)
            else:
                self._is_busy = place.leads = True
        if not place.leads:
            place.turn.acquire()  # until the leader of its group, or of the one before, lets go
        if place.leads:
            self._lead(place)
        if place.error is not None:
            raise place.error
        return place.outcome  # type: ignore[return-value]

    def _lead(self, first: _Place[Item, Outcome]) -> None:
        group = self._gather(first)
        try:
            outcomes = self._work([place.item for place in group])
            for place, outcome in zip(group, outcomes, strict=True):
                place.outcome = outcome
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            for place in group:
                place.error = error
        finally:
            self._hand_on()
            for place in group[1:]:
                place.turn.release()

    def _gather(self, first: _Place[Item, Outcome]) -> list[_Place[Item, Outcome]]:
        group, size = [first], first.size
        with self._lock:
            while self._waiting and len(group) < self._most:
                size += self._waiting[0].size
                if size > self._most_size:
                    break
                group.append(self._waiting.popleft())
        return group

    def _hand_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_busy = False
                return
            following = self._waiting.popleft()
            following.leads = True
        following.turn.release()
