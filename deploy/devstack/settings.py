"""What the environment says to the development stack. The only reader of it in this room."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.site.endpoints import INSTANCES
from shared.kernel.errors import Refused

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class DevStackSettings(BaseSettings):
    """Frozen; each field is the environment variable of the same name in capitals.

    What is given here wins over what the stack would start itself. A given Kafka is reached by SCRAM-SHA-512 as `admin`
    when the admin password is given too; without it the cluster is taken as an open one: topics only, no access rules.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="forbid", hide_input_in_errors=True)

    causeway_dev_state_dir: Path = PROJECT_ROOT / ".state" / "dev"
    causeway_cache_dir: Path = PROJECT_ROOT / ".state" / "cache"
    java_home: Path | None = None
    database_url: str | None = Field(default=None, repr=False)
    causeway_hotline_database_url: str | None = Field(default=None, repr=False)
    causeway_law_enforcement_database_url: str | None = Field(default=None, repr=False)
    causeway_industry_database_url: str | None = Field(default=None, repr=False)
    causeway_audit_database_url: str | None = Field(default=None, repr=False)
    kafka_bootstrap_servers: str | None = None
    causeway_dev_kafka_admin_password: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _no_unknown_keys(self) -> Self:
        """Refuse a misspelt key: a database URL that is not read would silently be replaced by an embedded one."""
        known = {name.upper() for name in type(self).model_fields}
        for key in inherited_environment():
            ours = key.startswith("CAUSEWAY_DEV_") or (key.startswith("CAUSEWAY_") and key.endswith("_DATABASE_URL"))
            if ours and key not in known:
                raise Refused("unknown_setting", "no setting of the development stack has this name", field=key)
        return self

    def given_database_urls(self) -> dict[str, str]:
        """The URLs given per instance; the instances without one are not in it."""
        urls = {name: getattr(self, f"causeway_{name}_database_url") for name in INSTANCES}
        return {name: url for name, url in urls.items() if url is not None}


def inherited_environment() -> dict[str, str]:
    """The environment that the services inherit."""
    return dict(os.environ)  # noqa: TID251 - this is the settings module
