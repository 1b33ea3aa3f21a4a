"""A provider's service for greedy principals, shared by the tests of its classes of requests and of its pools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.services.hostile.greedy import Service, greedy_service
from tests.support.running import Exchange
from tests.support.stack import servers


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with servers(tmp_path_factory.mktemp("greedy")) as stack:
        yield Exchange(stack)


@pytest.fixture(scope="session")
async def service(installed: Exchange) -> AsyncIterator[Service]:
    async with greedy_service(installed) as running:
        yield running
