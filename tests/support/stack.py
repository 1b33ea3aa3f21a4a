"""The servers that tests share: one embedded stack for the whole test session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.devstack.settings import DevStackSettings
from deploy.devstack.stack import DevStack

#: One instance of each kind, and the name of each: what a test runs that needs no second of any.
FOUR = {name: name for name in ("hotline", "law_enforcement", "industry", "audit")}
INSTANCES = tuple(FOUR)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """PostgreSQL and Kafka, running and provisioned. A test that stops or kills one starts it again before it ends."""
    with DevStack(tmp_path_factory.mktemp("stack"), embedded_settings(), instances=FOUR) as running:
        yield running


def embedded_settings(**changes: str | bool | Path | dict[str, str] | None) -> DevStackSettings:
    """Settings that start both servers, whatever the environment of the test run gives."""
    nothing_given: dict[str, Any] = {
        "database_url": None,
        "causeway_database_urls": {},
        "kafka_bootstrap_servers": None,
        "causeway_dev_kafka_admin_password": None,
        "causeway_dev_kafka_ca_file": None,
        "causeway_dev_secure": False,
    }
    return DevStackSettings.model_validate(DevStackSettings().model_dump() | nothing_given | changes)
