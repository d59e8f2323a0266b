"""Destinations with two ways to authenticate: either suffices, half of one is a fault."""

from pathlib import Path

import pytest

from hub.config import load_config
from tests.config.test_errors import faults_of

OAUTH = "client_id: a, client_secret: b, refresh_token: c"


def crm(keys: str) -> str:
    return f"destinations:\n  crm: {{adapter: hubspot, {keys}}}\n"


def sandbox(folder: Path, text: str) -> bool:
    path = folder / "hub.yaml"
    path.write_text(text)
    return load_config(path, environ={}, published_secrets_allowed=True).destinations["crm"].sandbox


def test_live_needs_either(tmp_path: Path) -> None:
    assert faults_of(tmp_path, crm("mode: live")) == [
        "2: destinations.crm.mode: `live` needs `token` or `refresh_token`; leave `mode` away to "
        "play in the sandbox without"
    ]
    for keys in ("token: t", OAUTH):
        assert not sandbox(tmp_path, crm(f"mode: live, {keys}"))


def test_half_of_one_way_is_a_fault_and_no_sandbox(tmp_path: Path) -> None:
    assert faults_of(tmp_path, crm("client_id: a, client_secret: b")) == [
        "2: destinations.crm.refresh_token: OAuth needs `refresh_token` too"
    ]
    assert faults_of(tmp_path, crm(f"token: t, {OAUTH}")) == [
        "2: destinations.crm.token: give either `token` or OAuth, not both"
    ]


@pytest.mark.parametrize(
    ("keys", "plays"),
    [
        ("token: ''", True),
        ("token: '', client_id: '', client_secret: '', refresh_token: ''", True),
        ("token: t", False),
        (OAUTH, False),
        (f"mode: sandbox, {OAUTH}", True),
    ],
)
def test_without_either_it_plays_in_the_sandbox(keys: str, plays: bool, tmp_path: Path) -> None:
    assert sandbox(tmp_path, crm(keys)) is plays
