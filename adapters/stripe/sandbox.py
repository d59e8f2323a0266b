"""What Stripe would answer to each good call that the actions make."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from adapters.contract.outbound import Answer

_PREFIXES = {
    "customers": "cus",
    "payment_links": "plink",
    "invoices": "in",
    "invoiceitems": "ii",
    "refunds": "re",
}
_ONE = re.compile(r"/v[12]/(?:core/)?(?P<kind>[a-z_]+)/(?P<id>[A-Za-z0-9_]+)(?:/[a-z]+)?\Z")


def answer(method: str, url: str) -> Answer:
    """Return an empty list, the object asked for, or one just made."""
    path = urlsplit(url).path
    body = json.dumps(_object(method, path)).encode("ascii")
    return Answer(200, {"content-type": "application/json"}, body)


def _object(method: str, path: str) -> dict[str, Any]:
    one = _ONE.search(path)
    if one:
        return {"id": one["id"], "object": one["kind"], "currency": "usd"}
    kind = path.rpartition("/")[2]
    if method == "GET":
        return {"object": "list", "url": path, "data": [], "has_more": False}
    return {"id": f"{_PREFIXES.get(kind, kind)}_sandbox", "object": kind}
