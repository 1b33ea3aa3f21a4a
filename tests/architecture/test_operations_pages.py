"""Every setting is explained in docs/operations, and every explained setting exists.

Events and fields of logs, metrics and spans have the same test next to their code: `tests/shared/platform`.
"""

from __future__ import annotations

import re

import pytest
from pydantic.fields import FieldInfo

from deploy.site.endpoints import DatabaseEndpoint, Endpoints, KafkaEndpoint
from shared.instance.settings import RuntimeSettings
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs/operations/settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]*) \|", flags=re.MULTILINE)


def test_the_page_explains_every_setting_and_no_other() -> None:
    """The settings of every instance. If a service needs others, the page says which service has them."""
    assert list((ROOT / "services").glob("*/settings.py")) == []
    names = {name.upper() for name in RuntimeSettings.model_fields}
    assert {name for name, _ in ROW.findall(PAGE)} == names


@pytest.mark.parametrize("name", RuntimeSettings.model_fields)
def test_the_page_states_the_default_that_the_code_has(name: str) -> None:
    assert dict(ROW.findall(PAGE))[name.upper()] == default_of(RuntimeSettings.model_fields[name])


def default_of(field: FieldInfo) -> str:
    """Return the default value as the page writes it."""
    secret = ", secret" if "SecretStr" in str(field.annotation) else ""
    if field.is_required():
        return "required" + secret
    if field.default is None:
        return "none" + secret
    whole = isinstance(field.default, float) and field.default.is_integer()
    return f"{int(field.default) if whole else field.default}{secret}"


def test_the_page_of_the_site_file_explains_every_key_and_no_other() -> None:
    page = (ROOT / "docs/operations/site.md").read_text(encoding="utf-8")
    # Only a stack writes these, about itself.
    keys = {name for name in Endpoints.model_fields if name not in ("kafka", "pids", "database_admin_url")}
    keys |= {f"kafka.{name}" for name in KafkaEndpoint.model_fields}
    rows = re.findall(r"^\| `([a-z_.]+)(?:\.<instance>)?` \|", page, flags=re.MULTILINE)
    assert sorted(rows) == sorted(keys)
    assert [name for name in DatabaseEndpoint.model_fields if f"`{name}`" not in page] == []


def test_no_secret_has_a_default() -> None:
    secrets = [field for field in RuntimeSettings.model_fields.values() if "SecretStr" in str(field.annotation)]
    assert len(secrets) >= 4
    assert all(field.is_required() or field.default is None for field in secrets)
