"""Settlement by a person while the provider's own callback comes in: one of the two wins."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from hub.core.delivery.settle import SettleAnswer
from hub.core.errors import Refused
from hub.worker import drain
from tests.faults.sweeping import Sweep

RACES = 4


@pytest.mark.parametrize("answer", list(SettleAnswer))
def test_whoever_settles_while_a_callback_arrives_sends_nothing_a_second_time(
    answer, database_url, redis_url, tmp_path, monkeypatch
):
    monkeypatch.setattr(drain, "LINGER_S", 0.02)
    with Sweep(tmp_path, database_url, redis_url) as sweep, ThreadPoolExecutor(2) as threads:
        for _ in range(RACES):
            name, start = sweep.doubt(), Barrier(2, timeout=30)

            def settle(name=name, start=start):
                start.wait()
                try:
                    sweep.settle(name, answer)
                except Refused as refused:
                    return str(refused)
                return ""

            def hear(start=start):
                start.wait()
                sweep.hear()

            both = [threads.submit(settle), threads.submit(hear)]
            said, _ = (one.result(60) for one in both)
            assert said == "" or "is not unknown" in said
            end = sweep.heal(name)
            assert (end.effects, end.state) == (1, "succeeded")
