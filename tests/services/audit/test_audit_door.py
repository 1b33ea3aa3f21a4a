"""Audit's HTTP door: what is asked beyond what Kafka has is refused, not broken on."""

from __future__ import annotations

import pytest

from services.audit.api import flows_router
from services.audit.store.entries import PostgresEntries
from services.audit.store.partitions import PostgresPartitions
from shared.kernel.authority import Role
from shared.runtime.database.transactions import Database
from tests.services.audit.log import AUDITOR, PURPOSE
from tests.services.doors import asking, door, identified_as


@pytest.mark.parametrize(("partition", "status"), [(2**31 - 1, 200), (2**31, 400), (-1, 400)])
async def test_a_partition_that_kafka_cannot_have_is_refused(database: Database, partition: int, status: int) -> None:
    router = flows_router(PostgresEntries(database), PostgresPartitions(database), identified_as("auditor"))
    headers = asking(AUDITOR, role=Role.AUDITOR) | {"Purpose": PURPOSE}
    asked = {"topic": "causeway.audit.v1", "partition": partition}
    async with door(router) as client:
        answer = await client.get("/v1/entries", params=asked, headers=headers)
    assert answer.status_code == status
