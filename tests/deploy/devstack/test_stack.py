"""The running servers: permitted logins, their permissions, and data that survives a restart."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    UnknownTopicOrPartitionError,
)

from deploy.devstack.stack import DevStack
from deploy.kafka.provision import ClusterDiff, Manifest, PrincipalRule, TopicRule, apply, difference, manifest_of
from deploy.site.access import OF_EVERY_SERVER, kafka_access, prepare_databases
from deploy.site.endpoints import load
from deploy.site.settings import party_kinds
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.authority import inbox_topic
from tests.deploy.devstack.test_process import eventually
from tests.services.databases import connected
from tests.support.stack import FOUR, INSTANCES

MANIFEST = manifest_of(party_kinds(FOUR))
#: Topics from the hotline to itself and the providers, and from the providers to the agencies.
INBOX, OTHER_INBOX = (inbox_topic(to, "hotline") for to in ("hotline", "industry"))
FOREIGN = inbox_topic("law_enforcement", "industry")
DIRECTORY, NOBODY = "causeway.directory.v1", inbox_topic("nobody", "hotline")


def query(url: str, sql: str) -> Any:
    async def ask() -> Any:
        async with connected(url) as connection:
            return await connection.fetchval(sql)

    return asyncio.run(ask())


def send(stack: DevStack, principal: str, topic: str, **changes: Any) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(**kafka_access(stack.endpoints, principal).client_options("tests") | changes)
        try:
            await producer.start()
            await producer.send_and_wait(topic, b"harmless", key=b"key")
        finally:
            await producer.stop()

    asyncio.run(run())


def receive(stack: DevStack, principal: str, topic: str, *, group: str | None = None) -> bytes:
    async def run() -> bytes:
        options = kafka_access(stack.endpoints, principal).client_options("tests")
        consumer = AIOKafkaConsumer(topic, **options, group_id=group, auto_offset_reset="earliest")
        try:
            await consumer.start()
            record = await asyncio.wait_for(consumer.getone(), timeout=60.0)
            return bytes(record.value)
        finally:
            await consumer.stop()

    return asyncio.run(run())


def test_the_endpoints_file_says_what_the_running_stack_says(stack: DevStack) -> None:
    assert load(stack.state.path) == stack.endpoints


class TestPostgres:
    def test_nobody_is_trusted_without_a_password(self, stack: DevStack) -> None:
        files = [path.read_text() for path in (stack.state.path / "postgres" / "data").glob("pg_*.conf")]
        rules = [line for file in files for line in file.splitlines() if line and not line.startswith("#")]
        assert rules == ["host all all 127.0.0.1/32 scram-sha-256"]

    def test_a_wrong_password_is_refused(self, stack: DevStack) -> None:
        url = stack.endpoints.databases["hotline"].service_url
        assert query(url, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            query(url.replace("@", "x@"), "SELECT 1")

    @pytest.mark.parametrize("instance", INSTANCES)
    def test_the_roles_of_an_instance_have_no_power_beyond_logging_in(self, stack: DevStack, instance: str) -> None:
        powers = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
        sql = f"SELECT bool_or({powers}) FROM pg_roles WHERE rolname LIKE 'causeway_{instance}%'"
        assert query(stack.postgres.admin_url, sql) is False

    def test_the_service_role_owns_nothing_and_may_not_create_a_table(self, stack: DevStack) -> None:
        database = stack.endpoints.databases["hotline"]
        query(database.owner_url, "CREATE TABLE made_by_the_owner (id int)")
        for url in (database.service_url, database.accountant_url):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                query(f"{url}?default_transaction_read_only=off", "CREATE TABLE made_by_another (id int)")

    @pytest.mark.parametrize("instance", INSTANCES)
    def test_every_role_of_an_instance_enters_its_own_database_alone(self, stack: DevStack, instance: str) -> None:
        database = stack.endpoints.databases[instance]
        for url in (database.service_url, database.owner_url, database.accountant_url):
            place = url.rpartition("/")[0]
            assert query(f"{place}/causeway_{instance}", "SELECT 1") == 1
            for other in set(INSTANCES) - {instance}:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    query(f"{place}/causeway_{other}", "SELECT 1")

    def test_a_database_that_everybody_may_enter_is_found(self, stack: DevStack) -> None:
        """Negative control of the test above: only the revoked grant prevents other logins."""
        place = stack.endpoints.databases["hotline"].accountant_url.rpartition("/")[0]
        query(stack.postgres.admin_url, "CREATE DATABASE let_in")
        assert query(f"{place}/let_in", "SELECT 1") == 1

    @pytest.mark.parametrize("database", OF_EVERY_SERVER)
    def test_no_role_of_an_instance_enters_the_databases_of_the_server(self, stack: DevStack, database: str) -> None:
        for each in stack.endpoints.databases.values():
            for url in (each.service_url, each.owner_url, each.accountant_url):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    query(f"{url.rpartition('/')[0]}/{database}", "SELECT 1")

    def test_databases_can_be_prepared_again_and_by_an_administrator_who_is_no_superuser(self, stack: DevStack) -> None:
        query(stack.postgres.admin_url, "CREATE ROLE sample_admin LOGIN CREATEDB CREATEROLE PASSWORD 'sample'")
        query(stack.postgres.admin_url, "GRANT CONNECT ON DATABASE postgres TO sample_admin")
        place = stack.postgres.admin_url.rpartition("@")[2]
        url = f"postgresql://sample_admin:sample@{place}"
        prepare_databases(url, ["sample"], lambda role: f"first-{role}")
        made = prepare_databases(url, ["sample"], lambda role: f"second-{role}")
        assert query(made["sample"].service_url, "SELECT current_user::text") == "causeway_sample"

    def test_an_administrator_who_is_not_let_in_is_reported_without_its_password(self, stack: DevStack) -> None:
        with pytest.raises(Unavailable, match="database_admin_failed") as caught:
            prepare_databases(stack.postgres.admin_url.replace("@", "x@"), ["sample"], lambda role: role)
        assert stack.postgres.admin_url.partition("@")[0].rpartition(":")[2] not in str(caught.value)

    def test_committed_rows_survive_a_crash(self, stack: DevStack) -> None:
        owner = stack.endpoints.databases["audit"].owner_url
        query(owner, "CREATE TABLE survivor AS SELECT 42 AS id")
        stack.postgres.crash()
        stack.postgres.start()
        assert query(owner, "SELECT id FROM survivor") == 42


class TestKafka:
    def test_a_wrong_password_is_refused(self, stack: DevStack) -> None:
        send(stack, "hotline", INBOX)
        with pytest.raises(KafkaConnectionError):
            send(stack, "hotline", INBOX, sasl_plain_password="wrong")

    def test_nobody_is_let_in_without_a_name(self, stack: DevStack) -> None:
        with pytest.raises(KafkaConnectionError):
            send(stack, "hotline", INBOX, security_protocol="PLAINTEXT")

    def test_the_controller_listener_refuses_who_shows_no_certificate(self, stack: DevStack) -> None:
        folder = stack.state.path / "kafka"
        properties = (folder / "server.properties").read_text()
        port = int(properties.partition("controller.quorum.voters=1@127.0.0.1:")[2].partition("\n")[0])

        def knock(context: ssl.SSLContext) -> bytes:
            context.load_verify_locations(folder / "authority.pem")
            # A refused certificate shows only at the first read from the server, so one request of four bytes is sent.
            with socket.create_connection(("127.0.0.1", port)) as plain:
                plain.settimeout(60.0)
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                    secure.send(b"\0\0\0\0")
                    return secure.recv(1)

        with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_REQUIRED|BAD_CERTIFICATE"):
            knock(ssl.create_default_context())
        welcome = ssl.create_default_context()
        welcome.load_cert_chain(folder / "broker.pem")
        assert knock(welcome) == b""

    def test_a_rule_that_was_taken_away_or_added_by_hand_is_found_and_mended(self, stack: DevStack) -> None:
        admin = stack.kafka.admin()
        rules = dict(MANIFEST.principals)
        rules["audit"] = PrincipalRule(write=(DIRECTORY,), read=(INBOX,), read_under=())
        # An instance that is not, or no longer, in the directory.
        rules["stranger"] = PrincipalRule(write=(FOREIGN,), read=(), read_under=())
        apply(admin, Manifest(MANIFEST.topics, rules), stack.endpoints.kafka.passwords)
        marks = {f"causeway.inbox.{to}.audit.v1" for to in ("hotline", "law_enforcement", "industry")}
        wrong = ({DIRECTORY, INBOX, FOREIGN}, {DIRECTORY, "causeway.inbox."} | marks)
        assert shown(stack, lambda found: (names(found.bindings_extra), names(found.bindings_missing)) == wrong)
        apply(admin, MANIFEST, stack.endpoints.kafka.passwords)
        assert shown(stack, lambda found: not found)

    @pytest.mark.parametrize("setting", ["retention.ms=1000000", "message.timestamp.type=CreateTime"])
    def test_a_topic_setting_that_was_changed_by_hand_is_found_and_mended(self, stack: DevStack, setting: str) -> None:
        admin, rule = stack.kafka.admin(), MANIFEST.topics[INBOX]
        changed = TopicRule(partitions=rule.partitions, config=rule.config | dict([setting.split("=")]))
        apply(admin, Manifest({INBOX: changed}, {}), {})
        assert shown(stack, lambda found: found.topics_differing == {INBOX})
        assert difference(admin, MANIFEST).topics_dated_by_sender == ({INBOX} if "type" in setting else set())
        apply(admin, MANIFEST, stack.endpoints.kafka.passwords)
        assert shown(stack, lambda found: not found)

    def test_the_partitions_of_a_topic_are_never_changed(self, stack: DevStack) -> None:
        more = TopicRule(partitions=3, config=MANIFEST.topics[INBOX].config)
        with pytest.raises(Refused, match="topic_partitions_differ") as refused:
            apply(stack.kafka.admin(), Manifest({INBOX: more}, {}), {})
        assert refused.value.detail == f"{INBOX} has 2 instead of 3"

    @pytest.mark.parametrize("group", ["causeway.industry.inbox", "causeway.hotline.inbox"])
    def test_no_instance_may_join_a_group_not_even_one_of_its_own_name(self, stack: DevStack, group: str) -> None:
        with pytest.raises(GroupAuthorizationFailedError):
            receive(stack, "hotline", INBOX, group=group)

    def test_a_topic_is_not_made_by_writing_to_it(self, stack: DevStack) -> None:
        with pytest.raises(UnknownTopicOrPartitionError):
            send(stack, "admin", NOBODY, request_timeout_ms=5000)
        assert NOBODY not in stack.kafka.admin().list_topics(timeout=60.0).topics

    def test_acknowledged_records_survive_a_kill(self, stack: DevStack) -> None:
        send(stack, "hotline", INBOX)
        before = high_watermarks(stack)
        stack.kafka.kill()
        stack.kafka.start()
        assert sum(before.values()) > 0
        assert high_watermarks(stack) == before

    def test_a_lost_disk_leaves_an_empty_cluster_with_all_topics_and_rules(self, stack: DevStack) -> None:
        with pytest.raises(Unavailable, match="kafka_runs"):
            stack.kafka.wipe()
        send(stack, "hotline", INBOX)
        stack.kafka.kill()
        stack.kafka.wipe()
        stack.kafka.start()
        assert set(high_watermarks(stack).values()) == {0}
        assert not difference(stack.kafka.admin(), MANIFEST)
        send(stack, "hotline", INBOX)

    def test_a_stranger_on_its_port_is_not_taken_for_it(self, stack: DevStack) -> None:
        stack.kafka.stop()
        host, _, port = stack.endpoints.kafka.bootstrap_servers.rpartition(":")
        with socket.create_server((host, int(port))), pytest.raises(Unavailable, match="port_in_use"):
            stack.kafka.start()
        stack.kafka.start()


def shown(stack: DevStack, as_it_should: Callable[[ClusterDiff], bool]) -> bool:
    """Return whether the broker reaches this state. It applies the controller's changes a moment later."""
    admin = stack.kafka.admin()
    return eventually(lambda: as_it_should(difference(admin, MANIFEST)), seconds=60.0)


def names(bindings: frozenset[Any]) -> set[str]:
    return {binding.name for binding in bindings}


def high_watermarks(stack: DevStack) -> dict[int, int]:
    async def run() -> dict[int, int]:
        consumer = AIOKafkaConsumer(INBOX, **kafka_access(stack.endpoints, "hotline").client_options("tests"))
        try:
            await consumer.start()
            ends = await consumer.end_offsets(list(consumer.assignment()))
            return {place.partition: end for place, end in ends.items()}
        finally:
            await consumer.stop()

    return asyncio.run(run())
