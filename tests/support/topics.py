"""Temporary changes of a topic's configuration, as an operator makes them."""

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
    """Set one entry. The broker applies it a little later."""
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource("topic", topic, incremental_configs=[entry])
    admin = admin_client(kafka)  # the result is lost if the client is garbage-collected
    await asyncio.to_thread(admin.incremental_alter_configs([changed])[changed].result, 30)


@asynccontextmanager
async def configured(kafka: KafkaEndpoint, topic: str, key: str, value: str, *, before: str) -> AsyncIterator[None]:
    """Set the topic's entry within the block, and reset it to `before` afterwards."""
    await configure(kafka, topic, key, value)
    try:
        yield
    finally:
        await configure(kafka, topic, key, before)
