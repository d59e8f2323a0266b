"""E-mail subscriptions of a contact: opting in to or out of one type of e-mail."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from marshmallow import Schema, fields, validate

from adapters.contract.answers import read_object
from adapters.contract.outbound import Call, Outcome, Verdict
from adapters.contract.requests import check_email, check_said
from adapters.hubspot.answers import read_written
from adapters.hubspot.api import HubspotApi
from adapters.hubspot.parameters import ObjectId

PATH = "/communication-preferences/v3"
LEGAL_BASES = (
    "CONSENT_WITH_NOTICE",
    "LEGITIMATE_INTEREST_CLIENT",
    "LEGITIMATE_INTEREST_OTHER",
    "LEGITIMATE_INTEREST_PQL",
    "NON_GDPR",
    "PERFORMANCE_OF_CONTRACT",
    "PROCESS_AND_STORE",
)


class SetSubscription(Schema):
    """Parameters: `email`, the `subscription_id`, and whether it is to be `subscribed`.

    An account under the GDPR also requires `legal_basis` and `explanation`.
    """

    email = fields.String(required=True, validate=check_email)
    subscription_id = ObjectId(required=True)
    subscribed = fields.Boolean(required=True)
    legal_basis = fields.String(validate=validate.OneOf(LEGAL_BASES))
    explanation = fields.String(validate=check_said)


def set_subscription(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> Outcome:
    """Opt the contact in or out; it is a success too if the contact is in that state already."""
    value = {
        "emailAddress": parameters["email"].strip(),
        "subscriptionId": parameters["subscription_id"],
        "legalBasis": parameters.get("legal_basis"),
        "legalBasisExplanation": parameters.get("explanation"),
    }
    given = {name: part for name, part in value.items() if part is not None}
    verb = "subscribe" if parameters["subscribed"] else "unsubscribe"
    answer = account.send("POST", f"{PATH}/{verb}", given, call.now)
    told = str((read_object(answer) or {}).get("message")).lower()
    so_already = answer.status in (400, 409) and "already" in told
    if so_already and _is(account, call, parameters):
        return Outcome(Verdict.SUCCEEDED, status=answer.status)
    return read_written(answer, call.now, account.hidden, expected="a subscription", needs_id=False)


def _is(account: HubspotApi, call: Call, parameters: Mapping[str, Any]) -> bool:
    address = quote(parameters["email"].strip(), safe="")
    answer = account.read(f"{PATH}/status/email/{address}", call.now)
    statuses = (read_object(answer) or {}).get("subscriptionStatuses")
    wanted = "SUBSCRIBED" if parameters["subscribed"] else "NOT_SUBSCRIBED"
    return answer.status == 200 and any(
        isinstance(one, dict)
        and str(one.get("id")) == parameters["subscription_id"]
        and one.get("status") == wanted
        for one in (statuses if isinstance(statuses, list) else [])
    )
