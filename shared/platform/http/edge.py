"""The HTTP edge of every service: limits, time-outs, headers and problem details."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.core.codes import ERRORS
from shared.core.errors import CausewayError, Defect, InvalidFields, Refused, RetryLater, Unavailable, not_found
from shared.core.guard import parse_body
from shared.core.ids import uuid7
from shared.platform.admission.budgets import SOURCES, PlacePool, SourceWatch, read_address
from shared.platform.http import problems
from shared.platform.http.bodies import IDLE_S, BodyBound, body_places, closing
from shared.platform.http.openapi import document, serve_document
from shared.platform.http.problems import problem
from shared.platform.http.server import CONNECTION
from shared.platform.observability import metrics
from shared.platform.observability.health import Probe, ReadinessChecks, readiness_body
from shared.platform.observability.logs import log
from shared.platform.observability.telemetry import span

#: The headers of each answer, unless the route sets them itself.
SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
)

_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_Model = TypeVar("_Model", bound=BaseModel)


class _PathName(StringConvertor):
    """The form of a path parameter. It ends before the colon of an act, so that an act's path matches no subject's."""

    regex = "[^/:]+"


register_url_convertor("str", _PathName())


def create_app(
    title: str,
    routers: Sequence[APIRouter],
    *,
    probes: Sequence[Probe] = (),
    body_timeout_s: float = IDLE_S,
    bodies: PlacePool | None = None,
) -> FastAPI:
    """Build the application of a service: its routers behind the edge, /livez, /readyz, /problems and /openapi.json.

    `bodies` are the places of bodies that have not arrived yet; by default those of `BODIES`. The application's
    `state.readiness` has the checks.
    """
    # The error of any request. It also keeps FastAPI from describing its own answer to invalid requests.
    failure: dict[int | str, dict[str, Any]] = {"default": {"model": problems.Problem}}
    app = FastAPI(title=title, version="1", openapi_url=None, redirect_slashes=False, responses=failure)
    for router in routers:
        app.include_router(router)
    sources = SourceWatch()
    app.state.readiness = ReadinessChecks([*probes, sources.probe_addresses])
    app.include_router(_watched(app.state.readiness))
    app.add_exception_handler(CausewayError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.add_exception_handler(HTTPException, _on_http)
    # The last added is the outermost.
    app.add_middleware(BodyBound, places=bodies or body_places(), idle_s=body_timeout_s)
    app.add_middleware(RequestFrame, sources=sources)
    app.openapi = cache(lambda: document(app))  # type: ignore[method-assign]
    serve_document(app)
    return app


async def read_json(request: Request) -> dict[str, Any]:
    """Parse the body as a JSON object within the limits of the guard. Raises `Refused` with a code `body_…`."""
    headers = request.headers
    return parse_body(headers.get("content-type"), headers.get("content-encoding"), await request.body())


def read_model(model: type[_Model], value: Any) -> _Model:
    """Validate `value` (parsed JSON) as `model`. Raises `InvalidFields` with each place and rule, never a value."""
    try:
        # As JSON: strict there means no coercion, but codes, times and ids may still be text.
        return model.model_validate_json(to_json(value), strict=True)
    except ValidationError as error:
        # Raised outside the `except`, because the error would otherwise carry the input.
        refusal = InvalidFields(problems.broken_places(error.errors(include_url=False, include_input=False)))
    raise refusal


def read_key(header: str | None) -> bytes:
    """Return the SHA-256 of an `Idempotency-Key` header. The key itself is never stored.

    Raises `Refused` with `idempotency_key_missing` or `idempotency_key_malformed`.
    """
    if header is None:
        raise Refused("idempotency_key_missing", "send an Idempotency-Key header", status=400)
    if not _KEY.fullmatch(header):
        raise Refused("idempotency_key_malformed", "1 to 64 of A-Z a-z 0-9 . _ -", status=400)
    return hashlib.sha256(header.encode()).digest()


class RequestFrame:
    """The outermost middleware: it adds an id and a span to each request, headers to each answer, and a plain 500."""

    def __init__(self, app: ASGIApp, sources: SourceWatch) -> None:
        self._app = app
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, status = str(uuid7()), 0
        scope.setdefault("state", {})[SOURCES] = self._sources

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == HTTPStatus.TOO_MANY_REQUESTS and (connection := scope.get(CONNECTION)) is not None:
                    connection.protocol.rest()
                if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                    log_refusal(scope, status)
                names = {name for name, _ in message["headers"]}
                ours = (each for each in SECURITY_HEADERS if each[0] not in names)
                message["headers"] = [*message["headers"], *ours, (b"request-id", request_id.encode())]
            await send(message)

        # A new trace that links to the caller's, so that no message contains the id that the caller chose.
        with span("http.request", links=_values(scope, b"traceparent")[:1]) as notes:
            try:
                if (refusal := _malformed_header(scope)) is not None:
                    await closing(refusal)(scope, receive, send_with_headers)
                else:
                    await self._app(scope, receive, send_with_headers)
            except ClientDisconnect:
                pass  # the metric counts it with status 0
            except Exception as error:
                log("request_failed", request_id=request_id, error=type(error).__name__, route=_route(scope))
                if status:
                    raise
                await problem(Defect("internal_error"))(scope, receive, send_with_headers)
            finally:
                route, method = _route(scope), _method(scope)
                notes.add({"http.route": route, "http.request.method": method, "http.response.status_code": status})
                metrics.HTTP_REQUESTS.labels(method, route, str(status)).inc()


def log_refusal(scope: Scope, status: int) -> None:
    """Log a request whose key, session, sign-in or role was refused, with its source address."""
    log("access_refused", code=str(int(status)), source=read_address(scope).holder, route=_route(scope))


def _watched(readiness: ReadinessChecks) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> Response:
        return Response(to_json({"alive": True}), media_type="application/json")

    @router.get("/readyz")
    async def readyz() -> Response:
        status, body = readiness_body(await readiness.read())
        return Response(body, status_code=status, media_type="application/json")

    @router.get("/problems/{code}")
    async def why(code: str) -> Response:
        if (known := ERRORS.get(code)) is None:
            raise not_found()
        return Response(to_json({"code": code} | known._asdict()), media_type="application/json")

    return router


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, CausewayError)
    if not isinstance(error, Refused | Unavailable):
        raise error  # a defect: logged and answered by `RequestFrame`
    if error.code in {"body_too_large", "body_too_slow"}:
        return closing(error)
    return problem(error, error.headers if isinstance(error, RetryLater) else None)


async def _on_parameters(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(problems.invalid_parameters(problems.broken_places(error.errors())))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(not_found())
    refusal = Refused("method_not_allowed", "the resource has no such method", status=error.status_code)
    allowed = {"Allow": ", ".join(_allowed_methods(request))}
    return problem(refusal, allowed if error.status_code == 405 else error.headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of a path. Starlette itself names those of the path's first route alone."""
    scopes = [dict(request.scope) | {"method": method} for method in _METHODS]
    return [
        scope["method"]
        for scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the values of a header. The server has written its name in lower case."""
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def _malformed_header(scope: Scope) -> Refused | None:
    """Return the refusal of a `Host` or `Origin` header that does not parse; None if both do.

    A request without `Host` passes: a probe over HTTP/1.0 has none.
    """
    hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
    if len(hosts) > 1 or not all(map(_is_authority, hosts)):
        return Refused("host_malformed", "the Host header is not a host name with an optional port", status=400)
    if len(origins) > 1 or not all(map(_is_origin, origins)):
        return Refused("origin_malformed", "the Origin header is neither null nor scheme://host", status=400)
    return None


def _is_origin(text: str) -> bool:
    scheme, _, authority = text.partition("://")
    return text == "null" or (_SCHEME.fullmatch(scheme) is not None and _is_authority(authority))


def _is_authority(text: str) -> bool:
    if _AUTHORITY.fullmatch(text) is None:
        return False
    try:
        urlsplit(f"//{text}").port  # noqa: B018 - reading it checks the brackets and the port
    except ValueError:
        return False
    return True


def _route(scope: Scope) -> str:
    """Return the route's template, never the path of the request."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"
