"""Error codes of providers in plain words for operators, each with advice.

Twilio: https://www.twilio.com/docs/api/errors · Stripe: https://docs.stripe.com/declines/codes and
https://docs.stripe.com/error-codes · HubSpot, Salesforce, Slack: their adapters' tables.
"""

from collections.abc import Mapping

_NUMBER = "Correct the number where it came from, then replay the event."
_STOP = "Do not text this person; call or write instead. A text of START from them undoes it."
_CARD = "Ask the customer for another card or another way to pay."
_BANK = "Ask the customer to call the bank, or to pay in another way."
_ACCOUNT = "Mend it in the {provider} account; what waits is sent by itself."
_SETTING = "Mend it in hub.yaml or in the {provider} account, then replay."
_WAITS = "Nothing to do: the hub tries again by itself."
_KEY = "Put a valid key into the settings of {destination} and restart the hub."

Meanings = Mapping[str, tuple[str, str]]

TWILIO: Meanings = {
    "20003": ("Twilio does not accept the account's credentials", _KEY),
    "20005": ("The Twilio account is not active", _ACCOUNT),
    "20404": ("Twilio does not know the account or what was asked for", _SETTING),
    "20429": ("Twilio was called too often", _WAITS),
    "21211": ("The telephone number cannot exist", _NUMBER),
    "21212": ("The number that texts are sent from is not valid", _SETTING),
    "21214": ("The telephone number cannot be reached", _NUMBER),
    "21408": ("The Twilio account may not text that country", "Allow the country in Twilio's "
              "geographic permissions if you mean to write there, then replay."),
    "21602": ("The text was empty", "Mend the text of the route in hub.yaml, then replay."),
    "21606": ("The number that texts are sent from cannot send this one", _SETTING),
    "21608": ("A trial account of Twilio texts verified numbers only",
              "Upgrade the Twilio account or verify the number there, then replay."),
    "21610": ("The person answered STOP and gets no more texts", _STOP),
    "21611": ("Too many texts wait at the sender's number", _WAITS),
    "21612": ("Twilio has no way from this sender to that number", _SETTING),
    "21614": ("The number is no mobile telephone", _NUMBER),
    "21617": ("The text is too long", "Shorten the text of the route in hub.yaml, then replay."),
    "21619": ("The text was empty", "Mend the text of the route in hub.yaml, then replay."),
    "21620": ("A picture of the message cannot be used", _SETTING),
    "21703": ("The messaging service has no sender", _ACCOUNT),
    "21704": ("The messaging service has no sender", _ACCOUNT),
    "30001": ("Too many texts waited at Twilio", "Replay it in a while."),
    "30002": ("The Twilio account is suspended", _ACCOUNT),
    "30003": ("The telephone was switched off or out of reach",
              "Replay it later, or reach the person in another way."),
    "30004": ("The telephone blocks this sender", "Reach the person in another way."),
    "30005": ("The number is unknown or not in use any more", _NUMBER),
    "30006": ("The number is a landline, or its network takes no texts",
              "Ask the person for a mobile number, then replay."),
    "30007": ("The network took the text for spam", "Change its words, or register the sender "
              "with Twilio, before you send more."),
    "30008": ("The text did not arrive, and the network does not say why", "Replay it once."),
    "30034": ("The sender's number is not registered for texts in the USA",
              "Register it with Twilio (A2P 10DLC), then replay."),
    "30450": ("Twilio blocked the text as a sign of fraud",
              "See who asks for these texts: somebody may be abusing a form."),
    "63016": ("WhatsApp takes free text only within a day of the person's own message",
              "Use a `template` in the route, then replay."),
    "63018": ("The WhatsApp sender reached its limit", _WAITS),
}  # fmt: skip

STRIPE: Meanings = {
    "card_declined": ("The card was declined by the customer's bank", _CARD),
    "generic_decline": ("The card was declined by the customer's bank", _CARD),
    "do_not_honor": ("The card was declined by the customer's bank", _BANK),
    "insufficient_funds": ("The card was declined: there is not enough money", _CARD),
    "expired_card": ("The card has expired", _CARD),
    "incorrect_cvc": ("The card's security code was wrong", _CARD),
    "incorrect_number": ("The card's number was wrong", _CARD),
    "lost_card": ("The card was declined by the customer's bank", _CARD),
    "stolen_card": ("The card was declined by the customer's bank", _CARD),
    "fraudulent": ("Stripe declined the card as a sign of fraud", "Look at it in Stripe."),
    "processing_error": ("The card could not be charged just then", "Replay it in a while."),
    "authentication_required": ("The bank wants the customer to confirm the payment",
                                "Ask the customer to pay while they are there, or send a link."),
    "charge_already_refunded": ("The payment had been refunded already", "Nothing to do."),
    "amount_too_small": ("The amount is below what Stripe takes", "Mend the route, then replay."),
    "resource_missing": ("Stripe does not know what was asked for", "See whether the customer or "
                         "payment was deleted, or belongs to test mode, in Stripe."),
    "api_key_expired": ("Stripe's key has expired", _KEY),
    "rate_limit": ("Stripe was called too often", _WAITS),
    "lock_timeout": ("Somebody else was changing the same thing in Stripe", _WAITS),
    "idempotency_key_in_use": ("Stripe is still at work on the same request", _WAITS),
    "idempotency_error": ("Stripe keeps another request under this delivery's key",
                          "See in Stripe what it made before you replay."),
}  # fmt: skip

