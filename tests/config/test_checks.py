"""Findings of `hub check`; none of them contains a secret."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine

from hub.bootstrap import create_disk_watch
from hub.cli.check import check, check_everything
from hub.cli.checks import FAULT, Finding, stores
from hub.cli.checks.configuration import check_environment, check_file
from hub.cli.checks.stores import (
    check_budgets,
    check_database,
    check_disk,
    check_redis,
    judge_redis,
)
from hub.core.inbound.byte_budget import MIB, note_over_budget, take
from hub.core.monitoring.storage import GIB
from hub.gateways import disk_watch
from hub.gateways.database.engine import Database, open_database
from hub.gateways.database.migrations import upgrade
from hub.settings import load_settings
from tests.gateways.servers import raw_server

EXAMPLE = Path(__file__).parents[2] / "hub.example.yaml"
HEALTHY = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1}


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    return {"HUB_CONFIG": str(EXAMPLE)}


def test_the_example_has_no_fault_on_a_fresh_machine(environ: dict[str, str]) -> None:
    findings = list(check_everything(environ))
    assert [finding for finding in findings if finding.level == FAULT] == []
    assert Finding("note", "destination crm", "hubspot: no token: plays in sandbox") in findings
    assert not Path("var").exists()


def test_faults_of_environment_and_file_are_told_together(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text("site:\n  nam: x\n")
    found = list(check_everything({"PORT": "x", "HUB_CONFIG": str(path)}))
    assert found == [
        Finding(FAULT, "environment", "PORT: expected a whole number from 1 to 65535"),
        Finding(FAULT, "hub.yaml", f"{path}:2: site.nam: unknown key `nam`; did you mean `name`?"),
    ]


def test_a_database_is_migrated_or_says_how_to(environ: dict[str, str]) -> None:
    settings = load_settings(environ)
    assert "no file yet" in check_database(settings)[0].message
    Path("var").mkdir()
    Path("var/hub.db").touch()
    assert check_database(settings)[1] == Finding(
        FAULT, "database", "not migrated: run `hub db upgrade`"
    )
    upgrade(settings.database_url)
    assert [finding.level for finding in check_database(settings)] == ["ok", "ok", "ok"]


def test_stores_that_do_not_answer_are_faults_without_a_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    settings = load_settings(
        {
            "DATABASE_URL": f"postgres://user:kept-private@127.0.0.1:{port}/hub",
            "REDIS_URL": f"redis://:kept-private@127.0.0.1:{port}",
        }
    )
    findings = check_database(settings) + check_redis(settings, None)
    assert [(finding.level, finding.subject) for finding in findings] == [
        (FAULT, "database"),
        (FAULT, "redis"),
    ]
    assert "kept-private" not in str(findings)


def test_redis_that_evicts_or_is_too_old_is_a_fault() -> None:
    assert [finding.level for finding in judge_redis(HEALTHY)] == ["ok", "note"]
    evicts = judge_redis(HEALTHY | {"maxmemory_policy": "allkeys-lru"})
    (fault,) = [finding for finding in evicts if finding.level == FAULT]
    assert "CONFIG SET maxmemory-policy noeviction" in fault.message
    assert judge_redis(HEALTHY | {"redis_version": "6.0.16"})[0].level == FAULT
    assert judge_redis(HEALTHY | {"redis_version": "10.0"})[0].level == "ok"


def test_a_secret_key_that_can_be_guessed_is_a_fault_and_is_not_shown(
    environ: dict[str, str],
) -> None:
    _, findings = check_environment(environ | {"SECRET_KEY": "sesame"})
    assert [one.level for one in findings] == ["ok", FAULT]
    assert "sesame" not in str(findings)
    _, findings = check_environment(environ | {"SECRET_KEY": "k" * 16})
    assert [one.level for one in findings] == ["ok"]


def test_a_pooler_that_drops_what_is_set_for_a_connection_is_a_fault(
    environ: dict[str, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(environ | {"DATABASE_URL": postgresql_url})
    assert FAULT not in {finding.level for finding in check_database(settings)}
    monkeypatch.setattr(stores, "open_database", lambda url, **_: Database(create_engine(url)))
    assert Finding(FAULT, "database", stores.POOLED) in check_database(settings)


def test_a_pooler_that_refuses_what_is_set_for_a_connection_is_a_fault(
    environ: dict[str, str],
) -> None:
    said = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"

    def refuse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"E" + (len(said) + 4).to_bytes(4, "big") + said)

    with raw_server(refuse, reads=False) as url:
        address = url.replace("http://", "postgresql://hub@")
        settings = load_settings(environ | {"DATABASE_URL": f"{address}/hub?sslmode=disable"})
        unreached, pooled = check_database(settings)
    assert "unsupported startup parameter: options" in unreached.message
    assert pooled == Finding(FAULT, "database", stores.POOLED)


def test_a_disk_without_room_is_told(environ: dict[str, str], monkeypatch) -> None:
    def found(free: int) -> Finding:
        usage = SimpleNamespace(total=1000 * GIB, free=free)
        monkeypatch.setattr(disk_watch, "disk_usage", lambda _: usage)
        [finding] = check_disk(create_disk_watch(load_settings(environ)))
        assert finding.subject == f"disk of {Path.cwd() / 'var'}"
        return finding

    assert (found(500 * GIB).level, found(500 * GIB).message) == ("ok", "500.0 GiB are free")
    assert found(9 * GIB).level == "note"
    assert found(GIB // 2).level == FAULT
    assert "webhooks and forms are refused" in found(GIB // 2).message


def test_a_source_that_keeps_no_more_today_is_told(environ: dict[str, str]) -> None:
    settings = load_settings(environ)
    configuration, _ = check_file(environ, settings)
    assert configuration is not None
    assert check_budgets(settings, configuration) == [], "there is no database yet"
    upgrade(settings.database_url)
    database = open_database(settings.database_url, pool_size=1)
    with database.write() as connection:
        assert check_budgets(settings, configuration) == []
        take(connection, "stripe", 3 * MIB, now=datetime.now(UTC))
        note_over_budget(connection, "contact", now=datetime.now(UTC))
    note, used = check_budgets(settings, configuration)
    words = "3 of 64 MiB kept today of what did not verify, cannot be read, is held or came again"
    assert used == Finding("ok", "source stripe", words)
    assert (note.level, note.subject) == ("note", "source contact")
    assert "Leads that would be held are turned away (503)" in note.message
    database.engine.dispose()


def test_an_account_that_is_not_reached_is_a_fault_and_its_token_stays_hidden(
    environ: dict[str, str],
) -> None:
    more = {
        "HUBSPOT_TOKEN": "pat-kept-private",
        "HUBSPOT_BASE_URL": "http://127.0.0.1:9",
        "HUB_ALLOW_PRIVATE_DESTINATIONS": "on",
    }
    found = {finding.subject: finding for finding in check_everything(environ | more)}
    assert found["destination crm"].level == FAULT
    assert found["destination crm"].message.startswith("hubspot: unreachable: ")
    assert "kept-private" not in str(found)


def test_the_command_prints_lines_or_json_and_exits_with_the_verdict(
    environ: dict[str, str], tmp_path: Path
) -> None:
    unset = {"DATABASE_URL": None, "REDIS_URL": None, "HUB_PUBLIC_URL": None}
    good = CliRunner().invoke(check, [], env=environ | unset)
    assert good.exit_code == 0
    assert "note   destination crm" in good.stdout
    path = tmp_path / "bad.yaml"
    path.write_text("site: 1\n")
    bad = CliRunner().invoke(check, ["--json"], env=unset | {"HUB_CONFIG": str(path)})
    assert bad.exit_code == 1
    assert {"level", "subject", "message"} == set(json.loads(bad.stdout)[0])


def test_a_private_address_is_a_fault_also_while_a_variable_is_wrong(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub.yaml").write_text(
        'destinations: {crm: {adapter: hubspot, token: t, base_url: "http://127.0.0.1:9"}}\n'
    )
    wrong = {"SENTRY_DSN": "https://a@b/1"}
    told = [f.message for f in check_everything(wrong) if f.subject == "hub.yaml"]
    assert any("base_url" in message for message in told)
    allowed = wrong | {"HUB_ALLOW_PRIVATE_DESTINATIONS": "1"}
    told = [f.message for f in check_everything(allowed) if f.subject == "hub.yaml"]
    assert not any("base_url" in message for message in told)


def test_a_folder_that_others_can_look_into_is_told(tmp_path) -> None:
    for mode, told in ((0o700, False), (0o750, True), (0o701, True)):
        tmp_path.chmod(mode)
        _, findings = check_environment({"HUB_VAR": str(tmp_path)})
        assert any(f"chmod 700 {tmp_path}" in finding.message for finding in findings) is told
    tmp_path.chmod(0o700)
    file, inner = tmp_path / "hub.db", tmp_path / "redis" / "dump.rdb"
    inner.parent.mkdir(mode=0o700)
    for path in (file, inner):
        for mode, told in ((0o600, False), (0o640, True), (0o604, True)):
            path.touch()
            path.chmod(mode)
            _, findings = check_environment({"HUB_VAR": str(tmp_path)})
            assert any(f"chmod 600 {path}" in finding.message for finding in findings) is told
        path.unlink()
    _, findings = check_environment({"HUB_VAR": str(tmp_path / "none")})
    assert not (tmp_path / "none").exists()


def test_a_public_hub_without_a_secret_key_is_told_what_that_means() -> None:
    public = {"HUB_PUBLIC_URL": "https://hub.example"}
    for environ, told in ((public, True), ({}, False), (public | {"SECRET_KEY": "x" * 32}, False)):
        _, findings = check_environment(environ)
        assert any("SECRET_KEY" in finding.message for finding in findings) is told
