"""Settings schema of a `standard_webhooks` source, with its faults as sentences."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from adapters.contract.signatures.standard_webhooks import standard_webhook_key
from adapters.standard_webhooks.asymmetric import private_key, public_key


def _is_read_by(read: Callable[[str], object]) -> Callable[[str], None]:
    def check(text: str) -> None:
        try:
            read(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    return check


class StandardWebhooksSettings(Schema):
    """Schema of the keys: `secrets` (`whsec_...`), `public_keys` (`whpk_...`) or both.

    Each list has several entries while one replaces another. `sample_key`: the private key
    (`whsk_...`) of one of the public keys, for samples.
    """

    secrets = fields.List(
        fields.String(
            validate=[validate.Length(min=1), _is_read_by(standard_webhook_key)],
        )
    )
    public_keys = fields.List(fields.String(validate=_is_read_by(public_key)))
    sample_key = fields.String(validate=_is_read_by(private_key))

    @validates_schema
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data.get("secrets") and not data.get("public_keys"):
            raise ValidationError("expected `secrets` (whsec_...) or `public_keys` (whpk_...)")
        if "sample_key" in data:
            own = private_key(data["sample_key"]).public_key()
            if own not in map(public_key, data.get("public_keys", ())):
                raise ValidationError("belongs to none of `public_keys`", "sample_key")
