"""The OpenAPI document of a service: FastAPI's document, and the behaviour of the edge that FastAPI cannot know.

Answers are declared by FastAPI's `response_model`, which describes them but checks nothing, because routes return ready
bytes. Tests compare real answers with the committed documents.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from shared.core.errors import Defect
from shared.platform.http.problems import PROBLEM_JSON, Problem

#: A part of an OpenAPI document, or the arguments of a route's decorator.
Described = dict[str, Any]
#: The header that every request with an effect carries, as OpenAPI describes it; `read_key` reads it.
IDEMPOTENCY_KEY: Final[Described] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A key that the sender creates, new for each act. A request with the same key and equal JSON is a "
    "retry of the act: it has one effect, and gets the first answer again.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}
_WORDS: Final[Described] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
#: The member of an operation with the schemas of bodies that the route reads itself, until `document` collects them.
_BODIES: Final = "x-bodies"
_SCHEMA: Final = "#/components/schemas/{model}"


def shows(
    answer: type[BaseModel],
    *,
    takes: Sequence[type[BaseModel]] = (),
    headers: Sequence[Mapping[str, object]] = (),
    conflict: type[Problem] | None = None,
) -> Described:
    """Return the decorator's arguments for a route that changes nothing: its answer, bodies and headers.

    `conflict` is the body of its 409, None if it has none.
    """
    extra: Described = {"parameters": [dict(each) for each in headers]} if headers else {}
    if takes:
        bodies, defined = models_json_schema([(each, "validation") for each in takes], ref_template=_SCHEMA)
        schema = {"anyOf": list(bodies.values())} if len(takes) > 1 else bodies[takes[0], "validation"]
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        extra[_BODIES] = defined["$defs"]
    responses: dict[int, Any] = {}
    if conflict is not None:
        meaning = _WORDS["refusals"]["409"][0] if conflict is Problem else _meaning(conflict)
        responses[409] = {"model": conflict, "description": meaning}
    arguments = {"response_model": answer, "response_description": _meaning(answer)}
    return arguments | {"responses": responses, "openapi_extra": extra}


def does(
    answer: type[BaseModel],
    *,
    takes: Sequence[type[BaseModel]] = (),
    status: int = 202,
    conflict: type[Problem] | None = Problem,
    location: bool = False,
) -> Described:
    """Return the decorator's arguments for a route that acts, once per `Idempotency-Key`.

    `location`: the answer names a new resource.
    """
    arguments = shows(answer, takes=takes, headers=[IDEMPOTENCY_KEY], conflict=conflict) | {"status_code": status}
    if location:
        arguments["responses"][status] = {"headers": _refs("Location")}
    return arguments


def document(app: FastAPI) -> Described:
    """Return FastAPI's OpenAPI document with the bodies that routes read themselves, refusals, headers and keys."""
    found = get_openapi(title=app.title, version=app.version, routes=app.routes, separate_input_output_schemas=False)
    components = found.setdefault("components", {})  # absent in an interface without routes
    for path, operations in found["paths"].items():
        for operation in operations.values():
            for name, schema in operation.pop(_BODIES, {}).items():
                if components["schemas"].setdefault(name, schema) != schema:
                    raise Defect("schema_name_taken", "two models of one interface have the same name")
            for status, response in operation["responses"].items():
                response["headers"] = response.get("headers", {}) | _refs("Request-Id")
                if status >= "4":
                    (of_problem,) = response["content"].values()
                    response["content"] = {PROBLEM_JSON: of_problem}
            operation["responses"] |= {
                status: {"$ref": f"#/components/responses/{status}"} for status in _refusals(path, operation)
            }
    refusals = {status: _refused(*response) for status, response in _WORDS["refusals"].items() if status != "409"}
    keys = {"key": {"type": "http", "scheme": "bearer"}}
    components |= {"headers": _WORDS["headers"], "responses": refusals, "securitySchemes": keys}
    return found | {"security": [{"key": []}]}


def serve_document(app: FastAPI) -> None:
    """Add `GET /openapi.json` to `app`. Every client gets the same bytes, or 304 if its ETag is current."""
    turn = asyncio.Lock()
    kept: tuple[bytes, str] | None = None

    async def answer(request: Request) -> Response:
        nonlocal kept
        async with turn:
            if kept is None:
                # Building takes seconds of CPU. A thread lets other requests run meanwhile.
                kept = await asyncio.to_thread(_encode, app)
            body, etag = kept
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    app.add_route("/openapi.json", answer, include_in_schema=False)


def _encode(app: FastAPI) -> tuple[bytes, str]:
    """Return the document as bytes, with the entity tag of these bytes."""
    body = to_json(app.openapi())
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _refusals(path: str, operation: Described) -> list[str]:
    """Return the error statuses that the edge may answer, from the operation's parameters and body."""
    parameters, takes = operation.get("parameters", ()), "requestBody" in operation
    reads = takes or IDEMPOTENCY_KEY in parameters
    possible = ["400"] * bool(parameters) + ["401", "403"] + ["404"] * ("{" in path)
    return possible + ["408", "413", "422"] * reads + ["415"] * takes + ["429", "503", "default"]


def _refs(*names: str) -> Described:
    """Return these headers, as an OpenAPI response names them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refused(meaning: str, *headers: str) -> Described:
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": meaning, "content": content, "headers": _refs("Request-Id", *headers)}


def _meaning(model: type[BaseModel]) -> str:
    """Return the first line of a model's docstring."""
    return (model.__doc__ or "").partition("\n")[0]
