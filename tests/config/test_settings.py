"""Settings from the environment: parsed values, one sentence per fault, never a value."""

from pathlib import Path

import pytest

from hub.core.errors import ConfigError
from hub.settings import load_settings


def faults_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ)
    return caught.value.faults


def test_nothing_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_settings({})
    assert found.database_url == f"sqlite:///{tmp_path}/var/hub.db"
    assert found.redis_url == f"unix://{tmp_path}/var/redis.sock"
    assert found.redis_embedded
    assert found.config_path == Path("hub.yaml")
    assert (found.port, found.web_concurrency, found.log_level) == (8000, 2, "INFO")
    assert found.bind_host == "127.0.0.1"
    assert found.all_trusted_hosts == ("localhost", "127.0.0.1", "[::1]")


def test_an_empty_variable_counts_as_unset() -> None:
    names = ["DATABASE_URL", "REDIS_URL", "PORT", "HUB_PUBLIC_URL", "HUB_VAR", "LOG_FORMAT"]
    assert load_settings(dict.fromkeys(names, " ")) == load_settings({})


def test_what_the_hub_writes_is_under_one_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/jane")
    for given, folder in (("kept", tmp_path / "kept"), ("~/hub", Path("/home/jane/hub"))):
        found = load_settings({"HUB_VAR": given})
        assert found.var_dir == folder
        assert found.database_url == f"sqlite:///{folder}/hub.db"
        assert found.redis_url == f"unix://{folder}/redis.sock"
    stores = {"DATABASE_URL": "sqlite:////a/b.db", "REDIS_URL": "redis://cache"}
    found = load_settings({"HUB_VAR": "kept"} | stores)
    assert (found.database_url, found.redis_url) == tuple(stores.values())


@pytest.mark.parametrize("given", ["a-file", "what?"])
def test_what_cannot_be_a_folder_is_a_fault(tmp_path, monkeypatch, given) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    (fault,) = faults_of({"HUB_VAR": given})
    assert fault.startswith("HUB_VAR: expected a folder")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_gets_the_one_driver(scheme: str) -> None:
    found = load_settings({"DATABASE_URL": f"{scheme}://u:p%40ss@db:5432/hub?sslmode=require"})
    assert found.database_url == "postgresql+psycopg://u:p%40ss@db:5432/hub?sslmode=require"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://Hooks.Example.org/", "https://hooks.example.org"),
        ("https://hooks.example.org:443", "https://hooks.example.org"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_a_public_url_is_an_origin(given: str, expected: str) -> None:
    found = load_settings({"HUB_PUBLIC_URL": given})
    assert found.public_url == expected
    assert found.bind_host == "0.0.0.0"


def test_the_public_host_is_trusted_beside_those_of_the_setting() -> None:
    environ = {
        "HUB_PUBLIC_URL": "https://a.example:8443",
        "HUB_TRUSTED_HOSTS": "b.example, .C.org,",
    }
    hosts = load_settings(environ).all_trusted_hosts
    assert hosts == ("b.example", ".c.org", "a.example", "localhost", "127.0.0.1", "[::1]")


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_a_switch_is_on_in_any_case(word: str) -> None:
    assert load_settings({"HUB_ALLOW_PRIVATE_DESTINATIONS": word}).allow_private_destinations


@pytest.mark.parametrize("word", ["0", "False", "no", "OFF"])
def test_a_switch_is_off_in_any_case(word: str) -> None:
    assert not load_settings({"HUB_ALLOW_PRIVATE_DESTINATIONS": word}).allow_private_destinations


def test_every_fault_is_told_at_once_and_no_value_is_in_it() -> None:
    environ = {
        "DATABASE_URL": "postgres://user:kept-private@db:port/hub",
        "REDIS_URL": "http://:kept-private@redis",
        "HUB_PUBLIC_URL": "https://user:kept-private@example.org/path",
        "HUB_ALLOW_PRIVATE_DESTINATIONS": "maybe",
        "HUB_TRUSTED_HOSTS": "https://example.org",
        "WEB_CONCURRENCY": "0",
        "PORT": "65536",
        "LOG_LEVEL": "loud",
        "LOG_FORMAT": "xml",
        "HUB_ENCRYPTION_KEYS": "kept-private",
        "SENTRY_DSN": "kept-private",
    }
    faults = faults_of(environ)
    assert {fault.partition(":")[0] for fault in faults} == set(environ)
    assert len(faults) == len(environ)
    assert "kept-private" not in str(faults)
    assert "PORT: expected a whole number from 1 to 65535" in faults
    assert "SENTRY_DSN: is not there yet: unset it" in faults


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://h/x", "nonsense", "sqlite:"]
)
def test_a_database_that_would_keep_nothing_or_is_unknown_is_a_fault(url: str) -> None:
    (fault,) = faults_of({"DATABASE_URL": url})
    assert fault.startswith("DATABASE_URL: ")


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://x", "https://", "https://x?y", "https://a b"]
)
def test_what_is_no_origin_is_a_fault(url: str) -> None:
    (fault,) = faults_of({"HUB_PUBLIC_URL": url})
    assert fault.startswith("HUB_PUBLIC_URL: expected")


def test_settings_do_not_show_what_may_hold_a_secret() -> None:
    environ = {
        "DATABASE_URL": "postgres://user:kept-private@db/hub",
        "REDIS_URL": "redis://:kept-private@redis",
        "SECRET_KEY": "kept-private, and long enough",
        "METRICS_TOKEN": "kept-private",
    }
    assert "kept-private" not in repr(load_settings(environ))
