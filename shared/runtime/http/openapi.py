"""What an HTTP door says of itself: the OpenAPI document of routes that read and answer their own bodies.

Nothing here runs while a request is served. The models describe bodies and answers and check neither; that the
answers are as described is shown by tests, which hold real ones against the committed documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from shared.kernel.errors import Defect
from shared.runtime.http.problems import PROBLEM_JSON, Problem

#: The header that every request with an effect carries; `idempotency.read_key` reads it.
IDEMPOTENCY_KEY: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Made by the sender, new for each act. The same key with the same body is the same act: it has one "
    "effect, and is answered again with the first answer.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}


def shows(
    answer: type[BaseModel], *, takes: Sequence[type[BaseModel]] = (), headers: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """`openapi_extra` of a route that changes nothing: its 200 answer, the bodies it takes, the headers it needs."""
    return _described(200, answer, takes=takes, headers=headers)


def does(
    answer: type[BaseModel],
    *,
    takes: Sequence[type[BaseModel]] = (),
    status: int = 202,
    conflict: type[Problem] | None = Problem,
    location: bool = False,
) -> dict[str, Any]:
    """`openapi_extra` of a route that acts, once per `Idempotency-Key`.

    `conflict` is the body of its 409, None where it has none; `location` says that its answer names a new resource.
    """
    described = _described(status, answer, takes=takes, headers=[IDEMPOTENCY_KEY])
    if location:
        described["responses"][str(status)]["headers"]["Location"] = _ref("headers", "Location")
    if conflict is not None:
        said = _REFUSALS[409] if conflict is Problem else _meaning(conflict)
        described["responses"]["409"] = _refusal_as(said, conflict.__name__)
        described[_SCHEMAS] |= _schemas_of(conflict)
    return described


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: FastAPI's, with what routes say by `shows` and `does`, refusals, headers and the keys."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components: dict[str, Any] = found.setdefault("components", {})
    schemas = {name: each for name, each in components.get("schemas", {}).items() if name not in _FASTAPIS_OWN}
    schemas |= _schemas_of(Problem)
    for path, operations in found.get("paths", {}).items():
        for operation in operations.values():
            for name, schema in operation.pop(_SCHEMAS, {}).items():
                if schemas.setdefault(name, schema) != schema:
                    raise Defect("schema_name_taken", "two models of one door have the same name")
            operation["responses"] = _responses(path, operation)
    components["schemas"] = schemas
    components["headers"] = dict(_HEADERS)
    components["responses"] = {str(status): _refusal(status) for status in _REFUSALS if status != 409}
    components["responses"]["default"] = _refusal_as("The service failed; nothing of the request has taken effect.")
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"key": []}]
    app.openapi_schema = found
    return found


#: Where a route's schemas wait in its operation until `document` collects them.
_SCHEMAS: Final = "x-schemas"
#: FastAPI's own answer to a wrong parameter, which `http` replaces by a problem.
_FASTAPIS_OWN: Final = frozenset({"HTTPValidationError", "ValidationError"})

_SECONDS: Final = {"type": "string", "pattern": "^[0-9]+$"}
_HEADERS: Final[Mapping[str, Any]] = {
    "Location": {
        "description": "The path of what was made.",
        "required": True,
        "schema": {"type": "string", "pattern": "^/v1/"},
    },
    "RateLimit-Limit": {"description": "Requests of one burst.", "required": True, "schema": _SECONDS},
    "RateLimit-Remaining": {"description": "Requests left now.", "required": True, "schema": _SECONDS},
    "RateLimit-Reset": {"description": "Seconds until one is granted.", "required": True, "schema": _SECONDS},
    "Request-Id": {
        "description": "Names this request in the service's log lines.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "Retry-After": {"description": "Seconds to wait before asking again.", "required": True, "schema": _SECONDS},
    "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
}
_REFUSALS: Final[Mapping[int, str]] = {
    400: "A parameter or header breaks a rule.",
    401: "No API key, or none that opens: one answer for all of these.",
    403: "The role of the key may not do this.",
    404: "There is no such resource for you: absent and foreign are answered alike.",
    408: "The body came too slowly.",
    409: "The act does not fit the present state.",
    413: "The body is too large.",
    415: "The body is of another type than application/json, or has a content encoding.",
    422: "The body breaks a rule, or the idempotency key was used with another body.",
    429: "The party's budget is used up.",
    503: "Something needed is not there now. The same request, under the same key, may be sent again.",
}
_REFUSAL_HEADERS: Final[Mapping[int, Sequence[str]]] = {
    401: ("WWW-Authenticate",),
    429: ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"),
    503: ("Retry-After",),
}


def _described(
    status: int, answer: type[BaseModel], *, takes: Sequence[type[BaseModel]], headers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    said = {
        "description": _meaning(answer),
        "content": {"application/json": {"schema": _ref("schemas", answer.__name__)}},
        "headers": {"Request-Id": _ref("headers", "Request-Id")},
    }
    schemas = _schemas_of(answer)
    described: dict[str, Any] = {"responses": {str(status): said}}
    if headers:
        described["parameters"] = [dict(each) for each in headers]
    if takes:
        refs = [_ref("schemas", model.__name__) for model in takes]
        schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        schemas |= {name: each for model in takes for name, each in _schemas_of(model).items()}
    return described | {_SCHEMAS: schemas}


def _responses(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """What the operation states itself, and the refusals that follow from what it asks for."""
    stated = {status: said for status, said in operation["responses"].items() if status != "422"}
    parameters = operation.get("parameters", ())
    acts = any(each["name"] == IDEMPOTENCY_KEY["name"] for each in parameters)
    possible = {401, 403, 429, 503}
    possible |= {400} if parameters else set()
    possible |= {404} if "{" in path else set()
    possible |= {408, 413, 422} if acts or "requestBody" in operation else set()
    possible |= {415} if "requestBody" in operation else set()
    refusals = {str(status): _ref("responses", str(status)) for status in sorted(possible)}
    return stated | refusals | {"default": _ref("responses", "default")}


def _refusal(status: int) -> dict[str, Any]:
    return _refusal_as(_REFUSALS[status], headers=_REFUSAL_HEADERS.get(status, ()))


def _refusal_as(description: str, model: str = Problem.__name__, headers: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "description": description,
        "content": {PROBLEM_JSON: {"schema": _ref("schemas", model)}},
        "headers": {name: _ref("headers", name) for name in ("Request-Id", *headers)},
    }


def _meaning(model: type[BaseModel]) -> str:
    """The first line of its docstring."""
    return (model.__doc__ or "").partition("\n")[0]


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schemas of a model and of what it refers to, by name. FastAPI's document carries no classes."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    defined: dict[str, Any] = schema.pop("$defs", {})
    # As FastAPI encodes what a route says of itself: without defaults that are null.
    encoded: dict[str, Any] = jsonable_encoder(defined | {model.__name__: schema}, exclude_none=True)
    return encoded
