"""Adding a provider is one folder, one registry line, one fixture folder: nothing else knows it.

The provider `acme` of `docs/adding-a-provider.md` is written into a folder of its own, each file as
the page has it. The contract suite, the reading of `hub.yaml` and `hub check` then run with it,
untouched.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.adapters.contract.test_providers import LABELS

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).parent / "contract"
PAGE = ROOT / "docs" / "adding-a-provider.md"
REGISTRY = "adapters/registry.py"

REGISTRY_LINE = '''"""The one line in the registry, for a folder outside the project."""

import pathlib

import adapters
from adapters import registry

adapters.__path__.append(str(pathlib.Path(__file__).parent / "adapters"))
registry.INBOUND = {}
'''


def page_files() -> dict[str, str]:
    """Return the files of the page: a line that begins with the path, and the block under it."""
    found = re.findall(
        r"^`([\w./]+)`[^\n]*:\n\n```\w*\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S
    )
    assert len(dict(found)) == len(found)
    return dict(found)


FILES = page_files()
INBOUND = FILES["adapters/acme/inbound.py"]
HUB = FILES["hub.yaml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with all that `acme` is, beside the contract suite as it stands."""
    shutil.copytree(SUITE, tmp_path / "tests" / "adapters" / "contract")
    shutil.copy(ROOT / "tests" / "cases.py", tmp_path / "tests")
    for name, text in FILES.items():
        if name != REGISTRY:
            write(tmp_path / name, text)
    added = ast.literal_eval(f"{{{FILES[REGISTRY]}}}")
    write(tmp_path / "acme_line.py", REGISTRY_LINE.replace("{}", repr(added)))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder: its modules come first, then those of the project."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def suite(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the contract suite, without the plugins that it has no use for."""
    write(folder / "pytest.ini", "[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n")
    command = ["-m", "pytest", "-q", "-p", "acme_line", "-p", "no:cacheprovider", *options, "tests"]
    return run(folder, *command, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def test_the_contract_suite_runs_with_it_as_it_stands(folder: Path) -> None:
    done = suite(folder)
    assert done.returncode == 0, done.stdout[-3000:]
    listed = run(
        folder, "-m", "pytest", "-q", "--collect-only", "-p", "acme_line", "tests"
    ).stdout.splitlines()
    about_acme = [line for line in listed if "acme" in line]
    assert len(about_acme) > 20
    assert not [line for line in listed if "stripe" in line]


@pytest.mark.parametrize(
    ("good", "careless", "noticed_by"),
    [
        ("if not isinstance(native, dict):", "if False:", "strange"),
        ("return verify_hmac(", 'return "secrets[0]" or (', "changed_byte"),
        ('f"acme.{native_type}"', '"order.seen"', "expected_ones"),
        ("**Quirks**", "Quirks", "explains_itself"),
        ('external_id(native.get("id"), "id")', 'str(native.get("id"))', "strange"),
        ("digest(lasting)", "digest(native)", "sent_again"),
        ('native.get("buyer")', 'native.get("email")', "where_it_belongs"),
        ('"object_id": text', '"order_id": text', "as_it_stands"),
        ("""given=r'(?<="id": ")[^"]+'""", "given=None", "claim_to_be"),
        ('("order.paid",)', '("order.paid", "order.late")', "each_sample_is_a_file"),
    ],
)
def test_the_suite_notices_a_provider_that_is_careless(
    folder: Path, good: str, careless: str, noticed_by: str
) -> None:
    module = folder / "adapters" / "acme" / "inbound.py"
    assert good in INBOUND
    module.write_text(INBOUND.replace(good, careless))
    done = suite(folder, "-k", noticed_by)
    assert done.returncode == 1, done.stdout[-3000:]
    assert noticed_by in done.stdout


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_the_page_is_written_as_the_project_is(command: list[str]) -> None:
    ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", "adapters/acme/inbound.py"]
    done = subprocess.run([*ruff, "-"], input=INBOUND, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_page_names_all_that_the_docstring_has_to_say() -> None:
    page = PAGE.read_text("utf-8")
    for label in (*LABELS, "**Samples**"):
        assert f"| `{label}` |" in page


def hub(folder: Path, *arguments: str, environ: Mapping[str, str]) -> tuple[int, str]:
    start = "import acme_line, sys; from hub.cli import main; main(sys.argv[1:])"
    done = run(folder, "-c", start, *arguments, **environ)
    return done.returncode, done.stdout + done.stderr


def test_hub_check_knows_it_and_what_is_wrong_with_its_settings(
    folder: Path, sqlite_url: str, redis_url: str
) -> None:
    environ = {"DATABASE_URL": sqlite_url, "REDIS_URL": redis_url}
    code, said = hub(folder, "check", environ=environ)
    assert code == 0, said
    assert "ladders" in said
    write(folder / "hub.yaml", HUB.replace("a secret of Acme's own", "secret"))
    code, said = hub(folder, "check", environ=environ)
    assert code == 1
    assert "the secret is a placeholder" in said


def test_the_hub_loads_it_and_makes_events_of_its_webhooks(folder: Path) -> None:
    start = """
import acme_line, datetime, json, pathlib
from adapters import InboundRequest, registry
from hub.config import load_config
config = load_config(pathlib.Path("hub.yaml"), {}, published_secrets_allowed=True)
source = config.sources["ladders"]
ours = registry.inbound(source.adapter)(source.settings)
now = datetime.datetime.now(datetime.UTC)
url = "https://hub.example.com/webhooks/ladders"
sample = ours.sample("order.paid", "evt-1", now, live=True, url=url)
request = InboundRequest("POST", url, sample.headers, sample.body, now)
print(ours.verify(request), *(event.type for event in ours.parse(request)), *config.routes)
"""
    done = run(folder, "-c", start)
    assert done.stdout == "secrets[0] order.paid sold\n", done.stderr
