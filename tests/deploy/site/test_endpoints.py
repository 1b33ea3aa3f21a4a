"""The endpoints file: it is read as it was written, by its owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from deploy.site.access import kafka_access
from deploy.site.endpoints import DatabaseEndpoint, Endpoints, KafkaEndpoint, load
from shared.kernel.errors import Unavailable

ENDPOINTS = Endpoints(
    kafka=KafkaEndpoint(
        bootstrap_servers="kafka.example:9092", security_protocol="SASL_PLAINTEXT", passwords={"hotline": "sesame"}
    ),
    databases={
        "hotline": DatabaseEndpoint(
            service_url="postgresql://a:sesame@db.example/x",
            owner_url="postgresql://b:sesame@db.example/x",
            accountant_url="postgresql://c:sesame@db.example/x",
        )
    },
    database_admin_url="postgresql://admin:sesame@db.example/postgres",
    http={"hotline": "http://hotline.example"},
    pids={"supervisor": 1},
)


def test_endpoints_are_read_as_they_were_written(tmp_path: Path) -> None:
    ENDPOINTS.save(tmp_path)
    assert load(tmp_path) == ENDPOINTS


def test_only_the_owner_may_read_the_file_also_when_it_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.json"
    file.write_text("{}")
    file.chmod(0o644)
    ENDPOINTS.save(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_password_is_shown_when_endpoints_are_printed() -> None:
    assert "sesame" not in repr(ENDPOINTS)
    assert "sesame" in ENDPOINTS.model_dump_json()


def test_a_missing_file_says_how_to_start_the_stack(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="causeway dev up"):
        load(tmp_path)


def test_a_file_of_another_version_is_reported_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text('{"secret": "sesame"}')
    with pytest.raises(Unavailable, match="endpoints_unreadable") as caught:
        load(tmp_path)
    assert "sesame" not in str(caught.value)


def test_an_open_cluster_is_reached_without_credentials() -> None:
    kafka = KafkaEndpoint(bootstrap_servers="kafka.example:9092", security_protocol="PLAINTEXT")
    access = kafka_access(ENDPOINTS.model_copy(update={"kafka": kafka}), "hotline")
    assert (access.username, access.password, access.tls) == (None, None, False)
    assert kafka.librdkafka_options("hotline").keys() == {"bootstrap.servers", "security.protocol"}
