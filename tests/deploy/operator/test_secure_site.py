"""A Kafka that accepts only SASL_SSL, and a handwritten site file: every verb works, and other logins are refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from client.api import CausewayClient
from deploy.devstack.servers import make_certificates
from deploy.operator.doctor import Login, try_login
from deploy.site.access import kafka_access
from deploy.site.endpoints import Endpoints, KafkaEndpoint, read_site
from shared.core.clock import SystemClock
from tests.deploy.operator.conftest import Run
from tests.support.running import HOTLINE, Exchange, referral, rows_of, running_exchange, until
from tests.support.stack import INSTANCES


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with running_exchange(tmp_path_factory.mktemp("secure"), secure=True) as running:
        yield running


@pytest.fixture
def file(secure: Exchange, tmp_path: Path) -> Path:
    """Return a site file written from the CA's certificate, the databases' URLs and two passwords."""
    stated = json.loads(secure.endpoints.model_dump_json(exclude={"pids", "database_admin_url"}))
    passwords = stated["kafka"].pop("passwords")
    (tmp_path / "admin.password").write_text(passwords["admin"])
    (tmp_path / "ca.pem").write_bytes((secure.state / "kafka" / "authority.pem").read_bytes())
    stated["kafka"] |= {
        "passwords": {"audit": passwords["audit"]} | {name: passwords[name] for name in INSTANCES},
        "password_files": {"admin": "admin.password"},
        "ca_file": "ca.pem",
    }
    path = tmp_path / "site.json"
    path.write_text(json.dumps(stated | {"state": str(secure.state)}))
    for private in tmp_path.iterdir():
        private.chmod(0o600)
    return path


def changed(kafka: KafkaEndpoint, **changes: Any) -> KafkaEndpoint:
    return KafkaEndpoint.model_validate(kafka.model_dump() | changes)


async def sends(endpoints: Endpoints, kafka: KafkaEndpoint) -> bool:
    """Return whether the broker accepts a client of the services' kind."""
    producer = AIOKafkaProducer(
        **kafka_access(endpoints.model_copy(update={"kafka": kafka}), "hotline").client_options("t")
    )
    try:
        await producer.start()
    except KafkaConnectionError:
        return False
    finally:
        await producer.stop()
    return True


def test_topics_and_rules_are_compared_and_the_doctor_finds_only_that_there_is_one_broker(run: Run, file: Path) -> None:
    assert run("topics", "diff", "--site", file).code == 0
    examined = run("doctor", "--site", file, "--json")
    # On a healthy stack. An installation needs a second replica, or a flush of each record.
    assert [each["code"] for each in examined.json["findings"] if not each["well"]] == ["one_copy"]
    assert {"kafka login admin", "hotline api"} <= {each["what"] for each in examined.json["findings"]}


async def test_a_policy_is_published_and_every_instance_reads_it(run: Run, secure: Exchange, file: Path) -> None:
    policy = json.loads((secure.state / "policy.json").read_text())
    document = file.with_name("policy.json")
    document.write_text(json.dumps(policy | {"version": policy["version"] + 1}))
    ended = await asyncio.to_thread(run, "policy", "publish", document, "--site", file, "--json")
    assert ended.code == 0, ended.err

    async def placed(instance: str) -> bool:
        url = secure.endpoints.database(instance).service_url
        return bool(await rows_of(url, "SELECT 1 FROM document WHERE digest = $1", ended.json["digest"]))

    for instance in INSTANCES:
        await until(partial(placed, instance))


async def test_what_an_issued_key_files_arrives_and_the_accounts_add_up(run: Run, secure: Exchange, file: Path) -> None:
    issued = await asyncio.to_thread(run, "key", "issue", HOTLINE, "--site", file, "--json")
    async with CausewayClient(issued.json["url"], issued.json["key"]) as client:
        filed = await client.submit(referral())
        await secure.until_quiet()
        shown = await client.show(filed.referral_id)
    assert shown.ticks is not None
    assert (shown.ticks.delivered.done, shown.ticks.delivered.of) == (3, 3)
    await secure.until_audited()
    reconciled = await asyncio.to_thread(run, "audit", "reconcile", "--site", file, "--json")
    assert (reconciled.code, reconciled.json["differences"]) == (0, [])
    assert reconciled.json["II"]["applied"] >= 3


async def test_only_who_speaks_tls_to_a_broker_that_it_can_verify_is_let_in(secure: Exchange, tmp_path: Path) -> None:
    kafka, (_, stranger) = secure.endpoints.kafka, make_certificates(tmp_path, name="other", clock=SystemClock())
    place = kafka.bootstrap_servers.replace("127.0.0.1", "localhost")
    expected = {
        Login.DONE: kafka,
        Login.BROKER_SILENT: changed(kafka, security_protocol="SASL_PLAINTEXT", ca_file=None),
    }
    untrusted = {
        "another authority": changed(kafka, ca_file=stranger),
        "the system's store": changed(kafka, ca_file=None),
        "another name": changed(kafka, bootstrap_servers=place),
    }
    for login, endpoint in expected.items():
        assert await asyncio.to_thread(try_login, endpoint, "hotline") is login
        assert await sends(secure.endpoints, endpoint) is (login is Login.DONE)
    for why, endpoint in untrusted.items():
        assert await asyncio.to_thread(try_login, endpoint, "hotline") is Login.BROKER_UNTRUSTED, why
        assert not await sends(secure.endpoints, endpoint), why


async def test_a_trusted_authority_needs_no_file(secure: Exchange, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = changed(read_site(file).kafka, ca_file=None)
    # The store of a system that has installed the authority, where OpenSSL and both clients look for it.
    monkeypatch.setenv("SSL_CERT_FILE", str(file.with_name("ca.pem")))
    assert await asyncio.to_thread(try_login, public, "admin") is Login.DONE
    assert await sends(secure.endpoints, public)
