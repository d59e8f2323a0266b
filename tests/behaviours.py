"""How a far end may treat a call that has an effect: all that can go right and wrong with it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.far_end import Reply


class Behaviour(StrEnum):
    ANSWERS = "answers"
    DROPS = "accepts, then drops the line"
    FAILS_BEFORE = "500 before"
    FAILS_AFTER = "500 after"
    SLOW = "accepts, answers beyond the time-out"
    LATE = "accepts beyond the time-out"
    GARBAGE = "accepts, answers garbage"
    TOO_MANY = "429"


BEYOND_S = 0.3


@dataclass(frozen=True, slots=True)
class Answers:
    """What a provider says when it fails, when it is asked too often, and when it is confused."""

    failure: Reply
    too_many: Reply
    garbage: Reply


class Conduct:
    """Carries behaviours out; `timeout_s` is how long the caller waits for an answer."""

    def __init__(self, answers: Answers, *, timeout_s: float) -> None:
        self._answers = answers
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._under_way = 0
        self.closing = threading.Event()

    @property
    def is_quiet(self) -> bool:
        """Whether all that will ever be accepted of what came has been."""
        with self._lock:
            return not self._under_way

    def carry_out(self, behaviour: Behaviour, accept: Callable[[], Reply]) -> Reply:
        """Return what is answered; `accept` has the effect, and gives the good answer."""
        with self._lock:
            self._under_way += 1
        try:
            return self._carried_out(behaviour, accept)
        finally:
            with self._lock:
                self._under_way -= 1

    def _carried_out(self, behaviour: Behaviour, accept: Callable[[], Reply]) -> Reply:
        if behaviour is Behaviour.FAILS_BEFORE:
            return self._answers.failure
        if behaviour is Behaviour.TOO_MANY:
            return self._answers.too_many
        if behaviour is Behaviour.LATE:
            self.closing.wait(self._timeout_s + BEYOND_S)
        good = accept()
        if behaviour is Behaviour.SLOW:
            return Reply(good.status, good.body, good.headers, self._timeout_s + BEYOND_S)
        wrong = {
            Behaviour.DROPS: Reply(0),
            Behaviour.FAILS_AFTER: self._answers.failure,
            Behaviour.GARBAGE: self._answers.garbage,
        }
        return wrong.get(behaviour, good)
