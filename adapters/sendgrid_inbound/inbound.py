"""SendGrid Inbound Parse: e-mails that people send to your domain, one per request.

**Docs**: https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/ ·
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/securing-your-parse-webhooks

**Signs**: only if a security policy is attached to the host; then like the Event Webhook: ECDSA on
P-256 over `X-Twilio-Email-Event-Webhook-Timestamp` and the raw multipart body. Without a policy
nothing is signed, and the secret in the URL is the proof: `/webhooks/<source>/<secret>`.

**Re-sends**: after 5xx only, for 72 h; after any other response except a 2xx the e-mail is dropped
at once and without notice. Whether each re-send is signed anew is not documented, so a signature
may be 73 h old; repetitions within that time are recognized by their Message-ID.

**Answers**: any 2xx; the body is not read.

**Quirks**: There is one request per e-mail and receiving host, each with the same Message-ID: hosts
with different routes need separate sources. The boundary is always `xYzZY`, so an e-mail may
contain it; one that thereby has a field twice is kept as unreadable. `envelope` has the real
recipients; `from` is the sender's claim (`dkim` and `SPF`, under `native`, judge it), and is used
for the contact. `charsets` has a charset for each field; `dkim` looks like JSON but is not. In raw
mode the whole message is in `email`, and is not repeated under `native`. An e-mail that no person
wrote (no return path, or `Auto-Submitted: auto-replied`) becomes `sendgrid_inbound.automatic`, and
adds nothing to a contact.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.errors import NotVerified
from adapters.contract.event import Event
from adapters.contract.inbound import Inbound, Sample
from adapters.contract.request import InboundRequest
from adapters.contract.sample_files import SampleFiles
from adapters.contract.signatures.ecdsa import (
    SIGNATURE_HEADER,
    check_private_key,
    check_public_key,
    private_key,
    public_key,
    sign_ecdsa,
    verify_ecdsa,
)
from adapters.sendgrid_inbound.mail import external_id as id_of
from adapters.sendgrid_inbound.mail import read_mail

NATIVE_TYPES = {"mail": "email.received"}

IGNORED_TYPES = {"automatic": "a bounce or an out-of-office answer; no person wrote it"}

SAMPLES = SampleFiles(
    "adapters.sendgrid_inbound",
    ("mail", "automatic"),
    kind="multipart",
    given=r"(?<=Message-ID: <hub-sample@)[^>]+",
)
SAMPLE_CONTENT_TYPE = "multipart/form-data; boundary=xYzZY"

PAST_S, FUTURE_S = 73 * 3600, 300


def _check_sample_key(text: str) -> None:
    if text:
        check_private_key(text)


class SendgridInboundMailSettings(Schema):
    """Settings. `public_keys`: keys of the security policies of the hosts, base64 or PEM.

    `secrets`: secrets in the URL, `/webhooks/<source>/<secret>`, for hosts without a policy.
    `sample_key`: a private key for `hub send`; its public key must be among `public_keys`.
    """

    public_keys = fields.List(fields.String(validate=check_public_key), load_default=list)
    secrets = fields.List(
        fields.String(
            validate=validate.Regexp(
                r"[A-Za-z0-9._~-]+\Z",
                error="is part of an address: use only letters, digits and . _ ~ -",
            )
        ),
        load_default=list,
    )
    sample_key = fields.String(load_default="", allow_none=True, validate=_check_sample_key)

    @validates_schema(skip_on_field_errors=True)
    def _check(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data["public_keys"] and not data["secrets"]:
            raise ValidationError(
                "`public_keys` (of a security policy) or `secrets` (in the address) is needed"
            )
        if data["sample_key"]:
            own = private_key(data["sample_key"]).public_key()
            if own not in [public_key(text) for text in data["public_keys"]]:
                raise ValidationError(
                    "its public key must stand among public_keys: nothing else accepts its samples",
                    "sample_key",
                )


class SendgridInboundMail(Inbound):
    """E-mails of one or more hosts that post to one URL."""

    name = "sendgrid_inbound"
    settings_schema = SendgridInboundMailSettings
    native_types = NATIVE_TYPES
    ignored_types = IGNORED_TYPES
    secret_keys = ("secrets", "sample_key")
    takes_path_secret = True
    max_bytes = 30 * 1024 * 1024
    setup = (
        "Let the MX record of the domain that gets the e-mails point to mx.sendgrid.net, "
        "priority 10.",
        "In SendGrid open Settings, Inbound Parse, and add host and URL: that domain, and the "
        "address above.",
        "Without a security policy nothing is signed: end the address with / and one of "
        "`secrets` of this source. With one, put its key into `public_keys`.",
        "Write an e-mail to any name at that domain: it arrives here as email.received.",
    )

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._keys = tuple(public_key(text) for text in settings.get("public_keys") or ())
        self._secrets = tuple(settings.get("secrets") or ())
        self._sample_key = settings.get("sample_key") or None

    def verify(self, request: InboundRequest) -> str:
        """Return the label of the key that signed the request, or of the secret in its path.

        If there are keys, a signed request is verified by its signature alone.
        """
        signed = SIGNATURE_HEADER.lower() in request.headers
        if self._keys and (signed or request.path_secret is None):
            return verify_ecdsa(
                self._keys,
                request.headers,
                request.body,
                request.received_at,
                past_s=PAST_S,
                future_s=FUTURE_S,
            )
        return self._label_of(request.path_secret)

    def parse(self, request: InboundRequest) -> Sequence[Event]:
        """Return the single event of an e-mail."""
        mail = read_mail(request.body, request.headers.get("content-type"))
        attachments = mail.attachments()
        native_type = "automatic" if mail.is_automatic else "mail"
        event = Event(
            type=NATIVE_TYPES.get(native_type, f"{self.name}.{native_type}"),
            native_type=native_type,
            external_id=id_of(mail, request.body),
            occurred_at=mail.occurred_at(request.received_at),
            data={**mail.data(attachments), "native": mail.fields},
            fingerprint=mail.fingerprint,
            attachments=attachments,
        )
        return [event]

    def sample(
        self, native_type: str, external_id: str, now: datetime, *, live: bool, url: str
    ) -> Sample:
        """Return an e-mail for the secret address, or a signed one; there is no test mode."""
        body = SAMPLES.body(native_type, external_id, now)
        headers = {"content-type": SAMPLE_CONTENT_TYPE}
        if self._secrets:
            return Sample(body, headers, path_secret=self._secrets[0])
        if self._sample_key is None:
            raise LookupError(
                "SendGrid's private key is not ours to sign with: set `sample_key` to one of your "
                "own, and add its public key to `public_keys`"
            )
        signature = sign_ecdsa(private_key(self._sample_key), int(now.timestamp()), body)
        return Sample(body, headers | signature)

    def sample_types(self) -> Sequence[str]:
        """Return the native types that `sample` knows."""
        return SAMPLES.types

    def _label_of(self, path_secret: str | None) -> str:
        if path_secret is None:
            raise NotVerified("there is no secret in the path, and no signature is expected")
        given = path_secret.encode("utf-8", "surrogatepass")
        for index, secret in enumerate(self._secrets):
            if secret and hmac.compare_digest(secret.encode(), given):
                return f"secrets[{index}]"
        raise NotVerified("the secret in the path is none of this source's secrets")
