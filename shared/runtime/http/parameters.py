"""Query parameters: a route takes those that it has, and says which one it does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request

from shared.runtime.http.problems import InvalidFields

#: What a parameter's name looks like. Anything else came from elsewhere than a misspelling, and is not said again.
_NAME: Final = re.compile(r"[a-z][a-z_]{0,31}")


def refuse_unknown(request: Request) -> None:
    """Raises `InvalidFields` (`parameter_invalid`) for the first parameter that the request's route does not have.

    A filter that is misspelt would else be no filter, and its caller would take everything for what it asked for.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = sorted(names(route))
    for name in request.query_params:
        if name not in known:
            field = f"/query/{name}" if _NAME.fullmatch(name) else "/query"
            expected = f"one of {', '.join(known)}" if known else "no parameter"
            raise InvalidFields(
                [{"field": field, "rule": "unknown_parameter", "expected": expected}],
                code="parameter_invalid",
                what="parameters",
                status=400,
            )


def names(route: APIRoute) -> frozenset[str]:
    """The query parameters of a route; those of a model are its fields."""
    return frozenset(_of(route.dependant))


def _of(dependant: Dependant) -> Iterator[str]:
    for each in dependant.query_params:
        model = each.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield each.alias
    for below in dependant.dependencies:
        yield from _of(below)
