"""The OpenAPI document of each service: what its HTTP door says of itself, assembled without database or broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import SecretStr

from services.audit import app as audit
from services.hotline import app as hotline
from services.industry import app as industry
from services.law_enforcement import app as law_enforcement
from shared.envelope.datakeys import KeyEncryptionKey
from shared.envelope.keys import OpeningKey, SigningKey
from shared.kernel.clock import SystemClock
from shared.routing.shelf import DocumentShelf
from shared.runtime.database.transactions import Database
from shared.runtime.http.budgets import Budgets
from shared.runtime.http.identity import ApiKeys
from shared.runtime.instance.keys import InstanceKeys
from shared.runtime.instance.machinery import Machinery
from shared.runtime.instance.settings import RuntimeSettings, settings_for
from shared.runtime.kafka.documents import DocumentFeed

#: How each service is put together on given machinery.
ASSEMBLE: Final[Mapping[str, Callable[[Machinery], Any]]] = {
    hotline.INSTANCE: hotline.assemble,
    law_enforcement.INSTANCE: law_enforcement.assemble,
    industry.INSTANCE: industry.assemble,
    audit.INSTANCE: audit.assemble,
}


def openapi(instance: str) -> dict[str, Any]:
    """The document that the service answers at `/openapi.json`."""
    return offline(instance).openapi()


def offline(instance: str) -> FastAPI:
    """The HTTP application of a service whose database and broker nobody reaches."""
    http: FastAPI = ASSEMBLE[instance](_machinery(instance)).http
    return http


class _Offline(RuntimeSettings):
    """Reads only variables of a prefix that nobody sets."""

    model_config = settings_for("offline")


def _machinery(instance: str) -> Machinery:
    settings = _Offline(
        database_url=SecretStr("postgresql://nobody@database.example/none"),
        kafka_bootstrap_servers="broker.example:9092",
        approver_keys_file=Path("none"),
        http_port=1,
    )
    clock, shelf = SystemClock(), DocumentShelf()
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    opening = OpeningKey.generate()
    keys = InstanceKeys(SigningKey.generate(), {opening.key_id: opening}, KeyEncryptionKey(bytes(32)))
    feed = DocumentFeed(settings.kafka_access(), database, shelf, instance=instance, approver_keys={}, clock=clock)
    api_keys = ApiKeys(
        database, instance=instance, directory=lambda: shelf.directories.active(clock.now()), clock=clock
    )
    return Machinery(
        instance, settings, clock, database, keys, shelf, feed, api_keys, Budgets(settings.budget_limits(), clock)
    )
