"""`python -m deploy.artifacts`: write every generated file again, and print the names of changed ones.

The OpenAPI document of a service comes from its HTTP application, assembled without database or broker.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import SecretStr

from deploy.artifacts.examples import examples
from deploy.artifacts.pages import ROOT, SHOWN_BY, write_page, write_states
from deploy.artifacts.schemas import models, schema_of
from deploy.site.settings import KINDS
from shared.core.clock import SystemClock
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.routing.documents import DocumentStore
from shared.instance.machinery import InstanceParts
from shared.instance.settings import InstanceKeys, RuntimeSettings
from shared.platform.admission.budgets import Budgets
from shared.platform.admission.key_table import KeyTable
from shared.platform.database.transactions import Database
from shared.platform.http.identity import ApiKeys
from shared.platform.kafka.documents import DocumentFeed

#: The function of each service that assembles it on given machinery.
ASSEMBLE: Final[Mapping[str, Callable[[InstanceParts], Any]]] = {
    kind: import_module(f"services.{kind}.app").assemble for kind in KINDS
}


def openapi(instance: str) -> dict[str, Any]:
    """Return the document that the service answers at `/openapi.json`."""
    return offline(instance).openapi()


def offline(instance: str) -> FastAPI:
    """Return the HTTP application of a service without a connection to its database or broker."""
    http: FastAPI = ASSEMBLE[instance](_machinery(instance)).http
    return http


def _machinery(instance: str) -> InstanceParts:
    settings = RuntimeSettings.of(
        "offline",  # a prefix of environment variables that are never set
        database_url=SecretStr("postgresql://nobody@database.example/none"),
        kafka_bootstrap_servers="broker.example:9092",
        approver_keys_file=Path("none"),
        http_port=1,
    )
    clock, shelf = SystemClock(), DocumentStore()
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    opening = OpeningKey.generate()
    keys = InstanceKeys(SigningKey.generate(), {opening.key_id: opening}, KeyEncryptionKey(bytes(32)))
    feed = DocumentFeed(settings.kafka_access(), database, shelf, instance=instance, approver_keys={}, clock=clock)
    key_table = KeyTable(database)
    directory = lambda: shelf.directories.active(clock.now())  # noqa: E731
    api_keys = ApiKeys(key_table, instance=instance, directory=directory, kek=keys.kek, clock=clock)
    budgets = Budgets(settings.budget_limits(), clock)
    return InstanceParts(instance, settings, clock, database, keys, shelf, feed, key_table, api_keys, budgets)


SCHEMAS = "shared/core/contracts/schemas"
EXAMPLES = "shared/core/contracts/examples"
API = "docs/api"
RULES = "deploy/observability/alerts.yaml"
#: The pages, and Prometheus' rules, by template.
WRITTEN = {
    **{f"{name}.md": f"docs/{name}.md" for name in ("messages", "states", "law", "errors")},
    "alerts.md": "docs/operations/alerts.md",
    "alerts.yaml": RULES,
}
#: Pages of which only a part is generated.
PAGES = {service: f"services/{service}/README.md" for service in SHOWN_BY}


def generated() -> Mapping[str, bytes]:
    """Return every generated file by its path from the root of the repository."""
    files = {f"{SCHEMAS}/{name}.json": readable(schema_of(name)) for name in models()}
    files |= {f"{EXAMPLES}/{each.schema}/{each.file}": readable(each.content) for each in examples()}
    files |= {f"{API}/openapi-{instance}.json": readable(openapi(instance)) for instance in ASSEMBLE}
    files |= {path: write_page(template).encode() for template, path in WRITTEN.items()}
    for service, page in PAGES.items():
        files[page] = write_states((ROOT / page).read_text(encoding="utf-8"), service).encode()
    return files | {f"{API}/asyncapi.json": readable(json.loads(write_page("asyncapi.json")))}


def committed(root: Path = ROOT) -> Mapping[str, bytes]:
    """Return the files at those places now, also those that are no longer generated."""
    folders = (root / SCHEMAS, root / EXAMPLES, root / API)
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    paths += [path for path in map(root.joinpath, (*WRITTEN.values(), *PAGES.values())) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(paths)}


def readable(value: object) -> bytes:
    """Return one JSON text for one value, for people to read and compare: names sorted, two spaces, ASCII."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def main() -> int:
    """Return 0 always. The tests fail if this was not run after a change."""
    wanted, present = generated(), committed()
    for name in sorted(present.keys() - wanted.keys()):
        (ROOT / name).unlink()
        sys.stdout.write(f"removed  {name}\n")
    for name, content in sorted(wanted.items()):
        if present.get(name) != content:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_bytes(content)
            sys.stdout.write(f"written  {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
