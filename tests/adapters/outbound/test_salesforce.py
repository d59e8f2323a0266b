"""The salesforce destination: tokens got and renewed, and what each code of an answer means."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from marshmallow import ValidationError

from adapters import (
    AccountRefused,
    Answer,
    AnswerLost,
    Call,
    Effect,
    InvalidParameters,
    LookupVerdict,
    NotSent,
    Verdict,
)
from adapters.salesforce.outbound import SalesforceOutbound
from hub.gateways.http.transport import GuardedTransport
from tests.adapters.outbound.conftest import NOW
from tests.cases import each_of
from tests.gateways.servers import Far

Calls = Callable[..., Call]
Said = tuple[int, dict[str, str], bytes]

SECRET = "app-secret-0123456789"
APP = {"client_id": "3MVG9.app", "client_secret": SECRET}
USER = "hub@acme.example"
ATTEMPT = "0190f1c2-7a3b-7000-8000-000000000001.1"
KEY = "0190f1c2-7a3b-7000-8000-000000000001.2"
TOKEN_PATH = "/services/oauth2/token"
DATA = "/services/data/v62.0"
UPSERT = {
    "object": "Contact",
    "external_id_field": "Hub_Key__c",
    "external_id": "a/b c",
    "fields": {"LastName": "Doe", "Account": {"Key__c": "x"}, "Phone": "", "hub_key__c": "z"},
}
TASK = {"subject": "Call Jane"}
ACTIONS: dict[str, dict[str, Any]] = {"upsert": UPSERT, "create_task": TASK}


def says(status: int, value: Any, **headers: str) -> Said:
    return status, headers, json.dumps(value).encode()


def fault(status: int, code: str, message: str = "no") -> Said:
    return says(status, [{"errorCode": code, "message": message, "fields": []}])


def token(name: str = "00D!t1", **more: Any) -> Said:
    return says(200, {"access_token": name, "token_type": "Bearer", **more})


CREATED = says(201, {"id": "003A", "success": True, "errors": [], "created": True})
ENDED = fault(401, "INVALID_SESSION_ID", "Session expired or invalid")


def adapter(far: Far, transport: Any, **settings: Any) -> SalesforceOutbound:
    loaded = SalesforceOutbound.settings_schema().load(APP | settings)
    return SalesforceOutbound({**loaded, "base_url": far.url + "/"}, transport)


def requests_of(far: Far) -> list[tuple[str, str]]:
    return [(seen.method, urlsplit(seen.path).path) for seen in far.seen]


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"))


@pytest.fixture(scope="module")
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_a_record_is_upserted_by_its_external_id(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(token(), CREATED)
    outcome = adapter(far, transport).perform(call("upsert", UPSERT))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "003A")
    assert requests_of(far) == [
        ("POST", TOKEN_PATH),
        ("PATCH", f"{DATA}/sobjects/Contact/Hub_Key__c/a%2Fb%20c"),
    ]
    assert json.loads(far.seen[1].body) == {"LastName": "Doe", "Account": {"Key__c": "x"}}
    assert far.seen[1].headers["authorization"] == "Bearer 00D!t1"
    assert dict(parse_qsl(far.seen[0].body.decode())) == {
        "grant_type": "client_credentials",
        **APP,
    }


@pytest.mark.parametrize(
    "said",
    [says(200, {"id": "003A", "success": True, "errors": [], "created": False}), (204, {}, b"")],
)
def test_an_update_is_a_success(
    far: Far, transport: GuardedTransport, call: Calls, said: Said
) -> None:
    far.says(token(), said)
    assert adapter(far, transport).perform(call("upsert", UPSERT)).verdict is Verdict.SUCCEEDED


def test_a_task_is_created_with_the_attempt_in_its_last_line(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(token(), says(201, {"id": "00TA", "success": True, "errors": []}))
    parameters = {
        "subject": " Call Jane ",
        "who": "003000000000001AAA",
        "what": "001000000000001",
        "description": "She asked for it.\n",
        "status": "Not Started",
        "due_date": "2026-12-01",
    }
    outcome = adapter(far, transport).perform(call("create_task", parameters, attempt_id=ATTEMPT))
    assert (outcome.verdict, outcome.provider_ref) == (Verdict.SUCCEEDED, "00TA")
    assert requests_of(far)[1] == ("POST", f"{DATA}/sobjects/Task")
    assert json.loads(far.seen[1].body) == {
        "Subject": "Call Jane",
        "WhoId": "003000000000001AAA",
        "WhatId": "001000000000001",
        "Description": f"She asked for it.\n\nhub_attempt: {ATTEMPT}",
        "Status": "Not Started",
        "ActivityDate": "2026-12-01",
    }


def test_with_a_key_field_a_task_is_upserted_by_the_delivery_s_key(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(token(), CREATED)
    one = adapter(far, transport, task_key_field="Hub_Key__c", api_version="v60.0")
    assert one.perform(call("create_task", TASK, key=KEY)).verdict is Verdict.SUCCEEDED
    path = "/services/data/v60.0/sobjects/Task/Hub_Key__c/" + KEY.replace(".", "_")
    assert requests_of(far)[1] == ("PATCH", path)


def test_the_token_is_kept_until_it_is_old(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(token(), CREATED, CREATED, token("00D!t2"), CREATED)
    one = adapter(far, transport)
    one.perform(call("upsert", UPSERT))
    one.perform(call("upsert", UPSERT))
    later = Call("upsert", UPSERT, key="d", attempt_id="a", now=NOW + timedelta(hours=1))
    one.perform(later)
    assert [method for method, _ in requests_of(far)] == ["POST", "PATCH", "PATCH", "POST", "PATCH"]
    assert far.seen[4].headers["authorization"] == "Bearer 00D!t2"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_token_that_ended_is_renewed_once(
    far: Far, transport: GuardedTransport, call: Calls, action: str
) -> None:
    far.says(token(), ENDED, token("00D!t2"), CREATED)
    outcome = adapter(far, transport).perform(call(action, ACTIONS[action]))
    assert outcome.verdict is Verdict.SUCCEEDED
    sent = [seen.headers.get("authorization") for seen in far.seen]
    assert sent == [None, "Bearer 00D!t1", None, "Bearer 00D!t2"]
    assert far.seen[1].body == far.seen[3].body
    far.says(token(), ENDED, token("00D!t2"), ENDED)
    outcome = adapter(far, transport).perform(call(action, ACTIONS[action]))
    assert (outcome.verdict, len(far.seen)) == (Verdict.BLOCKED, 4)


def test_credentials_that_are_taken_back_block_the_account(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(token(), ENDED, says(400, {"error": "invalid_client_id"}))
    with pytest.raises(AccountRefused):
        adapter(far, transport).perform(call("upsert", UPSERT))


@pytest.mark.parametrize(
    "domain", ["acme.my.salesforce.com", "acme--uat.sandbox.my.salesforce.com"]
)
@pytest.mark.parametrize("written", ["\n", "\\n"])
def test_a_user_is_signed_in_by_the_app_s_key(
    call: Calls, app_key: rsa.RSAPrivateKey, domain: str, written: str
) -> None:
    settings = {
        "client_id": "3MVG9.app",
        "username": USER,
        "private_key": pem(app_key).replace("\n", written),
        "domain": domain,
    }
    loaded = SalesforceOutbound.settings_schema().load(settings)
    line = Line(token(instance_url="https://acme.my.salesforce.com"), CREATED)
    SalesforceOutbound(loaded, line).perform(call("upsert", UPSERT))
    assert line.urls[0] == f"https://{domain}{TOKEN_PATH}"
    form = dict(parse_qsl(line.bodies[0].decode()))
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    audience = "https://test.salesforce.com" if "uat" in domain else "https://login.salesforce.com"
    claims = jwt.decode(
        form["assertion"],
        app_key.public_key(),
        algorithms=["RS256"],
        audience=audience,
        options={"verify_exp": False},
    )
    expected = {"iss": "3MVG9.app", "sub": USER, "exp": int(NOW.timestamp()) + 180}
    assert claims == expected | {"aud": audience}


class Line:
    """Answers what it is told, noting what was asked; then the line breaks."""

    def __init__(self, *answers: Said) -> None:
        self._answers = [Answer(*said) for said in answers]
        self.urls: list[str] = []
        self.bodies: list[bytes] = []

    def send(self, method: str, url: str, *, headers: Any, body: bytes = b"") -> Answer:
        self.urls.append(url)
        self.bodies.append(body)
        if self._answers:
            return self._answers.pop(0)
        raise AnswerLost("gone")


@pytest.mark.parametrize(
    ("instance", "host"),
    [
        ("https://na1.salesforce.com/", "na1.salesforce.com"),
        ("http://na1.salesforce.com", "acme.my.salesforce.com"),
        ("https://a:b@na1.salesforce.com", "acme.my.salesforce.com"),
        ("nonsense", "acme.my.salesforce.com"),
        (None, "acme.my.salesforce.com"),
        (5, "acme.my.salesforce.com"),
    ],
)
def test_calls_go_where_the_token_says_if_that_is_an_address(
    call: Calls, instance: Any, host: str
) -> None:
    line = Line(token(instance_url=instance), CREATED)
    settings = APP | {"domain": "acme.my.salesforce.com", "api_version": "62.0"}
    SalesforceOutbound(settings, line).perform(call("upsert", UPSERT))
    assert urlsplit(line.urls[1]).netloc == host
    assert line.urls[1].startswith("https://")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (says(400, {"error": "invalid_client_id", "error_description": "client identifier"}),
         "into `client_id`"),
        (says(401, {"error": "invalid_client", "error_description": SECRET}), "`client_secret`"),
        (says(400, {"error": "invalid_grant", "error_description": "no client credentials user"}),
         "user to run as"),
        (says(400, {"error": "invalid_app_access"}), "use the connected app"),
        (says(400, {"error": "inactive_user"}), "Activate the user"),
        (says(400, {"error": "something_new", "error_description": USER}), "connected app"),
        (says(404, {}), "`domain`"),
        ((404, {}, b"<html>"), "`domain`"),
        ((200, {}, b"<html>"), "`domain`"),
        (says(200, {"access_token": "a\r\nb"}), "`domain`"),
        (says(200, {"access_token": 5}), "`domain`"),
        ((302, {"location": "https://login.salesforce.com"}, b""), "`domain`"),
    ],
)  # fmt: skip
def test_credentials_that_are_refused_say_what_to_mend(
    far: Far, transport: GuardedTransport, call: Calls, said: Said, words: str
) -> None:
    far.says(said)
    with pytest.raises(AccountRefused) as caught:
        adapter(far, transport).perform(call("create_task", TASK))
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)
    assert USER not in str(caught.value)
    assert len(far.seen) == 1


@pytest.mark.parametrize(
    "said",
    [says(500, {}), says(503, {}), says(429, {}), says(400, {"error": "login_rate_exceeded"})],
)
def test_a_token_that_is_not_to_be_had_now_was_no_call(
    far: Far, transport: GuardedTransport, call: Calls, said: Said
) -> None:
    far.says(said)
    with pytest.raises(NotSent):
        adapter(far, transport).perform(call("create_task", TASK))
    with pytest.raises(NotSent):
        adapter(far, Line()).perform(call("create_task", TASK))


def test_an_answer_lost_escapes_from_the_call_alone(far: Far, call: Calls) -> None:
    for action, parameters in ACTIONS.items():
        with pytest.raises(AnswerLost):
            adapter(far, Line(token())).perform(call(action, parameters))
        with pytest.raises(NotSent):
            adapter(far, Line(token(), ENDED)).perform(call(action, parameters))


@pytest.mark.parametrize(
    ("said", "verdict", "code", "wait_s"),
    [
        (fault(400, "REQUIRED_FIELD_MISSING"), "permanent", "REQUIRED_FIELD_MISSING", None),
        (fault(400, "DUPLICATES_DETECTED"), "permanent", "DUPLICATES_DETECTED", None),
        (fault(400, "DUPLICATE_VALUE"), "permanent", "DUPLICATE_VALUE", None),
        (fault(400, "UNABLE_TO_LOCK_ROW"), "not_processed", "UNABLE_TO_LOCK_ROW", 2),
        (fault(400, "STORAGE_LIMIT_EXCEEDED"), "blocked", "STORAGE_LIMIT_EXCEEDED", None),
        (fault(401, "INVALID_AUTH_HEADER"), "blocked", "INVALID_AUTH_HEADER", None),
        (fault(403, "REQUEST_LIMIT_EXCEEDED"), "not_processed", "REQUEST_LIMIT_EXCEEDED", 900),
        (fault(403, "API_DISABLED_FOR_ORG"), "blocked", "API_DISABLED_FOR_ORG", None),
        (fault(403, "FORBIDDEN"), "blocked", "FORBIDDEN", None),
        (fault(403, "INSUFFICIENT_ACCESS_OR_READONLY"), "permanent",
         "INSUFFICIENT_ACCESS_OR_READONLY", None),
        (fault(400, "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"), "permanent",
         "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", None),
        (fault(404, "NOT_FOUND"), "permanent", "NOT_FOUND", None),
        (fault(404, "ENTITY_IS_DELETED"), "permanent", "ENTITY_IS_DELETED", None),
        (fault(405, "METHOD_NOT_ALLOWED"), "permanent", "METHOD_NOT_ALLOWED", None),
        (fault(415, "UNSUPPORTED_MEDIA_TYPE"), "permanent", "UNSUPPORTED_MEDIA_TYPE", None),
        (fault(429, "X"), "not_processed", "X", None),
        (fault(500, "UNKNOWN_EXCEPTION"), "in_doubt", "UNKNOWN_EXCEPTION", None),
        (fault(500, "UNABLE_TO_LOCK_ROW"), "in_doubt", "UNABLE_TO_LOCK_ROW", None),
        (fault(503, "SERVER_UNAVAILABLE"), "in_doubt", "SERVER_UNAVAILABLE", None),
        ((502, {}, b"<html>"), "in_doubt", None, None),
        ((400, {}, b"<html>"), "permanent", None, None),
        ((403, {}, b"[]"), "blocked", None, None),
        (says(400, [5]), "permanent", None, None),
        (says(400, [{"errorCode": 5, "message": {}}]), "permanent", None, None),
        (says(400, {"errorCode": "ODD"}), "permanent", "ODD", None),
        (says(300, ["/services/data/v62.0/sobjects/Contact/003A"]), "permanent", None, None),
        ((200, {}, b"<html>"), "in_doubt", None, None),
        ((201, {}, b""), "in_doubt", None, None),
        (says(201, {"id": 5}), "in_doubt", None, None),
        (says(201, {"id": "003A", "success": False}), "in_doubt", None, None),
        (says(201, []), "in_doubt", None, None),
    ],
)  # fmt: skip
@each_of("action", ACTIONS)
def test_each_answer_has_its_verdict(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    action: str,
    said: Said,
    verdict: str,
    code: str | None,
    wait_s: float | None,
) -> None:
    far.says(token(), said)
    outcome = adapter(far, transport).perform(call(action, ACTIONS[action]))
    assert (outcome.verdict, outcome.status) == (verdict, said[0])
    assert (outcome.code, outcome.retry_after_s, outcome.provider_ref) == (code, wait_s, None)
    assert outcome.message.startswith(f"Salesforce answered {said[0]}")
    assert len(far.seen) == 2


def test_204_is_no_creation(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(token(), (204, {}, b""))
    assert adapter(far, transport).perform(call("create_task", TASK)).verdict is Verdict.IN_DOUBT


def test_several_matches_are_told(far: Far, transport: GuardedTransport, call: Calls) -> None:
    far.says(token(), says(300, ["/services/data/v62.0/sobjects/Contact/003A"]))
    message = adapter(far, transport).perform(call("upsert", UPSERT)).message
    assert "several records have this value in Hub_Key__c" in message
    assert "redirect" not in message


def test_who_was_created_meanwhile_is_updated_next_time(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    said = "duplicate value found: Hub_Key__c duplicates value on record with id: 003A"
    far.says(token(), fault(400, "DUPLICATE_VALUE", said))
    outcome = adapter(far, transport).perform(call("upsert", UPSERT))
    assert (outcome.verdict, outcome.retry_after_s) == (Verdict.NOT_PROCESSED, 2)


def test_a_key_that_is_not_found_is_explained(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    far.says(token(), fault(404, "NOT_FOUND", "The requested resource does not exist"))
    parameters = UPSERT | {"external_id": "jane@example.inc"}
    message = adapter(far, transport).perform(call("upsert", parameters)).message
    assert "use a key without" in message
    assert "jane" not in message


def test_the_message_holds_no_address_no_number_and_no_secret(
    far: Far, transport: GuardedTransport, call: Calls
) -> None:
    words = f"jane@example.org +44 20 7946 0000 {SECRET} 00D!t1"
    far.says(token(), fault(400, "INVALID_FIELD", words))
    message = adapter(far, transport).perform(call("upsert", UPSERT)).message
    assert message == "Salesforce answered 400: INVALID_FIELD; [e-mail] [phone] *** ***"


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("upsert", {}),
        ("upsert", UPSERT | {"object": "Contact/../x"}),
        ("upsert", UPSERT | {"object": ""}),
        ("upsert", UPSERT | {"external_id_field": "a-b"}),
        ("upsert", UPSERT | {"external_id": " "}),
        ("upsert", UPSERT | {"external_id": ".."}),
        ("upsert", UPSERT | {"external_id": "a\nb"}),
        ("upsert", UPSERT | {"external_id": "x" * 256}),
        ("upsert", UPSERT | {"external_id": True}),
        ("upsert", UPSERT | {"external_id": None}),
        ("upsert", UPSERT | {"fields": {"Id": "003A"}}),
        ("upsert", UPSERT | {"fields": {"a b": "c"}}),
        ("upsert", UPSERT | {"fields": {"a": float("nan")}}),
        ("upsert", UPSERT | {"fields": "x"}),
        ("upsert", UPSERT | {"extra": 1}),
        ("create_task", {}),
        ("create_task", {"subject": " "}),
        ("create_task", {"subject": "x" * 256}),
        ("create_task", TASK | {"who": "jane@example.org"}),
        ("create_task", TASK | {"what": "001"}),
        ("create_task", TASK | {"due_date": "tomorrow"}),
        ("create_task", TASK | {"due_date": "2026-02-30"}),
        ("create_task", TASK | {"status": ""}),
    ],
)
def test_what_cannot_be_sent_is_refused(
    far: Far, transport: GuardedTransport, call: Calls, action: str, parameters: Any
) -> None:
    with pytest.raises(InvalidParameters):
        adapter(far, transport).perform(call(action, parameters))
    assert far.seen == []


def records(*tasks: dict[str, Any], done: bool = True) -> Said:
    return says(200, {"totalSize": len(tasks), "done": done, "records": list(tasks)})


OURS = {"Id": "00TA", "Description": f"x\n\nhub_attempt: {ATTEMPT}"}
OTHER = {"Id": "00TB", "Description": f"hub_attempt: {ATTEMPT}0"}


@pytest.mark.parametrize(
    ("said", "verdict", "ref"),
    [
        (records(OTHER, {"Id": "00TC", "Description": None}, OURS), LookupVerdict.THERE, "00TA"),
        (records(OTHER), LookupVerdict.NOT_THERE, None),
        (records(), LookupVerdict.NOT_THERE, None),
        (records(*[OTHER] * 2000), LookupVerdict.CANNOT_TELL, None),
        (records(OTHER, done=False), LookupVerdict.CANNOT_TELL, None),
        (says(200, {"records": [5], "done": True}), LookupVerdict.CANNOT_TELL, None),
        (says(200, {}), LookupVerdict.CANNOT_TELL, None),
        ((200, {}, b"<html>"), LookupVerdict.CANNOT_TELL, None),
        (fault(400, "INVALID_FIELD"), LookupVerdict.CANNOT_TELL, None),
        (fault(503, "SERVER_UNAVAILABLE"), LookupVerdict.CANNOT_TELL, None),
    ],
)
def test_a_task_is_looked_up_by_the_attempt(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    verdict: LookupVerdict,
    ref: str | None,
) -> None:
    far.says(token(), said)
    asked = call("create_task", TASK, attempt_id=ATTEMPT)
    lookup_result = adapter(far, transport).look_up(asked, NOW)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (verdict, ref)
    soql = parse_qs(urlsplit(far.seen[1].path).query)["q"][0]
    assert soql == (
        "SELECT Id, Description FROM Task WHERE CreatedDate >= 2026-11-20T11:55:00Z "
        "AND CreatedDate <= 2026-11-20T12:07:00Z LIMIT 2000"
    )


@pytest.mark.parametrize(
    ("said", "verdict", "ref"),
    [
        (records({"Id": "00TA"}), LookupVerdict.THERE, "00TA"),
        (records(), LookupVerdict.NOT_THERE, None),
        (fault(400, "INVALID_FIELD"), LookupVerdict.CANNOT_TELL, None),
    ],
)
def test_a_task_is_looked_up_by_its_key(
    far: Far,
    transport: GuardedTransport,
    call: Calls,
    said: Said,
    verdict: LookupVerdict,
    ref: str | None,
) -> None:
    far.says(token(), ENDED, token("00D!t2"), said)
    one = adapter(far, transport, task_key_field="Hub_Key__c")
    lookup_result = one.look_up(call("create_task", TASK, key="d'1.2"), NOW)
    assert (lookup_result.verdict, lookup_result.provider_ref) == (verdict, ref)
    soql = parse_qs(urlsplit(far.seen[3].path).query)["q"][0]
    assert soql == "SELECT Id FROM Task WHERE Hub_Key__c = 'd_1_2' LIMIT 1"


def test_an_answer_lost_while_looking_up_is_no_doubt(far: Far, call: Calls) -> None:
    with pytest.raises(NotSent):
        adapter(far, Line(token())).look_up(call("create_task", TASK), NOW)
    assert (
        adapter(far, Line()).look_up(call("upsert", UPSERT), NOW).verdict
        is LookupVerdict.CANNOT_TELL
    )


@pytest.mark.parametrize(
    ("answers", "ok", "words"),
    [
        ([token(), says(200, {"sobjects": "/"})], True, "accepts the credentials"),
        ([says(401, {"error": "invalid_client"})], False, "`client_secret`"),
        ([token(), fault(401, "INVALID_SESSION_ID")], False, "scope `api`"),
        ([token(), fault(403, "API_DISABLED_FOR_ORG")], False, "`API Enabled`"),
        ([token(), fault(404, "NOT_FOUND")], False, "`api_version`"),
        ([token(), says(503, {})], False, "try again later"),
        ([says(503, {})], False, "try again later"),
        ([says(404, {})], False, "`domain`"),
    ],
)
def test_the_probe_says_what_to_mend(
    far: Far, transport: GuardedTransport, answers: list[Said], ok: bool, words: str
) -> None:
    far.says(*answers)
    probe = adapter(far, transport).probe()
    assert probe.ok is ok
    assert words in probe.message
    assert SECRET not in probe.message


def test_the_probe_of_a_key_takes_the_time_from_salesforce(app_key: rsa.RSAPrivateKey) -> None:
    settings = {"client_id": "app", "username": USER, "private_key": pem(app_key), "domain": "a.b"}
    there: Said = (200, {"date": "Fri, 20 Nov 2026 12:00:00 GMT"}, b"[]")
    line = Line(there, token(), says(200, {}))
    assert SalesforceOutbound(settings, line).probe().ok
    assertion = dict(parse_qsl(line.bodies[1].decode()))["assertion"]
    claims = jwt.decode(assertion, options={"verify_signature": False})
    assert claims["exp"] == int(NOW.timestamp()) + 180
    probe = SalesforceOutbound(settings, Line((200, {}, b"[]"))).probe()
    assert not probe.ok
    assert "without a date" in probe.message


def test_its_classes() -> None:
    actions = SalesforceOutbound.actions
    assert {name: action.effect for name, action in actions.items()} == {
        "upsert": Effect.NATURAL,
        "create_task": Effect.AT_MOST_ONCE,
    }
    assert actions["create_task"].supports_lookup


def test_settings_that_cannot_work_are_refused(app_key: rsa.RSAPrivateKey) -> None:
    for settings in (
        {"private_key": "nonsense", "username": USER},
        {"private_key": pem(app_key)},
        {"private_key": pem(ec.generate_private_key(ec.SECP256R1())), "username": USER},
        {"domain": "https://acme.my.salesforce.com"},
        {"api_version": "latest"},
        {"task_key_field": "a b"},
        {"unknown": 1},
    ):
        with pytest.raises(ValidationError) as caught:
            SalesforceOutbound.settings_schema().load(settings)
        assert "PRIVATE" not in str(caught.value)


def test_what_it_needs_to_be_live() -> None:
    assert SalesforceOutbound.secrets == ("client_secret", "private_key")
    missing = [("client_id",), ("client_secret", "private_key"), ("domain", "base_url")]
    assert SalesforceOutbound.missing({}) == missing
    assert SalesforceOutbound.missing(APP | {"domain": "a.b"}) == []
    assert SalesforceOutbound.missing({"client_id": "a", "private_key": "k", "base_url": "x"}) == []
