"""The environment of the development stack."""

from __future__ import annotations

import pytest

from deploy.devstack.state import DevStackSettings
from shared.kernel.errors import Refused


@pytest.mark.parametrize("key", ["CAUSEWAY_DEV_STATE_DIRECTORY", "CAUSEWAY_HOTLINES_DATABASE_URL"])
def test_a_misspelt_key_is_refused_by_name_and_without_its_value(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(key, "sesame")
    with pytest.raises(Refused, match=key) as caught:
        DevStackSettings()
    assert "sesame" not in str(caught.value)


def test_the_url_of_one_instance_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSEWAY_HOTLINE_DATABASE_URL", "postgresql://db.example/hotline")
    assert DevStackSettings().causeway_database_urls == {"hotline": "postgresql://db.example/hotline"}


def test_an_empty_value_is_as_if_it_were_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    assert DevStackSettings().database_url is None


def test_no_password_is_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://admin:sesame@db.example/postgres")
    monkeypatch.setenv("CAUSEWAY_DEV_KAFKA_ADMIN_PASSWORD", "sesame")
    assert "sesame" not in repr(DevStackSettings())
