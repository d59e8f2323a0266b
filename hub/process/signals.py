"""Signal handling: SIGTERM, SIGINT and SIGHUP mean a graceful stop of the process."""

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

SignalHandler = Callable[[int, FrameType | None], None]


def when_told_to_end(act: Callable[[], None]) -> SignalHandler:
    """Call `act` in a thread of its own after each stop signal; return the handler.

    A signal that the parent process ignores (`nohup`) does not count. SIGHUP does, because a
    restarted process reads `hub.yaml` again.

    The handler interrupts the main thread at any point, also where it holds a lock or writes a log
    line. So the handler only puts the signal into a queue whose `put` may interrupt itself; setting
    a `threading.Event` there could wait for ever, and an exception of the log would lose the
    signal.
    """
    told: SimpleQueue[int] = SimpleQueue()
    heard = frozenset(one for one in _NUMBERS if signal.getsignal(one) is not signal.SIG_IGN)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if number in heard:
            told.put(number)

    def pass_on() -> None:
        while True:
            told.get()
            act()

    Thread(target=pass_on, name="signals", daemon=True).start()
    for number in heard:
        signal.signal(number, on_signal)
    return on_signal
