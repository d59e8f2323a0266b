"""Access tokens by OAuth: with the app's secret, or with a JWT that the app's key signs."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from marshmallow import ValidationError

from adapters.contract.access_tokens import Grant
from adapters.contract.answers import date_of, read, read_object, safe_words
from adapters.contract.errors import AccountRefused, NotSent
from adapters.contract.outbound import Answer, Transport
from adapters.contract.requests import check_url

# How long a token is used: the answer does not say when it expires, and each org decides that.
LIFE = timedelta(minutes=50)

PATH = "/services/oauth2/token"
# Advice to the operator by the `error` of a refused token request.
MENDS = {
    "invalid_client_id": "Put the consumer key of your connected app into `client_id`",
    "invalid_client": "Put the consumer key and secret of one connected app into `client_id` and "
    "`client_secret`",
    "invalid_grant": "With a secret: switch on the client credentials flow of the app, and give "
    "it a user to run as. With a key: is its certificate in the app, is the app approved for "
    "`username`, and is the machine's clock right?",
    "invalid_app_access": "Let the user (or its profile) use the connected app",
    "inactive_user": "Activate the user in Salesforce, or put another into `username`",
    "inactive_org": "The org is locked or closed: ask Salesforce",
    "unsupported_grant_type": "Switch on the flow that the settings ask for in the connected app",
}

_TEST, _LIVE = "https://test.salesforce.com", "https://login.salesforce.com"
_JWT_LIFE_S = 180
_PASSING = frozenset({"login_rate_exceeded", "rate_limit_exceeded", "temporarily_unavailable"})


class NoTokenNow(NotSent):
    """Temporary failure: Salesforce answered, but neither issued nor finally refused a token."""


def check_private_key(text: str) -> None:
    """Validate an RSA key as PEM, without a password (a marshmallow validator).

    Raises:
        ValidationError: the text is not such a key; the message never contains it.
    """
    if text.strip():
        try:
            _private_key(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class Authorization:
    """Token requests for one org; `ask` is the callback for `AccessTokens`."""

    def __init__(self, settings: Mapping[str, Any], home: str, transport: Transport) -> None:
        given = {
            key: (settings.get(key) or "").strip()
            for key in ("client_id", "client_secret", "username", "private_key")
        }
        self._client_id, self._secret = given["client_id"], given["client_secret"]
        self._username = given["username"]
        self._key = _private_key(given["private_key"]) if given["private_key"] else None
        self._home, self._transport = home, transport
        is_test = any(
            ".sandbox." in where.lower() for where in (home, settings.get("domain") or "")
        )
        self._audience = _TEST if is_test else _LIVE
        self._token = ""

    @property
    def hidden(self) -> tuple[str, ...]:
        """Return the texts that no message may show: the secret and the token."""
        return self._secret, self._token

    def ask(self, now: datetime | None) -> Grant:
        """Request a new token; if `now` is None, Salesforce's own time is used.

        A lost response is harmless, and the request may be repeated: client credentials and a JWT
        stay good, and neither grant has a refresh token that it would replace.

        Raises:
            AccountRefused: there is no token; the message says what to correct.
            NotSent: there was no answer, or an inconclusive one (`NoTokenNow`).
        """
        if now is None:
            now = self._time_there() if self._key else datetime.min.replace(tzinfo=UTC)
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }
        form = urlencode(self._form(now)).encode("ascii")
        answer = read(self._transport, self._home + PATH, headers=headers, method="POST", body=form)
        return self._grant(answer, now)

    def _form(self, now: datetime) -> dict[str, str]:
        if self._key is not None:
            grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
            return {"grant_type": grant_type, "assertion": self._jwt(self._key, now)}
        return {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret,
        }

    def _jwt(self, key: RSAPrivateKey, now: datetime) -> str:
        claims = {
            "iss": self._client_id,
            "sub": self._username,
            "aud": self._audience,
            "exp": int(now.timestamp()) + _JWT_LIFE_S,
        }
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = key.sign(signed.encode("ascii"), PKCS1v15(), SHA256())
        return f"{signed}.{_base64(signature)}"

    def _grant(self, answer: Answer, now: datetime) -> Grant:
        told = read_object(answer) or {}
        token = told.get("access_token")
        if answer.status // 100 == 2 and isinstance(token, str) and _is_token(token):
            self._token = token
            return Grant(token, now + LIFE, _address(told.get("instance_url")))
        error = told.get("error") if isinstance(told.get("error"), str) else ""
        said = f"Salesforce answered {answer.status} when asked for a token"
        if answer.status >= 500 or answer.status == 429:
            raise NoTokenNow(said)
        if isinstance(error, str) and error in _PASSING:
            raise NoTokenNow(said)
        if not error:
            raise AccountRefused(f"{said}. Is `domain` your org's own (acme.my.salesforce.com)?")
        words = safe_words(f"{error}; {told.get('error_description', '')}", self._hidden_here())
        mend = MENDS.get(error, "Check the connected app and the settings of the destination")
        raise AccountRefused(f"{said}: {words.rstrip('; ')}. {mend}")

    def _hidden_here(self) -> tuple[str, ...]:
        return self._secret, self._client_id, self._username

    def _time_there(self) -> datetime:
        """Return Salesforce's time, from the `Date` header of an answer that needs no token."""
        answer = read(self._transport, f"{self._home}/services/data/", headers={})
        at = date_of(answer)
        if at is None:
            raise AccountRefused(
                f"Salesforce answered {answer.status} without a date. Is `domain` your org's own?"
            )
        return at


def _private_key(text: str) -> RSAPrivateKey:
    """Return the key; a written-out `\\n` is a line end too, as in environment variables."""
    try:
        key = load_pem_private_key(text.strip().replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("is not a private key as PEM, without a password") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is not an RSA key, which Salesforce asks for")
    return key


def _is_token(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _address(url: object) -> str | None:
    """Return `instance_url` if it is a URL that a token may be sent to (https), else None."""
    address = str(url or "").rstrip("/")
    try:
        check_url(address)
    except ValidationError:
        return None
    return address if address.startswith("https://") else None


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")
