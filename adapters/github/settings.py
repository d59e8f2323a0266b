"""Settings schema of a `github` source."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from adapters.contract.requests import check_url
from adapters.contract.signatures.hmac import SecretsSchema

API = "https://api.github.com"

_HOOK = re.compile(r"[A-Za-z0-9-]{1,100}/[A-Za-z0-9._-]{1,100}/[0-9]{1,20}\Z")


class GithubSettings(SecretsSchema):
    """Schema of the settings; with `api_token` and `hook` the hub can list deliveries it missed.

    `base_url` is the API of an Enterprise Server: `https://git.acme.example/api/v3`.
    """

    api_token = fields.String(load_default="", allow_none=True)
    hook = fields.String(validate=validate.Regexp(_HOOK, error="expected owner/repo/123"))
    base_url = fields.String(load_default=API, validate=check_url)

    @validates_schema
    def _check_together(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("api_token") and "hook" not in data:
            raise ValidationError("needs `hook` (owner/repo/123)", "api_token")
