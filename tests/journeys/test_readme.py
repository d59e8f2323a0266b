"""README commands, run as written, in a copy of the tree."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import requests

from hub.process.child import die_with_parent
from tests.running import ROOT, RunningHub, stripe_event, until
from tests.stores import free_port

README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    return [line[2:] for line in README.splitlines() if line.startswith("$ ")]


def shown() -> list[str]:
    """Return the lines of the event that are the same for every send."""
    block = README.partition("$ .venv/bin/hub send")[2].partition("```")[0].splitlines()[1:]
    same = [line for line in block if " -> " in line or line.startswith(("    sent ", "  succ"))]
    assert len(same) >= 6
    return same


def test_the_commands_are_the_known_ones() -> None:
    assert commands() == [
        "make run",
        "make test",
        ".venv/bin/hub send stripe payment_intent.succeeded",
    ]


def test_run_and_send_do_what_the_readme_shows(tmp_path: Path) -> None:
    copy = tmp_path / "hub"
    for name in ("adapters", "hub", "migrations"):
        shutil.copytree(ROOT / name, copy / name)
    for name in ("Makefile", "hub.example.yaml", "pyproject.toml", "requirements.txt",
                 "requirements-dev.txt", "wsgi.py"):  # fmt: skip
        shutil.copy(ROOT / name, copy / name)
    environment = Path(sys.prefix)
    (copy / ".venv").symlink_to(environment)
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        os.utime(copy / name, (0, 0))  # what is installed is newer: nothing is installed again
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PORT": str(port),
        "PYTHONPATH": str(copy),
    }
    log = tmp_path / "run.log"
    run, _, send = commands()
    with log.open("wb") as output:
        # With a niceness, as the tests' other processes (`tests.forked`): a worker keeps it.
        running = subprocess.Popen(
            ["nice", "-n", "1", *run.split()], cwd=copy, env=environ, stdout=output, stderr=output,
            preexec_fn=die_with_parent, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "ready on" in log.read_text(), 60, "the hub to be ready")
        sent = subprocess.run(
            send.split(), cwd=copy, env=environ, capture_output=True, text=True, timeout=60
        )
        assert sent.returncode == 0, sent.stderr
        for line in shown():
            assert line in sent.stdout
        forged = requests.post(f"http://127.0.0.1:{port}/webhooks/stripe", data=b"{}", timeout=10)
        assert forged.status_code == 401
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)


def test_the_command_works_from_any_folder(tmp_path: Path, sqlite_url: str, redis_url: str) -> None:
    with RunningHub(tmp_path, database_url=sqlite_url, redis_url=redis_url,
                    environ={"FAR_END": "http://127.0.0.1:9"}) as hub:  # fmt: skip
        del hub.environ["PYTHONPATH"]  # as installed
        hub.start("web")
        assert hub.post(stripe_event("evt_1")) == 200
        assert len(hub.cli("events")) == 1
