"""Each route of each service has a row with its charged principal and its resources, and each pool is named."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from deploy.artifacts.__main__ import ASSEMBLE, offline
from shared.platform.admission.budgets import BUDGETS
from shared.platform.http.identity import identified
from tests.architecture.source import PRODUCT, Module, modules, parse

#: The dependency by which a route charges a key.
CHARGES = f"{identified.__name__}.<locals>.identity_of"
OF_KEYS = {"key", "key_or_session"}
#: Each bounded pool, and the constant with its limit.
POOLS: Final[Mapping[str, str]] = {
    "connections": "shared.platform.http.server:CONNECTIONS_MAX",
    "connections_at_rest": "shared.platform.http.server:IDLE_OF_ADDRESS_MAX",
    "bodies": "shared.platform.http.bodies:BODIES",
    "acts": "shared.platform.http.acts:ACTS",
    "sign_in": "shared.platform.admission.budgets:SIGN_IN",
    "api_keys": "shared.platform.admission.key_table:KEYS_MAX",
    "long_polls": "shared.platform.database.feed:PLACES_MAX",
    "intake": "shared.features.filing.service.alarms:WAITING_MAX",
    "checks": "shared.platform.http.worker_process:WAITING_MAX",
    "webhooks": "shared.platform.courier.endpoints:ENDPOINTS_MAX",
    "webhook_sending": "shared.platform.courier.courier:ADDRESSES_MAX",
}


class EntranceClass(NamedTuple):
    """The principal, budgets and pools of a class of requests. A few bytes are charged to no principal."""

    charged: str
    budgets: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()


_ASKING: Final = ("requests", "bytes")
_WORKING: Final = (*_ASKING, "work")

CLASSES: Final = {
    "probe": EntranceClass("nobody"),
    "document": EntranceClass("nobody"),
    "sign_in": EntranceClass("address", (), ("sign_in",)),
    "read": EntranceClass("key", _ASKING),
    "page": EntranceClass("session", _ASKING),
    "export": EntranceClass("key_or_session", _ASKING),
    "long_poll": EntranceClass("key_or_session", _ASKING, ("long_polls",)),
    "act": EntranceClass("key", _ASKING, ("bodies", "acts")),
    "form": EntranceClass("session", _ASKING, ("bodies", "acts")),
    "change": EntranceClass("key", _WORKING, ("bodies", "acts")),
    "change_form": EntranceClass("session", _WORKING, ("bodies", "acts")),
    "bulk": EntranceClass("key", _WORKING, ("bodies", "acts")),
    "bulk_form": EntranceClass("session", _WORKING, ("bodies", "acts")),
    "file": EntranceClass("key_or_session", _WORKING, ("bodies", "intake")),
    "check": EntranceClass("key_or_session", _WORKING, ("bodies", "checks")),
}


class Entrance(NamedTuple):
    """One route: its methods except HEAD, separated by commas, and its path as the router has it."""

    methods: str
    path: str


def read_entrances() -> dict[Entrance, str]:
    """Read `entrances.tsv`: the class of each route of the services."""
    _, *rows = Path(__file__).with_name("entrances.tsv").read_text(encoding="utf-8").splitlines()
    return {Entrance(methods, path): name for methods, path, name in (row.split("\t") for row in rows)}


def routes_of(routes: Sequence[BaseRoute]) -> Iterator[Route | APIRoute]:
    for each in routes:
        included = getattr(each, "original_router", None)
        if included is not None:
            yield from routes_of(included.routes)
        else:
            assert isinstance(each, Route | APIRoute)
            yield each


def entrance_of(route: Route | APIRoute) -> Entrance:
    return Entrance(",".join(sorted({*(route.methods or ())} - {"HEAD"})), route.path)


def without_row(http: FastAPI) -> list[Entrance]:
    rows = read_entrances()
    return sorted(each for each in map(entrance_of, routes_of(http.routes)) if each not in rows)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    services = {name: offline(name) for name in ASSEMBLE}
    assert {name: without_row(http) for name, http in services.items()} == {name: [] for name in services}
    there = {entrance_of(route) for http in services.values() for route in routes_of(http.routes)}
    assert sorted(read_entrances().keys() - there) == []


@pytest.mark.parametrize("name", ASSEMBLE)
def test_a_route_below_v1_is_charged_to_a_key_and_no_other_says_so(name: str) -> None:
    for route in routes_of(offline(name).routes):
        entrance = entrance_of(route)
        charged = CLASSES[read_entrances()[entrance]].charged
        if isinstance(route, APIRoute):
            charges = CHARGES in {each.call.__qualname__ for each in route.dependant.dependencies if each.call}
            assert charges == (charged in OF_KEYS), entrance
        else:
            assert charged != "key", entrance


def test_a_new_route_without_a_row_is_found() -> None:
    http = offline("audit")
    http.get("/v1/planted")(lambda: None)
    assert without_row(http) == [Entrance("GET", "/v1/planted")]


def test_classes_name_budgets_and_pools_that_there_are() -> None:
    assert {*read_entrances().values()} == CLASSES.keys()
    assert {budget for each in CLASSES.values() for budget in each.budgets} == {*BUDGETS}
    assert {pool for each in CLASSES.values() for pool in each.pools} <= POOLS.keys()
    for place in POOLS.values():
        module, _, constant = place.partition(":")
        assert getattr(import_module(module), constant) is not None, place


def unnamed_pools(module: Module) -> list[str]:
    """Return names of pools that a module makes, and that the table does not have."""
    made = [
        ast.unparse(call.args[0])
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == "PlacePool" and call.args
    ]
    return [name for name in made if name.strip("'\"") not in POOLS]


def test_every_pool_of_places_is_named() -> None:
    assert [name for package in PRODUCT for module in modules(package) for name in unnamed_pools(module)] == []
    assert unnamed_pools(parse('made = PlacePool("exports", SHARES)\n', "shared/planted.py")) == ["'exports'"]
