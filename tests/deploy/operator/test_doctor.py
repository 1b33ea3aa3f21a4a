"""The doctor finds each fault, and none in a healthy installation."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from deploy.kafka.provision import manifest_in
from deploy.operator.doctor import Login, try_login
from deploy.operator.state import apply_manifest, check_schemas, find_difference, migrate_schemas
from deploy.site.access import admin_client, prepare_databases
from deploy.site.endpoints import KafkaEndpoint, OwnedDatabase
from shared.core.protocol.authority import inbox_topic
from tests.deploy.devstack.test_process import eventually
from tests.deploy.operator.conftest import Run
from tests.support.running import Exchange


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that is slow on a busy machine still counts as a login."""
    monkeypatch.setattr("deploy.operator.doctor.LOGIN_S", 60.0)


def illnesses(run: Run, exchange: Exchange) -> dict[str, str]:
    ended = run("doctor", "--state", exchange.state, "--json")
    found = {each["what"]: each["code"] for each in ended.json["findings"] if not each["well"]}
    assert ended.code == (1 if found else 0)
    return found


@pytest.fixture
def exposed(exchange: Exchange) -> Iterator[Path]:
    path = exchange.installation.keys_dir("industry") / "kek.key"
    path.chmod(0o640)
    yield path
    path.chmod(0o600)


@pytest.fixture
def widened(exchange: Exchange) -> Iterator[str]:
    """Add a permission that no manifest contains: audit may write."""
    topic = "causeway.inbox.audit.hotline.v1"
    where = ResourceType.TOPIC, topic, ResourcePatternType.LITERAL
    binding = AclBinding(*where, "User:audit", "*", AclOperation.WRITE, AclPermissionType.ALLOW)
    admin = admin_client(exchange.endpoints.kafka)
    for made in admin.create_acls([binding]).values():
        made.result()
    kafka, manifest = exchange.endpoints.kafka, manifest_in((exchange.state / "directory.json").read_bytes())
    # The broker applies it a moment after the controller has answered.
    assert eventually(lambda: bool(find_difference(kafka, manifest)), seconds=60.0)
    yield f"audit may write topic {topic} (literal)"
    as_published(exchange)


@pytest.fixture
def joining(exchange: Exchange, tmp_path: Path) -> Iterator[Path]:
    """Return an unpublished directory with one more instance of a kind."""
    document = json.loads((exchange.state / "directory.json").read_bytes())
    keys = [each | {"key_id": f"sample-{number:032x}"} for number, each in enumerate(document["instances"][0]["keys"])]
    document["instances"].append({"id": "industry_more", "kind": "industry", "keys": keys})
    file = tmp_path / "new.json"
    file.write_text(json.dumps(document))
    yield file
    as_published(exchange)


def as_published(exchange: Exchange) -> None:
    """Add and remove permissions until they are those of the published directory."""
    kafka, manifest = exchange.endpoints.kafka, manifest_in((exchange.state / "directory.json").read_bytes())
    apply_manifest(kafka, manifest)
    assert eventually(lambda: not find_difference(kafka, manifest), seconds=60.0)


def test_an_instance_to_join_has_its_topics_and_loses_its_rights(run: Run, exchange: Exchange, joining: Path) -> None:
    topics = ("topics", "diff", "--state", exchange.state, "--json")
    before = run(*topics, "--directory", joining).json
    assert inbox_topic("law_enforcement", "industry_more") in before["topics_missing"]
    assert "industry_more may read topic causeway.inbox.industry_more. (prefixed)" in before["bindings_missing"]
    assert run("topics", "apply", "--state", exchange.state, "--directory", joining).code == 0
    assert eventually(lambda: run(*topics, "--directory", joining).code == 0, seconds=60.0)
    # That directory was not published, so its permissions are extra.
    assert "industry_more may read topic causeway.directory.v1 (literal)" in run(*topics).json["bindings_extra"]
    assert run("topics", "apply", "--state", exchange.state).code == 0
    assert eventually(lambda: run(*topics).code == 0, seconds=60.0)


