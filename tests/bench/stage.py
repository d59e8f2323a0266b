"""Stage of the benchmarks: real stores for the whole run, a new database for each subject."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import requests

from hub.gateways.database.migrations import upgrade
from hub.process.child import die_with_parent
from tests.running import ROOT, STRIPE_SECRET, RunningHub, until
from tests.stores import PostgresServer, RedisServer, free_port, store_folder

WEB_PROCESSES = 2
# The same for every measured web server; the threads are the hub's own default.
WEB_THREADS = 8


@dataclass(frozen=True)
class Stage:
    """Stores of a run, and the folder that contains all files."""

    folder: Path
    postgres: PostgresServer
    redis: RedisServer
    migrated: str

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """Create a database, migrated or empty, and drop it at the end.

        A CHECKPOINT leaves nothing to be flushed. Redis is emptied too.
        """
        with self.redis.client() as redis:
            redis.flushall()
        name = self.postgres.create_database(template="template1" if empty else self.migrated)
        url = self.postgres.url(name)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        try:
            yield url
        finally:
            self.postgres.drop_database(name)

    @contextmanager
    def hub(self, config: str, **environ: str) -> Iterator[RunningHub]:
        """Create a hub over a new database; none of its processes is started yet."""
        folder = self.folder / f"hub-{time.monotonic_ns()}"
        folder.mkdir()
        with (
            self.database() as url,
            RunningHub(
                folder,
                database_url=url,
                redis_url=self.redis.url,
                config=config,
                environ={"WEB_CONCURRENCY": str(WEB_PROCESSES), **environ},
                begin=_begin_anew,
            ) as hub,
        ):
            yield hub


def _begin_anew(module: str, arguments: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process as on a server, not forked from one that has its memory already."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        preexec_fn=die_with_parent(),
        start_new_session=True,
        **options,
    )


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Start the stores, PostgreSQL with `fsync` on and Redis with its append-only file.

    PostgreSQL gets the memory that suits a hub with millions of events.
    """
    with store_folder() as folder:
        for name in ("postgres", "redis"):
            (folder / name).mkdir()
        postgres = PostgresServer(folder / "postgres", fsync=True, shared_buffers="1GB")
        redis = RedisServer(folder / "redis", durable=True)
        postgres.start()
        redis.start()
        try:
            migrated = postgres.create_database()
            upgrade(postgres.url(migrated))
            yield Stage(folder, postgres, redis, migrated)
        finally:
            redis.stop()
            postgres.stop()


def fsync_ms(folder: Path, *, times: int = 50) -> float:
    """Return the median time that the disk takes to make 8 KiB durable, in milliseconds."""
    path = folder / "fsync"
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(8192))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(took) * 1000


@contextmanager
def program(arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run `python -m` with these arguments and stop it at the end; yield its process id."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=log.parent,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent(),
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def served(
    app: str, server: str, environ: Mapping[str, str], folder: Path, *, path: str = "/healthz"
) -> Iterator[int]:
    """Serve a WSGI app with gunicorn or granian; yield the port once the app answers."""
    port = free_port()
    arguments = {"gunicorn": _gunicorn, "granian": _granian}[server](port, app)
    stores = {"STRIPE_WEBHOOK_SECRET": STRIPE_SECRET, "HOME": str(folder)}
    with program(arguments, {**stores, **environ}, folder / f"{server}.log"):
        until(lambda: _answers(f"http://127.0.0.1:{port}{path}"), 30, f"{server} to answer")
        yield port


def _gunicorn(port: int, app: str) -> list[str]:
    options = {"bind": f"127.0.0.1:{port}", "worker-class": "gthread", "backlog": 1024}
    options |= {"workers": WEB_PROCESSES, "threads": WEB_THREADS, "keep-alive": 5}
    options |= {"pythonpath": ROOT, "log-level": "warning"}
    return ["gunicorn", *(f"--{name}={value}" for name, value in options.items()), app]


def _granian(port: int, app: str) -> list[str]:
    options = {"interface": "wsgi", "host": "127.0.0.1", "port": port, "backlog": 1024}
    options |= {"workers": WEB_PROCESSES, "blocking-threads": WEB_THREADS}
    return ["granian", *(f"--{name}={value}" for name, value in options.items()), app]


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code > 0
    except requests.RequestException:
        return False
