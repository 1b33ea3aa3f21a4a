"""What the environment says to the development stack, over what it says of any site."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from deploy.site.settings import PROJECT_ROOT, SiteSettings


class DevStackSettings(SiteSettings):
    """Frozen; each field is the environment variable of the same name in capitals.

    What is given here wins over what the stack would start itself. A given Kafka is reached by SCRAM-SHA-512 as `admin`
    when the admin password is given too; without it the cluster is taken as an open one: topics only, no access rules.
    With `causeway_dev_secure`, Kafka is reached by SASL_SSL and nothing else; a given one is then verified by
    `causeway_dev_kafka_ca_file`, without it by the system's trust store.
    """

    prefixes: ClassVar[tuple[str, ...]] = (*SiteSettings.prefixes, "CAUSEWAY_DEV_")

    causeway_cache_dir: Path = PROJECT_ROOT / ".state" / "cache"
    java_home: Path | None = None
    database_url: str | None = Field(default=None, repr=False)
    kafka_bootstrap_servers: str | None = None
    causeway_dev_kafka_ca_file: Path | None = None
    causeway_dev_secure: bool = False
    causeway_dev_kafka_admin_password: str | None = Field(default=None, repr=False)
