"""The sample world of a module, and a valid record from it."""

from __future__ import annotations

import pytest

from shared.core.protocol.message import Record
from tests.support.builders import POLICE
from tests.support.exchange_world import World, world


@pytest.fixture(scope="module")
def here() -> World:
    return world()


@pytest.fixture(scope="module")
def good(here: World) -> Record:
    return here.records([here.offered(POLICE)])[0]
