"""Fixtures for tests of intake under excess: the hotline's API and its servers, without other instances."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.failures.budgets import SETTINGS
from tests.failures.split import SplitExchange, split_exchange


@pytest.fixture(scope="session")
def intake_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitExchange]:
    with split_exchange(tmp_path_factory.mktemp("intake"), settings=SETTINGS) as exchange:
        yield exchange


@pytest.fixture(scope="session")
async def intake(intake_servers: SplitExchange) -> SplitExchange:
    """Yield an exchange whose hotline API runs within the budget of `SETTINGS`."""
    await intake_servers.start("api")
    return intake_servers
