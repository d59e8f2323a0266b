"""`hub check` of the credentials of each destination: four outcomes, each with a remedy.

An adapter whose credentials can be probed adds a row to `FAKES`; the others are in `NOT_TRIED`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters import registry
from hub.cli.checks import FAULT, NOTE, OK, Finding
from hub.cli.checks.accounts import check_accounts
from hub.config import load_config
from tests.adapters.outbound.accounts import ACCOUNTS, SECRETS
from tests.gateways.servers import Far, http_server

Said = tuple[int, dict[str, str], bytes]


def says(status: int, value: Any) -> Said:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()


@dataclass(frozen=True)
class Fake:
    """Provider answers to a valid key, an invalid one, and one that lacks a permission.

    `wrong_says` and `forbidden_says` are the remedies that the operator must read then.
    """

    good: tuple[Said, ...]
    wrong: tuple[Said, ...]
    wrong_says: str
    forbidden: tuple[Said, ...]
    forbidden_says: str


TOKEN = says(200, {"access_token": "t", "token_type": "Bearer"})
FAKES = {
    "hubspot": Fake(
        (says(200, {"results": []}),),
        (says(401, {"category": "INVALID_AUTHENTICATION", "message": "no"}),),
        "Put the access token of a private app into `token`",
        (says(403, {"category": "MISSING_SCOPES", "message": "no"}),),
        "crm.objects.contacts.write",
    ),
    "pipedrive": Fake(
        (says(200, {"success": True, "data": []}),),
        (says(401, {"success": False, "error": "unauthorized access"}),),
        "Put the API token of a user into `api_token`",
        (says(403, {"success": False, "error": "Forbidden"}),),
        "Permission sets",
    ),
    "salesforce": Fake(
        (TOKEN, says(200, {"sobjects": "/services/data/v62.0/sobjects"})),
        (says(401, {"error": "invalid_client", "error_description": "invalid credentials"}),),
        "into `client_id` and `client_secret`",
        (TOKEN, says(403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}])),
        "`API Enabled`",
    ),
    "sendgrid": Fake(
        (says(200, {"scopes": ["mail.send"]}),),
        (says(401, {"errors": [{"message": "authorization required"}]}),),
        "Put an API key of the account into `api_key`",
        (says(403, {"errors": [{"message": "access forbidden"}]}),),
        "the permission Mail Send",
    ),
    "stripe": Fake(
        (says(200, {"object": "list", "data": []}),),
        (says(401, {"error": {"type": "invalid_request_error", "message": "no"}}),),
        "into `api_key`",
        (says(403, {"error": {"type": "invalid_request_error", "message": "no"}}),),
        "Give the restricted key leave",
    ),
    "twilio": Fake(
        (says(200, {"sid": "AC0123456789abcdef0123456789abcdef"}),),
        (says(401, {"code": 20003, "message": "Authenticate", "status": 401}),),
        "Put the SID of the account into `account_sid` and its token into `auth_token`",
        (says(403, {"code": 20003, "message": "Forbidden", "status": 403}),),
        "See in Twilio's console whether the account may use the API",
    ),
}
NOT_TRIED = {
    "http": "a GET or HEAD of a webhook's address starts what an automation service has there",
    "slack": "a webhook's address shows that it works by a post that the channel sees alone",
}


@pytest.fixture
def far() -> Iterator[Far]:
    with http_server() as far:
        yield far


def configured(folder: Path, name: str, **more: Any) -> Path:
    path = folder / "hub.yaml"
    destination = {"adapter": name} | ACCOUNTS[name] | more
    path.write_text(json.dumps({"destinations": {"it": destination}}))  # JSON is YAML
    return path


def check(folder: Path, name: str, **more: Any) -> Finding:
    configuration = load_config(
        configured(folder, name, **more), {}, published_secrets_allowed=True, allow_private=True
    )
    [finding] = check_accounts(configuration, allow_private=True)
    assert finding.subject == "destination it"
    assert finding.message.startswith(f"{name}: ")
    assert SECRETS[name] not in finding.message
    return finding


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"id_path": "header:X-Id"}, ["signs its id,", "count once if a time is in them"]),
        ({"type_path": "header:X-Kind"}, ["signs its type,", "send it first as another type"]),
        ({"id_path": "header:X-Id", "type_path": "header:X-Kind"}, ["signs its id and type,"]),
        ({"id_path": "header:X-Id", "signs": "{header:X-Id}{body}"}, []),
        ({"id_path": "data.id"}, []),
    ],
)
def test_an_id_or_a_type_that_nobody_signs_is_noted(
    tmp_path: Path, settings: dict[str, str], told: list[str]
) -> None:
    path = tmp_path / "hub.yaml"
    source = {"adapter": "hmac", "secrets": ["acme_secret_number_one"], "header": "X-Signature"}
    path.write_text(json.dumps({"sources": {"acme": source | settings}}))
    configuration = load_config(path, {}, published_secrets_allowed=True, allow_private=True)
    notes = [one.message for one in check_accounts(configuration, allow_private=True)]
    noted = [one for one in notes if "signs its" in one]
    assert len(noted) == bool(told)
    assert all(words in noted[0] for words in told)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            {"adapter": "github"},
            "changes of members and teams, and others, the same bytes",
        ),
        ({"adapter": "shopify"}, "topics whose body has no `updated_at`"),
        (
            {"adapter": "hmac", "header": "X-Signature"},
            "requests without an id (no `id_path`)",
        ),
        ({"adapter": "hmac", "header": "X-Signature", "id_path": "id"}, None),
        (
            {"adapter": "hmac", "header": "X-Signature", "id_path": "header:X-Id"},
            "bodies in which no time stands, the same bytes",
        ),
        ({"adapter": "stripe"}, None),
    ],
)
def test_what_a_captured_request_without_a_time_can_do_is_noted(
    tmp_path: Path, source: dict[str, Any], words: str | None
) -> None:
    path = tmp_path / "hub.yaml"
    path.write_text(
        json.dumps({"sources": {"acme": source | {"secrets": ["acme_secret_number_one"]}}})
    )
    configuration = load_config(path, {}, published_secrets_allowed=True, allow_private=True)
    found = check_accounts(configuration, allow_private=True)
    notes = [one.message for one in found if "a new one after" in one.message]
    assert len(notes) == (words is not None)
    assert all(words in note and "one event for 5 minutes" in note for note in notes if words)


def test_each_adapter_is_tried_or_there_is_a_reason_why_not() -> None:
    assert FAKES.keys() | NOT_TRIED.keys() >= set(registry.OUTBOUND)
    assert not FAKES.keys() & NOT_TRIED.keys()


@pytest.mark.parametrize("name", FAKES)
def test_four_sentences_tell_four_troubles_apart(tmp_path: Path, far: Far, name: str) -> None:
    fake = FAKES[name]
    far.says(*fake.good)
    good = check(tmp_path, name, base_url=far.url)
    far.says(*fake.wrong)
    wrong = check(tmp_path, name, base_url=far.url)
    far.says(*fake.forbidden)
    forbidden = check(tmp_path, name, base_url=far.url)
    unreachable = check(tmp_path, name, base_url="http://127.0.0.1:1")
    findings = [good, wrong, forbidden, unreachable]
    assert [finding.level for finding in findings] == [OK, FAULT, FAULT, FAULT]
    assert len({finding.message for finding in findings}) == 4
    assert "accepts" in good.message
    assert fake.wrong_says in wrong.message
    assert fake.forbidden_says in forbidden.message
    assert "unreachable: 127.0.0.1: refused the connection" in unreachable.message
    assert "the address right?" in unreachable.message


@pytest.mark.parametrize("name", FAKES)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_in_trouble_is_not_taken_for_a_wrong_key(
    tmp_path: Path, far: Far, name: str, status: int
) -> None:
    far.says(says(status, {}))
    finding = check(tmp_path, name, base_url=far.url)
    assert finding.level == FAULT
    assert FAKES[name].wrong_says not in finding.message
    assert FAKES[name].forbidden_says not in finding.message
    assert str(status) in finding.message
    assert "try again later" in finding.message


@pytest.mark.parametrize("name", FAKES)
def test_another_address_than_the_provider_s_is_told(tmp_path: Path, far: Far, name: str) -> None:
    far.says((404, {}, b"<html>"))
    message = check(tmp_path, name, base_url=far.url).message
    assert "`base_url`" in message or "`domain`" in message


@pytest.mark.parametrize("name", NOT_TRIED)
def test_what_is_not_tried_says_so_and_calls_nobody(tmp_path: Path, far: Far, name: str) -> None:
    finding = check(tmp_path, name, base_url=far.url)
    assert finding.level == OK
    assert "not checked" in finding.message
    assert far.seen == []


@pytest.mark.parametrize("name", sorted(registry.OUTBOUND))
def test_the_sandbox_calls_nobody(tmp_path: Path, far: Far, name: str) -> None:
    finding = check(tmp_path, name, base_url=far.url, mode="sandbox")
    assert finding.level == NOTE
    assert "plays in sandbox" in finding.message
    assert far.seen == []
