"""The audit as a command: what it says, and when it fails."""

import pytest

from tests.security import __main__ as command
from tests.security.secret_scan import Finding, Scan
from tests.security.vulnerabilities import Report


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the audit over a given report and given findings.

    The texts that `audit.toml` lets pass are always among what was found.
    """

    def run(report: Report, *found: Finding, unread: str = "") -> int:
        known = [Finding(one.text, "known", ("a:1",)) for one in command.read().secrets]
        monkeypatch.setattr(command, "audit", lambda *_, **__: report)
        monkeypatch.setattr(command, "scan", lambda _: Scan([*known, *found], unread))
        return command.main()

    return run


def test_nothing_found_is_no_failure(audited, capsys) -> None:
    assert audited(Report(checked=80, answered="osv")) == 0
    assert "0 known in 80 packages (osv)" in capsys.readouterr().out


def test_a_vulnerability_fails_and_says_what_to_do(audited, capsys) -> None:
    report = Report(checked=80, answered="osv", found=["flask 3.1.3: CVE-1; mended in 3.2"])
    assert audited(report) == 1
    said = capsys.readouterr().out
    assert "flask 3.1.3: CVE-1; mended in 3.2" in said
    assert "make lock UPGRADE=NAME" in said


def test_databases_out_of_reach_are_told_and_no_failure(audited, capsys) -> None:
    assert audited(Report(unreached=["osv: no answer within 25 s", "pypi: refused"])) == 0
    said = capsys.readouterr().out
    assert "NOT CHECKED" in said
    assert "osv: no answer within 25 s\npypi: refused" in said


def test_packages_that_a_database_does_not_know_are_named(audited, capsys) -> None:
    assert audited(Report(checked=79, answered="pypi", unchecked=["rq"])) == 0
    assert "NOT CHECKED, unknown there: rq" in capsys.readouterr().out


def test_a_secret_fails_even_if_no_database_answers_and_is_not_repeated(audited, capsys) -> None:
    assert audited(Report(unreached=["osv: refused"]), Finding("s3cret", "key", ("b.py:7",))) == 1
    said = capsys.readouterr().out
    assert "b.py:7: key" in said
    assert "s3cret" not in said


def test_a_history_that_cannot_be_read_is_told_and_no_failure(audited, capsys) -> None:
    assert audited(Report(checked=80, answered="osv"), unread="there is no repository") == 0
    assert "the history was NOT CHECKED: there is no repository" in capsys.readouterr().out


def test_what_cannot_run_is_a_failure(audited, monkeypatch, capsys) -> None:
    def broken() -> None:
        raise ValueError("audit.toml: secret 1 needs `reason`, a text in quotes")

    monkeypatch.setattr(command, "read", broken)
    assert command.main() == 1
    assert "secret 1 needs `reason`" in capsys.readouterr().err
