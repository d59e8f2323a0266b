"""GitHub's webhooks: pushes, issues, pull requests, releases, runs and all its other events.

**Docs**: https://docs.github.com/en/webhooks/webhook-events-and-payloads ·
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries ·
https://docs.github.com/en/rest/repos/webhooks (the list of deliveries)

**Signs**: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body, even if that is a
form. Without a secret there is no signature, and the older `X-Hub-Signature` (SHA-1) alone is not
accepted. It contains no time and supports no rotation: while a secret is replaced, configure both.

**Re-sends**: never automatically; manually for 3 days. Deliveries that the hub missed can be
listed: `hook` (`owner/repo/123`, the number is in the URL of the hook's page) and `api_token`
(fine-grained, permission "Webhooks: read").

**Answers**: any 2xx within 10 s; the body is shown on the hook's page.

**Quirks**: the type is `<X-GitHub-Event>.<action>`, or the event alone if there is no action
(`push`, `ping`). None has a canonical type. Event and delivery id are in headers that are not
signed, so neither decides anything: a fact is known by the digest of its payload, under any id. A
payload that has no time of its own (a dispatch, a member who is added again) may come again as
another event, and is one fact for 5 minutes only. An event that the payload contradicts, or that is
not named, is `github.webhook` with the `reason` in `data`. `X-GitHub-Delivery` is the same for
every hook that receives one event, and for a redelivery; without it the digest is the id. The
content type may be `application/x-www-form-urlencoded`, with the JSON in `payload`. No field has
the time of the event: `occurred_at` is the `Date` of a listed delivery, else the time of arrival.
Payloads have up to 25 MB, most far less than 1 MB; the source's `max_bytes` is the limit here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from adapters.contract.errors import Unreadable
from adapters.contract.event import UNTIMED_WINDOW_S, Event
from adapters.contract.fields import external_id, is_id
from adapters.contract.form_bodies import media_type, read_form
from adapters.contract.inbound import Inbound, ListedRecord, Sample
from adapters.contract.outbound import Transport
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.hmac import sign_hmac, verify_hmac
from adapters.contract.strict_json import digest, read_json
from adapters.github.event_keys import contradiction, is_unique
from adapters.github.listing import list_deliveries
from adapters.github.settings import GithubSettings

NATIVE_TYPES: Mapping[str, str] = {}

IGNORED_TYPES = {
    "ping": "says that the hook was made; nothing happened in the repository",
}

# The delivery stands in a header; the payload of another one is another one too.
SAMPLES = SampleFiles(
    "adapters.github",
    ("issues.opened", "push", "ping"),
    derived=r'(?<="after":")[0-9a-f]{40}|(?<="issue":\{"id":)[0-9]+|(?<="hook_id":)[0-9]+',
)

_SIGNATURE = "X-Hub-Signature-256"
_PREFIX = "sha256="
_FORM = "application/x-www-form-urlencoded"
_TYPE_LENGTH = 100
_UNNAMED = "webhook"


class GithubInbound(Inbound):
    """Adapter for the webhooks of a repository, an organisation or an app."""

    name = "github"
    settings_schema = GithubSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    secret_keys = ("secrets", "api_token")
    lists = True
    setup = (
        "In the repository or organization open Settings, Webhooks, Add webhook.",
        "Paste the address above as Payload URL; content type application/json.",
        "Make up a long secret, put it there and into `secrets` of this source, and restart "
        "the hub.",
        "Choose the events and save: GitHub sends a ping at once.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._secrets = tuple(settings["secrets"])

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the secret that signed the request."""
        header = request.headers.get(_SIGNATURE.lower())
        return verify_hmac(self._secrets, header, request.body, name=_SIGNATURE, prefix=_PREFIX)

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the one event of a GitHub webhook."""
        native = _payload(request)
        data: dict[str, Any] = {"native": native}
        try:
            native_type = _native_type(request, native)
        except Unreadable as error:
            native_type, data["reason"] = _UNNAMED, str(error)
        fact_key = f"payload:{digest(native).hex()}"
        delivery = request.headers.get("x-github-delivery")
        return [
            Event(
                type=f"github.{native_type}",
                native_type=native_type,
                external_id=str(delivery) if is_id(delivery) else fact_key,
                occurred_at=_sent_at(request),
                data=data,
                fact_key=fact_key,
                fact_window_s=None if is_unique(native) else UNTIMED_WINDOW_S,
                fingerprint=digest(native),
            )
        ]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return a signed webhook of that type; `external_id` is its delivery."""
        body = SAMPLES.body(native_type, external_id, now)
        headers = {
            "content-type": "application/json",
            "user-agent": "GitHub-Hookshot/0000000",
            "x-github-event": native_type.partition(".")[0],
            "x-github-delivery": external_id,
            "x-hub-signature-256": _PREFIX + sign_hmac(self._secrets[0], body),
        }
        return Sample(body, headers)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types

    @property
    def untimed(self) -> str:
        """Events whose payload has no time of its own."""
        return "dispatches, pings, changes of members and teams, and others"

    @property
    def can_list(self) -> bool:
        """Whether `hook` and `api_token` are set, which listing the deliveries requires."""
        return bool(self._settings.get("hook") and self._settings.get("api_token"))

    def list_since(
        self, since: datetime, now: datetime, transport: Transport, account: Mapping[str, Any]
    ) -> Iterator[ListedRecord]:
        """Yield the hook's deliveries since `since`, one per event, oldest first."""
        return list_deliveries(self._settings, since, transport)


def _payload(request: InboundRequest) -> dict[str, Any]:
    body = request.body
    if media_type(request.headers.get("content-type"))[0] == _FORM:
        payload = dict(read_form(body)).get("payload")
        if payload is None:
            raise Unreadable("the form has no payload")
        body = payload.encode("utf-8", "surrogateescape")
    native = read_json(body)
    if not isinstance(native, dict) or not native:
        raise Unreadable("a payload of GitHub is a JSON object with something in it")
    return native


def _native_type(request: InboundRequest, native: Mapping[str, Any]) -> str:
    """Return the event and its action.

    Raises:
        Unreadable: the header names none, or one that the payload contradicts.
    """
    event = external_id(request.headers.get("x-github-event"), "X-GitHub-Event")
    action = native.get("action")
    native_type = event if action is None else f"{event}.{external_id(action, 'action')}"
    if len(native_type) > _TYPE_LENGTH:
        raise Unreadable(f"event and action must have at most {_TYPE_LENGTH} characters together")
    if other := contradiction(event, native):
        raise Unreadable(f"X-GitHub-Event says {event}, and the payload is that of {other}")
    return native_type


def _sent_at(request: InboundRequest) -> datetime:
    try:
        sent_at = parsedate_to_datetime(request.headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return request.received_at
    if sent_at.tzinfo is None or sent_at.year < 2000:
        return request.received_at
    return min(sent_at.astimezone(UTC), request.received_at)
