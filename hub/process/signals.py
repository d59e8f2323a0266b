"""Signal handling: SIGTERM, SIGINT and SIGHUP mean a graceful stop of the process."""

import signal
from collections.abc import Callable
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def when_told_to_end(act: Callable[[], None]) -> None:
    """Call `act` on each stop signal, except one that the parent process ignores (`nohup`).

    SIGHUP is included because a restarted process reads `hub.yaml` again.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        act()

    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
