"""The bill of materials names every package that a release installs, and none beside them."""

import json
import re
from pathlib import Path

import pytest

from tests.security.allowed import ROOT
from tests.security.sbom import write


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("build") / "new" / "hub.cdx.json"
    write(path)
    return path


def locked() -> dict[str, set[str]]:
    """Return the digests (SHA-256, hex) of each locked package, by `name==version`."""
    text = (ROOT / "requirements.txt").read_text("utf-8").replace("\\\n", " ")
    found = {}
    for line in re.findall(r"^[a-z0-9].*==.*$", text, re.MULTILINE):
        name, _, version = line.split()[0].partition("==")
        found[f"{name.partition('[')[0]}=={version}"] = set(
            re.findall(r"--hash=sha256:([0-9a-f]{64})", line)
        )
    return found


def test_it_is_cyclonedx_1_6_of_the_hub(bill: Path) -> None:
    found = json.loads(bill.read_text("utf-8"))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert found["metadata"]["component"]["name"] == "hub"


def test_it_has_each_locked_package_with_its_digests(bill: Path) -> None:
    found = {}
    for one in json.loads(bill.read_text("utf-8"))["components"]:
        assert one["purl"].startswith(f"pkg:pypi/{one['name']}@{one['version']}")
        [files] = one["externalReferences"]
        assert {digest["alg"] for digest in files["hashes"]} == {"SHA-256"}
        found[f"{one['name']}=={one['version']}"] = {hash_["content"] for hash_ in files["hashes"]}
    assert found == locked()


def test_the_same_release_gives_the_same_bytes(bill: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    write(again)
    assert again.read_bytes() == bill.read_bytes()
