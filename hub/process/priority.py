"""CPU priority of a process: lower than that of others on the machine, where they want the CPU.

With a machine of its own, or while the others rest, a process of lower priority is as fast as ever.
"""

import os
from contextlib import suppress
from pathlib import Path

# Beside processes that take all they can get, a twentieth of what each of them gets (sched(7)).
# With 10 and less, ingest at half of its rate was held up; with 19, transactions took too long.
NICE = 13
# Linux shares the CPU between sessions first, if autogroups are on (sched(7)); else it is absent.
AUTOGROUP = Path("/proc/self/autogroup")


def give_way() -> None:
    """Lower the priority of this process to `NICE`, unless it was lowered when it was started.

    Call this before the first thread starts: threads inherit the priority. Where this process leads
    its session, the priority of the session is lowered too. In a cgroup with a weight of its own
    only that weight counts between cgroups.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            AUTOGROUP.write_text(str(NICE))