def with_password(kafka: KafkaEndpoint, password: str) -> KafkaEndpoint:
    return kafka.model_copy(update={"passwords": kafka.passwords | {"hotline": password}})


def test_a_healthy_installation_has_no_illness(run: Run, exchange: Exchange) -> None:
    assert illnesses(run, exchange) == {}
    assert "documents audit" in run("doctor", "--state", exchange.state).out


def test_a_key_file_that_others_may_read_is_found(run: Run, exchange: Exchange, exposed: Path) -> None:
    assert illnesses(run, exchange) == {"keys industry": "key_file_exposed", "documents industry": "key_file_exposed"}


def test_a_right_too_many_is_found_named_and_taken_away(run: Run, exchange: Exchange, widened: str) -> None:
    assert illnesses(run, exchange) == {"topics and access rules": "bindings_extra"}
    differing = run("topics", "diff", "--state", exchange.state, "--json")
    assert (differing.code, differing.json["bindings_extra"]) == (1, [widened])
    assert run("topics", "apply", "--state", exchange.state).code == 0
    assert eventually(lambda: run("topics", "diff", "--state", exchange.state).code == 0, seconds=60.0)


@pytest.mark.timing
def test_a_wrong_password_is_told_from_a_broker_that_is_down(exchange: Exchange) -> None:
    kafka = exchange.endpoints.kafka
    free = f"127.0.0.1:{exchange.free_port()}"
    assert try_login(kafka, "hotline") is Login.DONE
    assert try_login(with_password(kafka, "wrong"), "hotline") is Login.PASSWORD_WRONG
    assert try_login(kafka.model_copy(update={"bootstrap_servers": free}), "hotline") is Login.BROKER_DOWN


@pytest.mark.timing
def test_a_port_that_speaks_no_kafka_is_told_from_both(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.operator.doctor.LOGIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = f"127.0.0.1:{listening.getsockname()[1]}"
        endpoint = exchange.endpoints.kafka.model_copy(update={"bootstrap_servers": silent})
        assert try_login(endpoint, "hotline") is Login.BROKER_SILENT


def test_every_schema_is_current_and_another_migration_changes_nothing(run: Run, exchange: Exchange) -> None:
    assert run("db", "check", "--state", exchange.state).code == 0
    migrated = run("db", "migrate", "hotline", "--state", exchange.state, "--json")
    assert [each["current"] for each in migrated.json["databases"]] == [True]
    assert run("db", "check", "nonsense", "--state", exchange.state).code == 2


async def test_a_change_by_hand_is_named(run: Run, exchange: Exchange) -> None:
    owner = await asyncpg.connect(exchange.endpoints.databases["audit"].owner_url)
    await owner.execute("CREATE INDEX planted ON entry (kind)")
    try:
        checked = await asyncio.to_thread(run, "db", "check", "--state", exchange.state)
        found = await asyncio.to_thread(illnesses, run, exchange)
        refused = await asyncio.to_thread(run, "db", "migrate", "--state", exchange.state)
    finally:
        await owner.execute("DROP INDEX planted")
        await owner.close()
    assert (checked.code, found) == (1, {"schema audit": "schema_differs"})
    assert "audit: index planted is unknown" in checked.out
    assert refused.code == 1
    assert refused.err.startswith("error: schema_differs: audit: index planted is unknown\n")


def test_a_database_without_a_schema_is_behind_until_it_is_migrated(exchange: Exchange) -> None:
    made = prepare_databases(exchange.stack.postgres.admin_url, ["unmigrated"], lambda role: f"{role}-sample")
    owned = {"unmigrated": OwnedDatabase("law_enforcement", made["unmigrated"].owner_url)}
    (before,) = check_schemas(owned)
    assert (before.at, before.current) == ((), False)
    migrate_schemas(owned)
    (after,) = check_schemas(owned)
    assert after.current
    assert after.at
