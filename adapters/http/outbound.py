"""Signed webhooks to any HTTP endpoint.

**Docs**: https://www.standardwebhooks.com (specification 1.0.0); RFC 9110.
**Answers**: any 2xx is success, whatever its body. Otherwise the shared table applies; the message
is the text under `error`, `message`, `detail` or `title` of a JSON body, and no other part of the
body, which may echo the request.
**Quirks**: `webhook-id` is the delivery's key and the body has the same bytes on every attempt, so
the receiver can recognise a repetition; `webhook-timestamp` is the time of the attempt. A dot in
a key (a replay's `<delivery>.2`) becomes `_`: the scheme separates the signed parts by dots.
Without `secret` nothing is sent, since an unsigned webhook proves nothing. There is no harmless
request that checks a webhook URL: automation services run on a GET or HEAD too.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from marshmallow import Schema, ValidationError, fields

from adapters.contract.answers import read_answer, read_object
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    Outbound,
    Outcome,
    Probe,
    Transport,
)
from adapters.contract.requests import check_header, check_url, json_body, load_parameters, rebase
from adapters.contract.signatures.standard_webhooks import (
    sign_standard_webhook,
    standard_webhook_key,
)

# Headers of the connection itself. Like `webhook-…` and `proxy-…`, they cannot be configured.
OURS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)

MIN_KEY_BYTES = 16

CREDENTIALS = frozenset({"authorization", "cookie", "x-api-key"})
_WORDS = ("error", "message", "detail", "title")
_PATH_SAFE = "/%:@!$&'()*+,;=-._~"


def _check_secret(secret: str) -> None:
    try:
        good = not secret.strip() or len(standard_webhook_key(secret.strip())) >= MIN_KEY_BYTES
    except ValueError:
        good = False
    if not good:
        raise ValidationError(
            "expected `whsec_` and the base64 of 24 to 64 random bytes, or a text of 16 or more"
        )


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        check_header(name, value)
        if name.lower() in OURS or name.lower().startswith(("webhook-", "proxy-")):
            raise ValidationError(f"{name.lower()}: is set by the hub")


def _check_own_headers(headers: Mapping[str, str]) -> None:
    """Validate the headers of one call: they are stored with it, so credentials are rejected."""
    _check_headers(headers)
    for name in headers:
        if name.lower() in CREDENTIALS:
            raise ValidationError(f"{name.lower()}: belongs into the destination's `headers`")


def _check_body(body: object) -> None:
    if not isinstance(body, Mapping | list | str):
        raise ValidationError("expected a mapping, a list or a text")


def _check_path(path: str) -> None:
    if "?" in path or "#" in path:
        raise ValidationError("expected a path without ? and #; a query belongs into `url`")
    plain = unquote(path)
    if not plain.isprintable() or "\\" in plain or "//" in plain:
        raise ValidationError("expected a path like orders/42")
    if {".", ".."} & set(unquote(plain).split("/")):
        raise ValidationError("expected a path without . and ..")


class _Settings(Schema):
    url = fields.String(required=True, validate=check_url)
    secret = fields.String(load_default="", allow_none=True, validate=_check_secret)
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), load_default=dict, validate=_check_headers
    )


class _Parameters(Schema):
    body = fields.Raw(allow_none=True, validate=_check_body)
    headers = fields.Dict(keys=fields.String(), values=fields.String(), validate=_check_own_headers)
    path = fields.String(validate=_check_path)


class HttpOutbound(Outbound):
    """Adapter that posts, patches or puts bodies to one URL, signed by Standard Webhooks."""

    name: ClassVar[str] = "http"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = ("secret",)
    secrets: ClassVar[tuple[str, ...]] = ("secret", "headers")
    actions: ClassVar[Mapping[str, Action]] = {
        "post": Action(Effect.KEYED, _Parameters),
        "patch": Action(Effect.KEYED, _Parameters),
        "put": Action(Effect.NATURAL, _Parameters),
    }

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._url = rebase(settings["url"], settings.get("base_url"))
        self._secret = (settings.get("secret") or "").strip()
        self._headers: Mapping[str, str] = settings.get("headers") or {}
        self._transport = transport

    def perform(self, call: Call) -> Outcome:
        parameters = load_parameters(self.actions[call.action].parameters, call.parameters)
        body, content_type = _encode(parameters.get("body"))
        headers = {"content-type": content_type} if content_type else {}
        for chosen in (self._headers, parameters.get("headers", {})):
            headers |= {name.lower(): value for name, value in chosen.items()}
        headers |= self._signature(call, body)
        url = _append(self._url, parameters.get("path", ""))
        answer = self._transport.send(call.action.upper(), url, headers=headers, body=body)
        host = urlsplit(self._url).hostname or ""
        return read_answer(
            answer, provider=host, now=call.now, words=_words(answer), hide=[self._secret]
        )

    def probe(self) -> Probe:
        return Probe(
            True, "not checked: whether a webhook address works shows only when something is sent"
        )

    def sandbox_answer(self, method: str, url: str) -> Answer:
        return Answer(204, {}, b"")

    def _signature(self, call: Call, body: bytes) -> dict[str, str]:
        """Return the signature headers; none without a secret, that is, in the sandbox."""
        if not self._secret:
            return {}
        message_id = call.key.replace(".", "_")
        return sign_standard_webhook(self._secret, message_id, int(call.now.timestamp()), body)


def _encode(body: Any) -> tuple[bytes, str | None]:
    if body is None:
        return b"", None
    if isinstance(body, str):
        return body.encode(errors="replace"), "text/plain; charset=utf-8"
    return json_body(body, parameter="body"), "application/json"


def _append(url: str, path: str) -> str:
    """Return `url` with `path` below its own path, before its query."""
    if not path.strip("/"):
        return url
    parts = urlsplit(url)
    below = quote(path.lstrip("/"), safe=_PATH_SAFE)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{below}").geturl()


def _words(answer: Answer) -> str:
    told = read_object(answer) or {}
    return next((told[key] for key in _WORDS if isinstance(told.get(key), str)), "")
