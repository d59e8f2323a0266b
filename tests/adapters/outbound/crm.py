"""A small HubSpot: contacts, deals with a unique property, notes, subscriptions and search."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.far_end import Received, Reply

Object = dict[str, Any]
MODIFIED = {"contacts": "lastmodifieddate", "deals": "hs_lastmodifieddate"}


def said(status: int, value: Any) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"})


def refused(status: int, category: str, message: str) -> Reply:
    told = {"status": "error", "category": category, "message": message, "correlationId": "c-1"}
    return said(status, told)


@dataclass
class Crm:
    """Does what HubSpot does with a call. `lost`: the next so many writes are done unanswered."""

    objects: dict[str, dict[str, Object]] = field(
        default_factory=lambda: {"contacts": {}, "deals": {}, "notes": {}}
    )
    links: list[tuple[str, str, str]] = field(default_factory=list)
    unique: set[str] = field(default_factory=lambda: {"hub_delivery"})
    lost: int = 0
    page: int = 1000
    next_id: int = 100

    def add(self, kind: str, **properties: str) -> str:
        self.next_id += 1
        self.objects[kind][str(self.next_id)] = properties
        return str(self.next_id)

    def behave(self, received: Received) -> Reply:
        parts = urlsplit(received.path)
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        value = json.loads(received.body) if received.body else {}
        if path == ["account-info", "v3", "details"]:
            return said(200, {"portalId": 62515})
        if path[-1] == "search":
            return self.search(path[3], value)
        if path[-2:] == ["batch", "read"]:
            return self.batch(path[3], [one["id"] for one in value["inputs"]])
        if "associations" in path:
            return self.linked(path[3], path[4], query)
        if received.method == "GET":
            return self.read(path[3], path[4], query)
        if received.method == "PATCH":
            return self.answered(self.update(path[3], path[4], query, value))
        return self.answered(self.create(path[3], value))

    def answered(self, reply: Reply) -> Reply:
        if self.lost and reply.status < 300:
            self.lost -= 1
            return Reply(0)
        return reply

    def found(self, kind: str, key: str, query: dict[str, str]) -> str | None:
        name = query.get("idProperty")
        if name is None:
            return key if key in self.objects[kind] else None
        return next((i for i, one in self.objects[kind].items() if one.get(name) == key), None)

    def read(self, kind: str, key: str, query: dict[str, str]) -> Reply:
        name = query.get("idProperty", "email")
        if kind == "deals" and name not in {*self.unique, "email"}:
            return refused(400, "VALIDATION_ERROR", f"Property {name} does not exist")
        object_id = self.found(kind, key, query)
        if object_id is None:
            return refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return said(200, self.shown(kind, object_id))

    def update(self, kind: str, key: str, query: dict[str, str], value: Any) -> Reply:
        object_id = self.found(kind, key, query)
        if object_id is None:
            return refused(404, "OBJECT_NOT_FOUND", "resource not found")
        self.objects[kind][object_id] |= value["properties"]
        return said(200, self.shown(kind, object_id))

    def create(self, kind: str, value: Any) -> Reply:
        properties = value["properties"]
        for name in self.unique & properties.keys():
            if any(one.get(name) == properties[name] for one in self.objects[kind].values()):
                return refused(400, "VALIDATION_ERROR", f"{name} is not unique")
        object_id = self.add(kind, **properties)
        for link in value.get("associations", []):
            self.links.append((kind, object_id, link["to"]["id"]))
        return said(201, self.shown(kind, object_id))

    def search(self, kind: str, value: Any) -> Reply:
        (filters,) = (group["filters"] for group in value["filterGroups"])
        (since,) = (one["value"] for one in filters if one["propertyName"] == MODIFIED[kind])
        (last,) = (one["value"] for one in filters if one["propertyName"] == "hs_object_id")
        found = sorted(
            int(object_id)
            for object_id, one in self.objects[kind].items()
            if one["modified_ms"] >= since and int(object_id) > int(last)
        )
        page = [self.shown(kind, str(i)) for i in found[: min(self.page, value["limit"])]]
        return said(200, {"total": len(found), "results": page})

    def batch(self, kind: str, ids: list[str]) -> Reply:
        there = [self.shown(kind, one) for one in ids if one in self.objects[kind]]
        status = 200 if len(there) == len(ids) else 207
        return said(status, {"status": "COMPLETE", "results": there})

    def linked(self, kind: str, object_id: str, query: dict[str, str]) -> Reply:
        if object_id not in self.objects[kind]:
            return refused(404, "OBJECT_NOT_FOUND", "resource not found")
        ids = [note for of, note, to in self.links if (of, to) == ("notes", object_id)]
        start = int(query.get("after", "0=").rstrip("="))
        end = start + min(self.page, int(query["limit"]))
        paging = {"paging": {"next": {"after": f"{end}%3D"}}} if end < len(ids) else {}
        return said(200, {"results": [{"toObjectId": int(i)} for i in ids[start:end]]} | paging)

    def shown(self, kind: str, object_id: str) -> Object:
        one = self.objects[kind][object_id]
        shown = {"id": object_id, "properties": one, "archived": False}
        for name, key in (("createdAt", "created_at"), ("updatedAt", "updated_at")):
            shown[name] = one.get(key, "2026-11-20T11:00:00Z")
        return shown


def marks(text: str) -> list[str]:
    return re.findall(r"hub_attempt: (\S+)", text)
