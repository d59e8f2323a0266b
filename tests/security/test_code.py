"""Code of the product nowhere runs data, calls out past its guard, or trusts a template."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.version import Version

from tests.security.allowed import ROOT

MODULES = [
    *sorted(
        path for top in ("hub", "adapters", "migrations") for path in (ROOT / top).rglob("*.py")
    ),
    ROOT / "wsgi.py",
]
TEMPLATES = sorted((ROOT / "hub").rglob("templates/**/*.html"))
# Readers that make objects, or fetch, as what they read says. The hub's YAML makes plain values
# of a composed tree (`hub/config/yaml.py`).
READERS = {
    "pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml", "xml", "lxml",
    "tarfile", "zipfile", "shutil.unpack_archive",
}  # fmt: skip
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"}
# Ways out, and the modules that may take them: to providers through the guarded transport alone.
WAYS_OUT = {
    # `send` posts samples to the hub itself, as a provider would.
    "requests": {"hub/gateways/http/", "hub/cli/send.py"},
    "urllib3": {"hub/gateways/http/"},
    "http.client": {"hub/gateways/http/", "hub/cli/up.py"},  # `up` asks its own web process
    "urllib.request": set(),
    "aiohttp": set(),
    "httpx": set(),
    "smtplib": set(),
    "ftplib": set(),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """Return the path of each module of the product, as text from the top, and its tree."""
    assert len(MODULES) > 250
    return [(name_of(path), ast.parse(path.read_text("utf-8"))) for path in MODULES]


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{one.name}") for one in node.names)


def is_within(name: str, names: set[str]) -> bool:
    """Return whether a dotted name is one of the names, or lies under one."""
    return any(name == one or name.startswith(f"{one}.") for one in names)


def found_in(tree: ast.Module) -> list[str]:
    """Return what runs or unpacks data in a tree, each as `line: what`."""
    found = [f"{line}: {name}" for line, name in imported(tree) if is_within(name, READERS)]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in RUNNERS or called.endswith((".extractall", ".unpack_archive")):
            found.append(f"{node.lineno}: {called}")
        for keyword in node.keywords:
            if keyword.arg == "shell" and ast.unparse(keyword.value) != "False":
                found.append(f"{node.lineno}: {called} with a shell")
            if keyword.arg == "verify" and ast.unparse(keyword.value) == "False":
                found.append(f"{node.lineno}: {called} without checking the certificate")
    return found


def test_nothing_runs_or_unpacks_data() -> None:
    assert [f"{name}:{one}" for name, tree in trees() for one in found_in(tree)] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from yaml import load", "import xml.etree.ElementTree", "eval(text)",
        "tarfile.open(name).extractall(folder)", "subprocess.run(text, shell=True)",
        "requests.get(url, verify=False)", "os.system(text)",
    ],
)  # fmt: skip
def test_each_way_to_run_data_is_noticed(code: str) -> None:
    assert found_in(ast.parse(code))


def test_nothing_calls_out_past_the_guarded_transport() -> None:
    found = [
        f"{name}:{line}: {what}"
        for name, tree in trees()
        for line, what in imported(tree)
        for way, places in WAYS_OUT.items()
        if is_within(what, {way}) and not name.startswith(tuple(places))
    ]
    assert found == []


SECRET = re.compile(r"(signature|digest|secret|token|password|hmac)s?(\(.*\))?$")
# Somebody types a new password twice: both come from them.
NO_SECRETS = {"hub/web/dashboard/welcome.py: password != request.form.get('again', '')"}


def compared(tree: ast.Module) -> Iterator[str]:
    """Yield the comparisons by `==` and `!=` of two values of which one is called a secret."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant | ast.Compare) for side in sides):
                continue
            if any(SECRET.search(ast.unparse(side)) for side in sides):
                yield ast.unparse(node)


def test_what_proves_a_sender_is_compared_in_constant_time() -> None:
    verifying = [
        (name, tree)
        for name, tree in trees()
        if name.startswith(("hub/web/", "adapters/contract/signatures/", "adapters/hmac/"))
        or name.endswith(("/inbound.py", "/signature.py", "/submission_tokens.py"))
    ]
    assert len(verifying) > 40
    found = {f"{name}: {text}" for name, tree in verifying for text in compared(tree)}
    assert found == NO_SECRETS
    assert list(compared(ast.parse("if given.token != self._token: ...")))


def test_templates_escape_everything_and_quote_their_attributes() -> None:
    """No `| safe`, no block without escaping, no value where an attribute has no quotes."""
    wrong = re.compile(
        r"\|\s*safe\b|autoescape|<\w[^<>]*\s[\w:-]+=\s*\{\{|<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle="
    )
    assert len(TEMPLATES) > 40
    found = [
        f"{name_of(path)}:{number}: {line.strip()[:100]}"
        for path in TEMPLATES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if wrong.search(re.sub(r"\{#.*?#\}|\{%.*?%\}", "", line))
    ]
    assert found == []


def test_templates_are_files_and_those_of_hub_yaml_run_in_the_sandbox() -> None:
    users = {
        name
        for name, tree in trees()
        if any(is_within(one, {"jinja2"}) for _, one in imported(tree))
    }
    assert users
    assert all(name.startswith("hub/core/expressions/") for name in users)
    assert [path for path in MODULES if "render_template_string" in path.read_text("utf-8")] == []


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Return the version of each package of a lock file, and the number of its digests."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    found = {}
    for line in lines:
        requirement = re.match(r"([a-z0-9][a-z0-9.-]*)(?:\[[a-z,-]+\])?==(\S+) ", line)
        assert requirement, f"{name}: not one version: {line[:80]}"
        found[requirement[1]] = (requirement[2], line.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_locked_to_one_version_with_digests(name: str) -> None:
    found = locked(name)
    assert len(found) > 60
    assert [package for package, (_, digests) in found.items() if not digests] == []
    install = (ROOT / "Makefile").read_text("utf-8")
    assert "--require-hashes --only-binary :all: -r requirements.txt" in install


@pytest.mark.parametrize(
    ("package", "least"),
    [
        ("werkzeug", "3.0.6"),  # CVE-2023-25577, CVE-2023-46136, CVE-2024-49767
        ("flask", "3.1.3"),  # GHSA-68rp-wp8r-4726
        ("jinja2", "3.1.6"),  # CVE-2024-56201, CVE-2024-56326, CVE-2025-27516
        ("rq", "2.0"),  # jobs read by a serializer that the worker chooses
    ],
)
def test_no_package_is_older_than_what_mended_it(package: str, least: str) -> None:
    assert Version(locked("requirements.txt")[package][0]) >= Version(least)


def test_every_exception_from_the_security_rules_has_its_reason() -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"# noqa: (?:S\d|BLE)", line)
        and not re.search(r"# noqa: [A-Z0-9, ]+ - \w", line)
    ]
    assert found == []
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in rules["select"]
    assert not [rule for rule in rules["ignore"] if rule.startswith("S1") or rule[1:].isdigit()]
