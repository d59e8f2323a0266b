"""Work beside the clock's sweep: one round at a time, in a thread that nobody waits for."""

from abc import ABC, abstractmethod
from threading import Thread


class BackgroundTask(ABC):
    """Does `_round` in a thread of its own whenever it is asked to and not at it already."""

    name = "beside"
    _thread: Thread | None = None

    def start_if_idle(self) -> None:
        """Begin a round, unless one is under way; return at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = Thread(target=self.run_once, name=self.name, daemon=True)
        self._thread.start()

    @abstractmethod
    def run_once(self) -> None:
        """Do all that there is to do now."""
