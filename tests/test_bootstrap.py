"""Imports and start-up of the processes: those without a web floor do not load one."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from threading import Event

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from hub.bootstrap import (
    create_hub,
    read_configuration,
    refuse_copy,
    secret_of,
)
from hub.core.errors import ConfigError
from hub.gateways.database.engine import open_database
from hub.gateways.database.migrations import MIGRATIONS, revisions
from hub.gateways.database.wait import wait_until_ready
from hub.processes import _prepare
from hub.settings import load_settings
from tests.running import ROOT

DEAR = "flask flask_sqlalchemy flask_wtf uvicorn a2wsgi alembic argon2 pyotp segno holidays babel"


# What each process imports; worker and clock some of it only when they begin.
WORK = "hub.cli.processes hub.bootstrap hub.worker.rq_worker hub.clock.clock"
WEB = "hub.cli.processes hub.bootstrap hub.server"


def imported_by(modules: str) -> set[str]:
    """Return what an interpreter has imported after these modules."""
    program = f"import sys, {modules.replace(' ', ', ')}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, timeout=60, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def imported() -> set[str]:
    return imported_by(WORK)


@pytest.mark.parametrize("dear", DEAR.split())
def test_workers_and_the_clock_do_not_import(dear: str, imported: set[str]) -> None:
    assert "hub.worker.drain" in imported
    assert dear not in imported


def test_the_web_server_does_not_import_what_it_need_not_wait_for() -> None:
    imported = imported_by(WEB)
    assert "hub.asgi" in imported
    assert imported.isdisjoint({"requests", "rq", "alembic", "holidays", "hub.worker.drain"})


def test_the_adapter_of_twilio_imports_the_library_s_calls_with_the_first_one() -> None:
    imported = imported_by(f"{WEB} adapters.twilio.inbound adapters.twilio.outbound")
    assert "twilio.request_validator" in imported
    assert imported.isdisjoint({"twilio.rest", "twilio.http", "requests"})


@pytest.mark.parametrize("process", [WORK, WEB])
def test_no_process_imports_sendgrid_s_library_before_its_first_e_mail(process: str) -> None:
    imported = imported_by(f"{process} adapters.sendgrid.inbound adapters.sendgrid.outbound")
    assert "adapters.sendgrid.mail" in imported
    assert not [name for name in imported if name.split(".")[0] == "sendgrid"]


SERVE = """
import gc
from hub import server
server.RestfulServer.run = lambda self, sockets: print(len(gc.get_objects()), gc.isenabled())
server._program(1, None).command()
"""


def test_the_collector_of_a_web_process_does_not_look_through_what_was_made_at_its_start(
    tmp_path,
) -> None:
    # Its first collection under load took a tenth of a second, in which nobody was answered.
    (tmp_path / "hub.yaml").write_text("site: {name: Acme}\n")
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        env={"HUB_CONFIG": str(tmp_path / "hub.yaml"), "HUB_VAR": str(tmp_path), "PATH": ""},
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        check=True,
    )
    left, enabled = done.stdout.split()
    assert (int(left) < 1000, enabled) == (True, "True")


def test_the_newest_revision_is_known_without_alembic(postgresql_url) -> None:
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    with open_database(postgresql_url, pool_size=1).read() as connection:
        assert revisions(connection) == (head, head)


def test_no_thread_of_the_clock_waits_for_the_connection_of_another(
    postgresql_url, tmp_path
) -> None:
    (tmp_path / "hub.yaml").write_text("site: {name: Acme}\n")
    environ = {"DATABASE_URL": postgresql_url, "HUB_CONFIG": str(tmp_path / "hub.yaml")}
    hub = create_hub(load_settings(environ), environ)
    with ExitStack() as threads:  # the sweep, lists, look-ups and replays
        for _ in range(4):
            threads.enter_context(hub.store.write())
    hub.store.engine.dispose()


FORM = "sources: {contact: {adapter: form, fields: {name: {}}}}\n"


def test_without_a_secret_key_forms_of_one_machine_share_a_secret_of_its_own(tmp_path) -> None:
    keys = []
    for machine in ("one", "one", "other"):
        (tmp_path / "hub.yaml").write_text(FORM)
        environ = {"HUB_CONFIG": str(tmp_path / "hub.yaml")}
        settings = replace(load_settings(environ), var_dir=tmp_path / machine)
        source = read_configuration(settings, environ).sources["contact"]
        keys.append(source.settings["token_key"])
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_a_secret_that_cannot_be_kept_is_a_sentence(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    settings = replace(load_settings({}), var_dir=tmp_path / "file" / "var")
    with pytest.raises(ConfigError, match=r"SECRET_KEY is not set, and .* cannot keep one: "):
        secret_of(settings)
    assert secret_of(replace(settings, secret_key="given")) == "given"


@pytest.mark.parametrize("make", [secret_of, refuse_copy])
def test_what_the_hub_writes_is_for_its_owner_alone(tmp_path, make) -> None:
    folder = tmp_path / "kept"
    make(load_settings({"HUB_VAR": str(folder)}))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_worker_that_gets_its_database_late_refuses_a_copy(database_url, tmp_path) -> None:
    (tmp_path / "hub.yaml").write_text(
        "site: {name: Acme}\ndestinations: {crm: {adapter: hubspot}}\n"
    )
    environ = {
        "DATABASE_URL": database_url,
        "HUB_CONFIG": str(tmp_path / "hub.yaml"),
        "HUB_VAR": str(tmp_path / "var"),
    }
    refuse_copy(load_settings(environ | {"HUB_PUBLIC_URL": "https://hub.example"}))
    settings = load_settings(environ | {"HUB_PUBLIC_URL": "https://staging.example"})
    hub = create_hub(settings, environ)
    with pytest.raises(ConfigError, match="hub db adopt"):
        _prepare(settings, hub)
    with hub.store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM lanes")).scalar_one() == 0
    hub.store.engine.dispose()


def test_web_starts_without_its_database_and_says_what_it_does_not_know(tmp_path, caplog) -> None:
    environ = {"DATABASE_URL": "postgresql://hub@127.0.0.1:1/none", "HUB_VAR": str(tmp_path)}
    refuse_copy(load_settings(environ | {"HUB_PUBLIC_URL": "https://hub.example"}))
    assert "whether it is a copy is not known" in caplog.text


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_worker_before_the_migration_waits_and_says_what_to_run(
    store, tmp_path, caplog, postgres_server
) -> None:
    (tmp_path / "hub.yaml").write_text("site: {name: Acme}\n")
    url = f"sqlite:///{tmp_path}/hub.db"
    if store == "postgresql":
        url = postgres_server.url(postgres_server.create_database())
    environ = {"DATABASE_URL": url, "HUB_CONFIG": str(tmp_path / "hub.yaml")}
    settings = load_settings(environ)
    hub = create_hub(settings, environ)
    stop = Event()
    stop.set()
    assert not wait_until_ready(partial(_prepare, settings, hub), stop)
    assert "run `hub db upgrade`" in caplog.text
    hub.store.engine.dispose()
