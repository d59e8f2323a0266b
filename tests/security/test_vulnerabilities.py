"""The audit of packages: a database that answers, one that does not, and one that knows nothing."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.far_end import FarEnd, Received, Reply
from tests.security.allowed import Vulnerability
from tests.security.vulnerabilities import audit

TODAY = date(2027, 1, 10)
HASH = "--hash=sha256:" + "0" * 64
KNOWN = {
    "id": "PYSEC-2027-1",
    "aliases": ["CVE-2027-0001"],
    "summary": "One that was made up.",
    "affected": [
        {
            "package": {"name": "flask", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.2"}]}],
        }
    ],
}


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(f"flask==3.1.3 {HASH}\nidna==3.20 {HASH}\n")
    return path


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing but this machine be reached, and that at once."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


def osv(received: Received) -> Reply:
    """Answer as OSV does: the made-up vulnerability for Flask, nothing for others."""
    vulnerable = received.json["package"]["name"] == "flask"
    return Reply(body=json.dumps({"vulns": [KNOWN]} if vulnerable else {}).encode())


def test_a_known_vulnerability_is_found_with_what_mends_it(locked: Path) -> None:
    with FarEnd(osv) as database:
        report = audit(locked, today=TODAY, osv_url=f"{database.url}/v1/query")
    assert (report.answered, report.checked, report.unchecked) == ("osv", 2, [])
    assert report.found == ["flask 3.1.3: PYSEC-2027-1, CVE-2027-0001; mended in 3.2"]


@pytest.mark.parametrize(("until", "found"), [(TODAY, 0), (date(2027, 1, 9), 1)])
def test_one_is_let_pass_by_any_of_its_ids_until_its_day(
    locked: Path, until: date, found: int
) -> None:
    allowed = [Vulnerability("CVE-2027-0001", "The hub never calls it.", until)]
    with FarEnd(osv) as database:
        report = audit(locked, allowed, today=TODAY, osv_url=f"{database.url}/v1/query")
    assert len(report.found) == found


def test_databases_that_cannot_be_reached_are_named_and_found_is_nothing(locked: Path) -> None:
    report = audit(locked, today=TODAY, osv_url="http://127.0.0.1:1/v1/query")
    assert (report.answered, report.checked, report.found) == (None, 0, [])
    assert [line.partition(":")[0] for line in report.unreached] == ["osv", "pypi"]


def test_a_database_that_never_answers_is_left_after_its_time(locked: Path) -> None:
    with FarEnd(lambda _: Reply(after_s=20)) as database:
        url = f"{database.url}/v1/query"
        report = audit(locked, today=TODAY, osv_url=url, within_s=4)
    assert report.answered is None
    assert report.unreached[0] == "osv: no answer within 4 s"


def test_a_file_without_digests_is_an_error_and_no_unreachable_database(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("flask==3.1.3\n")
    with pytest.raises(ValueError, match=r"pip-audit cannot audit requirements\.txt: .*flask"):
        audit(path, today=TODAY)
