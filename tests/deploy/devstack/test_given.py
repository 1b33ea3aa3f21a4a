"""Addresses from outside replace the servers that the stack would start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.servers import answers_metadata, provision
from deploy.devstack.stack import DevStack
from deploy.directory.approval import document_body
from deploy.kafka.provision import difference, manifest_in, manifest_of
from deploy.site.access import answers, prepare_databases
from deploy.site.settings import party_kinds
from shared.core.errors import Unavailable
from tests.support.exchange_world import world
from tests.support.stack import FOUR, INSTANCES, embedded_settings


@pytest.fixture(scope="module")
def outside(stack: DevStack) -> Iterator[DevStack]:
    """Yield servers of another operator.

    A second stack gives their principals its own passwords; at the end the first ones apply again.
    """
    yield stack
    provision(stack.kafka.endpoint, manifest_of(party_kinds(FOUR)))
    prepare_databases(stack.postgres.admin_url, FOUR, lambda role: stack.state.password(f"postgres/{role}"))


def test_a_given_kafka_and_admin_url_are_provisioned_and_nothing_is_started(outside: DevStack, tmp_path: Path) -> None:
    settings = embedded_settings(
        database_url=outside.postgres.admin_url,
        kafka_bootstrap_servers=outside.endpoints.kafka.bootstrap_servers,
        causeway_dev_kafka_admin_password=outside.endpoints.kafka.passwords["admin"],
    )
    with DevStack(tmp_path / "second", settings, instances=FOUR) as second:
        assert second.endpoints.pids.keys() == {"supervisor"}
        assert answers_metadata(second.endpoints.kafka)
        assert not difference(outside.kafka.admin(), manifest_of(party_kinds(FOUR)))
        assert all(answers(second.endpoints.databases[name].service_url) for name in INSTANCES)
        with pytest.raises(Unavailable, match="kafka_not_embedded"):
            second.kafka.stop()


def test_a_given_url_stands_for_all_three_roles_of_its_instance(outside: DevStack, tmp_path: Path) -> None:
    settings = embedded_settings(
        causeway_database_urls={name: f"postgresql://db.example/{name}" for name in INSTANCES},
        kafka_bootstrap_servers=outside.endpoints.kafka.bootstrap_servers,
        causeway_dev_kafka_admin_password=outside.endpoints.kafka.passwords["admin"],
    )
    with DevStack(tmp_path / "third", settings, instances=FOUR) as third:
        assert third.endpoints.pids.keys() == {"supervisor"}
        assert third.endpoints.database_admin_url is None
        for name, database in third.endpoints.databases.items():
            assert set(database.model_dump().values()) == {f"postgresql://db.example/{name}"}


def test_a_wrong_admin_password_is_reported_and_lets_the_directory_go(outside: DevStack, tmp_path: Path) -> None:
    settings = embedded_settings(
        database_url=outside.postgres.admin_url,
        kafka_bootstrap_servers=outside.endpoints.kafka.bootstrap_servers,
        causeway_dev_kafka_admin_password="wrong",
    )
    second = DevStack(tmp_path / "fourth", settings, instances=FOUR)
    with pytest.raises(Unavailable, match="kafka_not_reachable"):
        second.start()
    assert second.state.supervisor_pid() is None


def test_a_stack_that_starts_again_keeps_what_the_published_directory_asks_for(tmp_path: Path) -> None:
    document = world().document
    (first, *_) = document.instances
    keys = tuple(each.model_copy(update={"key_id": f"sample-{n:032x}"}) for n, each in enumerate(first.keys))
    more = first.model_copy(update={"id": "hotline_more", "keys": keys})
    published = document.model_copy(update={"instances": (*document.instances, more)})
    settings = embedded_settings(database_url="postgresql://db.example/any", kafka_bootstrap_servers="127.0.0.1:1")
    stack = DevStack(tmp_path, settings)
    stack._build()
    assert "hotline_more" not in stack._manifest.principals
    (tmp_path / "directory.json").write_bytes(document_body(published))
    stack._build()
    assert stack._manifest == manifest_in(document_body(published))
    assert "hotline_more" in stack._manifest.principals
