"""Settings from environment variables, read once at start; all other configuration is `hub.yaml`.

An error names the variable and the expected form, never the value, which may be a secret.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from environs import Env, EnvValidationError, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hub.core.errors import ConfigError

# Threads of each web process.
WEB_THREADS = 8
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
# Variables of features that do not exist yet: to accept them silently would mislead the operator.
PLANNED = ("HUB_ENCRYPTION_KEYS", "SENTRY_DSN")

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class Settings:
    """Parsed environment variables. The `repr` omits every field that may hold a password.

    `redis_embedded`: `REDIS_URL` is not set; `hub up` starts its own server at `redis_url`.
    `proxy_hops`: number of proxies in front of the hub that append their client's IP address to
    `X-Forwarded-For`.
    `var_dir`: the folder for all that the hub itself writes, with an absolute path.
    `log_format`: None if it is not set: console on a terminal, JSON elsewhere.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_embedded: bool
    config_path: Path
    var_dir: Path
    secret_key: str | None = field(default=None, repr=False)
    public_url: str | None = None
    allow_private_destinations: bool = False
    trusted_hosts: tuple[str, ...] = ()
    proxy_hops: int = 0
    web_concurrency: int = 2
    port: int = 8000
    log_level: str = "INFO"
    log_format: str | None = None
    metrics_token: str | None = field(default=None, repr=False)

    @property
    def bind_host(self) -> str:
        """Listening address: loopback until `HUB_PUBLIC_URL` is set, then all interfaces."""
        return "127.0.0.1" if self.public_url is None else "0.0.0.0"  # noqa: S104 - meant

    def port_fault(self, error: OSError) -> str:
        """Return the sentence for a `PORT` that cannot be listened on."""
        return f"PORT: cannot listen on port {self.port} ({error.strerror}); give another"

    @property
    def all_trusted_hosts(self) -> tuple[str, ...]:
        """`Host` values that are answered: `HUB_TRUSTED_HOSTS`, the public host and loopback."""
        public = () if self.public_url is None else (_host_of(self.public_url),)
        return tuple(dict.fromkeys((*self.trusted_hosts, *public, *LOOPBACK_HOSTS)))


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of an environment. An empty variable counts as unset.

    Raises:
        ConfigError: one or more variables are wrong; one sentence for each, all at once.
    """
    env = _Environment(environ)
    var_dir = env.folder("HUB_VAR", "var") or Path("var").absolute()
    values: dict[str, Any] = {
        "database_url": env.database_url("DATABASE_URL", f"sqlite:///{var_dir}/hub.db"),
        "redis_url": env.redis_url("REDIS_URL", f"unix://{quote(str(var_dir))}/redis.sock"),
        "redis_embedded": not env.has("REDIS_URL"),
        "config_path": Path(env.str("HUB_CONFIG", "hub.yaml")),
        "var_dir": var_dir,
        "secret_key": env.str("SECRET_KEY", None),
        "public_url": env.origin("HUB_PUBLIC_URL", None),
        "allow_private_destinations": env.switch("HUB_ALLOW_PRIVATE_DESTINATIONS", "off"),
        "trusted_hosts": env.hosts("HUB_TRUSTED_HOSTS", ""),
        "proxy_hops": env.whole("HUB_PROXY_HOPS", "0", low=0, high=10),
        "web_concurrency": env.whole("WEB_CONCURRENCY", "2", low=1, high=256),
        "port": env.whole("PORT", "8000", low=1, high=65535),
        "log_level": env.level("LOG_LEVEL", "INFO"),
        "log_format": env.log_format("LOG_FORMAT", None),
        "metrics_token": env.str("METRICS_TOKEN", None),
    }
    for name in PLANNED:
        env.planned(name, None)
    if faults := env.faults():
        raise ConfigError(faults)
    return Settings(**values)


class _Environment(Env):
    """`Env` over the given mapping, so that `os.environ` is never read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(eager=False)
        self._given = {name: text for name, raw in environ.items() if (text := raw.strip())}
        for name, parse in _PARSERS.items():
            self.add_parser(name, parse)

    def has(self, name: str) -> bool:
        return name in self._given

    def faults(self) -> list[str]:
        """Return a `NAME: sentence` for each variable read so far that is wrong."""
        try:
            self.seal()
        except EnvValidationError as error:
            messages: Mapping[str, list[str]] = error.error_messages  # type: ignore[assignment]
            return [f"{name}: {text}" for name, texts in messages.items() for text in texts]
        return []

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._given.get(env_key, default)


def _whole(text: str, *, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise ValidationError(f"expected a whole number from {low} to {high}")
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in TRUE | _FALSE:
        raise ValidationError("expected one of 1 true yes on, or 0 false no off")
    return text.lower() in TRUE


def _level(text: str) -> str:
    name = "WARNING" if text.upper() == "WARN" else text.upper()
    if name not in _LEVELS:
        raise ValidationError(f"expected one of {' '.join(_LEVELS)}")
    return name


def _log_format(text: str | None) -> str | None:
    if text is not None and text.lower() not in ("json", "console"):
        raise ValidationError("expected json or console")
    return text and text.lower()


def _database_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme.lower() in ("postgres", "postgresql", "postgresql+psycopg"):
        scheme = "postgresql+psycopg"
    elif scheme.lower() != "sqlite":
        raise ValidationError("expected postgresql://user@host/name or sqlite:///path/to/file")
    url = f"{scheme.lower()}{separator}{rest}"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ValidationError("not an address that can be read; is the port a number?") from error
    if not parsed.database:
        raise ValidationError("names no database")
    if parsed.database == ":memory:" or parsed.query.get("mode") == "memory":
        raise ValidationError("a database in memory keeps nothing; give it a file")
    return url


def _redis_url(text: str) -> str:
    if text.partition("://")[0].lower() not in ("redis", "rediss", "unix"):
        raise ValidationError("expected redis://host:port/0, rediss://… or unix:///path/to/socket")
    try:
        urlsplit(text).port  # noqa: B018
    except ValueError as error:
        raise ValidationError("not an address that can be read; is the port a number?") from error
    return text


def _origin(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise ValidationError("expected an origin like https://hooks.example.org") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValidationError("expected an origin like https://hooks.example.org")
    if "@" in parts.netloc or parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ValidationError("expected only scheme, host and port: no user, path or query")
    host = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(host):
        raise ValidationError("expected an origin like https://hooks.example.org")
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def _hosts(text: str) -> tuple[str, ...]:
    names = tuple(name for item in text.split(",") if (name := item.strip().lower()))
    if not all(_HOST.fullmatch(name) for name in names):
        raise ValidationError("expected host names separated by commas, without scheme or port")
    return names


def _folder(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if "?" in text:  # it would end the path in the database's address
        raise ValidationError("expected a folder's path without a question mark")
    if path.exists() and not path.is_dir():
        raise ValidationError("expected a folder, and this is a file")
    return path


def _planned(text: str | None) -> None:
    if text is not None:
        raise ValidationError("is not there yet: unset it")


def _host_of(origin: str) -> str:
    host = urlsplit(origin).hostname or ""
    return f"[{host}]" if ":" in host else host


_PARSERS: Mapping[str, Callable[..., Any]] = {
    "whole": _whole,
    "database_url": _database_url,
    "redis_url": _redis_url,
    "switch": _switch,
    "folder": _folder,
    "origin": _origin,
    "hosts": _hosts,
    "level": _level,
    "log_format": _log_format,
    "planned": _planned,
}
