"""The signals that mean: finish what is under way, then end."""

import signal
from collections.abc import Callable
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def when_told_to_end(act: Callable[[], None]) -> None:
    """Call `act` at each of them, but for one that whoever started us had ignored (`nohup`).

    HUP is among them because what is started again reads `hub.yaml` anew.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        act()

    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
