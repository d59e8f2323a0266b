"""Configuration entry point: reads and checks `hub.yaml`, and reports every error at once."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from hub.config.assign import read_assign
from hub.config.cross_checks import check_owners, link
from hub.config.destinations import read_destinations
from hub.config.env_vars import References
from hub.config.errors import Errors
from hub.config.limits import read_form_limits
from hub.config.people import read_people
from hub.config.retention import read_retention
from hub.config.routes import read_routes
from hub.config.sections import LoadContext, Section, known_keys
from hub.config.site import read_sign_in, read_site
from hub.config.sources import read_sources
from hub.config.yaml import Located, read
from hub.core.configuration import Configuration
from hub.core.errors import ConfigError

SECTIONS = (
    "site",
    "sources",
    "destinations",
    "routes",
    "people",
    "assign",
    "limits",
    "users",
    "retention",
)
PLANNED = ("alerts",)
MAX_BYTES = 1024 * 1024


def load_config(
    path: Path,
    environ: Mapping[str, str],
    *,
    published_secrets_allowed: bool,
    allow_private: bool = False,
) -> Configuration:
    """Return the configuration in a file, with environment variables substituted.

    `published_secrets_allowed`: the hub is not public, so the secrets printed in the example file
    may be used.
    `allow_private`: destinations may have private IP addresses, and use plain HTTP there.

    Raises:
        ConfigError: the file has errors: one `FILE:LINE: error and expected form` for each, in the
            order of the file, without any environment value.
    """
    raw = _bytes_of(path)
    faults = Errors(str(path))
    root = _root(raw, faults)
    references = References(environ, faults)
    reading = LoadContext(faults, references, published_secrets_allowed, allow_private)
    known_keys(Section(root, ()), SECTIONS, PLANNED, reading)
    site = read_site(root, reading)
    sources = read_sources(root, reading)
    destinations = read_destinations(root, reading)
    sources, destinations = link(root, sources, destinations, reading)
    routes = read_routes(root, destinations, reading)
    people = read_people(root, reading)
    assign = read_assign(root, people, reading)
    check_owners(root, sources, routes, people, assign, reading)
    form_limits = read_form_limits(root, reading)
    users = read_sign_in(root, reading)
    retention = read_retention(root, reading)
    faults.settle()
    return Configuration(
        version=sha256(raw).hexdigest()[:12],
        site=site,
        sources=MappingProxyType(sources),
        destinations=MappingProxyType(destinations),
        routes=MappingProxyType(routes),
        people=MappingProxyType(people),
        assign=MappingProxyType(assign),
        form_limits=form_limits,
        users=users,
        retention=retention,
    )


def _bytes_of(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        sentence = f"{path}: there is no such file; start from hub.example.yaml"
        raise ConfigError([sentence]) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError([f"{path}: larger than 1 MiB"])
    return raw


def _root(raw: bytes, faults: Errors) -> Located:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        faults.add(line, (), "not UTF-8 text")
        text = ""
    root = read(text, faults)
    if isinstance(root.value, dict):
        return root
    if root.value is not None:
        faults.add(root.line, (), f"expected a mapping of {', '.join(SECTIONS)}")
    return Located({}, root.line)
