"""CPU priority of a worker: lowered by itself, unless whoever started it has done so."""

import os
import subprocess
import sys
from functools import partial

import pytest

from hub.process.priority import AUTOGROUP, NICE
from tests.running import ROOT

CODE = """
import os
from threading import Thread
from hub.process.priority import give_way
give_way()
def say(): print(os.getpriority(os.PRIO_PROCESS, 0))
thread = Thread(target=say)
thread.start()
thread.join()
"""


def run(code: str, *, nice: int = 0, session: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=session,
        preexec_fn=partial(os.nice, nice),
    )
    return done.stdout


def test_a_process_and_its_threads_give_way() -> None:
    assert run(CODE).split() == [str(NICE)]


def test_a_priority_that_was_given_is_kept() -> None:
    assert run(CODE, nice=NICE + 2).split() == [str(NICE + 2)]


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this system has no autogroups")
def test_the_session_that_a_process_leads_gives_way_too() -> None:
    code = f"{CODE}print(open('{AUTOGROUP}').read())"
    assert run(code, session=True).split()[-1] == str(NICE)


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this system has no autogroups")
def test_the_session_of_somebody_else_is_left_alone() -> None:
    # Whoever was started without a session of its own, as a container's first process, has no group
    # there: the file is empty.
    look = f"print(repr(open('{AUTOGROUP}').read()))\n"
    before, _, after = run(f"{look}{CODE}{look}").splitlines()
    assert before == after
