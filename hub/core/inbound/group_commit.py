"""Work of many threads done together: what arrives while one group is written is the next group.

Nobody waits for company: who comes alone is written alone, at once. Under load one write, one
commit and one wait serve many (group commit). Nor does anybody wait long behind a write that
hangs: after a while everybody goes alone, as if there were no groups.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class _Waiter(Generic[Item, Outcome]):
    """One caller's place in the queue. `turn` is held until it has its outcome, or leads."""

    __slots__ = ("error", "item", "leads", "outcome", "size", "turn")

    def __init__(self, item: Item, size: int) -> None:
        self.item = item
        self.size = size
        self.turn = Lock()
        self.leads = False
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


class GroupCommit(Generic[Item, Outcome]):
    """Calls `work` with the items of all threads that wait, one group at a time.

    `work` returns an outcome for each item, in order; what it raises, every caller of that group
    gets. A group has at most `most` items, and `most_size` of them together unless it is one. Who
    has waited for `patience_s` behind another group goes alone, beside it.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Outcome]],
        *,
        most: int,
        most_size: int,
        patience_s: float,
    ) -> None:
        self._work = work
        self._patience_s = patience_s
        self._most = most
        self._most_size = most_size
        self._lock = Lock()
        self._waiting: deque[_Waiter[Item, Outcome]] = deque()
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Return whether a group is being worked on."""
        return self._is_busy

    @property
    def waiting(self) -> int:
        """Return how many wait for the next group."""
        return len(self._waiting)

    def __call__(self, item: Item, *, size: int) -> Outcome:
        """Return the outcome of one item, worked on together with others that are there."""
        place = _Waiter[Item, Outcome](item, size)
        with self._lock:
            if self._is_busy:
                place.turn.acquire()
                self._waiting.append(place)
            else:
                self._is_busy = place.leads = True
        if not place.leads and not place.turn.acquire(timeout=self._patience_s):
            if self._leave(place):
                return self._work([item])[0]
            place.turn.acquire()  # its group is being worked on
        if place.leads:
            self._lead(place)
        if place.error is not None:
            raise place.error
        return place.outcome  # type: ignore[return-value]

    def _lead(self, first: _Waiter[Item, Outcome]) -> None:
        group = [first]
        try:
            self._gather(group)
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

    def _gather(self, group: list[_Waiter[Item, Outcome]]) -> None:
        size = group[0].size
        with self._lock:
            while self._waiting and len(group) < self._most:
                size += self._waiting[0].size
                if size > self._most_size:
                    break
                group.append(self._waiting.popleft())

    def _leave(self, place: _Waiter[Item, Outcome]) -> bool:
        """Take a place out of the queue; return whether it was still there."""
        with self._lock:
            if place not in self._waiting:
                return False
            self._waiting.remove(place)
            return True

    def _hand_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._is_busy = False
                return
            following = self._waiting.popleft()
            following.leads = True
        following.turn.release()
