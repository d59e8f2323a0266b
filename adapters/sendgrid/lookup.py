"""Look-up of an e-mail whose answer was lost, in the Email Activity feed."""

from datetime import timedelta

from adapters.contract.answers import read_object, safe_words
from adapters.contract.fields import is_id
from adapters.contract.outbound import Answer, LookupResult, LookupVerdict

# How long after the send an e-mail may take to appear in the feed; SendGrid promises no time, so
# this is long.
LAG = timedelta(minutes=30)


def lookup_result(answer: Answer, age: timedelta) -> LookupResult:
    """Return the look-up result of a search for one attempt, `age` after it was sent."""
    if answer.status != 200:
        return _unseen(
            f"SendGrid's Email Activity answered {answer.status}; it must be bought, and the API "
            "key needs its permission"
        )
    messages = (read_object(answer) or {}).get("messages")
    if not isinstance(messages, list):
        return _unseen("SendGrid's Email Activity answered with no list that we can read")
    found = next((message for message in messages if isinstance(message, dict)), None)
    if found is not None:
        status, message_id = found.get("status"), found.get("msg_id")
        return LookupResult(
            LookupVerdict.THERE,
            "SendGrid's Email Activity has an e-mail with this attempt's hub_attempt",
            provider_ref=str(message_id).partition(".")[0] if is_id(message_id) else None,
            status=safe_words(status) if isinstance(status, str) else None,
        )
    if age < LAG:
        minutes = int(LAG.total_seconds() // 60)
        return _unseen(
            f"SendGrid's Email Activity has no such e-mail yet; it may lag {minutes} min"
        )
    return LookupResult(
        LookupVerdict.NOT_THERE, "SendGrid's Email Activity has no e-mail with this attempt"
    )


def _unseen(message: str) -> LookupResult:
    return LookupResult(LookupVerdict.CANNOT_TELL, message)
