"""Side effects of a replay in words: how many, of which kind, where, and whether they are real."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.core.configuration import Configuration
from hub.core.models import DeliveryState
from hub.core.replays.bodies import BODY_GONE
from hub.core.replays.preview import PlanGroup
from hub.core.replays.replay import Plan


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Wording for an action's side effect: singular, plural, past participle and preposition."""

    one: str
    many: str
    done: str
    where: str

    def counted(self, count: int) -> str:
        return f"{count:,} {self.one if count == 1 else self.many}"


_DEAL = SideEffect("deal", "deals", "created", "in")
_NOTE = SideEffect("note", "notes", "added", "in")
_REQUEST = SideEffect("request", "requests", "sent", "to")
SIDE_EFFECTS: Mapping[tuple[str, str], SideEffect] = {
    ("twilio", "send"): SideEffect("text message", "text messages", "sent", "through"),
    ("sendgrid", "send"): SideEffect("e-mail", "e-mails", "sent", "through"),
    ("sendgrid", "suppress"): SideEffect("address", "addresses", "blocked", "in"),
    ("sendgrid", "unsuppress"): SideEffect("address", "addresses", "unblocked", "in"),
    ("sendgrid", "upsert_marketing_contact"): SideEffect("contact", "contacts", "updated", "in"),
    ("slack", "post"): SideEffect("message", "messages", "posted", "through"),
    ("http", "post"): _REQUEST,
    ("http", "patch"): _REQUEST,
    ("http", "put"): _REQUEST,
    ("hubspot", "upsert_contact"): SideEffect("contact", "contacts", "updated", "in"),
    ("hubspot", "create_deal"): _DEAL,
    ("hubspot", "update_deal"): SideEffect("deal", "deals", "updated", "in"),
    ("hubspot", "add_note"): _NOTE,
    ("hubspot", "set_subscription"): SideEffect("subscription", "subscriptions", "changed", "in"),
    ("stripe", "upsert_customer"): SideEffect("customer", "customers", "updated", "in"),
    ("stripe", "create_payment_link"): SideEffect("payment link", "payment links", "made", "in"),
    ("stripe", "send_invoice"): SideEffect("invoice", "invoices", "sent", "through"),
    ("stripe", "refund"): SideEffect("refund", "refunds", "made", "through"),
    ("salesforce", "upsert"): SideEffect("record", "records", "updated", "in"),
    ("salesforce", "create_task"): SideEffect("task", "tasks", "created", "in"),
    ("pipedrive", "upsert_person"): SideEffect("person", "persons", "updated", "in"),
    ("pipedrive", "create_deal"): _DEAL,
    ("pipedrive", "add_note"): _NOTE,
}


def side_effect_of(configuration: Configuration, destination: str, action: str) -> SideEffect:
    """Return the side effect of a destination's action; `call of <action>` if it has no entry."""
    known = configuration.destinations.get(destination)
    named = SIDE_EFFECTS.get((known.adapter, action)) if known else None
    if named:
        return named
    if action == "fetch":
        return SideEffect("event", "events", "read", "from")
    return SideEffect(f"call of {action}", f"calls of {action}", "made", "to")


def is_live(configuration: Configuration, destination: str) -> bool:
    """Return whether calls to a destination are really sent: it is enabled, not in the sandbox."""
    known = configuration.destinations.get(destination)
    return known is not None and known.enabled and not known.sandbox


def what_happens(configuration: Configuration, group: PlanGroup) -> str:
    """Return the effect of a replay on a group of deliveries, as one sentence."""
    thing = side_effect_of(configuration, group.destination, group.action)
    many, place = thing.counted(group.count), f"{thing.where} {group.destination}"
    if group.plan is Plan.REFUSED:
        return _left(group, thing, many)
    known = configuration.destinations.get(group.destination)
    if known is None:
        return f"{many}: {group.destination} is not in hub.yaml, so this will fail"
    if not known.enabled:
        return f"{many}: {group.destination} is switched off in hub.yaml, so this will wait"
    if not is_live(configuration, group.destination):
        return f"{many} will be recorded, not {thing.done}: {group.destination} is in the sandbox"
    if group.plan is Plan.AGAIN:
        return f"{many} will be {thing.done} a second time {place}"
    if group.plan is Plan.NOW:
        return f"{many} will be {thing.done} {place} now instead of later"
    if group.state == DeliveryState.SKIPPED and group.plan is Plan.ANEW:
        return f"{many} will be decided again, and {thing.done} {place} if their route says so"
    return f"{many} will be {thing.done} {place}"


def how_safe(configuration: Configuration, group: PlanGroup) -> str:
    """Return the protection against duplicates that a group has, as a sentence."""
    if group.plan is not Plan.REFUSED and not is_live(configuration, group.destination):
        return "Nothing leaves the hub."
    if group.state == DeliveryState.SKIPPED and group.plan is Plan.ANEW:
        return "They were skipped when they were decided: a condition did not hold then."
    if group.state == DeliveryState.WAITING:
        return "They are not due yet, and would go by themselves."
    return _SAFETY[group.plan]


_SAFETY: Mapping[Plan, str] = {
    Plan.ANEW: "None of them has happened: each was refused or never left. They are made anew, "
    "with today's settings.",
    Plan.REPEAT: "Some of these may have arrived. They are repeated exactly, so that the provider "
    "can tell, and does nothing twice.",
    Plan.NOW: "They would be tried again by themselves.",
    Plan.AGAIN: "They happened, or may have. It will happen again, and nothing keeps the provider "
    "from that.",
    Plan.REFUSED: "",
}


def _left(group: PlanGroup, thing: SideEffect, many: str) -> str:
    it, is_, was = ("it", "is", "was") if group.count == 1 else ("they", "are", "were")
    if group.is_lost:
        return f"{many}: {BODY_GONE}"
    if group.state == DeliveryState.UNKNOWN:
        return f"{many}: nobody knows whether {it} {was} {thing.done}"
    if group.state == DeliveryState.SUCCEEDED:
        return f"{many} {was} {thing.done} already"
    if group.may_have:
        return f"{many} may have been {thing.done} before"
    return f"{many}: {it} {is_} on the way already"
