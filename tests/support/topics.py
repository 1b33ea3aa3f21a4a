"""What an operator does to a topic: its configuration, changed for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports them without saying so
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from deploy.site.access import admin_client
from deploy.site.endpoints import KafkaEndpoint


async def configure(kafka: KafkaEndpoint, topic: str, key: str, value: str) -> None:
    """Set one entry. The broker acts by it a little later."""
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource("topic", topic, incremental_configs=[entry])
    admin = admin_client(kafka)  # nothing comes of it once its client is gone
    await asyncio.to_thread(admin.incremental_alter_configs([changed])[changed].result, 30)


@asynccontextmanager
async def configured(kafka: KafkaEndpoint, topic: str, key: str, value: str, *, before: str) -> AsyncIterator[None]:
    """Within it the topic has this entry, and after it the one that it had `before`."""
    await configure(kafka, topic, key, value)
    try:
        yield
    finally:
        await configure(kafka, topic, key, before)
