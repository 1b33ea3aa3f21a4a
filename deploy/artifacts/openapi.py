"""The OpenAPI document of each service: what its HTTP door says of itself, assembled without database or broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import SecretStr

from deploy.site.kinds import KINDS
from shared.envelope.datakeys import KeyEncryptionKey
from shared.envelope.keys import OpeningKey, SigningKey
from shared.kernel.clock import SystemClock
from shared.routing.shelf import DocumentShelf
from shared.runtime.admission.budgets import Budgets
from shared.runtime.admission.key_table import KeyTable
from shared.runtime.database.transactions import Database
from shared.runtime.http.identity import ApiKeys
from shared.runtime.instance.keys import InstanceKeys
from shared.runtime.instance.machinery import Machinery
from shared.runtime.instance.settings import RuntimeSettings
from shared.runtime.kafka.documents import DocumentFeed

#: How each service is put together on given machinery.
ASSEMBLE: Final[Mapping[str, Callable[[Machinery], Any]]] = {
    kind: import_module(f"services.{kind}.app").assemble for kind in KINDS
}


def openapi(instance: str) -> dict[str, Any]:
    """The document that the service answers at `/openapi.json`."""
    return offline(instance).openapi()


def offline(instance: str) -> FastAPI:
    """The HTTP application of a service whose database and broker nobody reaches."""
    http: FastAPI = ASSEMBLE[instance](_machinery(instance)).http
    return http


def _machinery(instance: str) -> Machinery:
    settings = RuntimeSettings.of(
        "offline",  # reads only variables of a prefix that nobody sets
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
    key_table = KeyTable(database)
    api_keys = ApiKeys(
        key_table, instance=instance, directory=lambda: shelf.directories.active(clock.now()), kek=keys.kek
    )
    budgets = Budgets(settings.budget_limits(), clock)
    return Machinery(instance, settings, clock, database, keys, shelf, feed, key_table, api_keys, budgets)
