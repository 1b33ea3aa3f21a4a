"""Settings of a service that is assembled in a test, with its own keys and an unreachable broker."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

from shared.core.envelope.keys import OpeningKey, SigningKey
from tests.architecture.source import ROOT


def installation(folder: Path, database_url: str) -> dict[str, Any]:
    """Return the fields that every service's settings require."""
    approvers = folder / "approvers.json"
    approvers.write_text("[]", encoding="utf-8")
    return {
        "database_url": database_url,
        "kafka_bootstrap_servers": "192.0.2.1:9092",
        "approver_keys_file": approvers,
        "erasures_file": folder / "erasures.jsonl",
        "signing_key": SigningKey.generate().secret_text(),
        "opening_key": OpeningKey.generate().secret_text(),
        "kek": b64encode(bytes(range(32))).decode(),
        "http_port": 8080,
    }


def paths_of(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Return (method, path) of every operation in an OpenAPI document."""
    return {(method, path) for path, operations in document["paths"].items() for method in operations}


def published_paths(kind: str) -> set[tuple[str, str]]:
    """Return (method, path) of every operation in the published document of this kind of instance."""
    return paths_of(json.loads((ROOT / f"docs/api/openapi-{kind}.json").read_text(encoding="utf-8")))
