"""Behaviours of a far end towards a call that has an effect: success and every kind of failure."""

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
    """Provider answers for an internal failure, a rate limit, and a garbled success."""

    failure: Reply
    too_many: Reply
    garbage: Reply


class Conduct:
    """Carries out behaviours; `timeout_s` is the caller's timeout."""

    def __init__(self, answers: Answers, *, timeout_s: float) -> None:
        self._answers = answers
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._under_way = 0
        self.closing = threading.Event()

    @property
    def is_quiet(self) -> bool:
        """Return whether no call is in progress, so that no further effect can follow."""
        with self._lock:
            return not self._under_way

    def carry_out(self, behaviour: Behaviour, accept: Callable[[], Reply]) -> Reply:
        """Return the reply for a behaviour; `accept` has the effect, and returns the success."""
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
