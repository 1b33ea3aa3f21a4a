"""The servers that tests share: one embedded stack for the whole test session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.settings import DevStackSettings
from deploy.devstack.stack import DevStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """PostgreSQL and Kafka, running and provisioned. A test that stops or kills one starts it again before it ends."""
    with DevStack(tmp_path_factory.mktemp("stack"), embedded_settings()) as running:
        yield running


def embedded_settings(**changes: str | bool | Path | None) -> DevStackSettings:
    """Settings that start both servers, whatever the environment of the test run gives."""
    nothing_given = {
        "database_url": None,
        "causeway_hotline_database_url": None,
        "causeway_law_enforcement_database_url": None,
        "causeway_industry_database_url": None,
        "causeway_audit_database_url": None,
        "kafka_bootstrap_servers": None,
        "causeway_dev_kafka_admin_password": None,
        "causeway_dev_kafka_ca_file": None,
        "causeway_dev_secure": False,
    }
    return DevStackSettings.model_validate(DevStackSettings().model_dump() | nothing_given | changes)