HUBSPOT: Meanings = {
    "RATE_LIMITS": ("HubSpot was called too often", _WAITS),
    "MISSING_SCOPES": ("HubSpot's token may not do this", "Give it the scopes that HubSpot names, "
                       "in the settings of the private app; what waits goes on by itself."),
    "EXPIRED_AUTHENTICATION": ("HubSpot's token has expired", _KEY),
    "INVALID_AUTHENTICATION": ("HubSpot does not accept the token", _KEY),
    "VALIDATION_ERROR": ("HubSpot does not take a value", "See below which one; correct it where "
                         "it came from or in the route, then replay."),
    "CONFLICT": ("HubSpot has it already, as another record",
                 "Merge the two records in HubSpot, then replay."),
    "OBJECT_NOT_FOUND": ("HubSpot has no such record any more", "See in HubSpot whether it was "
                         "deleted or merged."),
}  # fmt: skip

SALESFORCE: Meanings = {
    "REQUEST_LIMIT_EXCEEDED": ("The day's calls to Salesforce are used up", _WAITS),
    "UNABLE_TO_LOCK_ROW": ("Somebody else was changing the same record in Salesforce", _WAITS),
    "STORAGE_LIMIT_EXCEEDED": ("Salesforce's storage is full", _ACCOUNT),
    "API_DISABLED_FOR_ORG": ("The Salesforce user may not use the API", _ACCOUNT),
    "DUPLICATES_DETECTED": ("A rule in Salesforce takes it for a duplicate",
                            "Merge the records in Salesforce, or let the rule pass; then replay."),
    "INSUFFICIENT_ACCESS_OR_READONLY": ("The Salesforce user may not write this record", _SETTING),
    "ENTITY_IS_DELETED": ("The record was deleted in Salesforce", "Restore it there, or drop it."),
}  # fmt: skip

SLACK: Meanings = {
    "channel_not_found": ("The Slack channel does not exist any more", _ACCOUNT),
    "channel_is_archived": ("The Slack channel is archived", _ACCOUNT),
    "no_service": ("The Slack address was taken back", _KEY),
    "invalid_token": ("Slack does not accept the address", _KEY),
    "action_prohibited": ("Slack's administrators do not allow this", _ACCOUNT),
    "team_disabled": ("The Slack workspace is not in use any more", _ACCOUNT),
    "invalid_payload": ("Slack could not read the message", "Mend the route, then replay."),
    "invalid_blocks": ("Slack could not read the message's blocks", "Mend the route, then replay."),
    "rollup_error": ("Slack failed, and may have posted it", "Look into the channel."),
}  # fmt: skip

PROVIDERS: Mapping[str, Meanings] = {
    "Twilio": TWILIO, "Stripe": STRIPE, "HubSpot": HUBSPOT, "Salesforce": SALESFORCE,
    "Slack": SLACK,
}  # fmt: skip

# HTTP statuses to which a provider gives a meaning of its own.
STATUSES: Mapping[tuple[str, int], tuple[str, str]] = {
    ("SendGrid", 401): ("SendGrid does not accept the API key", _KEY),
    ("SendGrid", 403): ("SendGrid does not let this account send the e-mail",
                        "Verify the sender's address or domain in SendGrid, and see that the key "
                        "has the permission Mail Send."),
    ("SendGrid", 413): ("The e-mail is too large", "Send less, or a link instead of a file; then "
                        "replay."),
    ("HubSpot", 409): ("HubSpot has it already, as another record",
                       "Merge the two records in HubSpot, then replay."),
    ("HubSpot", 423): ("Somebody else was changing the same record in HubSpot", _WAITS),
    ("HubSpot", 477): ("HubSpot is moving the account", _WAITS),
    ("Pipedrive", 402): ("The Pipedrive account is not paid for", _ACCOUNT),
    ("Stripe", 402): ("The card was declined", _CARD),
}  # fmt: skip
