"""Cases of the crash sweep, their permitted ends, the hub's file, and the far end."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from tests.behaviours import Answers, Behaviour, Conduct
from tests.far_end import Received, Reply
from tests.faults.stem import TIMEOUT_S
from tests.twilio_far_end import ACCOUNT, SENDER, Callback, TwilioFarEnd

CONFIG = """
sources:
  keyed: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  natural: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  once: {adapter: stripe, secrets: ["${STRIPE_WEBHOOK_SECRET}"]}
  twilio: {adapter: twilio, secrets: ["${TWILIO_AUTH_TOKEN}"]}
destinations:
  endpoint:
    {adapter: http, url: "${FAR_END}/hook", secret: "${OPS_SECRET}", timeout: 1s,
     retry: {first_delay: 1s}}
  texts:
    {adapter: twilio, account_sid: ACCOUNT, auth_token: "${TWILIO_AUTH_TOKEN}", from: "SENDER",
     base_url: "${FAR_END}", callback: twilio, timeout: 1s, retry: {first_delay: 1s}}
routes:
  keyed:
    {on: payment.succeeded, from: keyed, live: any, do: endpoint.post,
     with: {body: {case: "{{ event.external_id }}"}}}
  natural:
    {on: payment.succeeded, from: natural, live: any, do: endpoint.put,
     with: {body: {case: "{{ event.external_id }}"}}}
  once:
    {on: payment.succeeded, from: once, live: any, do: texts.send,
     with: {to: "{{ data.metadata.to }}", body: "{{ event.external_id }}"}}
""".replace("ACCOUNT", ACCOUNT, 1).replace("SENDER", SENDER, 1)

# Evidence that exists for a text: status callbacks alone, the list alone, nothing.
ONCE = ("told", "looked up", "in the dark")
WAYS = ("keyed", "natural", *ONCE)
HTTP_ANSWERS = Answers(
    failure=Reply(500),
    too_many=Reply(429, headers={"Retry-After": "1"}),
    garbage=Reply(200, b"\x00<html>"),
)


@dataclass(frozen=True, slots=True)
class Case:
    place: str
    behaviour: Behaviour
    way: str

    def __str__(self) -> str:
        return f"{self.place} × {self.behaviour} × {self.way}"


@dataclass(frozen=True, slots=True)
class End:
    """End of a case: the number of effects at the far end, and the delivery's state."""

    effects: int
    state: str
    with_a_person: bool

    @property
    def name(self) -> str:
        if self.effects > 1:
            return "double"
        if self.state == "succeeded":
            return "exact" if self.effects else "lost"
        return "open with a person" if self.with_a_person else "lost"


class SweptFarEnd:
    """Endpoints that honour keys, one with idempotent PUT, and a Twilio account."""

    def __init__(self) -> None:
        self.twilio = TwilioFarEnd(timeout_s=TIMEOUT_S)
        self.twilio.treat = lambda form: self._next(form["Body"])
        self.twilio.tell = lambda one: self.callbacks.append(one)
        self.conduct = Conduct(HTTP_ANSWERS, timeout_s=TIMEOUT_S)
        self.callbacks: list[Callback] = []
        self.effects: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
        self.calls: Counter[str] = Counter()
        self.behaviour = Behaviour.ANSWERS

    def behave(self, received: Received) -> Reply:
        if received.path != "/hook":
            return self.twilio.behave(received)
        case = received.json["case"]
        mark = (received.headers["webhook-id"], received.body)

        def accept() -> Reply:
            self.effects[case].add(mark)
            return Reply()

        return self.conduct.carry_out(self._next(case), accept)

    @property
    def is_quiet(self) -> bool:
        return self.conduct.is_quiet and self.twilio.conduct.is_quiet

    def close(self) -> None:
        self.conduct.closing.set()
        self.twilio.conduct.closing.set()

    def _next(self, case: str) -> Behaviour:
        """Return the case's behaviour for its first call, and success for every later one."""
        self.calls[case] += 1
        return self.behaviour if self.calls[case] == 1 else Behaviour.ANSWERS
