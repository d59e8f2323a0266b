"""A provider's own OpenAPI file, held against the calls that an adapter makes.

Stricter than the file: a field or a query parameter that it does not name is a fault, for that is
how a misspelt one looks. An object for which the file names no properties at all stays open.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from werkzeug.datastructures import Headers, ImmutableMultiDict

# It takes as long to import as a hundred test modules, in every process that collects the tests:
# only those that run one of its checks do so.
if TYPE_CHECKING:
    from openapi_core import OpenAPI
    from openapi_core.exceptions import OpenAPIError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "openapi"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Operation:
    """A method on one of the file's paths: `path` is the part of the address that it covers."""

    host_url: str
    template: str
    method: str
    path: str


class Request:
    """A call as openapi-core wants to see it, its path without the prefix of `base_url`."""

    def __init__(
        self, operation: Operation, query: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        from openapi_core.datatypes import RequestParameters

        self.host_url = operation.host_url
        self.path = operation.path
        self.method = operation.method
        self.body = body or None
        self.content_type = media_type(headers)
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(query, keep_blank_values=True)),
            header=Headers(dict(headers)),
        )


@dataclass(frozen=True)
class Response:
    """An answer as openapi-core wants to see it."""

    status_code: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def content_type(self) -> str:
        return media_type(self.headers)


class Specification:
    """One OpenAPI file, 3.0 or 3.1, as JSON."""

    def __init__(self, path: Path) -> None:
        self._document = json.loads(path.read_text("utf-8"))
        close_objects(self._document)

    def check(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Accept a call that fits; `url` may have any host, port and prefix.

        Raises:
            AssertionError: a sentence that names the method, the path and what does not fit.
        """
        from openapi_core.exceptions import OpenAPIError

        headers = headers or {}
        operation = self._operation(method, url)
        query = urlsplit(url).query
        faults = [
            *self._unknown_parameters(operation, query),
            *self._unknown_fields(operation, headers, body),
        ]
        try:
            self._api.validate_request(Request(operation, query, headers, body))
        except OpenAPIError as error:
            faults.append(sentence(error))
        assert not faults, f"{method} {operation.template}: {'; '.join(faults)}"

    def check_answer(
        self, method: str, url: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Accept an answer that the file promises for that call.

        Raises:
            AssertionError: a sentence that names the method, the path, the status and the fault.
        """
        from openapi_core.exceptions import OpenAPIError

        operation = self._operation(method, url)
        request = Request(operation, "", {}, b"")
        try:
            self._api.validate_response(request, Response(status, headers, body))
        except OpenAPIError as error:
            raise AssertionError(
                f"{method} {operation.template} answering {status}: {sentence(error)}"
            ) from None

    def answer(self, method: str, url: str, status: int = 200) -> bytes:
        """Return the first example of that answer that the file gives.

        Raises:
            LookupError: it gives none.
        """
        operation = self._operation(method, url)
        answers = self._described(operation)["responses"]
        for media in self._resolved(answers.get(str(status), {})).get("content", {}).values():
            examples = [self._resolved(one)["value"] for one in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            if examples:
                return json.dumps(examples[0]).encode()
        raise LookupError(f"{method} {operation.template}: no example of {status}")

    @cached_property
    def _api(self) -> "OpenAPI":
        from openapi_core import OpenAPI

        return OpenAPI.from_dict(self._document)

    def _operation(self, method: str, url: str) -> Operation:
        path, found = urlsplit(url).path, []
        for template, item in self._document["paths"].items():
            for server in item.get("servers", self._document.get("servers", [{"url": ""}])):
                at = urlsplit(server["url"])
                pattern = re.escape(at.path.rstrip("/") + template)
                match = re.search(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", pattern) + "$", path)
                if match and method.lower() in item:
                    host_url = f"{at.scheme}://{at.netloc}"
                    named = Operation(host_url, template, method.lower(), match.group())
                    found.append((match.start(), template.count("{"), template, named))
        assert found, f"{method} {path}: the file has no such operation"
        return min(found, key=lambda one: one[:3])[3]

    def _described(self, operation: Operation) -> dict[str, Any]:
        described: dict[str, Any] = self._document["paths"][operation.template][operation.method]
        return described

    def _resolved(self, node: Any) -> Any:
        while "$ref" in node:
            parts = node["$ref"].removeprefix("#/").split("/")
            node = reduce(lambda inner, part: inner[part], parts, self._document)
        return node

    def _unknown_parameters(self, operation: Operation, query: str) -> Iterator[str]:
        item = self._document["paths"][operation.template]
        parameters = item.get("parameters", []) + item[operation.method].get("parameters", [])
        known = {self._resolved(parameter)["name"] for parameter in parameters}
        for name in dict(parse_qsl(query, keep_blank_values=True)).keys() - known:
            yield f"the query parameter {name} is not in the file"

    def _unknown_fields(
        self, operation: Operation, headers: Mapping[str, str], body: bytes
    ) -> Iterator[str]:
        request_body = self._resolved(self._described(operation).get("requestBody", {}))
        if body and not request_body:
            yield "a body was sent, and the file has none"
        content = request_body.get("content", {})
        if media_type(headers) != FORM or FORM not in content:
            return
        properties = self._resolved(content[FORM]["schema"])["properties"]
        for name in (
            dict(parse_qsl(body.decode(), keep_blank_values=True)).keys() - properties.keys()
        ):
            yield f"the field {name} is not in the file"


def media_type(headers: Mapping[str, str]) -> str:
    kinds = [value for name, value in headers.items() if name.lower() == "content-type"]
    return kinds[0].partition(";")[0].strip().lower() if kinds else ""


def close_objects(node: Any) -> None:
    """Refuse fields without a name in every schema that names some."""
    if isinstance(node, list):
        for item in node:
            close_objects(item)
    elif isinstance(node, dict):
        if node.get("type") == "object" and node.get("properties"):
            node.setdefault("additionalProperties", False)
        for item in node.values():
            close_objects(item)


def sentence(error: "OpenAPIError") -> str:
    """Return the innermost words: for a schema, each fault with its place."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    faults = [f"{one.json_path}: {one.message}" for one in getattr(cause, "schema_errors", ())]
    return "; ".join(faults) or f"{error} ({cause})"
