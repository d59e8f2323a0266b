"""Fork server for the crash sweep: one forked process of the hub per input line, cheap to kill.

A line is `work place`: the child does that work once, and dies at the place if it reaches it. The
output is the child's exit code. The environment is that of a hub.
"""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Event

from hub.bootstrap import create_hub, find_names
from hub.clock import clock
from hub.core.delivery import reconcile
from hub.core.hub import Hub
from hub.gateways.redis_queue import RedisNames
from hub.processes import create_worker_context
from hub.settings import Settings, load_settings
from hub.worker import drain
from hub.worker import reconcile as worker_reconcile
from hub.worker.context import WorkerContext
from tests.faults.places import PLACES

NOWHERE = "nowhere"
TIMEOUT_S = 0.5


def _drain(worker: WorkerContext) -> None:
    drain.LINGER_S = 0.05
    drain.Drain(worker).run()


def _clock(worker: WorkerContext) -> None:
    clock.tick(worker.hub, worker.redis, worker.queues)
    worker_reconcile.look_up_some(worker.hub, worker.clients)


WORKS: Mapping[str, Callable[[WorkerContext], None]] = {"worker": _drain, "clock": _clock}


def impatient(hub: Hub) -> Hub:
    """Return a hub whose calls have a shorter timeout than a file may set."""
    known = hub.configuration.destinations
    quick = {name: replace(one, timeout_s=TIMEOUT_S) for name, one in known.items()}
    return replace(hub, configuration=replace(hub.configuration, destinations=quick))


def found_names(settings: Settings, hub: Hub) -> RedisNames:
    """Return the hub's names in Redis, with the id that its database has."""
    names = find_names(settings, hub.configuration, hub.store)
    assert names is not None
    return names


def _live(work: str, place: str) -> None:
    if place != NOWHERE:
        PLACES[place](place)
    settings = load_settings(os.environ)
    hub = impatient(create_hub(settings, os.environ))
    WORKS[work](create_worker_context(settings, hub, found_names(settings, hub), Event()))


def main() -> None:
    assert reconcile.SETTLE_S > 60, "the sweep ages attempts; it has the product's own times"
    for line in sys.stdin:
        work, place = line.split()
        child = os.fork()
        if not child:
            try:
                _live(work, place)
            except BaseException:  # noqa: BLE001 - the child must end here, whatever the error
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
