"""Background tasks beside a process's main loop: one round at a time, in a daemon thread."""

from abc import ABC, abstractmethod
from threading import Thread


class BackgroundTask(ABC):
    """Task that runs `run_once` in its own thread, unless a round is already running."""

    name = "beside"
    _thread: Thread | None = None

    def start_if_idle(self) -> None:
        """Start a round unless one is running; return at once."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = Thread(target=self.run_once, name=self.name, daemon=True)
        self._thread.start()

    @abstractmethod
    def run_once(self) -> None:
        """Run one round: all work that is due now."""
