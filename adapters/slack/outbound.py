"""Messages to one Slack channel through its incoming webhook.

**Docs**: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
**Answers**: `ok` as plain text; an error is one word as plain text with 400, 403, 404 or 410. The
URL is the credential, and is bound to one channel: an error of the URL (`no_service`,
`channel_is_archived`, `action_prohibited` ...) is not the delivery's fault and blocks the
destination. An error of a message (`invalid_payload`, `invalid_blocks` ...) is permanent.
**Quirks**: one message per second and channel, then 429 with `Retry-After`. There is no
idempotency key and no message id. After `rollup_error` (500), the message may have been posted.
`<!channel>` in `text` notifies every member. A URL can be checked only by a post that the channel
sees.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, fields, validate

from adapters.contract.answers import read_answer
from adapters.contract.outbound import (
    Action,
    Answer,
    Call,
    Effect,
    Outbound,
    Outcome,
    Probe,
    Transport,
    Verdict,
)
from adapters.contract.requests import check_said, check_url, json_body, load_parameters, rebase

BLOCKED_CODES = frozenset(
    {
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "posting_to_general_channel_denied",
        "team_disabled",
    }
)
BLOCKED_STATUSES = frozenset({401, 403, 404, 410})

_CODE = re.compile(r"[a-z_]{2,80}")
_NOWHERE = "https://hooks.slack.com/services/sandbox"


def _check_address(url: str) -> None:
    if url:
        check_url(url)


class _Settings(Schema):
    url = fields.String(load_default="", allow_none=True, validate=_check_address)


class _Post(Schema):
    text = fields.String(required=True, validate=[check_said, validate.Length(1, 40_000)])
    blocks = fields.List(fields.Dict(keys=fields.String()), validate=validate.Length(max=50))


class SlackOutbound(Outbound):
    """Adapter that posts messages to the channel of one incoming webhook."""

    name: ClassVar[str] = "slack"
    settings_schema: ClassVar[type[Schema]] = _Settings
    credentials: ClassVar[tuple[str, ...]] = ("url",)
    secrets: ClassVar[tuple[str, ...]] = ("url",)
    actions: ClassVar[Mapping[str, Action]] = {"post": Action(Effect.AT_MOST_ONCE, _Post)}

    def __init__(self, settings: Mapping[str, Any], transport: Transport) -> None:
        self._url = rebase(settings.get("url") or _NOWHERE, settings.get("base_url"))
        self._transport = transport

    def perform(self, call: Call) -> Outcome:
        message = load_parameters(self.actions[call.action].parameters, call.parameters)
        body = json_body(message, parameter="blocks")
        headers = {"content-type": "application/json; charset=utf-8"}
        answer = self._transport.send("POST", self._url, headers=headers, body=body)
        code = _code(answer)
        if answer.status // 100 == 2 and code != "ok":
            return read_answer(
                answer,
                provider="Slack",
                now=call.now,
                verdict=Verdict.IN_DOUBT,
                words="but not with `ok`",
            )
        return read_answer(
            answer,
            provider="Slack",
            now=call.now,
            verdict=_verdict(answer.status, code),
            code=None if code == "ok" else code,
            words=code or "",
        )

    def probe(self) -> Probe:
        return Probe(
            True, "not checked: whether a Slack address works shows only when something is posted"
        )

    def sandbox_answer(self, method: str, url: str) -> Answer:
        return Answer(200, {"content-type": "text/html"}, b"ok")


def _code(answer: Answer) -> str | None:
    text = answer.body[:100].decode("ascii", "replace").strip()
    return text if _CODE.fullmatch(text) else None


def _verdict(status: int, code: str | None) -> Verdict | None:
    if status in BLOCKED_STATUSES or (status // 100 == 4 and code in BLOCKED_CODES):
        return Verdict.BLOCKED
    return None
