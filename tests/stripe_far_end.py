"""Stripe far end, as far as the actions use it: lists, metadata, and the idempotency store.

The store behaves as documented: the first answer to a key is kept once the request has begun to be
processed, a 500 too, and repeated with `Idempotent-Replayed: true`; other parameters are a 400; a
key that is in use is a 409; a 401, 403 or 429 comes before the store.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.far_end import FarEnd, Received, Reply

KEY = "sk_test_far_end_0001"
PREFIXES = {
    "customers": "cus",
    "payment_links": "plink",
    "invoices": "in",
    "invoiceitems": "ii",
    "refunds": "re",
}
REPLAYED = {"Idempotent-Replayed": "true"}
NOW_S = 1_795_176_000

Native = dict[str, Any]


@dataclass
class Fault:
    """Failure of one POST to `path`: before it is processed, or after (`done`)."""

    path: str
    status: int = 500
    done: bool = False
    body: Native = field(default_factory=lambda: {"error": {"type": "api_error"}})
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    def __init__(self, status: int, **error: Any) -> None:
        self.status, self.error = status, error


@dataclass
class Kept:
    path: str
    body: bytes
    reply: Reply


class StripeFarEnd:
    """Stripe account in memory; `objects` are in the order of their creation.

    `forbidden` paths are answered 403, `silent` ones not at all when they are read. A page of a
    list has at most `most` objects, whatever was asked for. `working` is called while a key is in
    use, `told` just before the result of a GET is sent.
    """

    def __init__(self) -> None:
        self.objects: dict[str, list[Native]] = {kind: [] for kind in PREFIXES}
        self.objects |= {"payment_intents": [], "charges": [], "events": []}
        self.received: list[Received] = []
        self.faults: list[Fault] = []
        self.forbidden: set[str] = set()
        self.silent: set[str] = set()
        self.most = 100
        self.working: Callable[[Received], None] = lambda _: None
        self.told: Callable[[Received], None] = lambda _: None
        self._kept: dict[str, Kept] = {}
        self._in_use: set[str] = set()
        self._lock = threading.Lock()
        self.url = ""

    def behave(self, received: Received) -> Reply:
        self.received.append(received)
        path = urlsplit(received.path).path
        if received.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, type="invalid_request_error", message="Invalid API Key provided")
        if any(path.startswith(part) for part in self.forbidden):
            return _error(403, type="invalid_request_error", message="The key has no permission")
        try:
            if received.method == "GET" and path in self.silent:
                return Reply(0)
            if received.method == "GET":
                found = self._read(path, dict(parse_qsl(urlsplit(received.path).query)))
                self.told(received)
                return _said(found)
            return self._keyed(received, path)
        except Refused as refused:
            return _error(refused.status, **refused.error)

    def posts(self, path: str = "") -> list[Received]:
        return [one for one in self.received if one.method == "POST" and path in one.path]

    def forget_keys(self) -> None:
        """Forget all keys, as after a day."""
        self._kept.clear()

    def add(self, kind: str, **native: Any) -> Native:
        made: Native = {
            "id": f"{kind[:2]}_{len(self.objects[kind])}",
            "metadata": {},
            "created": NOW_S,
        }
        self.objects[kind].append(made | native)
        return self.objects[kind][-1]

    def _keyed(self, received: Received, path: str) -> Reply:
        key = received.headers.get("idempotency-key")
        if key is None:
            raise AssertionError(f"a POST to {path} without Idempotency-Key")
        with self._lock:
            if key in self._in_use:
                return _error(409, type="idempotency_error", code="idempotency_key_in_use")
            kept = self._kept.get(key)
            if kept:
                if (kept.path, kept.body) != (path, received.body):
                    return _error(400, type="idempotency_error", message="Keys for idempotent ...")
                return Reply(kept.reply.status, kept.reply.body, kept.reply.headers | REPLAYED)
            fault = next((one for one in self.faults if path.endswith(one.path)), None)
            if fault:
                self.faults.remove(fault)
            if fault and fault.status in (401, 403, 429, 503):  # before the store
                return Reply(fault.status, json.dumps(fault.body).encode(), fault.headers)
            self._in_use.add(key)
        try:
            reply = self._worked(received, path, fault)
        finally:
            with self._lock:
                self._in_use.discard(key)
        with self._lock:
            self._kept[key] = Kept(path, received.body, reply)
        if fault and fault.status == 0:
            return Reply(0)
        return reply

    def _worked(self, received: Received, path: str, fault: Fault | None) -> Reply:
        self.working(received)
        failed = fault and Reply(fault.status, json.dumps(fault.body).encode(), fault.headers)
        if failed and fault and fault.status and not fault.done:
            return failed
        try:
            reply = _said(self._made(path, _nested(parse_qsl(received.body.decode()))))
        except Refused as refused:
            reply = _error(refused.status, **refused.error)
        return failed if failed and fault and fault.status else reply

    def _made(self, path: str, asked: Native) -> Native:
        kind, *rest = path.removeprefix("/v1/").split("/")
        if not rest:
            return self._create(kind, asked)
        native = self._one(kind, rest[0])
        if rest[1:] == ["finalize"]:
            native["status"] = "open"
        elif rest[1:] == ["send"]:
            if native["status"] != "open":
                raise Refused(400, type="invalid_request_error", message="not finalized")
            native["sent"] = native.get("sent", 0) + 1
            self.add("events", type="invoice.sent", data={"object": dict(native)})
        else:
            metadata = native["metadata"] | asked.pop("metadata", {})
            native |= asked | {"metadata": metadata}
        return native

    def _create(self, kind: str, asked: Native) -> Native:
        made: Native = {"id": f"{PREFIXES[kind]}_{len(self.objects[kind]) + 1}", "object": kind}
        made |= {"created": NOW_S, "metadata": {}} | asked
        if kind == "refunds":
            self._refund(made)
        if kind == "invoices":
            customer = self._one("customers", asked["customer"])
            made |= {"status": "draft", "customer_email": customer.get("email")}
        if kind == "invoiceitems" and self._one("invoices", asked["invoice"])["status"] != "draft":
            raise Refused(400, type="invalid_request_error", message="not a draft")
        self.objects[kind].append(made)
        return made

    def _refund(self, made: Native) -> None:
        kind = "payment_intents" if "payment_intent" in made else "charges"
        payment = self._one(kind, made.get("payment_intent") or made["charge"])
        left = payment["amount"] - payment.get("amount_refunded", 0)
        if left == 0:
            raise Refused(400, type="invalid_request_error", code="charge_already_refunded")
        made["amount"] = int(made.get("amount", left))
        if made["amount"] > left:
            raise Refused(400, type="invalid_request_error", message="greater than what is left")
        payment["amount_refunded"] = payment.get("amount_refunded", 0) + made["amount"]
        made["status"] = payment.get("refund_status", "succeeded")

    def _read(self, path: str, query: dict[str, str]) -> Native:
        kind, *rest = path.removeprefix("/v1/").split("/")
        if rest:
            return self._one(kind, rest[0])
        limit, after = int(query.pop("limit", 10)), query.pop("starting_after", None)
        since = int(query.pop("created[gte]", 0))
        if kind == "payment_links" and since:
            raise Refused(400, code="parameter_unknown")  # links have no time
        found = [
            one
            for one in reversed(self.objects[kind])
            if one["created"] >= since and all(one.get(k) == v for k, v in query.items())
        ]
        if after:
            found = found[[one["id"] for one in found].index(after) + 1 :]
        page = found[: min(limit, self.most)]
        return {"object": "list", "url": path, "data": page, "has_more": len(found) > len(page)}

    def _one(self, kind: str, native_id: str) -> Native:
        found = next((one for one in self.objects[kind] if one["id"] == native_id), None)
        if found is None:
            raise Refused(404, type="invalid_request_error", code="resource_missing")
        return found


@contextmanager
def stripe_far_end() -> Iterator[StripeFarEnd]:
    stripe = StripeFarEnd()
    with FarEnd(stripe.behave) as far:
        stripe.url = far.url
        yield stripe


def _said(native: Native) -> Reply:
    return Reply(200, json.dumps(native).encode())


def _error(status: int, **error: Any) -> Reply:
    return Reply(status, json.dumps({"error": error}).encode())


def _nested(pairs: list[tuple[str, str]]) -> Native:
    """Return `a[b][0]=c` as nested mappings; list indexes are keys here."""
    nested: Native = {}
    for name, value in pairs:
        *path, last = re.findall(r"[^\[\]]+", name)
        node = nested
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    return nested
