"""Real requests and answers compared with a committed OpenAPI document, as a client's generator would read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from jsonschema import FormatChecker

from tests.contracts.published import EcmaValidator, read

API = Path(__file__).parents[2] / "docs/api"
#: (method, path's template, status), in lower case as the document has them.
Seen = tuple[str, str, str]


class Described:
    """One committed document; it remembers which of its answers it has seen."""

    def __init__(self, instance: str) -> None:
        self.document: dict[str, Any] = read(API / f"openapi-{instance}.json")
        self.seen: set[Seen] = set()

    def successes(self) -> set[Seen]:
        """Return every answer below 400 that the document promises."""
        return {
            (method, path, status)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            for status in operation["responses"]
            if status < "4"
        }

    def differences(self, answer: httpx.Response) -> list[str]:
        """Return differences of the answer, or of an accepted request, from the document, without any values."""
        method, path = answer.request.method.lower(), answer.request.url.path
        template = self._template(method, path)
        if template is None:
            return ["operation"]
        operation = self.document["paths"][template][method]
        status = str(answer.status_code)
        if status not in operation["responses"]:
            return ["status"]
        self.seen.add((method, template, status))
        said = self._resolved(operation["responses"][status])
        accepted = list(self._of_request(operation, answer.request)) if answer.status_code < 400 else []
        return accepted + list(self._of_answer(said, answer))

    def _template(self, method: str, path: str) -> str | None:
        # The most literal first: `/v1/referrals:check` is no `/v1/{id}`.
        for template in sorted(self.document["paths"], key=lambda each: each.count("{")):
            pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/:]+", re.escape(template))
            if re.fullmatch(pattern, path) and method in self.document["paths"][template]:
                return str(template)
        return None

    def _of_request(self, operation: Mapping[str, Any], request: httpx.Request) -> Iterator[str]:
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header" and parameter["required"]:
                yield from self._broken(f"sends {parameter['name']}", parameter, request.headers)
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            yield from (f"sends {place}" for place in self._invalid(schema, json.loads(request.content)))

    def _of_answer(self, said: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
        kind = answer.headers.get("content-type")
        if kind not in said["content"]:
            yield "content-type"
        else:
            value = answer.json() if kind is not None and "json" in kind else answer.text
            yield from self._invalid(said["content"][kind]["schema"], value)
        for name, header in said.get("headers", {}).items():
            yield from self._broken(name, self._resolved(header) | {"name": name}, answer.headers)

    def _broken(self, place: str, header: Mapping[str, Any], headers: httpx.Headers) -> Iterator[str]:
        value = headers.get(header["name"])
        if value is None or self._invalid(header["schema"], value):
            yield place

    def _invalid(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        whole = {"allOf": [schema], "components": self.document["components"]}
        errors = EcmaValidator(whole, format_checker=FormatChecker()).iter_errors(value)
        return [f"/{'/'.join(map(str, error.absolute_path))} {error.validator}" for error in errors]

    def _resolved(self, node: Mapping[str, Any]) -> dict[str, Any]:
        found: Any = node
        if "$ref" in node:
            found = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
        return dict(found)
