"""Publication of a policy: checked before it is visible, and in force at every instance."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.directory.approval import approve_document, document_body
from deploy.operator.documents import newest_version
from deploy.policy import sample_policy
from shared.core.clock import SystemClock
from shared.core.envelope.keys import SigningKey
from shared.core.protocol.message import Record
from shared.platform.kafka.documents import write_document
from tests.deploy.operator.conftest import Run
from tests.support.running import Exchange

PATIENCE_S = 120.0


async def test_a_beat_is_heard_by_every_instance(run: Run, exchange: Exchange) -> None:
    """Before the first heartbeat the age counts from the start of the process, and only grows."""
    ages = {name: beat_age_s(url) for name, url in exchange.endpoints.http.items()}
    ended = await asyncio.to_thread(run, "directory", "beat", "--once", "--state", exchange.state)
    exchange.beat()
    assert ended.code == 0, ended.err
    deadline = time.monotonic() + PATIENCE_S
    while not all(beat_age_s(url) < ages[name] for name, url in exchange.endpoints.http.items()):
        if time.monotonic() > deadline:
            raise TimeoutError("some have not heard it")
        await asyncio.sleep(0.1)


def beat_age_s(url: str) -> float:
    checks = httpx.get(f"{url}/readyz", trust_env=False, timeout=60).json()["checks"]
    (age,) = [each["age_s"] for each in checks if each["name"] == "documents"]
    return float(age)


@pytest.mark.parametrize("kind", ["directory", "policy"])
def test_a_version_that_is_not_above_the_newest_is_not_published(
    run: Run, exchange: Exchange, tmp_path: Path, kind: str
) -> None:
    in_force = (exchange.state / f"{kind}.json").read_text()
    file = tmp_path / f"{kind}.json"
    file.write_text(in_force)
    again = run(kind, "publish", file, "--state", exchange.state)
    assert (again.code, again.err.startswith("error: document_version_not_above at /version")) == (1, True)
    assert (exchange.state / f"{kind}.json").read_text() == in_force


def test_the_newest_version_is_that_of_an_approved_document_also_of_one_that_takes_effect_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approvers, strangers = ({name: SigningKey.generate() for name in ("one.example", "two.example")} for _ in range(2))
    keys_file = tmp_path / "approvers.json"
    entries = [(name, key.verify_key) for name, key in approvers.items()]
    keys_file.write_text(json.dumps([{"approver": n, "key_id": k.key_id, "public": k.text()} for n, k in entries]))
    now = SystemClock().now()

    def published(version: int, *, days: int = 0, by: Mapping[str, SigningKey] = approvers) -> Record:
        body = document_body(sample_policy().model_copy(update={"version": version}))
        approved = approve_document("policy", body, active_from=now + timedelta(days=days), approvers=by)
        return Record("topic", 0, version, now, b"", (), write_document(approved, body))

    async def topic(*_: object) -> list[Record]:
        return [published(4, days=9000), published(2), published(9, by=strangers), replace(published(1), value=b"{}")]

    monkeypatch.setattr("deploy.operator.documents._published", topic)
    endpoints: Any = None
    assert newest_version(endpoints, "policy", approver_keys_file=keys_file) == 4
    assert newest_version(endpoints, "directory", approver_keys_file=keys_file) == 0


@pytest.mark.parametrize(("kind", "field"), [("directory", "/instances/0/keys"), ("policy", "/rules/0")])
def test_a_document_that_instances_would_refuse_is_not_published(
    run: Run, exchange: Exchange, tmp_path: Path, kind: str, field: str
) -> None:
    in_force = exchange.state / f"{kind}.json"
    before = in_force.read_bytes()
    document = json.loads(before)
    if kind == "directory":
        document["instances"][0]["keys"] = []
    else:
        document["rules"][0]["purpose"] = "hunter2"
    file = tmp_path / f"{kind}.json"
    file.write_text(json.dumps(document))
    ended = run(kind, "publish", file, "--state", exchange.state)
    assert (ended.code, ended.err.startswith(f"error: document_invalid at {field}")) == (1, True)
    assert "hunter2" not in ended.err
    assert in_force.read_bytes() == before
