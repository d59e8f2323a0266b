"""The scan for secrets finds what is planted: each kind of key that a hub holds."""

import random
import string
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.security.allowed import Secret, read
from tests.security.secret_scan import not_allowed, scan

HEX = "0123456789abcdef"
LETTERS = string.ascii_letters + string.digits


def made_up(count: int, letters: str = LETTERS, seed: int = 18) -> str:
    """Return a text that looks drawn by chance, and is the same each time.

    It is put together here, since a whole one would be found in this very file.
    """
    return "".join(random.Random(seed).choices(letters, k=count))


PLANTED = {
    "stripe": f"api_key: sk_live_51{made_up(97)}",
    "stripe-endpoint": f"secrets: ['whsec_{made_up(32)}']",
    "sendgrid": f"api_key: SG.{made_up(22)}.{made_up(43)}",
    "twilio": f"auth_token: '{made_up(32, HEX)}'",
    "hubspot": "token: pat-na1-" + "-".join(made_up(n, HEX, n) for n in (8, 4, 4, 4, 12)),
    "pipedrive": f"PIPEDRIVE_API_TOKEN={made_up(40, HEX)}",
    "github": f"GITHUB_TOKEN=ghp_{made_up(36)}",
    "shopify": f"secrets: [shpss_{made_up(32, HEX)}]",
    "slack": f"url: https://hooks.slack.com/services/T0{made_up(7)}/B0{made_up(9)}/{made_up(24)}",
    "database": f"DATABASE_URL=postgresql://hub:{made_up(20)}@db.internal/hub",
    "hub": f"SECRET_KEY={made_up(43)}",
}


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs git in a new repository at `tmp_path`."""

    def run(*words: str) -> None:
        author = ("-c", "user.name=Jane", "-c", "user.email=jane@acme.example")
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True)

    run("init", "--quiet")
    run("commit", "--quiet", "--allow-empty", "--message", "Begin")
    return run


def test_each_kind_of_key_that_a_hub_holds_is_found(tmp_path: Path, git) -> None:
    for name, text in PLANTED.items():
        (tmp_path / name).write_text(f"{text}\n")
    git("add", ".")
    places = {place for one in scan(tmp_path).found for place in one.places}
    assert places == {f"{name}:1" for name in PLANTED}


def test_what_was_committed_once_is_found_and_what_git_does_not_track_is_not(
    tmp_path: Path, git
) -> None:
    (tmp_path / ".gitignore").write_text("hub.yaml\n")
    (tmp_path / "removed").write_text(PLANTED["stripe"])
    git("add", ".")
    git("commit", "--quiet", "--message", "Add a key")
    git("rm", "--quiet", "removed")
    git("commit", "--quiet", "--message", "Remove it")
    (tmp_path / "hub.yaml").write_text(PLANTED["sendgrid"])
    [found] = scan(tmp_path).found
    [place] = found.places
    assert place.startswith("removed:1 of commit ")


def test_no_comment_beside_a_key_hides_it(tmp_path: Path, git) -> None:
    (tmp_path / "a").write_text(f"{PLANTED['stripe']}  # kingfisher:ignore gitleaks:allow\n")
    git("add", ".")
    assert len(scan(tmp_path).found) == 1


def test_a_finding_needs_an_entry_and_an_entry_a_finding(tmp_path: Path, git) -> None:
    (tmp_path / "a").write_text(PLANTED["stripe"])
    git("add", ".")
    found = scan(tmp_path).found
    assert not_allowed(found, []) == ["a:1: stripe-access-token"]
    assert not_allowed(found, [Secret(found[0].text, "Made up.")]) == []
    assert not_allowed([], [Secret("whsec_of_no_file", "Made up.")]) == [
        "audit.toml: nothing looks like whsec_of_no_… any more"
    ]


def test_a_folder_without_a_repository_is_read_and_its_history_said_to_be_unread(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_text(PLANTED["stripe"])
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "b").write_text(PLANTED["sendgrid"])
    scanned = scan(tmp_path)
    assert [one.places for one in scanned.found] == [("a:1",)]
    assert "git" in scanned.unread


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[secret]]\ntext = 'a'\n", "secret 1 needs `reason`, a text in quotes"),
        ("[[vulnerability]]\nid = 'CVE-1'\nreason = 'a'\n", "vulnerability 1 needs `until`, a day"),
        ("[[vulnerability]]\nid = 'CVE-1'\nreason = 'a'\nuntil = 'soon'\n", "needs `until`"),
        ("[[secret]]\ntext = 'a'\nreason = 'b'\nuntil = 2027-01-01\n", "an unknown key: until"),
        ("[[secrets]]\n", "unknown secrets"),
        ("secret", r"audit\.toml: "),
    ],
)
def test_a_fault_of_audit_toml_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read(path)
