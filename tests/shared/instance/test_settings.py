"""An instance starts with its settings, or names the missing setting."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.core.errors import Refused
from shared.instance.settings import RuntimeSettings

GIVEN = {
    "DATABASE_URL": "postgresql://u:hunter2@db.example/causeway",
    "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
    "APPROVER_KEYS_FILE": "approvers.json",
    "HTTP_PORT": "8080",
}


class SampleSettings(RuntimeSettings):
    """Settings as a service extends them."""

    retention_days: int = 30


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(f"CAUSEWAY_SAMPLE_{name}", value)


def test_settings_are_read_under_the_prefix_of_their_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SAMPLE_RETENTION_DAYS", "7")
    settings = SampleSettings.of("sample")
    assert (settings.http_port, settings.retention_days) == (8080, 7)


def test_a_misspelt_key_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SAMPLE_DATABSE_URL", "secret-value")
    with pytest.raises(Refused) as refused:
        SampleSettings.of("sample")
    assert (refused.value.code, refused.value.field) == ("unknown_setting", "CAUSEWAY_SAMPLE_DATABSE_URL")
    assert "secret-value" not in str(refused.value)


def test_an_instance_whose_name_goes_on_from_this_one_may_be_told_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`…_SAMPLE_TWO_RETENTION_DAYS` is a setting of `sample_two`. Without such an instance it is a misspelt key."""
    monkeypatch.setenv("CAUSEWAY_SAMPLE_TWO_RETENTION_DAYS", "7")
    with pytest.raises(Refused, match="unknown_setting"):
        SampleSettings.of("sample")
    for name, value in GIVEN.items():
        monkeypatch.setenv(f"CAUSEWAY_SAMPLE_TWO_{name}", value)
    assert [SampleSettings.of(name).retention_days for name in ("sample", "sample_two")] == [30, 7]
    monkeypatch.setenv("CAUSEWAY_SAMPLE_TOW_RETENTION_DAYS", "7")
    with pytest.raises(Refused, match="CAUSEWAY_SAMPLE_TOW_RETENTION_DAYS"):
        SampleSettings.of("sample")


def test_settings_of_no_instance_read_nothing() -> None:
    with pytest.raises(ValidationError, match="settings are those"):
        SampleSettings(**{name.lower(): value for name, value in GIVEN.items()})


@pytest.mark.parametrize("name", GIVEN)
def test_what_has_no_default_must_be_given(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(f"CAUSEWAY_SAMPLE_{name}")
    with pytest.raises(Refused) as refused:
        SampleSettings.of("sample")
    assert (refused.value.code, refused.value.field) == ("settings_invalid", f"CAUSEWAY_SAMPLE_{name}")
    assert refused.value.detail.startswith("missing")
    assert "hunter2" not in str(refused.value)


def test_each_setting_that_is_wrong_is_named_and_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SAMPLE_HTTP_PORT", "hunter2")
    monkeypatch.delenv("CAUSEWAY_SAMPLE_DATABASE_URL")
    with pytest.raises(Refused) as refused:
        SampleSettings.of("sample")
    told = "settings_invalid at CAUSEWAY_SAMPLE_DATABASE_URL: missing; CAUSEWAY_SAMPLE_HTTP_PORT: int_parsing"
    assert str(refused.value).startswith(told)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None


def test_settings_never_change_and_never_show_a_secret() -> None:
    settings = SampleSettings.of("sample")
    with pytest.raises(ValidationError):
        settings.http_port = 1
    assert "hunter2" not in repr(settings)


def test_kafka_is_reached_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_SAMPLE_KAFKA_USERNAME", "sample")
    monkeypatch.setenv("CAUSEWAY_SAMPLE_KAFKA_PASSWORD", "hunter2")
    monkeypatch.setenv("CAUSEWAY_SAMPLE_KAFKA_CA_FILE", "ca.pem")
    access = SampleSettings.of("sample").kafka_access()
    assert (access.username, access.password, access.ca_file) == ("sample", "hunter2", Path("ca.pem"))


def test_kafka_behind_a_public_authority_is_reached_by_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not SampleSettings.of("sample").kafka_access().tls
    monkeypatch.setenv("CAUSEWAY_SAMPLE_KAFKA_TLS", "true")
    access = SampleSettings.of("sample").kafka_access()
    assert (access.tls, access.ca_file) == (True, None)
