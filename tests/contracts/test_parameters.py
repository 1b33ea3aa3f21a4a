"""No route of any service accepts an undeclared query parameter, and each knows its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from deploy.artifacts.__main__ import ASSEMBLE, offline, openapi
from shared.platform.http.identity import names
from tests.contracts.test_openapi import OPEN_TO_ALL


def routes_of(router: Any) -> Iterator[APIRoute]:
    """Yield every route; FastAPI keeps included routers whole."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router)


@pytest.mark.parametrize("instance", sorted(ASSEMBLE))
def test_what_a_route_knows_is_what_its_document_lists(instance: str) -> None:
    described = openapi(instance)["paths"]
    mine = [route for route in routes_of(offline(instance)) if route.path not in OPEN_TO_ALL]
    assert len(mine) >= 3
    for route in mine:
        (method,) = route.methods
        listed = described[route.path][method.lower()].get("parameters", [])
        assert names(route) == {each["name"] for each in listed if each["in"] == "query"}, route.path
