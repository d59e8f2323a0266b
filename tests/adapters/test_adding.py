"""Adding a provider is one folder, one registry line, one fixture folder: nothing else knows it.

A provider `acme` is written into a folder of its own. The contract suite, the reading of `hub.yaml`
and `hub check` then run with it, untouched. (The fourth thing is its row in the README.)
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).parent / "contract"

INBOUND = '''"""Webhooks of Acme, which sells ladders.

**Docs**: https://acme.example/webhooks
**Signs**: `X-Acme`, HMAC-SHA256 in hex over the raw body.
**Re-sends**: never.
**Answers**: any 2xx.
**Quirks**: none.
"""

import json

from adapters.contract.errors import Unreadable
from adapters.contract.event import Event
from adapters.contract.fields import external_id, email_address
from adapters.contract.signatures.hmac import SecretsSchema, sign_hmac, verify_hmac
from adapters.contract.inbound import Inbound, Sample
from adapters.contract.strict_json import digest, read_json


class AcmeInbound(Inbound):
    name = "acme"
    settings_schema = SecretsSchema
    native_types = {"bought": "order.paid"}
    ignored_types = {"looked": "no one has to know"}

    def __init__(self, settings):
        self._secrets = settings["secrets"]

    def verify(self, request):
        return verify_hmac(
            self._secrets, request.headers.get("x-acme"), request.body, name="X-Acme"
        )

    def parse(self, request):
        native = read_json(request.body)
        if not isinstance(native, dict):
            raise Unreadable("expected an object")
        kind = external_id(native.get("what"), "what")
        email = email_address(native.get("email"))
        data = {"email": email} if email and kind in self.native_types else {}
        return [
            Event(
                type=self.native_types.get(kind, f"acme.{kind}"),
                native_type=kind,
                external_id=external_id(native.get("id"), "id"),
                occurred_at=request.received_at,
                data=data | {"native": native},
                fingerprint=digest(native),
            )
        ]

    def sample(self, native_type, external_id, now, *, live, url):
        if native_type not in self.sample_types():
            raise LookupError("there is: bought")
        body = json.dumps({"id": external_id, "what": native_type}).encode()
        return Sample(body, {"x-acme": sign_hmac(self._secrets[0], body)})

    def sample_types(self):
        return ("bought",)
'''

SIGNER = '''"""Sign a body as Acme does."""

import hmac


def sign(settings, body, at, *, url, headers):
    key = settings["secrets"][0].encode()
    return {**headers, "x-acme": hmac.new(key, body, "sha256").hexdigest()}
'''

REGISTRY_LINE = '''"""The one line in the registry, for a folder outside the project."""

import pathlib

import adapters
from adapters import registry

adapters.__path__.append(str(pathlib.Path(__file__).parent / "adapters"))
registry.INBOUND = {"acme": "adapters.acme.inbound:AcmeInbound"}
'''

HUB = """
sources:
  ladders: {adapter: acme, secrets: ["a secret of Acme's own"]}
destinations:
  ops: {adapter: http, url: "https://ops.example/hook"}
routes:
  sold: {on: [order.paid, "acme.*"], from: ladders, do: ops.post, with: {body: {}}}
"""

FIXTURE = {
    "settings": {"secrets": ["acme_fixture_secret_one"]},
    "wrong_settings": {"secrets": ["acme_fixture_secret_wrong"]},
    "url": "https://hub.example.com/webhooks/ladders",
    "signature_header": "x-acme",
    "signed_body": True,
    "past_s": None,
    "future_s": None,
    "test_mode": False,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with all that `acme` is, beside the contract suite as it stands."""
    shutil.copytree(SUITE, tmp_path / "tests" / "adapters" / "contract")
    write(tmp_path / "adapters" / "acme" / "__init__.py", '"""Acme."""\n')
    write(tmp_path / "adapters" / "acme" / "inbound.py", INBOUND)
    write(tmp_path / "acme_line.py", REGISTRY_LINE)
    fixtures = tmp_path / "tests" / "fixtures" / "acme"
    write(fixtures / "fixture.json", json.dumps(FIXTURE))
    write(fixtures / "signer.py", SIGNER)
    for what, kind, data in (
        ("bought", "order.paid", {"email": "jane@example.com"}),
        ("looked", "acme.looked", {}),
    ):
        body = {"id": "acme-1", "what": what, "email": "jane@EXAMPLE.com"}
        write(fixtures / f"{what}.json", json.dumps(body))
        expected = {
            "type": kind,
            "native_type": what,
            "external_id": "acme-1",
            "occurred_at": "2026-11-20T12:00:00Z",
            "live": True,
            "incomplete": False,
            "fact_key": None,
            "data": data,
        }
        write(fixtures / f"{what}.expected.json", json.dumps([expected]))
    write(tmp_path / "hub.yaml", HUB)
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


def suite(folder: Path) -> subprocess.CompletedProcess[str]:
    write(folder / "pytest.ini", "[pytest]\naddopts = --import-mode=importlib\npythonpath = .\n")
    return run(folder, "-m", "pytest", "-q", "-p", "acme_line", "-p", "no:cacheprovider", "tests")


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
        ('f"acme.{kind}"', '"order.seen"', "expected_ones"),
        ("**Quirks**", "Quirks", "explains_itself"),
        ('external_id(native.get("id"), "id")', 'str(native.get("id"))', "strange"),
    ],
)
def test_the_suite_notices_a_provider_that_is_careless(
    folder: Path, good: str, careless: str, noticed_by: str
) -> None:
    module = folder / "adapters" / "acme" / "inbound.py"
    assert good in INBOUND
    module.write_text(INBOUND.replace(good, careless))
    done = suite(folder)
    assert done.returncode == 1, done.stdout[-3000:]
    assert noticed_by in done.stdout


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
sample = ours.sample("bought", "evt-1", now, live=True, url=url)
request = InboundRequest("POST", url, sample.headers, sample.body, now)
print(ours.verify(request), *(event.type for event in ours.parse(request)), *config.routes)
"""
    done = run(folder, "-c", start)
    assert done.stdout == "secrets[0] order.paid sold\n", done.stderr
